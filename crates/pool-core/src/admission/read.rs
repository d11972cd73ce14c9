//! What others read of admission.

use tokio::time::Instant;

use super::{Admission, Gate};
use crate::{Unusable, health::HealthStatus};

/// Numbers read under one lock.
pub(crate) struct Totals {
    pub(crate) queue_size: usize,
    pub(crate) timeouts: u64,
    pub(crate) rejections: u64,
    pub(crate) usable: u64,
    pub(crate) free: u64,
}

impl<O> Admission<O> {
    /// Why each endpoint may not be picked by those who demand this position, or may.
    pub(crate) fn reasons(&self, min_position: Option<u64>, now: Instant) -> Vec<Unusable> {
        let state = self.lock();
        let reasons = state.gates.iter().zip(&self.stats).filter_map(|(gate, stats)| {
            gate.why_not(min_position, now).map(|reason| Unusable {
                endpoint: stats.id.clone(),
                reason,
            })
        });
        reasons.collect()
    }

    /// Slots that are taken, over all endpoints.
    pub(crate) fn taken(&self) -> usize {
        self.lock().gates.iter().map(|gate| gate.taken as usize).sum()
    }

    /// Reads the pool's totals and, by `each`, every gate, at one moment.
    pub(crate) fn read(&self, now: Instant, mut each: impl FnMut(usize, &Gate)) -> Totals {
        let state = self.lock();
        for (key, gate) in state.gates.iter().enumerate() {
            each(key, gate);
        }
        let usable = || state.gates.iter().filter(|gate| gate.usable(now));
        Totals {
            queue_size: state.queue.waiting(),
            timeouts: state.timeouts,
            rejections: state.rejections,
            usable: usable().map(|gate| u64::from(gate.slots)).sum(),
            free: if state.closed {
                0
            } else {
                usable().map(|gate| u64::from(gate.free())).sum()
            },
        }
    }

    /// Whether any endpoint works as far as checks know.
    pub(crate) fn any_healthy(&self) -> bool {
        self.lock()
            .gates
            .iter()
            .any(|gate| gate.health.status() == HealthStatus::Healthy)
    }
}
