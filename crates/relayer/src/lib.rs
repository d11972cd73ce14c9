//! The reference relayer: how a relayer works its chains through the pools.
//!
//! It reads which pools there are ([`config`]), keeps them ([`pool_rpc::PoolSet`]; SIGHUP reads the file again), follows heads and escrow logs and makes typical
//! reads through them ([`follow`]), and serves metrics, probes and a status page ([`serve`]). `--devnet` brings nodes of its own
//! ([`devnet`]) and a scenario of faults ([`devnet_scenario`]); `--fault-endpoint` causes faults of its own, for drills ([`faults`]).
//!
//! A reader who wants to know how to use the pool reads [`Relayer::start`], then the operations in [`follow`].
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc, time::Duration};
//! use pool_core::Observer;
//! use pool_metrics::PrometheusBridge;
//! use relayer::{Relayer, config};
//!
//! let config = config::load(Path::new("pools.yaml"))?;
//! let bridge = PrometheusBridge::new()?;
//! let observer: Arc<dyn Observer> = Arc::new(bridge.metrics().clone());
//! let relayer = Relayer::start(config, 1, &observer)?;
//! for (pool, report) in relayer.stop(Duration::from_secs(3)).await {
//!     println!("{pool}: {} unfinished", report.unfinished);
//! }
//! # Ok(())
//! # }
//! ```

pub mod cli;
pub mod config;
pub mod devnet;
pub mod devnet_scenario;
pub mod faults;
pub mod follow;
mod relayer;
pub mod run;
pub mod serve;
pub mod shutdown;

pub use relayer::Relayer;

/// The README's sample, so that it keeps compiling.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
