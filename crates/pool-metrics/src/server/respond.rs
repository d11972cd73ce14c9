//! Answers to requests.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use prometheus::{Registry, TextEncoder};
use tokio::sync::Semaphore;

use super::Ready;

/// Prometheus 3 marks a target down that sends no content type.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

pub(super) struct Responder {
    registry: Registry,
    ready: Ready,
    scrapes: Arc<Semaphore>,
}

impl Responder {
    pub(super) fn new(registry: Registry, ready: Ready, concurrent_scrapes: usize) -> Self {
        Self {
            registry,
            ready,
            scrapes: Arc::new(Semaphore::new(concurrent_scrapes)),
        }
    }

    pub(super) async fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
            return plain(
                StatusCode::NOT_FOUND,
                "not found; there are /metrics, /healthz and /readyz\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => self.metrics().await,
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            _ => match (self.ready)() {
                Ok(()) => plain(StatusCode::OK, "ready\n"),
                Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
            },
        }
    }

    /// Gathers and encodes on a blocking thread: thousands of endpoints take a good part of a second.
    ///
    /// If the client goes away, a gathering that has begun runs to its end and keeps its place until then, so that
    /// impatient clients can't start more than the limit.
    async fn metrics(&self) -> Response<Full<Bytes>> {
        // never closed, so this can't fail
        let place = Arc::clone(&self.scrapes).acquire_owned().await.ok();
        let registry = self.registry.clone();
        let gathered = tokio::task::spawn_blocking(move || {
            let text = TextEncoder::new().encode_to_string(&registry.gather());
            drop(place);
            text
        });
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the metrics could not be gathered");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics could not be gathered; the log says why\n",
            )
        };
        match gathered.await {
            Ok(Ok(text)) => answer(StatusCode::OK, EXPOSITION, text),
            Ok(Err(error)) => failed(&error),
            Err(error) => failed(&error),
        }
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(status, PLAIN, text)
}

fn answer(status: StatusCode, content_type: HeaderValue, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
