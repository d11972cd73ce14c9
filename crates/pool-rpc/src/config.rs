//! Configuration of one endpoint.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    clock::WallClock,
    http_config::{Http2Config, HttpVersion},
    method_rules::MethodRules,
    probe::Probe,
    proxy::ProxySetting,
    secret::Secret,
    url::{EndpointUrl, UrlError},
};

/// Why an endpoint could not be made of its configuration. Shows no URL and no header's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name of a header is not valid. Use letters, digits and hyphens.
    #[error("{name:?} is not the name of a header; use letters, digits and hyphens")]
    HeaderName {
        /// The name.
        name: String,
    },
    /// The value of a header holds characters that are not allowed there, such as a line break.
    #[error("the value of header {name} holds characters that are not allowed, such as a line break")]
    HeaderValue {
        /// The header's name.
        name: String,
    },
    /// The header is set by the endpoint itself. Leave it out.
    #[error("header {name} is set by the endpoint itself; leave it out")]
    HeaderReserved {
        /// The header's name.
        name: String,
    },
    /// Credentials stand in the URL's user information and in an `authorization` header. Keep one of them.
    #[error("credentials stand both in the URL and in an authorization header; keep one of them")]
    TwoCredentials,
    /// The extra CA is not a PEM file with certificates.
    #[error("the extra CA is not PEM with at least one valid certificate (-----BEGIN CERTIFICATE-----)")]
    ExtraCa,
    /// The URL's host cannot stand in a certificate. Use a DNS name or an IP address.
    #[error("the URL's host is neither a DNS name nor an IP address, so no certificate can be checked")]
    TlsName,
    /// The machine has no root certificates. Install them (Debian: ca-certificates) or configure an extra CA.
    #[error(
        "no root certificates were found; install them (Debian: ca-certificates) or configure an extra CA"
    )]
    NoRoots,
    /// An environment variable names a proxy that cannot be used. Correct or unset it, list the node in `NO_PROXY`, or
    /// configure [`ProxySetting`].
    #[error("{variable} in the environment is not a proxy that can be used: {reason}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        reason: UrlError,
    },
    /// The TLS library refused its own defaults. Report it.
    #[error("TLS could not be set up")]
    TlsSetup,
    /// A pattern of methods is none. Write a method's name, a beginning and `*`, or a group (archive, debug, logs, trace).
    #[error(
        "{pattern:?} is no pattern of methods; write a name (eth_getLogs), a beginning (trace_*) or a group (archive, debug, logs, trace)"
    )]
    MethodPattern {
        /// The pattern, cut at 64 characters.
        pattern: String,
    },
    /// A time-out or limit is zero.
    #[error("{name} must be more than zero")]
    Zero {
        /// The setting.
        name: &'static str,
    },
}

/// Time limits of an endpoint, each for a phase of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For looking up the host's name. Default 5 s.
    pub dns: Duration,
    /// For opening a TCP connection, over all addresses of the host; for a proxy's answer to `CONNECT`; and for the
    /// settings that begin HTTP/2. Each has so much. Default 5 s.
    pub connect: Duration,
    /// For agreeing on TLS. Default 5 s.
    pub tls: Duration,
    /// From writing a request to the last byte of its answer. Default 10 s.
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self {
            dns: five,
            connect: five,
            tls: five,
            response: Duration::from_secs(10),
        }
    }
}

/// Headers that belong to the endpoint.
const RESERVED: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::ACCEPT_ENCODING,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// Configuration of a [`JsonRpcEndpoint`](crate::JsonRpcEndpoint).
///
/// `Debug` shows neither URL nor headers.
#[derive(Clone)]
pub struct RpcConfig {
    pub(crate) url: EndpointUrl,
    pub(crate) probe: Probe,
    pub(crate) headers: HeaderMap,
    pub(crate) extra_ca_pem: Option<Vec<u8>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_response_bytes: usize,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) max_head_age: Option<Duration>,
    pub(crate) wall_clock: WallClock,
    pub(crate) methods: MethodRules,
    pub(crate) http_version: HttpVersion,
    pub(crate) http2: Http2Config,
    pub(crate) gzip: bool,
    pub(crate) proxy: ProxySetting,
}

impl RpcConfig {
    /// The defaults for a node at `url` that must serve the chain named by `probe`. Proxies are looked for in the
    /// environment: see [`ProxySetting::from_env`].
    pub fn new(url: EndpointUrl, probe: Probe) -> Self {
        Self {
            url,
            probe,
            headers: HeaderMap::new(),
            extra_ca_pem: None,
            timeouts: Timeouts::default(),
            max_response_bytes: 32 * 1024 * 1024,
            tcp_keepalive: Some(Duration::from_secs(15)),
            max_head_age: None,
            wall_clock: WallClock::system(),
            methods: MethodRules::new(),
            http_version: HttpVersion::Auto,
            http2: Http2Config::default(),
            gzip: true,
            proxy: ProxySetting::from_env(),
        }
    }

    /// Adds a header to each request, such as an API key. Its value is never shown.
    ///
    /// # Errors
    /// [`ConfigError`] when name or value are not valid, or the header is the endpoint's own.
    pub fn header(mut self, name: &str, value: &Secret) -> Result<Self, ConfigError> {
        // who has swapped name and value must not find the value in a log
        let plain = |c: char| c.is_ascii_alphabetic() || "-_ ".contains(c);
        let shown = name.len() <= 40 && name.chars().filter(|c| !plain(*c)).count() <= 2;
        let named = || if shown { name } else { "***" }.to_owned();
        let key: HeaderName = name
            .parse()
            .map_err(|_| ConfigError::HeaderName { name: named() })?;
        if RESERVED.contains(&key) {
            return Err(ConfigError::HeaderReserved { name: named() });
        }
        let mut value =
            HeaderValue::from_str(value.expose()).map_err(|_| ConfigError::HeaderValue { name: named() })?;
        value.set_sensitive(true);
        self.headers.append(key, value);
        Ok(self)
    }

    /// Also trusts the CAs in this PEM file. Default: the platform's roots alone.
    #[must_use]
    pub fn extra_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_ca_pem = Some(pem.into());
        self
    }

    /// Sets the time limits.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the size above which an answer is refused, in bytes; of a compressed one the size that it decodes to.
    /// Default 32 MiB.
    #[must_use]
    pub const fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Sets the idle time after which TCP probes the peer; `None` turns it off. Default 15 s: NAT gateways forget
    /// silent connections.
    #[must_use]
    pub const fn tcp_keepalive(mut self, idle: Option<Duration>) -> Self {
        self.tcp_keepalive = idle;
        self
    }

    /// Calls the endpoint unfit when its head block is older than this. Default: age is not looked at.
    #[must_use]
    pub const fn max_head_age(mut self, age: Option<Duration>) -> Self {
        self.max_head_age = age;
        self
    }

    /// Sets the clock that dates are compared with. Default: the machine's.
    #[must_use]
    pub fn wall_clock(mut self, clock: WallClock) -> Self {
        self.wall_clock = clock;
        self
    }

    /// Sets which methods the endpoint is asked for. Default: all.
    #[must_use]
    pub fn methods(mut self, rules: MethodRules) -> Self {
        self.methods = rules;
        self
    }

    /// Whether nodes are reached in the same way. The clock is not looked at.
    #[cfg(feature = "file")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // taken apart, so that no setting is forgotten
        let Self {
            url,
            probe,
            headers,
            extra_ca_pem,
            timeouts,
            max_response_bytes,
            tcp_keepalive,
            max_head_age,
            wall_clock: _,
            methods,
            http_version,
            http2,
            gzip,
            proxy,
        } = self;
        *url == other.url
            && *probe == other.probe
            && *headers == other.headers
            && *extra_ca_pem == other.extra_ca_pem
            && *timeouts == other.timeouts
            && *max_response_bytes == other.max_response_bytes
            && *tcp_keepalive == other.tcp_keepalive
            && *max_head_age == other.max_head_age
            && *methods == other.methods
            && *http_version == other.http_version
            && *http2 == other.http2
            && *gzip == other.gzip
            && *proxy == other.proxy
    }

    /// Checks what no single setter can.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let durations = [
            ("the DNS time-out", self.timeouts.dns),
            ("the connect time-out", self.timeouts.connect),
            ("the TLS time-out", self.timeouts.tls),
            ("the response time-out", self.timeouts.response),
            ("the HTTP/2 PING time-out", self.http2.ping_timeout),
            (
                "the HTTP/2 PING interval",
                self.http2.ping_interval.unwrap_or(Duration::MAX),
            ),
            ("the TCP keepalive", self.tcp_keepalive.unwrap_or(Duration::MAX)),
            (
                "the head's greatest age",
                self.max_head_age.unwrap_or(Duration::MAX),
            ),
        ];
        if let Some((name, _)) = durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            return Err(ConfigError::Zero { name });
        }
        if self.max_response_bytes == 0 {
            return Err(ConfigError::Zero {
                name: "the response size limit",
            });
        }
        if self.http2.max_streams == 0 {
            return Err(ConfigError::Zero {
                name: "the limit on HTTP/2 streams",
            });
        }
        if self.url.basic_auth().is_some() && self.headers.contains_key(header::AUTHORIZATION) {
            return Err(ConfigError::TwoCredentials);
        }
        Ok(())
    }
}

impl fmt::Debug for RpcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcConfig")
            .field("url", &self.url)
            .field("probe", &self.probe)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("extra_ca_pem", &self.extra_ca_pem.as_ref().map(Vec::len))
            .field("timeouts", &self.timeouts)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("tcp_keepalive", &self.tcp_keepalive)
            .field("methods", &self.methods)
            .field("max_head_age", &self.max_head_age)
            .field("http_version", &self.http_version)
            .field("http2", &self.http2)
            .field("gzip", &self.gzip)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
