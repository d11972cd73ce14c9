//! Those who call.

use std::{sync::Arc, time::Duration};

use alloy_rpc_client::RpcClient;
use alloy_transport_http::Http;
use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Uri,
    client::conn::{http1, http2},
    header::{self, HeaderValue},
};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use pool_core::{EndpointConfig, EndpointId, Pool, PoolId};
use pool_metrics::PrometheusBridge;
use pool_rpc::{HttpVersion, JsonRpcEndpoint, Probe, ProxySetting, RpcCall, RpcConfig};
use serde_json::value::RawValue;
use tokio::{net::TcpStream, sync::Mutex, time::Instant};

use super::{
    kind::{Kind, STREAMS, Version, Who},
    server::Served,
    wire::{AGENT, GZIP, JSON, METHOD, PARAMS, read, request, written},
};

/// Endpoints of our pool, all at the same server.
pub(super) const ENDPOINTS: u32 = 2;
/// Of each request, where the client takes one.
const DEADLINE: Duration = Duration::from_secs(10);
/// Within which our pool has made its first checks.
const PATIENCE: Duration = Duration::from_secs(30);

type Legacy = legacy::Client<HttpConnector, Full<Bytes>>;

/// One kind, with its connections.
pub(super) enum Client {
    Hyper1 {
        connections: Vec<Arc<Mutex<http1::SendRequest<Full<Bytes>>>>>,
        host: HeaderValue,
    },
    Hyper2 {
        connections: Vec<http2::SendRequest<Full<Bytes>>>,
        target: Uri,
    },
    HyperUtil {
        client: Box<Legacy>,
        target: Uri,
    },
    Reqwest {
        client: reqwest::Client,
        url: String,
    },
    Alloy(RpcClient),
    Ours {
        pool: Pool<JsonRpcEndpoint>,
        _metrics: PrometheusBridge,
    },
}

impl Client {
    pub(super) async fn new(kind: Kind, served: &Served, in_flight: u32) -> Result<Self> {
        let address = match kind.version {
            Version::One => served.http1.to_string(),
            Version::Two => served.http2.to_string(),
        };
        let url = format!("http://{address}/");
        Ok(match (kind.who, kind.version) {
            (Who::Hyper, Version::One) => Self::Hyper1 {
                connections: hyper1(&address, in_flight).await?,
                host: address.parse()?,
            },
            (Who::Hyper, Version::Two) => Self::Hyper2 {
                connections: hyper2(&address, kind.limit(in_flight).unwrap_or(1)).await?,
                target: url.parse()?,
            },
            (Who::HyperUtil, version) => Self::HyperUtil {
                client: Box::new(hyper_util(version)),
                target: url.parse()?,
            },
            (Who::Reqwest, version) => Self::Reqwest {
                client: reqwest(version).build()?,
                url,
            },
            (Who::Alloy, version) => {
                let client = reqwest(version).build()?;
                let http = Http::with_client(client, url.parse()?);
                Self::Alloy(RpcClient::new(http, false))
            }
            (Who::Ours, version) => ours(&url, version, in_flight).await?,
        })
    }

    /// Connections that carry health checks and nothing else.
    pub(super) const fn for_checks(&self) -> u64 {
        if matches!(self, Self::Ours { .. }) {
            ENDPOINTS as u64
        } else {
            0
        }
    }

    /// A task's own way to call.
    pub(super) fn caller(&self, number: u32) -> Caller {
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
            Self::HyperUtil { client, target } => Caller::HyperUtil {
                client: client.clone(),
                target: target.clone(),
                id: 0,
            },
            Self::Reqwest { client, url } => Caller::Reqwest {
                client: client.clone(),
                url: url.clone(),
                id: 0,
            },
            Self::Alloy(client) => Caller::Alloy(client.clone()),
            Self::Ours { pool, .. } => Caller::Ours(pool.clone()),
        }
    }
}

async fn connected(address: &str) -> Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

async fn hyper1(address: &str, count: u32) -> Result<Vec<Arc<Mutex<http1::SendRequest<Full<Bytes>>>>>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let (sender, connection) = http1::handshake(connected(address).await?).await?;
        tokio::spawn(connection);
        connections.push(Arc::new(Mutex::new(sender)));
    }
    Ok(connections)
}

async fn hyper2(address: &str, count: u32) -> Result<Vec<http2::SendRequest<Full<Bytes>>>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let io = connected(address).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        connections.push(sender);
    }
    Ok(connections)
}

/// With its defaults.
fn hyper_util(version: Version) -> Legacy {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new())
        .http2_only(version == Version::Two)
        .build(connector)
}

/// With its defaults, a deadline as ours has one, and no look at the environment.
fn reqwest(version: Version) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
    match version {
        Version::One => builder,
        Version::Two => builder.http2_prior_knowledge(),
    }
}

/// Two endpoints, each with half of what is in flight, and metrics as the README has them.
async fn ours(url: &str, version: Version, in_flight: u32) -> Result<Client> {
    let metrics = PrometheusBridge::new()?;
    let mut builder = Pool::builder(PoolId::new("bench")?).observer(Arc::new(metrics.metrics().clone()));
    let each = in_flight.div_ceil(ENDPOINTS);
    for number in 0..ENDPOINTS {
        let http = match version {
            Version::One => HttpVersion::Auto,
            Version::Two => HttpVersion::Http2PriorKnowledge,
        };
        let config = RpcConfig::new(url.parse()?, Probe::Evm { chain_id: 1 })
            .http_version(http)
            .proxy(ProxySetting::none());
        let mut settings = EndpointConfig::default();
        match version {
            Version::One => settings.max_connections = each,
            Version::Two => {
                settings.max_connections = each.div_ceil(STREAMS);
                settings.max_requests = Some(each);
            }
        }
        let endpoint = JsonRpcEndpoint::new(&config)?;
        builder = builder.endpoint(EndpointId::new(format!("e{number}"))?, endpoint, settings);
    }
    let pool = builder.build()?;
    let deadline = Instant::now() + PATIENCE;
    while pool.snapshot().slots_usable < u64::from(ENDPOINTS * each) {
        ensure!(
            Instant::now() < deadline,
            "the pool did not come up within {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Client::Ours {
        pool,
        _metrics: metrics,
    })
}

/// One task's way to call.
pub(super) enum Caller {
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
    HyperUtil {
        client: Box<Legacy>,
        target: Uri,
        id: u64,
    },
    Reqwest {
        client: reqwest::Client,
        url: String,
        id: u64,
    },
    Alloy(RpcClient),
    Ours(Pool<JsonRpcEndpoint>),
}

impl Caller {
    /// One call, to its result.
    pub(super) async fn call(&mut self) -> Result<Box<RawValue>> {
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
            Self::HyperUtil { client, target, id } => {
                *id += 1;
                let response = client.request(request(target.clone(), *id)?).await?;
                read(&response.into_body().collect().await?.to_bytes(), *id)
            }
            Self::Reqwest { client, url, id } => {
                *id += 1;
                let request = client
                    .post(url.as_str())
                    .header(header::CONTENT_TYPE, JSON)
                    .header(header::ACCEPT, JSON)
                    .header(header::ACCEPT_ENCODING, GZIP)
                    .header(header::USER_AGENT, AGENT)
                    .body(written(*id)?);
                read(&request.send().await?.bytes().await?, *id)
            }
            Self::Alloy(client) => Ok(client.request(METHOD, PARAMS).await?),
            Self::Ours(pool) => {
                let call = RpcCall::of(METHOD, &PARAMS)?;
                Ok(pool.run(&call, &call.pool_request().timeout(DEADLINE)).await?)
            }
        }
    }
}
