//! A JSON-RPC node that misbehaves on command.
//!
//! Whoever builds on remote nodes must see how their code behaves when a node is slow, throttles, hangs, lies
//! about its height or answers with a load balancer's HTML page. A real node does none of that on request; this
//! one does. It speaks enough of two dialects ([`Dialect::Evm`], [`Dialect::CometBft`]) that a real client
//! follows its head and reads its logs, and every fault in [`Faults`] can be switched while it runs, through
//! [`Node::set_faults`] or the HTTP control endpoint.
//!
//! * A [`Chain`] is a pure function of configuration and time: several nodes that share one agree about every
//!   block, and so do processes that were given the same options.
//! * A [`Node`] serves a chain on a port of its own, with its own faults, seed and counters. It speaks HTTP/1.1, and HTTP/2
//!   without TLS to clients that begin with it. With [`NodeConfig::tls`] it speaks TLS, and HTTP/2 to clients that agree to
//!   it there; [`TestCa`] makes the certificates.
//! * Chance is seeded ([`NodeConfig::seed`]), time is `tokio::time`: no decision depends on anything else.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use devnet::{Chain, ChainConfig, Delay, Faults, Latency, Node, NodeConfig};
//!
//! let chain = Arc::new(Chain::new(ChainConfig::evm(1, Duration::from_secs(2)))?);
//! let node = Node::start(chain, NodeConfig::default()).await?;
//! println!("serving {}", node.url());
//! node.set_faults(Faults {
//!     latency: Some(Latency::new(Delay::Constant { ms: 250.0 })),
//!     lag_blocks: 20,
//!     ..Faults::default()
//! })?;
//! # Ok(())
//! # }
//! ```

pub mod answers;
mod chain;
mod comet;
mod digest;
mod escrow;
mod evm;
mod faults;
mod mempool;
mod node;
mod rpc;
mod test_ca;
mod tls;
mod view;

pub use chain::{Chain, ChainConfig, ChainError, Dialect};
pub use escrow::{escrow_address, order_created_topic, secret_revealed_topic};
pub use faults::{
    Capacity, Delay, Faults, Garbage, HandshakeStyle, HttpBody, HttpError, InvalidFaults, Latency, Quota,
    RpcError, Tail, TlsHandshake, TooManyRequests, Truncate, TruncateStyle, When,
};
pub use node::{Node, NodeConfig, Stats};
pub use test_ca::{TestCa, Validity};
pub use tls::{Tls, TlsError};
