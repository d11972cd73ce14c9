//! What a connection pool tells its operators, and how it gets to Prometheus.
//!
//! - [`catalogue`]: every metric with its name, type, labels, help and buckets. No dependencies: with
//!   `default-features = false` it is all that remains, and generators of rules and dashboards build in a moment.
//!
//! With the feature `export`:
//!
//! - [`PoolMetrics`] follows pools as their [`Observer`](pool_core::Observer) and feeds any OpenTelemetry
//!   `MeterProvider`.
//! - [`PrometheusBridge`] is the short way: a provider, an exporter and a registry that expose exactly the catalogue.
//!
//! With the feature `server` (on by default, and brings `export`):
//!
//! - [`MetricsServer`] answers `/metrics`, `/pools`, `/healthz`, `/readyz` and, for people, `/`, with TLS and credentials
//!   where wanted; [`Routes`] are the same for a server of your own.
//!
//! # How numbers get out
//!
//! Gauges and counters cost the hot path nothing: the pool keeps its own numbers, and they are read when somebody
//! collects, once per pool and collection, so that `connections_total` is `connections_active` + `connections_idle` in
//! every scrape: by observable instruments of any provider, and by the bridge, which needs no way through the SDK for them,
//! straight from the pools' snapshots.
//!
//! Latencies are recorded as they happen, into histograms that were found when the endpoint joined. Those that the bridge
//! shows are its own: an attempt adds one word, count and sum together, in a cache line of its thread. So it allocates nothing,
//! takes a lock only once in thousands of records, and two threads at one endpoint are not in each other's way. An endpoint
//! takes 128 bytes for each processor (rounded up to a power of two, eight at the most) and about 1,000 bytes more. Further
//! providers ([`PoolMetrics::also`]) and those without the bridge ([`PoolMetrics::new`]) have OpenTelemetry's bound
//! histograms, each of which takes a lock at each record; who has none pays for none.
//!
//! ```
//! # #[cfg(feature = "server")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pool_metrics::{MetricsServer, PrometheusBridge};
//!
//! let bridge = PrometheusBridge::new()?;
//! let observer = bridge.metrics().clone(); // goes to the builder of each pool
//! let server = MetricsServer::bind(&["127.0.0.1:9090".parse()?], &bridge).await?;
//! server.serve(async { /* until this ends */ }).await;
//! # drop(observer);
//! # Ok(())
//! # }
//! ```

pub mod catalogue;

#[cfg(feature = "export")]
mod bridge;
#[cfg(feature = "export")]
mod collection;
#[cfg(feature = "export")]
mod exposition;
#[cfg(feature = "export")]
mod filter;
#[cfg(feature = "export")]
mod histogram;
#[cfg(feature = "export")]
mod instruments;
#[cfg(feature = "export")]
mod latencies;
#[cfg(feature = "export")]
mod limits;
#[cfg(feature = "export")]
mod observer;
#[cfg(feature = "export")]
mod reach;
#[cfg(feature = "export")]
mod registrations;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "export")]
pub use bridge::{BridgeError, PrometheusBridge, PrometheusBridgeBuilder};
#[cfg(feature = "export")]
pub use limits::{Limits, views};
#[cfg(feature = "export")]
pub use observer::PoolMetrics;
#[cfg(feature = "server")]
pub use server::{
    Auth, AuthError, MetricsServer, Readiness, Routes, RoutesBuilder, ServeError, Tls, TlsError,
};
