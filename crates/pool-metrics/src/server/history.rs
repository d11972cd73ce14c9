//! How latencies went lately, for the status page.
//!
//! Prometheus keeps what happened; this is for the person who looks at one process, perhaps because Prometheus is gone.
//! Every few seconds the difference of two snapshots gives the mean latency of the successful attempts in between. Nothing
//! is added to the way of a request.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pool_core::{EndpointId, EndpointSnapshot, PoolId, PoolSnapshot};

/// So many means are kept of each endpoint.
pub(super) const POINTS: usize = 120;

/// The last means of all endpoints.
#[derive(Debug, Default)]
pub(super) struct History {
    pools: Mutex<HashMap<PoolId, HashMap<EndpointId, Series>>>,
}

#[derive(Debug)]
struct Series {
    /// Successful attempts and what they took, at the newest sample.
    last: (u64, Duration),
    /// Milliseconds, oldest first; none where no attempt succeeded.
    means: VecDeque<Option<f32>>,
}

impl History {
    /// Adds a sample of all pools. What they no longer hold is forgotten.
    pub(super) fn record(&self, now: &[PoolSnapshot]) {
        let mut pools = self.lock();
        let mut kept = HashMap::with_capacity(now.len());
        for pool in now {
            let mut before = pools.remove(&pool.id).unwrap_or_default();
            let series = pool.endpoints.iter().map(|endpoint| {
                let last = before.remove(&endpoint.id);
                (endpoint.id.clone(), Series::next(last, endpoint))
            });
            kept.insert(pool.id.clone(), series.collect());
        }
        *pools = kept;
    }

    /// The means of a pool's endpoints, oldest first, in the order of the snapshot.
    pub(super) fn of(&self, pool: &PoolSnapshot) -> Vec<Vec<Option<f32>>> {
        let pools = self.lock();
        let of = |endpoint: &EndpointSnapshot| {
            let series = pools.get(&pool.id)?.get(&endpoint.id)?;
            Some(series.means.iter().copied().collect())
        };
        pool.endpoints
            .iter()
            .map(|endpoint| of(endpoint).unwrap_or_default())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PoolId, HashMap<EndpointId, Series>>> {
        // nothing under the lock can leave the map half-changed
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Series {
    /// The first sample only says where counting begins.
    fn next(before: Option<Self>, now: &EndpointSnapshot) -> Self {
        let failed: u64 = now.errors.iter().sum();
        let new = (now.requests.saturating_sub(failed), now.latency_sum);
        let Some(mut series) = before else {
            return Self {
                last: new,
                means: VecDeque::new(),
            };
        };
        let succeeded = new.0.saturating_sub(series.last.0);
        let took = new.1.saturating_sub(series.last.1);
        let mean = (succeeded > 0).then(|| (took.as_secs_f64() * 1e3 / succeeded as f64) as f32);
        if series.means.len() == POINTS {
            series.means.pop_front();
        }
        series.means.push_back(mean);
        series.last = new;
        series
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn pool(id: &str, endpoints: &[(&str, u64, u64, u64)]) -> PoolSnapshot {
        let mut pool = PoolSnapshot::new(PoolId::new(id).unwrap(), Instant::now());
        let endpoints = endpoints.iter().map(|(id, requests, errors, millis)| {
            let mut endpoint = EndpointSnapshot::new(EndpointId::new(id).unwrap());
            (endpoint.requests, endpoint.errors[1]) = (*requests, *errors);
            endpoint.latency_sum = Duration::from_millis(*millis);
            endpoint
        });
        pool.endpoints = endpoints.collect();
        pool
    }

    #[test]
    fn means_are_of_what_succeeded_in_between() {
        let history = History::default();
        for (requests, errors, millis) in [
            (10, 0, 1_000),
            (14, 0, 1_100),
            (14, 0, 1_100),
            (16, 2, 1_100),
            (18, 3, 1_150),
        ] {
            history.record(&[pool("eth", &[("a", requests, errors, millis)])]);
        }
        let now = pool("eth", &[("a", 0, 0, 0), ("new", 0, 0, 0)]);
        assert_eq!(
            history.of(&now),
            [vec![Some(25.0), None, None, Some(50.0)], vec![]]
        );
    }

    #[test]
    fn counts_that_begin_again_make_no_mean() {
        let history = History::default();
        for (requests, millis) in [(10, 1_000), (1, 5), (2, 12)] {
            history.record(&[pool("eth", &[("a", requests, 0, millis)])]);
        }
        assert_eq!(
            history.of(&pool("eth", &[("a", 0, 0, 0)])),
            [vec![None, Some(7.0)]]
        );
    }

    #[test]
    fn what_is_gone_is_forgotten_and_the_rest_is_bounded() {
        let history = History::default();
        for step in 0..300 {
            history.record(&[
                pool("eth", &[("a", step, 0, step * 3)]),
                pool("old", &[("a", step, 0, step)]),
            ]);
        }
        assert_eq!(
            history.of(&pool("eth", &[("a", 0, 0, 0)])),
            [vec![Some(3.0); POINTS]]
        );
        history.record(&[pool("eth", &[("b", 1, 0, 1)])]);
        assert_eq!(history.of(&pool("eth", &[("a", 0, 0, 0)])), [vec![]]);
        assert_eq!(history.of(&pool("old", &[("a", 0, 0, 0)])), [vec![]]);
        assert_eq!(history.lock().len(), 1);
    }
}
