//! Those who call.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Uri,
    client::conn::{http1, http2},
    header::{self, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pool_core::{EndpointConfig, EndpointId, Pool, PoolConfig, PoolId};
use pool_rpc::{HttpVersion, JsonRpcEndpoint, Probe, ProxySetting, RpcCall, RpcConfig};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{net::TcpStream, sync::Mutex};

use crate::{Failure, server::Served};

const METHOD: &str = "eth_getBalance";
const PARAMS: (&str, &str) = ("0x00000000219ab540356cbb839cbe05303d7705fa", "latest");
const DEADLINE: Duration = Duration::from_secs(10);
/// Streams on one connection.
const STREAMS: u32 = 100;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("pool-rpc/", env!("CARGO_PKG_VERSION")));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hyper1,
    Reqwest1,
    Pool1,
    Hyper2,
    Reqwest2,
    Pool2,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind::Hyper1,
    Kind::Reqwest1,
    Kind::Pool1,
    Kind::Hyper2,
    Kind::Reqwest2,
    Kind::Pool2,
];

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hyper1 => "hyper, HTTP/1.1",
            Self::Reqwest1 => "reqwest, HTTP/1.1",
            Self::Pool1 => "pool, HTTP/1.1",
            Self::Hyper2 => "hyper, HTTP/2",
            Self::Reqwest2 => "reqwest, HTTP/2",
            Self::Pool2 => "pool, HTTP/2",
        }
    }

    /// What it is held against.
    pub(crate) const fn floor(self) -> Self {
        match self {
            Self::Hyper1 | Self::Reqwest1 | Self::Pool1 => Self::Hyper1,
            Self::Hyper2 | Self::Reqwest2 | Self::Pool2 => Self::Hyper2,
        }
    }

    /// Connections that it may open: the pool as many as bare hyper has, but at least one for each of its endpoints.
    /// reqwest has no limit.
    pub(crate) fn limit(self, in_flight: u32) -> Option<u32> {
        match self {
            Self::Hyper1 => Some(in_flight),
            Self::Hyper2 => Some(in_flight.div_ceil(STREAMS).max(2).min(in_flight)),
            Self::Pool1 => Some(in_flight.max(2)),
            Self::Pool2 => Some(in_flight.div_ceil(STREAMS).max(2)),
            Self::Reqwest1 | Self::Reqwest2 => None,
        }
    }
}

/// One kind, with its connections.
pub(crate) enum Client {
    Hyper1 {
        connections: Vec<Arc<Mutex<http1::SendRequest<Full<Bytes>>>>>,
        host: HeaderValue,
    },
    Hyper2 {
        connections: Vec<http2::SendRequest<Full<Bytes>>>,
        target: Uri,
    },
    Reqwest {
        client: reqwest::Client,
        url: String,
    },
    Pool(Pool<JsonRpcEndpoint>),
}

impl Client {
    pub(crate) async fn new(kind: Kind, served: &Served, in_flight: u32) -> Result<Self, Failure> {
        let (one, two) = (served.http1.to_string(), served.http2.to_string());
        Ok(match kind {
            Kind::Hyper1 => {
                let mut connections = Vec::new();
                for _ in 0..in_flight {
                    let stream = TcpStream::connect(&one).await?;
                    stream.set_nodelay(true)?;
                    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                    tokio::spawn(connection);
                    connections.push(Arc::new(Mutex::new(sender)));
                }
                Self::Hyper1 {
                    connections,
                    host: one.parse()?,
                }
            }
            Kind::Hyper2 => {
                let mut connections = Vec::new();
                for _ in 0..kind.limit(in_flight).unwrap_or(1) {
                    let stream = TcpStream::connect(&two).await?;
                    stream.set_nodelay(true)?;
                    let (sender, connection) =
                        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                    tokio::spawn(connection);
                    connections.push(sender);
                }
                Self::Hyper2 {
                    connections,
                    target: format!("http://{two}/").parse()?,
                }
            }
            Kind::Reqwest1 => Self::Reqwest {
                client: reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()?,
                url: format!("http://{one}/"),
            },
            Kind::Reqwest2 => Self::Reqwest {
                client: reqwest::Client::builder()
                    .no_proxy()
                    .timeout(DEADLINE)
                    .http2_prior_knowledge()
                    .build()?,
                url: format!("http://{two}/"),
            },
            Kind::Pool1 => Self::Pool(pool(&one, HttpVersion::Auto, in_flight).await?),
            Kind::Pool2 => Self::Pool(pool(&two, HttpVersion::Http2PriorKnowledge, in_flight).await?),
        })
    }

    /// Connections that carry health checks and nothing else.
    pub(crate) const fn for_checks(&self) -> u64 {
        if matches!(self, Self::Pool(_)) { 2 } else { 0 }
    }

    pub(crate) fn caller(&self, number: u32) -> Caller {
        let number = number as usize;
        match self {
            Self::Hyper1 { connections, host } => Caller::Hyper1 {
                sender: Arc::clone(&connections[number]),
                host: host.clone(),
                id: 0,
            },
            Self::Hyper2 { connections, target } => Caller::Hyper2 {
                sender: connections[number % connections.len()].clone(),
                target: target.clone(),
                id: 0,
            },
            Self::Reqwest { client, url } => Caller::Reqwest {
                client: client.clone(),
                url: url.clone(),
                id: 0,
            },
            Self::Pool(pool) => Caller::Pool(pool.clone()),
        }
    }
}

/// Two endpoints, each with half of what is in flight.
async fn pool(addr: &str, version: HttpVersion, in_flight: u32) -> Result<Pool<JsonRpcEndpoint>, Failure> {
    let mut builder = Pool::builder(PoolId::new("bench")?).config(PoolConfig::default());
    let each = in_flight.div_ceil(2);
    for number in 0..2 {
        let config = RpcConfig::new(format!("http://{addr}/").parse()?, Probe::Evm { chain_id: 1 })
            .http_version(version)
            .proxy(ProxySetting::none());
        let mut settings = EndpointConfig::default();
        if version == HttpVersion::Auto {
            settings.max_connections = each;
        } else {
            settings.max_connections = each.div_ceil(STREAMS);
            settings.max_requests = Some(each);
        }
        let endpoint = JsonRpcEndpoint::new(&config)?;
        builder = builder.endpoint(EndpointId::new(format!("e{number}"))?, endpoint, settings);
    }
    let pool = builder.build()?;
    while pool.snapshot().slots_usable < 2 * u64::from(each) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(pool)
}

/// One task's way to call.
pub(crate) enum Caller {
    Hyper1 {
        sender: Arc<Mutex<http1::SendRequest<Full<Bytes>>>>,
        host: HeaderValue,
        id: u64,
    },
    Hyper2 {
        sender: http2::SendRequest<Full<Bytes>>,
        target: Uri,
        id: u64,
    },
    Reqwest {
        client: reqwest::Client,
        url: String,
        id: u64,
    },
    Pool(Pool<JsonRpcEndpoint>),
}

impl Caller {
    pub(crate) async fn call(&mut self) -> Result<Box<RawValue>, Failure> {
        match self {
            Self::Hyper1 { sender, host, id } => {
                *id += 1;
                let mut request = request(Uri::from_static("/"), *id)?;
                request.headers_mut().insert(header::HOST, host.clone());
                // its own: nobody else ever holds it
                let mut sender = sender.lock().await;
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                read(&response.into_body().collect().await?.to_bytes(), *id)
            }
            Self::Hyper2 { sender, target, id } => {
                *id += 1;
                let response = sender.send_request(request(target.clone(), *id)?).await?;
                read(&response.into_body().collect().await?.to_bytes(), *id)
            }
            Self::Reqwest { client, url, id } => {
                *id += 1;
                let request = client
                    .post(url.as_str())
                    .header(header::CONTENT_TYPE, JSON)
                    .header(header::ACCEPT, JSON)
                    .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
                    .header(header::USER_AGENT, AGENT)
                    .body(written(*id)?);
                read(&request.send().await?.bytes().await?, *id)
            }
            Self::Pool(pool) => {
                let call = RpcCall::of(METHOD, &PARAMS)?;
                Ok(pool.run(&call, &call.pool_request().timeout(DEADLINE)).await?)
            }
        }
    }
}

/// A request with the headers that the pool sends.
fn request(target: Uri, id: u64) -> Result<Request<Full<Bytes>>, Failure> {
    Ok(Request::post(target)
        .header(header::CONTENT_TYPE, JSON)
        .header(header::ACCEPT, JSON)
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
        .header(header::USER_AGENT, AGENT)
        .body(Full::new(written(id)?.into()))?)
}

fn written(id: u64) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Call {
        jsonrpc: &'static str,
        id: u64,
        method: &'static str,
        params: (&'static str, &'static str),
    }
    Ok(serde_json::to_vec(&Call {
        jsonrpc: "2.0",
        id,
        method: METHOD,
        params: PARAMS,
    })?)
}

fn read(body: &[u8], expected: u64) -> Result<Box<RawValue>, Failure> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        jsonrpc: &'a str,
        id: u64,
        #[serde(borrow)]
        result: &'a RawValue,
    }
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    if answer.jsonrpc != "2.0" || answer.id != expected {
        return Err("another's answer".into());
    }
    Ok(answer.result.to_owned())
}
