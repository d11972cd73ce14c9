//! Balancers: which of the endpoints that may be picked is picked. One file each.
//!
//! Who *may* be picked (health, breaker, throttling, what was tried before) is settled before: a balancer sees a dense
//! list of eligible endpoints. It is called once for each acquire that finds no queue, outside all locks of the pool,
//! so it may be slow only at its own expense. A caller that waited gets the slot that was freed, whoever's it is.

mod least_requests;
mod round_robin;

use std::sync::Arc;

pub use least_requests::LeastRequests;
pub use round_robin::RoundRobin;

use crate::{EndpointId, stats::Stats};

/// Chooses one of the candidates.
pub trait Balancer: Send + Sync + 'static {
    /// The index, in `among`, of the endpoint to use; `None` only if there is none. An index outside is taken as `None`.
    ///
    /// Must not allocate or block. The load it reads is live and may change between two looks.
    fn pick(&self, among: &Candidates<'_>) -> Option<usize>;
}

// dyn-compatibility is part of the contract: a pool swaps its balancer while it runs
#[cfg(test)]
fn _dyn_compatible(_: &dyn Balancer) {}

/// What a balancer sees of one endpoint that may be picked.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    id: &'a EndpointId,
    key: u32,
    weight: f64,
    in_flight: u64,
    slots: u64,
}

impl<'a> Candidate<'a> {
    /// The endpoint's id.
    pub const fn id(&self) -> &'a EndpointId {
        self.id
    }

    /// A small number that names the endpoint as long as the pool lives; for tables that a balancer keeps.
    pub const fn key(&self) -> usize {
        self.key as usize
    }

    /// Its weight, above 0.
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// Requests it works on now.
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Requests it takes at the most.
    pub const fn slots(&self) -> u64 {
        self.slots
    }
}

/// The endpoints that may be picked now, as a dense list.
#[derive(Debug)]
pub struct Candidates<'a> {
    keys: &'a [u32],
    members: &'a [Arc<Stats>],
}

impl<'a> Candidates<'a> {
    pub(crate) const fn new(keys: &'a [u32], members: &'a [Arc<Stats>]) -> Self {
        Self { keys, members }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The candidate at an index below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Option<Candidate<'a>> {
        let key = *self.keys.get(index)?;
        let stats = self.members.get(key as usize)?;
        Some(Candidate {
            id: &stats.id,
            key,
            weight: stats.configured_weight,
            in_flight: stats.in_flight(),
            slots: stats.slots_max,
        })
    }

    /// All candidates in order.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn members(weights_and_load: &[(f64, u64)]) -> Vec<Arc<Stats>> {
        weights_and_load
            .iter()
            .enumerate()
            .map(|(i, (weight, load))| {
                let stats = Stats::new(EndpointId::new(format!("e{i}")).unwrap(), *weight, 16);
                for _ in 0..*load {
                    stats.slot_taken();
                }
                Arc::new(stats)
            })
            .collect()
    }

    /// How often each of the members is picked in so many rounds.
    pub(crate) fn tally(balancer: &dyn Balancer, members: &[Arc<Stats>], rounds: usize) -> Vec<usize> {
        let keys: Vec<u32> = (0..members.len() as u32).collect();
        let mut counts = vec![0; members.len()];
        for _ in 0..rounds {
            let picked = balancer
                .pick(&Candidates::new(&keys, members))
                .expect("there are candidates");
            counts[picked] += 1;
        }
        counts
    }
}
