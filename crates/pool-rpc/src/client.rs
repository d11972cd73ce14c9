//! What all connections of one endpoint share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header, uri::Scheme};
use http_body_util::Full;

use crate::{
    clock::WallClock,
    config::{ConfigError, RpcConfig, Timeouts},
    dial::{Stream, dial},
    error::RpcError,
    http_config::{Http2Config, HttpVersion},
    http1,
    http2::Http2,
    redact::Redactor,
    tls::Tls,
    transport::{Http1, Kind, RpcTransport},
    tunnel::Proxy,
    url::EndpointUrl,
};

/// What each request begins with.
#[derive(Clone)]
pub(crate) struct Preamble {
    target: Uri,
    headers: HeaderMap,
}

impl Preamble {
    fn new(target: Uri, headers: HeaderMap) -> Self {
        // a clone would have to grow for the length, and again because hyper looks for a place before it looks for the
        // header; so the length has its place, and there is room for twice as many
        let mut roomy = HeaderMap::with_capacity(2 * (headers.len() + 1));
        roomy.extend(headers);
        roomy.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        let headers = roomy;
        Self { target, headers }
    }

    /// A request with this body.
    pub(crate) fn post(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut headers = self.headers.clone();
        if let Some(length) = headers.get_mut(header::CONTENT_LENGTH) {
            *length = HeaderValue::from(body.len());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// What all connections of one endpoint share: where to connect and what to send with each request.
pub(crate) struct Client {
    pub(crate) url: EndpointUrl,
    pub(crate) http1: Preamble,
    pub(crate) http2: Preamble,
    pub(crate) http2_config: Http2Config,
    pub(crate) gzip: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_response_bytes: usize,
    pub(crate) wall_clock: WallClock,
    pub(crate) redactor: Redactor,
    version: HttpVersion,
    tls: Option<Tls>,
    route: Route,
    tcp_keepalive: Option<std::time::Duration>,
    /// Unique over all connections: an answer that strays into another connection's exchange is found out.
    ids: AtomicU64,
}

/// The way to the node.
enum Route {
    Direct,
    /// The proxy passes requests on.
    Forward(Proxy),
    /// The proxy passes bytes on.
    Tunnel(Proxy),
}

impl Client {
    pub(crate) fn new(config: &RpcConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let url = config.url.clone();
        let version = config.http_version;
        let extra_ca_pem = config.extra_ca_pem.as_deref();
        let tls = url
            .is_https()
            .then(|| Tls::new(url.host(), extra_ca_pem, version.alpn()))
            .transpose()?;
        let mut redactor = Redactor::default();
        url.redact_into(&mut redactor);
        for value in config.headers.values().filter_map(|value| value.to_str().ok()) {
            redactor.add(value);
            value.split_whitespace().for_each(|part| redactor.add(part));
        }
        let proxy = config.proxy.resolve(&url)?;
        let proxy = proxy.map(|proxy| Proxy::new(proxy, extra_ca_pem, &mut redactor));
        let route = match proxy.transpose()? {
            None => Route::Direct,
            // What is not HTTP/1.1 to the proxy must not pass through its hands.
            Some(proxy) if url.is_https() || version == HttpVersion::Http2PriorKnowledge => {
                Route::Tunnel(proxy)
            }
            Some(proxy) => Route::Forward(proxy),
        };
        let headers = headers(config, &mut redactor)?;
        Ok(Self {
            http1: http1_preamble(&url, &headers, &route)?,
            http2: http2_preamble(&url, headers)?,
            url,
            http2_config: config.http2,
            gzip: config.gzip,
            timeouts: config.timeouts,
            max_response_bytes: config.max_response_bytes,
            wall_clock: config.wall_clock.clone(),
            redactor,
            version,
            tls,
            route,
            tcp_keepalive: config.tcp_keepalive,
            ids: AtomicU64::new(1),
        })
    }

    /// Takes `count` consecutive ids; the first.
    pub(crate) fn take_ids(&self, count: usize) -> u64 {
        self.ids.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// Opens a connection: DNS, TCP, TLS, HTTP/2, each within its own limit. Cancelling closes what was opened.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<RpcTransport, RpcError> {
        let (timeouts, keepalive) = (&self.timeouts, self.tcp_keepalive);
        let (host, port) = (self.url.host(), self.url.port());
        match &self.route {
            Route::Direct => {
                let limits = (timeouts.dns, timeouts.connect);
                self.secure(dial(host, port, limits, keepalive).await?).await
            }
            Route::Forward(proxy) => self.speak(proxy.dial(timeouts, keepalive).await?, false).await,
            Route::Tunnel(proxy) => {
                let node = self.url.host_and_port();
                self.secure(proxy.tunnel(&node, timeouts, keepalive).await?).await
            }
        }
    }

    /// Puts TLS on a stream to the node where its URL says so.
    async fn secure(self: &Arc<Self>, stream: impl Stream) -> Result<RpcTransport, RpcError> {
        let known = self.version == HttpVersion::Http2PriorKnowledge;
        match &self.tls {
            None => self.speak(stream, known).await,
            Some(tls) => {
                let stream = tls.handshake(stream, self.timeouts.tls).await?;
                let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.speak(stream, agreed || known).await
            }
        }
    }

    async fn speak(self: &Arc<Self>, stream: impl Stream, http2: bool) -> Result<RpcTransport, RpcError> {
        let kind = if http2 {
            let limit = self.timeouts.connect;
            Kind::Http2(Http2::start(stream, &self.http2_config, limit).await?)
        } else {
            Kind::Http1(Http1::new(http1::start(stream).await?))
        };
        Ok(RpcTransport::new(Arc::clone(self), kind))
    }
}

/// What any version sends.
fn headers(config: &RpcConfig, redactor: &mut Redactor) -> Result<HeaderMap, ConfigError> {
    let mut headers = config.headers.clone();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if config.gzip {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let agent = concat!("pool-rpc/", env!("CARGO_PKG_VERSION"));
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(agent));
    if let Some(basic) = config.url.basic_auth() {
        let mut value = HeaderValue::from_str(basic.expose()).map_err(|_| invalid("authorization"))?;
        value.set_sensitive(true);
        basic
            .expose()
            .split_whitespace()
            .for_each(|part| redactor.add(part));
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn http1_preamble(url: &EndpointUrl, headers: &HeaderMap, route: &Route) -> Result<Preamble, ConfigError> {
    let mut headers = headers.clone();
    let host = HeaderValue::from_str(&url.authority()).map_err(|_| invalid("host"))?;
    headers.insert(header::HOST, host);
    let target = match route {
        // It was cut out of a valid URI, so it is one.
        Route::Direct | Route::Tunnel(_) => url
            .path_and_query()
            .parse()
            .unwrap_or_else(|_| Uri::from_static("/")),
        Route::Forward(proxy) => {
            if let Some(authorization) = proxy.authorization() {
                headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
            }
            whole(url)?
        }
    };
    Ok(Preamble::new(target, headers))
}

fn http2_preamble(url: &EndpointUrl, headers: HeaderMap) -> Result<Preamble, ConfigError> {
    let target = whole(url)?;
    Ok(Preamble::new(target, headers))
}

/// The URL as requests carry it: without user information.
fn whole(url: &EndpointUrl) -> Result<Uri, ConfigError> {
    let scheme = if url.is_https() {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(url.authority())
        .path_and_query(url.path_and_query());
    uri.build().map_err(|_| invalid("host"))
}

fn invalid(name: &str) -> ConfigError {
    ConfigError::HeaderValue {
        name: name.to_owned(),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
