//! What is answered where.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use prometheus::Registry;
use tower_service::Service;

use crate::{PoolMetrics, PrometheusBridge};

use super::{
    Auth, Readiness, RoutesBuilder,
    answer::{Answer, Body, HTML, JSON, negotiated, plain},
    builder::Ready,
    history::History,
    mask::mask,
    negotiate, page,
    scrape::{Scrapes, Workshop, patience},
    status::Status,
};

/// Looks at the pools at once, for the status page and `/pools`.
const CONCURRENT_LOOKS: usize = 2;

/// Everything the server answers, as a [`tower_service::Service`]: mount it in a server of your own, or give it to
/// [`MetricsServer`](super::MetricsServer). Cheap to clone; clones share everything.
///
/// | path | answer | credentials |
/// | --- | --- | --- |
/// | `/metrics` | everything the registry gathers | yes |
/// | `/pools` | the pools as JSON | yes |
/// | `/` | the same for people: a page that refreshes itself | yes |
/// | `/healthz` | 200 while the process answers | no |
/// | `/readyz` | 200, or 503 and which pool is not ready and why; the reason only with credentials | no |
///
/// Only GET and HEAD; bodies of requests are dropped unread. Credentials are asked for where [`RoutesBuilder::auth`] says
/// which.
///
/// # Metrics
///
/// OpenMetrics 1.0 for those who name it in `Accept` (Prometheus does), else the text format 0.0.4; packed with gzip for
/// those who accept it. Names of samples are the same in both. OpenMetrics declares a counter `x_total` as `x`, so that
/// is what Prometheus's metadata calls it, and a counter of yours whose name does not end in `_total` as `unknown`,
/// since it could only be a counter under another name. Bounds of buckets are `le="1000.0"` there, `le="1000"` in the
/// text format (Prometheus 3 stores both as `1000.0`).
///
/// At most four gatherings run at once, off the async workers; further scrapes wait, for as long as
/// `X-Prometheus-Scrape-Timeout-Seconds` says (one minute at most, and without it), and then get 504.
///
/// # Pools
///
/// A new field may join at any time; `version` is raised when one changes its meaning or goes. Whole numbers count,
/// `_total` ones since the start; `null` is for what is not so or not known. URLs in reasons are cut to their scheme.
///
/// ```json
#[doc = include_str!("pools.example.json")]
/// ```
///
/// `state` is one of `usable`, `full`, `not_checked`, `unhealthy`, `breaker_open`, `throttled`, `ejected` and `other`,
/// `why` says more. `next` is the endpoint that the next request would be sent to, where that can be told. `health.status`
/// is `healthy`, `unhealthy` or `unknown` (not yet checked), `breaker.status` is `closed`, `open` or `half_open`. Quotas are
/// in units, as configured; of the endpoint's own and its provider's it is the one with less left.
/// `latency.mean_ms` holds the mean of the successful attempts in each period of `sampled_every_ms`, oldest first, at
/// most 120 of them; sampling begins with the server, or with the first request where the routes are mounted elsewhere.
///
/// # Mounting
///
/// ```
/// use std::convert::Infallible;
///
/// use hyper::{Request, Response, body::Incoming, service::service_fn};
/// use pool_metrics::{PrometheusBridge, Routes};
/// use tower_service::Service as _;
///
/// let bridge = PrometheusBridge::new()?;
/// let routes = Routes::from(&bridge);
/// // your own service: what begins with /monitoring goes to the routes, without that prefix
/// let service = service_fn(move |request: Request<Incoming>| {
///     let mut routes = routes.clone();
///     async move {
///         let (mut head, body) = request.into_parts();
///         match head.uri.path().strip_prefix("/monitoring/") {
///             Some(path) => {
///                 head.uri = format!("/{path}").parse().unwrap_or_default();
///                 routes.call(Request::from_parts(head, body)).await
///             }
///             None => Ok::<_, Infallible>(Response::new("mine".into())),
///         }
///     }
/// });
/// # fn is_service<S: hyper::service::Service<Request<Incoming>>>(_: S) {}
/// # is_service(service);
/// # Ok::<(), pool_metrics::BridgeError>(())
/// ```
///
/// In axum: `Router::new().nest_service("/monitoring", routes)`.
#[derive(Clone)]
pub struct Routes {
    inner: Arc<Inner>,
}

struct Inner {
    scrapes: Scrapes,
    looks: Workshop,
    pools: Option<PoolMetrics>,
    readiness: Readiness,
    ready: Option<Ready>,
    auth: Option<Auth>,
    history: History,
    sample_every: Duration,
    sampling: AtomicBool,
}

impl Routes {
    /// Routes that serve this registry; [`RoutesBuilder::pools`] adds the rest.
    pub fn builder(registry: Registry) -> RoutesBuilder {
        RoutesBuilder::new(registry)
    }

    /// Begins to sample latencies, unless it has begun. The task ends with the last clone of the routes.
    pub(super) fn begin_sampling(&self) {
        if self.inner.pools.is_none() || self.inner.sampling.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.inner.sampling.store(false, Ordering::Relaxed);
            return;
        };
        let inner = Arc::downgrade(&self.inner);
        let mut ticks = tokio::time::interval(self.inner.sample_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        runtime.spawn(async move {
            loop {
                ticks.tick().await;
                let Some(inner) = inner.upgrade() else {
                    return;
                };
                let sample = move || {
                    let followed = inner
                        .pools
                        .as_ref()
                        .map(PoolMetrics::followed)
                        .unwrap_or_default();
                    let now: Vec<_> = followed.into_iter().map(|pool| pool.snapshot).collect();
                    inner.history.record(&now);
                };
                // a panic has been logged by its hook; the next sample may go better
                let _sampled = tokio::task::spawn_blocking(sample).await;
            }
        });
    }

    /// Answers a request. Its body is dropped unread.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Answer {
        let (method, uri, headers) = {
            let (head, _) = request.into_parts();
            (head.method, head.uri, head.headers)
        };
        self.begin_sampling();
        let path = uri.path();
        if !matches!(path, "/" | "/metrics" | "/pools" | "/healthz" | "/readyz") {
            return plain(
                StatusCode::NOT_FOUND,
                "not found; there are /, /metrics, /pools, /healthz and /readyz\n",
            );
        }
        if !matches!(method, Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(header::ALLOW, allowed);
            return answer;
        }
        let auth = self.inner.auth.as_ref();
        let stranger = auth.filter(|auth| !auth.admits(&headers));
        match (path, stranger) {
            ("/healthz", _) => plain(StatusCode::OK, "ok\n"),
            ("/readyz", stranger) => self.readiness(stranger.is_some()),
            (_, Some(auth)) => unauthorized(auth),
            ("/metrics", None) => self.inner.scrapes.answer(&headers).await,
            _ => self.look(&uri, &headers).await,
        }
    }

    fn readiness(&self, to_a_stranger: bool) -> Answer {
        let pools = self.inner.pools.as_ref();
        let of_pools = pools.map_or(Ok(()), |pools| self.inner.readiness.check(&pools.followed()));
        let of_process = self.inner.ready.as_ref().map_or(Ok(()), |ready| ready());
        let reasons: Vec<String> = [of_pools, of_process.map_err(|reason| mask(&reason))]
            .into_iter()
            .filter_map(Result::err)
            .collect();
        if reasons.is_empty() {
            plain(StatusCode::OK, "ready\n")
        } else if to_a_stranger {
            plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        } else {
            plain(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {}\n", reasons.join("; ")),
            )
        }
    }

    /// `/pools` and the status page: the same in three forms.
    async fn look(&self, uri: &Uri, headers: &HeaderMap) -> Answer {
        let whole = uri.path() == "/";
        let html = whole || uri.query() == Some("format=html");
        let gzip = negotiate::gzip(headers);
        let inner = Arc::clone(&self.inner);
        let work = move || {
            let followed = inner
                .pools
                .as_ref()
                .map(PoolMetrics::followed)
                .unwrap_or_default();
            let status = Status::take(&followed, &inner.history, inner.sample_every);
            if !html {
                return Ok(negotiated(
                    JSON,
                    Body::new(serde_json::to_string(&status)?, gzip)?,
                ));
            }
            let text = if whole {
                page::page(&status)
            } else {
                page::fragment(&status)
            };
            let mut answer = negotiated(HTML, Body::new(text, gzip)?);
            let headers = answer.headers_mut();
            if let Some(policy) = page::POLICY.clone() {
                headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            }
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
            Ok(answer)
        };
        self.inner.looks.answer(patience(headers), work).await
    }
}

fn unauthorized(auth: &Auth) -> Answer {
    let mut answer = plain(StatusCode::UNAUTHORIZED, "credentials are needed\n");
    for challenge in auth.challenges() {
        answer.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

impl From<RoutesBuilder> for Routes {
    fn from(built: RoutesBuilder) -> Self {
        Self {
            inner: Arc::new(Inner {
                scrapes: Scrapes::new(built.registry),
                looks: Workshop::new(CONCURRENT_LOOKS),
                pools: built.pools,
                readiness: built.readiness,
                ready: built.ready,
                auth: built.auth,
                history: History::default(),
                sample_every: built.sample_every,
                sampling: AtomicBool::new(false),
            }),
        }
    }
}

/// Serves the registry and nothing of pools.
impl From<Registry> for Routes {
    fn from(registry: Registry) -> Self {
        Self::builder(registry).build()
    }
}

/// Serves the bridge's registry and the pools that it follows.
impl From<&PrometheusBridge> for Routes {
    fn from(bridge: &PrometheusBridge) -> Self {
        RoutesBuilder::from(bridge).build()
    }
}

/// Needs a tokio runtime with time. Dropping the future gives up the answer; work for it that has begun runs to its end.
impl<B: Send + 'static> Service<Request<B>> for Routes {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let routes = self.clone();
        Box::pin(async move { Ok(routes.answer(request).await) })
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("readiness", &self.inner.readiness)
            .field("auth", &self.inner.auth)
            .finish_non_exhaustive()
    }
}
