//! Databases as endpoints of the pool: whatever a [`deadpool::managed::Manager`] connects to.
//!
//! A relayer keeps its orders and cursors in a database with a primary and replicas. [`DeadpoolEndpoint`] makes an
//! endpoint of the manager that the application has already (deadpool-postgres, deadpool-redis, one of its own), so
//! that its connections come from this pool, with its queue, deadlines, balancer, tiers, breakers and health checks.
//! deadpool's own pool is not used.
//!
//! The features `postgres` and `redis` add what those servers' errors mean, and checks that know primary and replica.
//!
//! # Read your own writes
//! The checks report how far a server has got: the position in the write-ahead log, or the replication offset. A
//! writer takes the primary's position after its commit (`postgres::position`, `redis::position`), and a reader demands it
//! with [`Request::min_position`](pool_core::Request::min_position): then only servers are asked that have the write. The
//! pool knows positions from health checks alone, so a reader waits up to a `health.interval`; set it well below a
//! second where that matters.
//!
//! # What is given back when a future is dropped
//! A lease that is dropped in the middle of an operation destroys its connection: deadpool's managers cannot tell what
//! an unfinished operation left behind. [`detach`](deadpool::managed::Manager::detach) is called for it as for every
//! connection that leaves.

mod conn;
mod endpoint;
#[cfg(test)]
mod endpoint_tests;
mod error;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod role;

use pool_core::{ErrorType, Verdict};

pub use conn::{DeadpoolConn, DeadpoolTransport};
pub use endpoint::DeadpoolEndpoint;
pub use error::DeadpoolError;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub use role::Role;

/// The verdict on an error of which nothing is known: taken for a fault of this server and tried elsewhere, but not held
/// against its breaker, because it may as well be the caller's mistake. The connection is closed.
pub fn unknown_error() -> Verdict {
    Verdict::of(ErrorType::NodeInternal)
        .with_retry_here(false)
        .with_counts_for_breaker(false)
        .with_keep_connection(false)
}
