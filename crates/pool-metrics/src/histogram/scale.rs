//! Which bucket a duration belongs to.

use std::time::Duration;

use super::{BUCKETS, tally};
use crate::catalogue::{Metric, Unit};

/// Longer than any bound; longer durations need no search.
const ENDLESS: u64 = u64::MAX;

/// The bounds of a histogram in nanoseconds.
///
/// Durations are whole nanoseconds and so is every bound, hence to compare integers is to compare what is meant: a duration
/// that equals a bound belongs below it, as Prometheus' `le` says, and no rounding on the way to a floating-point number can
/// put it above.
#[derive(Debug)]
pub(crate) struct Scale {
    /// Ascending; [`ENDLESS`] where there are fewer.
    bounds: [u64; BUCKETS],
    last: u64,
    /// How many nanoseconds the unit of the metric has.
    pub(super) unit: f64,
}

impl Scale {
    /// The buckets of a metric. Fails to compile where they can't be had.
    pub(crate) const fn of(metric: &Metric) -> Self {
        let unit = match metric.unit {
            Unit::Milliseconds => 1e6,
            Unit::Seconds => 1e9,
            _ => panic!("a histogram of something else than durations"),
        };
        let mut bounds = [ENDLESS; BUCKETS];
        let mut last = 0;
        let mut at = 0;
        while at < metric.buckets.len() {
            // to the nearest: 0.001 s is a little more than that as a floating-point number
            let bound = (metric.buckets[at] * unit + 0.5) as u64;
            assert!(bound > last, "bounds must ascend");
            bounds[at] = bound;
            last = bound;
            at += 1;
        }
        assert!(
            last > 0 && last < tally::LONGEST,
            "a tally must bear several of the longest"
        );
        Self { bounds, last, unit }
    }

    /// The bucket and the nanoseconds; nothing for what is beyond the last.
    #[inline]
    pub(super) fn place(&self, elapsed: Duration) -> Option<(usize, u64)> {
        let nanos = elapsed.as_nanos();
        (nanos <= self.last.into()).then(|| {
            let nanos = nanos as u64;
            (self.search(nanos), nanos)
        })
    }

    /// How many of the bounds but the last are below: in four steps, without a branch, since latencies jump from bucket to
    /// bucket and no processor can foresee where the next one goes.
    #[inline]
    fn search(&self, nanos: u64) -> usize {
        const { assert!(BUCKETS == 16, "four steps tell sixteen apart") };
        let below = |at: usize| usize::from(self.bounds[at] < nanos);
        let mut at = 8 * below(7);
        at += 4 * below(at + 3);
        at += 2 * below(at + 1);
        at + below(at)
    }

    /// Nanoseconds in the metric's unit.
    pub(crate) fn in_unit(&self, nanos: u128) -> f64 {
        nanos as f64 / self.unit
    }
}
