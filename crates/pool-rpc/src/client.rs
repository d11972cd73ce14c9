//! What all connections of one endpoint share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    clock::WallClock,
    config::{ConfigError, RpcConfig, Timeouts},
    dial::dial,
    error::{Progress, RpcError},
    secret::Redactor,
    tls::Tls,
    transport::{Lane, RpcTransport},
    url::EndpointUrl,
    wire::{Metered, SharedWire},
};

/// What all connections of one endpoint share: where to connect and what to send with each request.
pub(crate) struct Client {
    pub(crate) url: EndpointUrl,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_response_bytes: usize,
    pub(crate) wall_clock: WallClock,
    pub(crate) redactor: Redactor,
    tls: Option<Tls>,
    tcp_keepalive: Option<std::time::Duration>,
    /// Unique over all connections: an answer that strays into another connection's exchange is found out.
    ids: AtomicU64,
}

impl Client {
    pub(crate) fn new(config: &RpcConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let url = config.url.clone();
        let tls = url
            .is_https()
            .then(|| Tls::new(url.host(), config.extra_ca_pem.as_deref()))
            .transpose()?;
        let mut redactor = Redactor::default();
        url.redact_into(&mut redactor);
        for value in config.headers.values().filter_map(|value| value.to_str().ok()) {
            redactor.add(value);
            value.split_whitespace().for_each(|part| redactor.add(part));
        }
        let mut headers = config.headers.clone();
        let invalid = |name: &str| ConfigError::HeaderValue {
            name: name.to_owned(),
        };
        let host = HeaderValue::from_str(&url.authority()).map_err(|_| invalid("host"))?;
        headers.insert(header::HOST, host);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("pool-rpc/", env!("CARGO_PKG_VERSION"));
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(agent));
        if let Some(basic) = url.basic_auth() {
            let mut value = HeaderValue::from_str(basic.expose()).map_err(|_| invalid("authorization"))?;
            value.set_sensitive(true);
            basic
                .expose()
                .split_whitespace()
                .for_each(|part| redactor.add(part));
            headers.insert(header::AUTHORIZATION, value);
        }
        // It was cut out of a valid URI, so it is one.
        let target = url
            .path_and_query()
            .parse()
            .unwrap_or_else(|_| Uri::from_static("/"));
        Ok(Self {
            url,
            target,
            headers,
            timeouts: config.timeouts,
            max_response_bytes: config.max_response_bytes,
            wall_clock: config.wall_clock.clone(),
            redactor,
            tls,
            tcp_keepalive: config.tcp_keepalive,
            ids: AtomicU64::new(1),
        })
    }

    /// Takes `count` consecutive ids; the first.
    pub(crate) fn take_ids(&self, count: usize) -> u64 {
        self.ids.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// Opens a connection: DNS, TCP, TLS, each within its own limit. Cancelling closes what was opened.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<RpcTransport, RpcError> {
        let limits = (self.timeouts.dns, self.timeouts.connect);
        let stream = dial(self.url.host(), self.url.port(), limits, self.tcp_keepalive).await?;
        match &self.tls {
            None => self.start(stream).await,
            Some(tls) => self.start(tls.handshake(stream, self.timeouts.tls).await?).await,
        }
    }

    /// Puts HTTP/1.1 on a stream. Nothing is sent before the first request.
    async fn start<S>(self: &Arc<Self>, stream: S) -> Result<RpcTransport, RpcError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let wire = SharedWire::default();
        let io = TokioIo::new(Metered::new(stream, wire.clone()));
        let (sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .map_err(|source| RpcError::Transport {
                progress: Progress::Unsent,
                reused: false,
                source: Some(source),
            })?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a node's connection ended");
            }
        });
        Ok(RpcTransport::new(
            Arc::clone(self),
            Lane::new(sender, wire),
            driver,
        ))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
