//! Connections by way of an HTTP proxy.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::{
    config::{ConfigError, Timeouts},
    dial::{Stream, dial, in_time},
    error::{ConnectPhase, RpcError},
    redact::Redactor,
    tls::Tls,
    url::EndpointUrl,
};

/// A stream of whatever kind.
pub(crate) type AnyStream = Box<dyn Stream>;

/// A proxy, and what it wants to know of us.
pub(crate) struct Proxy {
    url: EndpointUrl,
    tls: Option<Tls>,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// A proxy at this URL. The redactor is told its secrets.
    pub(crate) fn new(
        url: EndpointUrl,
        extra_ca_pem: Option<&[u8]>,
        redactor: &mut Redactor,
    ) -> Result<Self, ConfigError> {
        let tls = url
            .is_https()
            .then(|| Tls::new(url.host(), extra_ca_pem, vec![b"http/1.1".to_vec()]))
            .transpose()?;
        url.redact_into(redactor);
        let basic = |basic: crate::Secret| {
            redactor.add(basic.expose());
            redactor.add(basic.expose().trim_start_matches("Basic "));
            let mut value = HeaderValue::from_str(basic.expose()).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let authorization = url.basic_auth().and_then(basic);
        Ok(Self {
            url,
            tls,
            authorization,
        })
    }

    /// Value of the `Proxy-Authorization` header.
    pub(crate) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// A connection to the proxy, for requests that it passes on.
    pub(crate) async fn dial(
        &self,
        timeouts: &Timeouts,
        keepalive: Option<Duration>,
    ) -> Result<AnyStream, RpcError> {
        let limits = (timeouts.dns, timeouts.connect);
        let dialled = dial(self.url.host(), self.url.port(), limits, keepalive).await;
        let stream = dialled.map_err(RpcError::at_proxy)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let agreed = tls.handshake(stream, timeouts.tls).await;
                Box::new(agreed.map_err(RpcError::at_proxy)?)
            }
        })
    }

    /// A connection through the proxy to `authority` (`host:port`). Cancelling closes it.
    pub(crate) async fn tunnel(
        &self,
        authority: &str,
        timeouts: &Timeouts,
        keepalive: Option<Duration>,
    ) -> Result<AnyStream, RpcError> {
        let stream = self.dial(timeouts, keepalive).await?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority
            .parse()
            .map_err(|_| unusable("the node's host and port"))?;
        let host = HeaderValue::from_str(authority).map_err(|_| unusable("the node's host and port"))?;
        request.headers_mut().insert(header::HOST, host);
        if let Some(authorization) = &self.authorization {
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        let asked = async { Ok(connect(stream, request).await) };
        in_time(ConnectPhase::ProxyTunnel, timeouts.connect, asked).await?
    }
}

/// Ends the task when dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(stream: AnyStream, request: Request<Empty<Bytes>>) -> Result<AnyStream, RpcError> {
    let broke = |error: hyper::Error| failed(io::Error::other(error));
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broke)?;
    let _driver = Driver(tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a proxy's connection ended");
        }
    }));
    let response = sender.send_request(request).await.map_err(broke)?;
    if response.status() != StatusCode::OK && !response.status().is_success() {
        return Err(RpcError::ProxyRefused {
            status: response.status().as_u16(),
        });
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(broke)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

const fn failed(source: io::Error) -> RpcError {
    RpcError::Connect {
        phase: ConnectPhase::ProxyTunnel,
        source,
    }
}

fn unusable(what: &str) -> RpcError {
    failed(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what} cannot be asked for"),
    ))
}
