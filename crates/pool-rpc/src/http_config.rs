//! Which HTTP is spoken, and how.

use std::time::Duration;

use crate::{config::RpcConfig, proxy::ProxySetting};

/// Which HTTP an endpoint speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpVersion {
    /// `https`: HTTP/2 if the node agrees to it in the TLS handshake (ALPN), else HTTP/1.1. `http`: HTTP/1.1, which any
    /// node understands. The default.
    #[default]
    Auto,
    /// HTTP/1.1 only. For a node whose HTTP/2 is broken or slow.
    Http1,
    /// HTTP/2 from the first byte, without asking. For a node behind an inner load balancer that speaks HTTP/2 without
    /// TLS (h2c). A node that speaks HTTP/1.1 alone then cannot be connected to, and the error says so.
    Http2PriorKnowledge,
}

impl HttpVersion {
    /// What is offered in the TLS handshake, the best first.
    pub(crate) fn alpn(self) -> Vec<Vec<u8>> {
        let offered: &[&[u8]] = match self {
            Self::Auto => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2PriorKnowledge => &[b"h2"],
        };
        offered.iter().map(|name| name.to_vec()).collect()
    }
}

/// How HTTP/2 is spoken, where it is.
///
/// **Goodbyes**: a connection on which the node said goodbye (GOAWAY) takes no new requests, and is closed when those under
/// way have ended, at the latest after the response time-out. Until then it is a socket like any other and counts against
/// [`max_connections`](pool_core::EndpointConfig::max_connections), which is a promise to the provider: he counts it, too.
/// So give an endpoint with HTTP/2 at least 2, and new requests go on at once over another connection; with 1 they wait.
///
/// **Signs of life**: a PING tells of a connection that died without a word, in use or idle. HTTP/1.1 has nothing of the kind:
/// there a connection is used again unless the peer's close, or bytes that nobody asked for, have come by then, which
/// hyper's task reads as they come; a peer that vanished is found by TCP's own keepalive
/// ([`RpcConfig::tcp_keepalive`]) or by the response time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Config {
    /// At most so many requests at once on a connection; the node may allow less. Default 100.
    pub max_streams: u32,
    /// A connection on which nothing came for so long is asked for a sign of life (PING), in use or idle. `None`: never.
    /// Default 15 s.
    pub ping_interval: Option<Duration>,
    /// A connection whose PING is not answered within this is closed. One that was silent for this long, or for half the
    /// response time-out, while a request waited in vain, gets no new ones. Default 5 s.
    pub ping_timeout: Duration,
}

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            max_streams: 100,
            ping_interval: Some(Duration::from_secs(15)),
            ping_timeout: Duration::from_secs(5),
        }
    }
}

impl RpcConfig {
    /// Sets which HTTP is spoken. Default: HTTP/2 where the node agrees to it over TLS, else HTTP/1.1.
    #[must_use]
    pub const fn http_version(mut self, version: HttpVersion) -> Self {
        self.http_version = version;
        self
    }

    /// Sets how HTTP/2 is spoken, where it is.
    #[must_use]
    pub const fn http2(mut self, config: Http2Config) -> Self {
        self.http2 = config;
        self
    }

    /// Whether answers may come compressed (`Accept-Encoding: gzip`). Default: yes; JSON shrinks to a fraction. Switch
    /// it off for a node nearby, where the network costs less than the decoding.
    #[must_use]
    pub const fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// Sets the proxy. Default: what the environment says.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxySetting) -> Self {
        self.proxy = proxy;
        self
    }
}
