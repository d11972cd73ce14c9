//! Hooks through which metrics and logs follow a pool without the pool knowing them.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{EndpointId, ErrorType, Event, Explanation, PoolId, PoolSnapshot};

/// Follows pools. Given to [`PoolBuilder::observer`](crate::PoolBuilder::observer).
///
/// Called outside all locks of the pool. The methods must not block. A panic in [`event`](Self::event) or
/// in a method of [`EndpointObserver`] or [`PoolObserver`] is caught and logged once; one in the others, which are called
/// while the pool is built, comes out of [`PoolBuilder::build`](crate::PoolBuilder::build).
pub trait Observer: Send + Sync + 'static {
    /// A pool was built. The observer keeps the weak handle and reads [`Source::snapshot`] when asked for values; once
    /// it no longer upgrades the pool is gone and its series go with it.
    fn attached(&self, pool: &PoolId, source: Weak<dyn Source>) {
        let _ = (pool, source);
    }

    /// An endpoint joined a pool. What is returned is called for every attempt on it, so it holds what is bound in
    /// advance: histograms with their labels resolved.
    fn endpoint(&self, pool: &PoolId, endpoint: &EndpointId) -> Arc<dyn EndpointObserver>;

    /// A pool is being built. What is returned, if anything, is called for what concerns the pool as a whole.
    fn pool(&self, pool: &PoolId) -> Option<Arc<dyn PoolObserver>> {
        let _ = pool;
        None
    }

    /// Something changed.
    fn event(&self, pool: &PoolId, event: &Event) {
        let _ = (pool, event);
    }
}

/// Follows one endpoint. Called on the hot path.
pub trait EndpointObserver: Send + Sync + 'static {
    /// An attempt ended after `elapsed`, from lease to report; `error` is its class if it failed. Not called for
    /// attempts that were cancelled or never got a connection.
    fn attempt_ended(&self, elapsed: Duration, error: Option<ErrorType>);

    /// An attempt to open a connection ended, whoever waited for it: well, or by an error or the connect time-out. Not
    /// called when the pool or the endpoint went away meanwhile.
    fn connect_ended(&self, elapsed: Duration, opened: bool) {
        let _ = (elapsed, opened);
    }

    /// A health check ended: passed, or failed, by whatever was wrong or by its time-out.
    fn check_ended(&self, elapsed: Duration, passed: bool) {
        let _ = (elapsed, passed);
    }
}

/// Follows one pool as a whole.
pub trait PoolObserver: Send + Sync + 'static {
    /// A caller stood in line for so long, whether it was given a slot in the end or not. Not called for those who were
    /// served at once, nor for those who went away.
    fn waited(&self, elapsed: Duration);
}

/// Where an observer reads a pool's numbers.
pub trait Source: Send + Sync + 'static {
    /// The pool's numbers now.
    fn snapshot(&self) -> PoolSnapshot;

    /// What [`Pool::explain`](crate::Pool::explain) says now: for status pages. By default nothing.
    fn explain(&self) -> Vec<Explanation> {
        Vec::new()
    }
}

/// How long what an observer hears of may take, by the settings in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutsInForce {
    /// [`acquire_timeout`](crate::PoolConfig::acquire_timeout), for [`PoolObserver::waited`]. A caller may name a longer one.
    pub acquire: Duration,
    /// [`connect_timeout`](crate::PoolConfig::connect_timeout), for [`EndpointObserver::connect_ended`].
    pub connect: Duration,
    /// [`timeout`](crate::health::HealthConfig::timeout) of a health check, for [`EndpointObserver::check_ended`].
    pub check: Duration,
    /// What callers give a request in all, for [`EndpointObserver::attempt_ended`]: no attempt takes longer. A pool does not
    /// know it, since each [`Request`](crate::Request) brings its own, and says `None`; an observer that was told by those
    /// who make the requests fills it in.
    pub request: Option<Duration>,
}

impl TimeoutsInForce {
    /// Those that a pool knows.
    pub const fn new(acquire: Duration, connect: Duration, check: Duration) -> Self {
        Self {
            acquire,
            connect,
            check,
            request: None,
        }
    }
}
