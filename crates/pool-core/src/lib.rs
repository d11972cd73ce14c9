//! A connection pool over many remote endpoints that never hands out the same broken one twice.
//!
//! A relayer works its chains through nodes of several providers, each with its own quota, latency, outages and lag.
//! The pool answers one wish: *a connection to a node that works, within my deadline*.
//!
//! ```text
//! Pool::run / Pool::acquire ─▶ admission (bounded FIFO queue, deadline)
//!     ─▶ balancer picks an endpoint (healthy, breaker lets it, not throttled, slot free)
//!     ─▶ a connection from deadpool's storage, or a new one ─▶ the node
//!     ◀─ outcome classified ─▶ breaker, throttle, counters
//!     ◀─ slot handed to the oldest waiter
//! ```
//!
//! The parts, each in a file of its own:
//!
//! - [`Endpoint`] is the extension point: how to connect, to check and to judge errors.
//! - [`Balancer`] chooses among the endpoints that may be picked; [`BalancerKind`] names those that come with it.
//! - [`breaker`] and [`health`] are pure state machines that take `now`; so is what finds outliers ([`OutlierConfig`]).
//! - How many requests each endpoint works on at once is learned from its answers ([`AdaptiveConcurrencyConfig`]).
//! - [`Lease`] is a connection in a caller's hands; [`Pool::run`] leases, reports and retries on its own.
//! - [`Pool::explain`] tells for each endpoint why it would or would not be picked now.
//! - [`Observer`] is how metrics follow a pool without the pool knowing them; [`PoolSnapshot`] is what they read.
//!
//! What is generic and what is dyn: an endpoint works once per request, so pools are generic over it; balancers and
//! observers are swapped while a pool runs, so they are trait objects.
//!
//! # Logs
//!
//! Changes (health, breakers, throttling, leaks, reconfigurations) are logged with `tracing` at INFO and above, connects
//! and retries at DEBUG. With the feature `trace` each request has events at TRACE too, with the target
//! `pool_core::request` and the ids of pool and endpoint: how long it waited in line, when it was leased a connection,
//! and how it ended after how long. Without the feature, which is the default, none of that is compiled.
//!
//! # Example
//!
//! ```
//! use std::{convert::Infallible, sync::Arc, time::Duration};
//! use pool_core::*;
//!
//! /// An endpoint whose connections are numbers.
//! struct Numbers;
//!
//! impl Endpoint for Numbers {
//!     type Transport = ();
//!     type Conn = u32;
//!     type Error = Infallible;
//!     async fn connect(&self, _: &ConnectCx) -> Result<(), Infallible> { Ok(()) }
//!     async fn open(&self, _: &Arc<()>) -> Result<u32, Infallible> { Ok(7) }
//!     fn is_clean(&self, _: &u32) -> bool { true }
//!     async fn recycle(&self, _: &mut u32, _: &RecycleCx) -> Result<(), Infallible> { Ok(()) }
//!     async fn check(&self, _: &CheckCx) -> Result<Report, Infallible> { Ok(Report::fit(None)) }
//!     fn classify(&self, error: &Infallible) -> Verdict { match *error {} }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder(PoolId::new("demo")?)
//!     .endpoint(EndpointId::new("first")?, Numbers, EndpointConfig::default())
//!     .endpoint(EndpointId::new("second")?, Numbers, EndpointConfig::default().weight(2.0))
//!     .build()?;
//! assert!(pool.ready(Duration::from_secs(1)).await);
//!
//! let lease = pool.acquire().await?;
//! assert_eq!(*lease, 7);
//! lease.succeed();
//! # Ok(())
//! # }
//! ```

/// An event on the way of each request. Nothing at all is compiled without the feature `trace`: even a level that nobody
/// listens to would cost each request a load and a branch.
macro_rules! trace_request {
    ($($event:tt)*) => {
        #[cfg(feature = "trace")]
        tracing::trace!(target: "pool_core::request", $($event)*);
    };
}

mod acquire;
mod admission;
mod alarm;
mod assembly;
mod background;
mod balance;
pub mod breaker;
mod budget;
mod builder;
mod ceiling;
mod chance;
mod clock;
mod closing;
mod concurrency;
mod config;
mod connect;
mod connect_failure;
mod connection;
mod core;
mod cost;
mod effort;
mod endpoint;
mod error;
mod event;
mod expectation;
mod explanation;
mod fanout;
mod foreign;
pub mod health;
mod hedge;
mod ids;
mod keepalive;
mod knobs;
mod latencies;
mod latency;
mod leak;
mod lease;
mod member;
mod moment;
mod need;
mod observer;
mod operation;
mod outlier;
mod pool;
pub mod position;
mod provider;
mod quota;
mod ramp;
mod ready;
mod reconfigure;
mod rejection;
mod reusable_timer;
mod run;
mod setup;
mod snapshot;
mod stats;
mod sync;
mod tariff;
mod transport;
mod turns;
mod update;
mod verdict;
mod warm;

pub use balance::{
    Balancer, BalancerKind, BoundedHash, Candidate, Candidates, Feedback, LeastRequests, Outcome, P2c,
    PeakEwma, PickCx, Prequal, Purpose, Random, RoundRobin, SampledLeastRequests, ShortestDelay, Tiered,
};
pub use breaker::BreakerConfig;
pub use budget::BudgetConfig;
pub use builder::{BuildError, PoolBuilder};
pub use clock::WallClock;
pub use closing::CloseReason;
pub use concurrency::AdaptiveConcurrencyConfig;
pub use config::{ConfigError, EndpointConfig, PoolConfig};
pub use cost::Cost;
pub use endpoint::{CheckCx, ConnectCx, Endpoint, RecycleCx, Report, Unfit};
pub use error::{AcquireError, NotUsable, Phase, Reasons, RunError, ThrottleCause, Unusable};
pub use event::Event;
pub use explanation::Explanation;
pub use health::HealthConfig;
pub use hedge::HedgeConfig;
pub use ids::{EndpointId, InvalidId, PoolId, ProviderId};
pub use lease::Lease;
pub use need::Need;
pub use observer::{EndpointObserver, Observer, PoolObserver, Source, TimeoutsInForce};
pub use operation::{BoxFuture, Operation, Priority, Request, Requirements, operation};
pub use outlier::{Outlier, OutlierConfig};
pub use pool::{CloseReport, Pool};
pub use provider::{Provider, ProviderConfig, ProviderSnapshot};
pub use quota::QuotaConfig;
pub use rejection::Rejection;
pub use reusable_timer::ReusableTimer;
pub use snapshot::{EndpointSnapshot, PoolSnapshot};
pub use update::{Applied, PoolUpdate};
pub use verdict::{ErrorType, Fault, Verdict};
