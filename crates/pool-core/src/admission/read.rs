//! What others read of admission.

use tokio::time::Instant;

use super::{Admission, Gate, Terms};
use crate::{EndpointId, Unusable, health::HealthStatus};

/// Numbers read under one lock.
pub(crate) struct Totals {
    pub(crate) queue_size: usize,
    pub(crate) queue_limit: usize,
    pub(crate) timeouts: u64,
    pub(crate) rejections: u64,
    pub(crate) usable: u64,
    pub(crate) free: u64,
    /// How many more requests may run at once, over all endpoints.
    pub(crate) room: u64,
    pub(crate) panic: bool,
}

impl<O> Admission<O> {
    /// Why each endpoint may not be picked by those who demand this position and have these terms.
    pub(crate) fn reasons(&self, min_position: Option<u64>, terms: &Terms, now: Instant) -> Vec<Unusable> {
        let state = self.lock();
        let members = state.gates.iter().filter(|gate| gate.is_member());
        let reasons = members.filter_map(|gate| {
            gate.why_not(min_position, terms, now).map(|reason| Unusable {
                endpoint: gate.stats.id.clone(),
                reason,
            })
        });
        reasons.collect()
    }

    /// The endpoints that have no slot to give.
    pub(crate) fn full(&self) -> Vec<EndpointId> {
        let state = self.lock();
        let full = state.gates.iter().filter(|gate| gate.free() == 0);
        full.map(|gate| gate.stats.id.clone()).collect()
    }

    /// Slots that are taken, over all endpoints.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken as usize
    }

    /// Reads the pool's totals and, by `each`, every gate, at one moment.
    pub(crate) fn read(&self, now: Instant, mut each: impl FnMut(usize, &Gate)) -> Totals {
        let state = self.lock();
        for (key, gate) in state
            .gates
            .iter()
            .enumerate()
            .filter(|(_, gate)| gate.is_member())
        {
            each(key, gate);
        }
        let usable = || state.gates.iter().filter(|gate| gate.usable(now));
        let limit = u64::from(state.limit);
        let room = u64::from(state.limit.saturating_sub(state.taken));
        Totals {
            queue_size: state.queue.waiting(),
            timeouts: state.timeouts,
            rejections: state.rejections,
            queue_limit: state.max_waiters,
            room,
            panic: state.panic,
            usable: usable().map(|gate| u64::from(gate.slots)).sum::<u64>().min(limit),
            free: if state.closed {
                0
            } else {
                usable()
                    .map(|gate| u64::from(gate.unused()))
                    .sum::<u64>()
                    .min(room)
            },
        }
    }

    /// Whether any endpoint works as far as checks know.
    pub(crate) fn any_healthy(&self) -> bool {
        self.lock()
            .gates
            .iter()
            .any(|gate| gate.is_member() && gate.health.status() == HealthStatus::Healthy)
    }
}
