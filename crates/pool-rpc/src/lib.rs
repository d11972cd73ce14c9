//! JSON-RPC nodes as endpoints of the pool.
//!
//! Remote RPC nodes fail in ways that HTTP does not show: a rate limit comes as `200 OK`, a perfectly good answer as
//! `500`, a node that lags answers faster than one that works. This crate knows what nodes and their providers really
//! say, and tells the pool what it means.
//!
//! * [`JsonRpcEndpoint`] implements [`pool_core::Endpoint`]: HTTP/1.1 with or without TLS, on connections that the pool
//!   owns. No client library pools again behind its back, so the pool's counts are true.
//! * [`RpcConn`] carries single calls and batches. Ids are matched, results stay raw. A connection is used again only
//!   when the bytes on the wire prove that nothing of an earlier exchange is left.
//! * [`classify`] and [`Class`] sort errors: whose fault, retry or not, what to hold against the node.
//! * [`Probe`] checks health: the right chain, in sync, and how far.
//! * [`EndpointUrl`], [`Secret`] and [`expand_env`] keep API keys out of logs, errors and `Debug`.
//!
//! ```no_run
//! use pool_rpc::{EndpointUrl, JsonRpcEndpoint, Probe, RpcConfig, expand_env};
//!
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! let url: EndpointUrl = expand_env("https://node.example/v2/${API_KEY}", |name| std::env::var(name).ok())?.parse()?;
//! let endpoint = JsonRpcEndpoint::new(&RpcConfig::new(url, Probe::Evm { chain_id: 1 }))?;
//! let mut conn = endpoint.dial().await?;
//! let height = conn.call("eth_blockNumber", None).await?;
//! println!("{height}");
//! # Ok(())
//! # }
//! ```

mod class;
mod client;
mod clock;
mod comet_tx;
mod config;
mod conn;
mod dial;
mod endpoint;
mod env;
mod error;
mod exchange;
#[cfg(feature = "file")]
pub mod file;
mod jsonrpc;
mod malformed;
mod method;
mod operation;
mod prices;
mod probe;
mod rate_headers;
mod retry_after;
mod rules;
mod secret;
#[cfg(feature = "file")]
mod set;
mod taxonomy;
mod tls;
mod transport;
mod url;
mod wire;

pub use class::{Class, DEFAULT_THROTTLE, QUOTA_THROTTLE};
pub use clock::WallClock;
pub use comet_tx::TxRefusal;
pub use config::{ConfigError, RpcConfig, Timeouts};
pub use conn::RpcConn;
pub use endpoint::JsonRpcEndpoint;
pub use env::{EnvError, expand_env};
pub use error::{ConnectPhase, Phase, Progress, RpcError, RpcFailure};
pub use jsonrpc::{ErrorObject, RpcRequest};
pub use malformed::Malformed;
pub use method::{Idempotency, idempotency};
pub use operation::{RpcBatch, RpcCall};
pub use prices::{MethodCosts, PriceList};
pub use probe::Probe;
pub use retry_after::MAX_RETRY_AFTER;
pub use secret::Secret;
#[cfg(feature = "file")]
pub use set::{PoolSet, SetApplied, SetError};
pub use taxonomy::{classify, is_duplicate_tx};
pub use transport::RpcTransport;
pub use url::{EndpointUrl, UrlError};
