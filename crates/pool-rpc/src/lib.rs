//! JSON-RPC nodes as endpoints of the pool.
//!
//! Remote RPC nodes fail in ways that HTTP does not show: a rate limit comes as `200 OK`, a perfectly good answer as
//! `500`, a node that lags answers faster than one that works. This crate knows what nodes and their providers really
//! say, and tells the pool what it means.
//!
//! * [`JsonRpcEndpoint`] implements [`pool_core::Endpoint`]: HTTP/1.1 and HTTP/2, with or without TLS, directly or through
//!   a proxy, on connections that the pool owns. No client library pools again behind its back, so the pool's counts
//!   are true.
//! * [`RpcConn`] carries single calls and batches. Ids are matched, results stay raw. A connection is used again only
//!   when the bytes on the wire prove that nothing of an earlier exchange is left.
//! * [`classify`] and [`Class`] sort errors: whose fault, retry or not, what to hold against the node.
//! * [`Broadcast`] sends one transaction to several nodes; [`Quorum`] believes a read only when enough nodes agree.
//! * [`Probe`] checks health: the right chain, in sync, and how far.
//! * With the feature `deadpool`, `database::DeadpoolEndpoint` makes an endpoint of any [deadpool] manager; the features
//!   `postgres` and `redis` add what those servers' errors mean, and health checks that know primary and replica.
//! * [`EndpointUrl`], [`Secret`] and [`expand_env`] keep API keys out of logs, errors and `Debug`.
//!
//! [deadpool]: https://docs.rs/deadpool
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
//!
//! # Features, none by default
//!
//! * `tower`: `Pool<JsonRpcEndpoint>` is a `tower::Service` of [`RpcRequest`], [`RpcCall`], [`RpcBatch`] and
//!   `WithRequest`. It is always ready: who must wait waits in the pool's bounded queue, inside the call. Dropping a call
//!   gives everything back. Ids of filters (`eth_newFilter`) belong to the node that made them; the service does not know
//!   them apart, alloy's transport below does.
//! * `alloy`: `PoolTransport`, the pool as alloy's transport, with everything of `tower`.
//! * `file`: a set of pools as `pools.yaml` describes them, also while they run.
#![cfg_attr(
    feature = "alloy",
    doc = concat!(
        "\n# alloy\n\nOne line changes, `connect_http(url)` to `connect_with(&pool)`. See [`PoolTransport`] for what errors,\n",
        "batches and filters do. This is `examples/alloy.rs`, which the crate `e2e-alloy` compiles:\n\n```ignore\n",
        include_str!("../examples/alloy.rs"),
        "```",
    )
)]

#[cfg(feature = "alloy")]
mod alloy;
mod body;
mod broadcast;
mod class;
mod client;
mod clock;
mod comet_tx;
mod config;
mod conn;
#[cfg(feature = "deadpool")]
pub mod database;
mod dial;
mod digits;
mod distinct;
mod endpoint;
mod env;
mod envelope;
mod error;
#[cfg(test)]
mod errors_page;
mod exchange;
mod fan;
#[cfg(feature = "file")]
pub mod file;
#[cfg(test)]
mod fixtures;
mod frames;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod http1;
mod http2;
mod http_config;
mod jsonrpc;
mod link;
mod malformed;
mod method;
mod method_need;
mod method_rules;
mod operation;
mod prices;
mod probe;
mod proxy;
mod quorum;
mod rate_headers;
mod redact;
mod retry_after;
mod rules;
mod said;
mod secret;
#[cfg(feature = "file")]
mod set;
mod taxonomy;
mod tls;
mod tls_reason;
#[cfg(feature = "tower")]
mod tower;
mod transport;
mod tunnel;
mod url;
mod wire;

#[cfg(feature = "alloy")]
pub use alloy::{PoolHints, PoolTransport, PoolTransportError};
pub use broadcast::{
    Broadcast, BroadcastAnswer, BroadcastError, BroadcastSaid, DEFAULT_BROADCAST, RawTx, RawTxError, Rest,
    Sent,
};
pub use class::{Class, DEFAULT_THROTTLE, QUOTA_THROTTLE};
pub use clock::WallClock;
pub use comet_tx::TxRefusal;
pub use config::{ConfigError, RpcConfig, Timeouts};
pub use conn::RpcConn;
pub use distinct::Distinct;
pub use endpoint::JsonRpcEndpoint;
pub use env::{EnvError, expand_env};
pub use error::{ConnectPhase, Phase, Progress, RpcError, RpcFailure};
pub use http_config::{Http2Config, HttpVersion};
pub use jsonrpc::{ErrorObject, RpcRequest};
pub use malformed::Malformed;
pub use method::{Idempotency, idempotency};
pub use method_rules::MethodRules;
pub use operation::{RpcBatch, RpcCall};
pub use prices::{MethodCosts, PriceList};
pub use probe::Probe;
pub use proxy::ProxySetting;
pub use quorum::{
    Agreed, Dissents, InvalidQuorum, Quorum, QuorumAnswer, QuorumCounts, QuorumError, QuorumSaid,
};
pub use retry_after::MAX_RETRY_AFTER;
pub use said::Said;
pub use secret::Secret;
#[cfg(feature = "file")]
pub use set::{PoolSet, SetApplied, SetError};
pub use taxonomy::{classify, is_duplicate_tx};
#[cfg(feature = "tower")]
pub use tower::WithRequest;
pub use transport::RpcTransport;
pub use url::{EndpointUrl, UrlError};
