//! The server: metrics for Prometheus, probes for an orchestrator, and a status page for people.

mod answer;
mod auth;
mod builder;
mod connection;
mod error;
mod figures;
mod history;
mod mask;
mod negotiate;
mod open_metrics;
mod page;
mod readiness;
mod routes;
mod rows;
mod scrape;
mod stall;
mod status;
mod svg;
mod tls;

use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

pub use auth::{Auth, AuthError};
pub use builder::RoutesBuilder;
pub use error::ServeError;
pub use readiness::Readiness;
pub use routes::Routes;
pub use tls::{Tls, TlsError};

use connection::{MAX_CONNECTIONS, Reception};

/// For running requests to end after the shutdown has begun.
const GRACE: Duration = Duration::from_secs(5);

/// Serves [`Routes`] over HTTP/1.1, with or without TLS.
///
/// At most 256 connections at once. Slow clients are cut off: 30 s for the head of a request (and for idling between two
/// requests), 10 s for a TLS handshake, 30 s for taking an answer. Heads of more than 16 KiB or 64 headers are refused
/// with 431.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pool_metrics::{Auth, MetricsServer, PrometheusBridge, Readiness, RoutesBuilder, Tls};
///
/// let bridge = PrometheusBridge::new()?;
/// // on loopback, for everybody on this machine
/// let local = MetricsServer::bind(&["127.0.0.1:9090".parse()?], &bridge).await?;
/// // for others too: encrypted, and with a token
/// let routes = RoutesBuilder::from(&bridge)
///     .readiness(Readiness::Any)
///     .auth(Auth::bearer(std::fs::read_to_string("/run/secrets/scrape-token")?.trim())?)
///     .build();
/// let remote = MetricsServer::bind(&["0.0.0.0:9443".parse()?], routes).await?;
/// let remote = remote.tls(Tls::from_files("tls.crt", "tls.key")?);
/// # drop(local);
/// remote.serve(async { /* until this ends */ }).await;
/// # Ok(())
/// # }
/// ```
pub struct MetricsServer {
    listeners: Vec<TcpListener>,
    routes: Routes,
    tls: Option<Tls>,
}

impl MetricsServer {
    /// Listens on all addresses, or on none. The routes may be given as a [`PrometheusBridge`](crate::PrometheusBridge)
    /// or as a bare registry.
    ///
    /// # Errors
    /// [`ServeError::Bind`] names the first address that can't be had.
    pub async fn bind(addresses: &[SocketAddr], routes: impl Into<Routes>) -> Result<Self, ServeError> {
        if addresses.is_empty() {
            return Err(ServeError::NoAddress);
        }
        let mut listeners = Vec::with_capacity(addresses.len());
        for &addr in addresses {
            let listener = TcpListener::bind(addr).await;
            listeners.push(listener.map_err(|source| ServeError::Bind { addr, source })?);
        }
        Ok(Self::from_listeners(listeners, routes))
    }

    /// Takes listeners that exist already, for instance from socket activation.
    pub fn from_listeners(listeners: Vec<TcpListener>, routes: impl Into<Routes>) -> Self {
        Self {
            listeners,
            routes: routes.into(),
            tls: None,
        }
    }

    /// Speaks TLS on all addresses, and nothing else. Without it, plain HTTP.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
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
        self.routes.begin_sampling();
        let mut renewing = JoinSet::new();
        if let Some(tls) = &self.tls {
            renewing.spawn(tls.clone().watch());
        }
        let (stop, stopped) = watch::channel(());
        let reception = Reception {
            routes: self.routes,
            tls: self.tls,
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            stopped,
        };
        let mut listening = JoinSet::new();
        for listener in self.listeners {
            listening.spawn(reception.clone().accept(listener));
        }
        drop(reception);
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
            .field("routes", &self.routes)
            .field("tls", &self.tls)
            .finish()
    }
}
