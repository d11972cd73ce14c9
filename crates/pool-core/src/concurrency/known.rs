//! What is known of one endpoint, and the limit that follows from it.
//!
//! That answers take longer when more requests are under way need not be due to their number: calls one by one may be cheap, and
//! those that come together dear. Those who waited in line are less exposed to that: how many were under way when they went out
//! was up to the limit, and to how far it had grown with the line. So what their answers say that the endpoint works on at once,
//! it is given at the least; and that is kept in mind for longer, because without a line there are no such answers.

use std::time::Duration;

use super::{AdaptiveConcurrencyConfig, capacity::Capacity, curve::Curves};

/// So many times longer than what all answers tell is kept what those tell who waited.
const LONGER: u32 = 40;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Known {
    all: Capacity,
    waited: Capacity,
}

impl Known {
    pub(super) const fn new() -> Self {
        Self {
            all: Capacity::new(),
            waited: Capacity::new(),
        }
    }

    /// Takes in what has come in the time since the last look. Returns how many requests the endpoint is to be given at once; at
    /// most so many.
    pub(super) fn look(
        &mut self,
        curves: &Curves,
        elapsed: Duration,
        config: &AdaptiveConcurrencyConfig,
        most: u32,
    ) -> u32 {
        self.all.look(&curves.all.take(), elapsed, config.memory);
        self.waited.look(
            &curves.waited.take(),
            elapsed,
            config.memory.saturating_mul(LONGER),
        );
        let Some(bears) = self.all.most() else { return most };
        let limit = (f64::from(bears.max(self.waited.least())) * config.headroom).ceil();
        if limit < f64::from(most) {
            limit as u32
        } else {
            most
        }
    }
}
