//! The histograms that the Prometheus bridge shows, of every pool and endpoint that ever was.
//!
//! They stay when an endpoint goes, so that it goes on from where it was when it comes back; what is shown is decided by the
//! snapshots of the living pools. Hence there is a limit: names that change for ever must not fill the memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pool_core::{EndpointId, PoolId};

use crate::{
    Limits,
    catalogue::{self, Metric},
    histogram::{Histogram, Scale},
};

static ATTEMPTS: Scale = Scale::of(&catalogue::REQUEST_DURATION_MS);
static CONNECTS: Scale = Scale::of(&catalogue::CONNECT_DURATION_SECONDS);
static CHECKS: Scale = Scale::of(&catalogue::HEALTH_CHECK_DURATION_SECONDS);
static WAITS: Scale = Scale::of(&catalogue::QUEUE_WAIT_SECONDS);

/// What is measured of one endpoint.
#[derive(Debug)]
pub(crate) struct OfEndpoint {
    pub(crate) attempts: Histogram,
    pub(crate) connects: Histogram,
    pub(crate) checks: Histogram,
}

impl OfEndpoint {
    fn new() -> Self {
        Self {
            attempts: Histogram::of_many(&ATTEMPTS),
            connects: Histogram::of_few(&CONNECTS),
            checks: Histogram::of_few(&CHECKS),
        }
    }
}

/// One of an endpoint's histograms.
pub(crate) type Which = fn(&OfEndpoint) -> &Histogram;

/// The metrics of an endpoint's histograms.
pub(crate) const PER_ENDPOINT: [(Metric, Which, &Scale); 3] = [
    (catalogue::REQUEST_DURATION_MS, |all| &all.attempts, &ATTEMPTS),
    (
        catalogue::CONNECT_DURATION_SECONDS,
        |all| &all.connects,
        &CONNECTS,
    ),
    (
        catalogue::HEALTH_CHECK_DURATION_SECONDS,
        |all| &all.checks,
        &CHECKS,
    ),
];

/// The metric of a pool's histogram.
pub(crate) const PER_POOL: (Metric, &Scale) = (catalogue::QUEUE_WAIT_SECONDS, &WAITS);

/// All histograms.
#[derive(Debug)]
pub(crate) struct Latencies {
    limits: Limits,
    kept: Mutex<Kept>,
}

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    endpoints: HashMap<PoolId, HashMap<EndpointId, Arc<OfEndpoint>>>,
    /// Pairs of pool and endpoint.
    pairs: usize,
    pools: HashMap<PoolId, Arc<Histogram>>,
    /// Whether there was no room for an endpoint, or a pool.
    endpoints_refused: bool,
    pools_refused: bool,
}

impl Latencies {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Mutex::default(),
        }
    }

    /// Those of an endpoint, which has joined; none when there is no room for another.
    pub(crate) fn of_endpoint(&self, pool: &PoolId, endpoint: &EndpointId) -> Option<Arc<OfEndpoint>> {
        let mut kept = self.kept();
        let known = kept.endpoints.get(pool).and_then(|pool| pool.get(endpoint));
        if let Some(known) = known {
            return Some(Arc::clone(known));
        }
        if kept.pairs >= self.limits.series(&catalogue::REQUEST_DURATION_MS) {
            kept.endpoints_refused = true;
            return None;
        }
        kept.pairs += 1;
        let new = Arc::new(OfEndpoint::new());
        let of_pool = kept.endpoints.entry(pool.clone()).or_default();
        of_pool.insert(endpoint.clone(), Arc::clone(&new));
        Some(new)
    }

    /// That of a pool, which is being built; none when there is no room for another.
    pub(crate) fn of_pool(&self, pool: &PoolId) -> Option<Arc<Histogram>> {
        let mut kept = self.kept();
        if let Some(known) = kept.pools.get(pool) {
            return Some(Arc::clone(known));
        }
        if kept.pools.len() >= self.limits.series(&catalogue::QUEUE_WAIT_SECONDS) {
            kept.pools_refused = true;
            return None;
        }
        let new = Arc::new(Histogram::of_many(&WAITS));
        kept.pools.insert(pool.clone(), Arc::clone(&new));
        Some(new)
    }

    /// All of them, for who reads many. Nobody can join meanwhile; recording goes on.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        // nothing under the lock can leave the maps half-changed
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    pub(crate) fn endpoint(&self, pool: &PoolId, endpoint: &EndpointId) -> Option<Arc<OfEndpoint>> {
        self.endpoints.get(pool)?.get(endpoint).cloned()
    }

    pub(crate) fn pool(&self, pool: &PoolId) -> Option<Arc<Histogram>> {
        self.pools.get(pool).cloned()
    }

    /// The metrics that lack series because there was no room.
    pub(crate) fn refused(&self) -> impl Iterator<Item = &'static Metric> {
        let endpoints = self.endpoints_refused.then_some(&PER_ENDPOINT).into_iter();
        let endpoints = endpoints.flatten().map(|(metric, ..)| metric);
        endpoints.chain(self.pools_refused.then_some(&PER_POOL.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_those_that_are_known_keep_theirs() {
        let latencies = Latencies::new(Limits::for_endpoints(1));
        let [eth, sol] = ["eth", "sol"].map(|id| PoolId::new(id).unwrap());
        let [a, b] = ["a", "b"].map(|id| EndpointId::new(id).unwrap());
        let refused = || {
            let kept = latencies.kept();
            kept.refused().map(|metric| metric.short_name).collect::<Vec<_>>()
        };
        let first = latencies.of_endpoint(&eth, &a).unwrap();
        let wait = latencies.of_pool(&eth).unwrap();
        assert!(refused().is_empty());
        assert!(latencies.of_pool(&sol).is_none());
        assert_eq!(refused(), ["queue_wait_seconds"]);
        assert!(latencies.of_endpoint(&eth, &b).is_none());
        assert!(
            latencies.of_endpoint(&sol, &a).is_none(),
            "the same name elsewhere is another"
        );
        assert_eq!(refused().len(), 4);
        assert!(Arc::ptr_eq(&latencies.of_endpoint(&eth, &a).unwrap(), &first));
        assert!(Arc::ptr_eq(&latencies.of_pool(&eth).unwrap(), &wait));
    }
}
