//! The endpoint: faults of the relayer over HTTP.

use std::{io, net::SocketAddr, time::Duration};

use devnet::answers::{self, Answer, fail, not_allowed, show};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{Change, Hiding, Lookup, Offer, Refused, Saboteur};

const MAX_BODY: usize = 64 * 1024;

/// For the head of a request: whoever is silent for longer is let go.
const HEAD: Duration = Duration::from_secs(30);

/// Why the endpoint can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultProblem {
    /// Whoever reaches the endpoint can disturb the relayer: give a loopback address.
    #[error("--fault-endpoint {0}: not a loopback address; write 127.0.0.1:PORT or [::1]:PORT")]
    NotLoopback(SocketAddr),
    /// Choose another port; 0 takes any free one.
    #[error("--fault-endpoint {addr}: can't be listened on: {source}; another port may be free, 0 takes any")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// An endpoint that listens.
#[derive(Debug)]
pub struct FaultEndpoint {
    listener: TcpListener,
    addr: SocketAddr,
    hiding: Hiding,
}

/// What is asked for, and where the answer goes.
type Errand = (Wish, oneshot::Sender<Result<Value, Refused>>);

#[derive(Debug)]
enum Wish {
    Show,
    Change(Change),
    Clear,
    Offer(Offer),
}

impl FaultEndpoint {
    /// Listens. Port 0 takes any free one.
    ///
    /// # Errors
    /// [`FaultProblem`]; then nothing listens.
    pub async fn open(addr: SocketAddr, hiding: Hiding) -> Result<Self, FaultProblem> {
        if !addr.ip().is_loopback() {
            return Err(FaultProblem::NotLoopback(addr));
        }
        let bind = |source| FaultProblem::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        Ok(Self {
            listener,
            addr,
            hiding,
        })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves for ever; pools are asked for through `pools`.
    ///
    /// # Cancellation
    /// Dropped, it gives back every connection that it holds. Hidden series stay hidden.
    pub async fn serve(self, pools: mpsc::Sender<Lookup>) {
        let mut saboteur = Saboteur::new(self.hiding, pools);
        // one after the other, so that two requests never count each other's connections
        let (errands, mut arrived) = mpsc::channel::<Errand>(16);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, errands.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept on the fault endpoint failed");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some((wish, answer)) = arrived.recv() => {
                    let done = saboteur.grant(wish).await;
                    // whoever asked may have gone
                    let _gone = answer.send(done);
                }
            }
        }
    }
}

impl Saboteur {
    async fn grant(&mut self, wish: Wish) -> Result<Value, Refused> {
        match wish {
            Wish::Show => {}
            Wish::Change(change) => self.change(change).await?,
            Wish::Clear => self.clear(),
            Wish::Offer(offer) => self.offer(offer).await?,
        }
        Ok(json!(self.faults()))
    }
}

async fn converse(stream: TcpStream, errands: mpsc::Sender<Errand>) {
    let service = service_fn(|request| answer(request, &errands));
    let server = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = server.await {
        tracing::debug!(%error, "a connection to the fault endpoint ended");
    }
}

async fn answer(request: Request<Incoming>, errands: &mpsc::Sender<Errand>) -> hyper::http::Result<Answer> {
    let wish = match wish(request).await {
        Ok(wish) => wish,
        Err(refusal) => return Ok(refusal),
    };
    let (answer, answered) = oneshot::channel();
    let done = match errands.send((wish, answer)).await {
        Ok(()) => answered.await.unwrap_or(Err(Refused::Stopping)),
        Err(_) => Err(Refused::Stopping),
    };
    Ok(match done {
        Ok(faults) => show(StatusCode::OK, &faults),
        Err(refused) => {
            let status = match refused {
                Refused::NoPool(_) => StatusCode::NOT_FOUND,
                Refused::TooMany(_) => StatusCode::BAD_REQUEST,
                Refused::NoConnection { .. } | Refused::Stopping => StatusCode::SERVICE_UNAVAILABLE,
                Refused::Taken(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            fail(status, &refused.to_string())
        }
    })
}

async fn wish(request: Request<Incoming>) -> Result<Wish, Answer> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match (&method, path.as_str()) {
        (&Method::GET, "/faults") => Ok(Wish::Show),
        (&Method::PATCH, "/faults") => Ok(Wish::Change(read(request).await?)),
        (&Method::DELETE, "/faults") => Ok(Wish::Clear),
        (&Method::POST, "/refused-update") => Ok(Wish::Offer(read(request).await?)),
        (_, "/faults") => Err(not_allowed("GET, PATCH, DELETE")),
        (_, "/refused-update") => Err(not_allowed("POST")),
        _ => Err(fail(
            StatusCode::NOT_FOUND,
            "not found: there are /faults and /refused-update",
        )),
    }
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Answer> {
    let kind = request.headers().get(CONTENT_TYPE);
    let is_json = |kind: &HeaderValue| {
        kind.to_str()
            .is_ok_and(|kind| kind.starts_with("application/json"))
    };
    if !kind.is_some_and(is_json) {
        return Err(fail(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send JSON, with Content-Type: application/json",
        ));
    }
    let body = answers::read(request, MAX_BODY).await?;
    serde_json::from_slice(&body).map_err(|error| {
        fail(
            StatusCode::BAD_REQUEST,
            &format!("not what is taken here: {error}"),
        )
    })
}
