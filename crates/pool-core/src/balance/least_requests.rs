//! Least requests, as Envoy's weighted full scan has it: the endpoint with the fewest requests under way for its
//! weight. Costs a look at each candidate; with hundreds of endpoints a sampled balancer is cheaper.
//!
//! An endpoint that failed several times in a row counts as many times more loaded for a while: failing at once it would
//! always be the least loaded of all, and not every failure opens a breaker.
//!
//! Ties go round, so that an idle pool does not send everything to its first endpoint. They go on from whoever was picked
//! last: going on from the next number would give whoever follows a busy endpoint the busy one's share as well.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Balancer, Candidates, PickCx};

/// Takes the endpoint with the fewest requests under way, in proportion to its weight.
#[derive(Debug, Default)]
pub struct LeastRequests {
    start: AtomicUsize,
}

impl LeastRequests {
    /// A balancer that starts with the first endpoint.
    pub fn new() -> Self {
        Self::default()
    }
}

impl LeastRequests {
    /// The least loaded, and of several the first from this turn on.
    fn least(among: &Candidates<'_>, turn: usize) -> Option<usize> {
        let mut index = turn.checked_rem(among.len())?;
        let mut best: Option<(usize, f64)> = None;
        for _ in 0..among.len() {
            if let Some(candidate) = among.get(index) {
                // what the load would be with this request on it; loads are read once, so the order is consistent
                let load = candidate.load_at(among.now());
                if best.is_none_or(|(_, least)| load < least) {
                    best = Some((index, load));
                }
            }
            // a division less
            index = if index + 1 < among.len() { index + 1 } else { 0 };
        }
        best.map(|(index, _)| index)
    }
}

impl Balancer for LeastRequests {
    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        if among.is_empty() {
            return None;
        }
        // added, so that those who look at the same time begin at different ones
        let turn = self.start.fetch_add(1, Ordering::Relaxed);
        let index = Self::least(among, turn)?;
        if index != turn % among.len() {
            // who is passed over for its load must not lend its turns to the next
            self.start.store(index + 1, Ordering::Relaxed);
        }
        Some(index)
    }

    fn observes(&self) -> bool {
        false
    }

    fn peek(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        Self::least(among, self.start.load(Ordering::Relaxed))
    }
}
