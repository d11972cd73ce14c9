//! One client connection: requests read, decided on and answered in turn.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, Response, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::body::ReplyBody;
use super::handshake;
use super::reply::{self, Asked};
use super::state::State;
use super::transport::{Cut, FaultyStream, Transport};
use crate::chain::Dialect;
use crate::comet;
use crate::faults::{HttpBody, Kind, Plan, Reply, Works};
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
    state.counters.opened();
    let _counted = Counted(Arc::clone(&state));
    match &state.tls {
        None => serve_over(stream, state).await,
        Some(tls) => {
            if let Some(stream) = handshake::accept(stream, tls, &state).await {
                serve_over(stream, state).await;
            }
        }
    }
}

/// What the requests of one connection share.
struct Session {
    state: Arc<State>,
    cut: Arc<Cut>,
    answered: AtomicU64,
    /// Ends an HTTP/2 connection in the way that HTTP/2 has for it.
    goodbye: Notify,
}

/// Serves HTTP/1.1, or HTTP/2 if that is what the client begins with, over any stream.
async fn serve_over<T: Transport>(stream: T, state: Arc<State>) {
    let cut = Arc::new(Cut::default());
    let io = TokioIo::new(FaultyStream::new(stream, Arc::clone(&cut)));
    let session = Arc::new(Session {
        state,
        cut,
        answered: AtomicU64::new(0),
        goodbye: Notify::new(),
    });
    let shared = Arc::clone(&session);
    let service = service_fn(move |request| {
        let session = Arc::clone(&shared);
        async move { answer(request, &session).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = session.goodbye.notified() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients that leave and faults of ours end here: all in a day's work.
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(request: http::Request<Incoming>, session: &Session) -> Result<Response<ReplyBody>, Reset> {
    let (state, cut) = (&*session.state, &*session.cut);
    let is_http2 = request.version() == Version::HTTP_2;
    let asked = match read(request, state.chain.config().dialect).await {
        Ok(asked) => asked,
        Err(refused) => return Ok(refused),
    };
    let mut plan = state.plan(&asked.methods(), Instant::now());
    work(&mut plan, state).await;
    let response = match &plan.reply {
        Reply::Reset => {
            cut.reset();
            if is_http2 {
                // An error would reset the stream alone.
                cut.end();
                return std::future::pending().await;
            }
            return Err(Reset);
        }
        Reply::Hang => std::future::pending().await,
        Reply::Http { .. } => respond(&plan, &asked, state),
    };
    let answers = session.answered.fetch_add(1, Ordering::Relaxed) + 1;
    match state.close_after() {
        Some(limit) if !is_http2 && answers >= limit => {
            state.counters.count_fault(Kind::CloseAfter);
            cut.close_when_written();
        }
        // What is under way then is answered, too.
        Some(limit) if answers == limit => {
            state.counters.count_fault(Kind::CloseAfter);
            session.goodbye.notify_one();
        }
        _ => {}
    }
    Ok(response)
}

/// Takes the time that the plan takes, once there is a slot; or makes a refusal of it.
async fn work(plan: &mut Plan, state: &State) {
    let works = state.works();
    let place = works.as_ref().map(Works::enter);
    if matches!(place, Some(None)) {
        state.counters.count_fault(Kind::Capacity);
        plan.reply = Reply::Http {
            status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            retry_after: None,
            body: HttpBody::RpcError,
        };
        return;
    }
    let place = place.flatten();
    let _slot = match &place {
        Some(place) => place.turn().await,
        None => None,
    };
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
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
