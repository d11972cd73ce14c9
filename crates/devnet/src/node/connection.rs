//! One client connection: requests read, decided on and answered in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::body::ReplyBody;
use super::reply::{self, Asked};
use super::state::State;
use super::transport::{Cut, FaultyStream, Transport};
use crate::chain::Dialect;
use crate::comet;
use crate::faults::{Kind, Plan, Reply};
use crate::rpc::Request;

/// The largest request body that is read, as geth limits it.
const MAX_BODY: usize = 5 * 1024 * 1024;

/// The connection ends here, on purpose, without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection reset on purpose")]
struct Reset;

/// Counts a connection for as long as it lives, however it ends.
struct Counted(Arc<State>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.closed();
    }
}

/// Serves an accepted connection until it is closed. Dropped, it closes the connection.
pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    serve_over(stream, state).await;
}

/// Serves HTTP/1.1 over any stream.
async fn serve_over<T: Transport>(stream: T, state: Arc<State>) {
    state.counters.opened();
    let _counted = Counted(Arc::clone(&state));
    let cut = Arc::new(Cut::default());
    let answered = AtomicU64::new(0);
    let service = service_fn(|request| answer(request, &state, &cut, &answered));
    let io = TokioIo::new(FaultyStream::new(stream, Arc::clone(&cut)));
    if let Err(error) = hyper::server::conn::http1::Builder::new()
        .serve_connection(io, service)
        .await
    {
        // Clients that leave and faults of ours end here: all in a day's work.
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(
    request: http::Request<Incoming>,
    state: &State,
    cut: &Cut,
    answered: &AtomicU64,
) -> Result<Response<ReplyBody>, Reset> {
    let asked = match read(request, state.chain.config().dialect).await {
        Ok(asked) => asked,
        Err(refused) => return Ok(refused),
    };
    let plan = state.plan(&asked.methods(), Instant::now());
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let response = match &plan.reply {
        Reply::Reset => {
            cut.reset();
            return Err(Reset);
        }
        Reply::Hang => std::future::pending().await,
        Reply::Http { .. } => respond(&plan, &asked, state),
    };
    let answers = answered.fetch_add(1, Ordering::Relaxed) + 1;
    if state.close_after().is_some_and(|limit| answers >= limit) {
        state.counters.count_fault(Kind::CloseAfter);
        cut.close_when_written();
    }
    Ok(response)
}

fn respond(plan: &Plan, asked: &Asked, state: &State) -> Response<ReplyBody> {
    let (mut head, bytes) = reply::compose(plan, asked, &state.view(Instant::now())).into_parts();
    // A body that may not exist can't be cut: 204 has none.
    let cut = plan.truncate.as_ref().filter(|_| !bytes.is_empty());
    let body = match cut {
        Some(cut) => ReplyBody::cut(&bytes, cut.keep_bytes, cut.style),
        None => ReplyBody::whole(bytes),
    };
    head.headers
        .entry(CONTENT_TYPE)
        .or_insert(http::HeaderValue::from_static("application/json"));
    Response::from_parts(head, body)
}

/// Reads what was asked.
///
/// # Errors
/// The answer to what is no use of the interface: a wrong HTTP method, a body too large or cut off.
async fn read(request: http::Request<Incoming>, dialect: Dialect) -> Result<Asked, Response<ReplyBody>> {
    if dialect == Dialect::CometBft && request.method() == Method::GET {
        return Ok(Asked::uri(comet::uri::parse(request.uri())));
    }
    if request.method() != Method::POST {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        let allowed = if dialect == Dialect::CometBft {
            "GET, POST"
        } else {
            "POST"
        };
        refused
            .headers_mut()
            .insert(ALLOW, http::HeaderValue::from_static(allowed));
        return Err(refused);
    }
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => Ok(Asked::body(Request::parse(&body.to_bytes()))),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "content length too large\n"))
        }
        Err(_) => Err(plain(StatusCode::BAD_REQUEST, "body could not be read\n")),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    response
}
