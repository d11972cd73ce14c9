//! The `/metrics` server.

mod respond;

use std::{fmt, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use respond::Responder;

/// Gatherings at once; further scrapes wait for their turn. They hold the exporter's lock for most of their time
/// anyway, so more would only hold more memory.
const CONCURRENT_SCRAPES: usize = 4;

/// Connections at once; further ones wait in the listen queue.
const MAX_CONNECTIONS: usize = 256;

/// For a request's head to arrive, and for a connection to be idle between two scrapes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// For running requests to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(5);

/// Pause after a failed accept: the usual reason, no file descriptor left, does not go away by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No address was given. Configure at least one.
    #[error("no address to serve metrics on; give at least one, for instance 127.0.0.1:9090")]
    NoAddress,
    /// The address can't be listened on. The message says what to do about the usual reasons.
    #[error("cannot serve metrics on {addr}: {}", remedy(.source))]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address; choose one of its own",
        io::ErrorKind::PermissionDenied => "this port needs privileges; choose one above 1023",
        _ => "choose another address",
    }
}

/// Whether the process may be given work; the reason if not.
type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Serves a registry to Prometheus, and two probes to an orchestrator.
///
/// | path | answer |
/// | --- | --- |
/// | `/metrics` | everything the registry gathers, in Prometheus's text format |
/// | `/healthz` | 200 while the process answers |
/// | `/readyz` | 200, or 503 and the reason, as [`ready_when`](Self::ready_when) says |
///
/// Only GET and HEAD. At most four gatherings run at once, off the async workers; further scrapes wait. There is no
/// authentication: listen on loopback or behind something that has it.
pub struct MetricsServer {
    listeners: Vec<TcpListener>,
    registry: Registry,
    ready: Ready,
}

impl MetricsServer {
    /// Listens on all addresses, or on none.
    ///
    /// # Errors
    /// [`ServeError::Bind`] names the first address that can't be had.
    pub async fn bind(addresses: &[SocketAddr], registry: Registry) -> Result<Self, ServeError> {
        if addresses.is_empty() {
            return Err(ServeError::NoAddress);
        }
        let mut listeners = Vec::with_capacity(addresses.len());
        for &addr in addresses {
            let listener = TcpListener::bind(addr).await;
            listeners.push(listener.map_err(|source| ServeError::Bind { addr, source })?);
        }
        Ok(Self::from_listeners(listeners, registry))
    }

    /// Takes listeners that exist already, for instance from socket activation.
    pub fn from_listeners(listeners: Vec<TcpListener>, registry: Registry) -> Self {
        Self {
            listeners,
            registry,
            ready: Arc::new(|| Ok(())),
        }
    }

    /// Sets what `/readyz` answers: 200 for `Ok`, 503 with the reason otherwise. Ready without it. Called for each
    /// request on an async worker, so it must not block; the reason is shown to anybody who asks, so no secrets.
    #[must_use]
    pub fn ready_when(mut self, ready: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.ready = Arc::new(ready);
        self
    }

    /// The addresses that are listened on, with the ports that the system chose for port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Serves until `shutdown` ends; then takes nothing new, lets running requests end for up to five seconds and
    /// returns.
    ///
    /// Dropping the future closes all connections at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let responder = Arc::new(Responder::new(self.registry, self.ready, CONCURRENT_SCRAPES));
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (stop, stopped) = watch::channel(());
        let mut listening = JoinSet::new();
        for listener in self.listeners {
            let responder = Arc::clone(&responder);
            listening.spawn(accept(listener, responder, Arc::clone(&room), stopped.clone()));
        }
        drop(stopped);
        shutdown.await;
        drop(stop);
        let ended = tokio::time::timeout(GRACE, async { while listening.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!("requests for metrics did not end within {GRACE:?} and were cut off");
        }
    }
}

impl fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsServer")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

/// Takes connections until `stopped`, then waits for those that it took. Cancelled, it closes them.
async fn accept(
    listener: TcpListener,
    responder: Arc<Responder>,
    room: Arc<Semaphore>,
    mut stopped: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // never closed, so this can't fail
            let place = Arc::clone(&room).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let (responder, stopped) = (Arc::clone(&responder), stopped.clone());
                    connections.spawn(async move {
                        converse(stream, responder, stopped).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the metrics server could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // ends when the sender is dropped
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(stream: TcpStream, responder: Arc<Responder>, mut stopped: watch::Receiver<()>) {
    let service = service_fn(move |request| {
        let responder = Arc::clone(&responder);
        async move { Ok::<_, std::convert::Infallible>(responder.respond(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the metrics server broke");
    }
}
