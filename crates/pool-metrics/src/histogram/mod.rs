//! Histograms of durations whose way in is one addition, and which two threads fill without meeting.
//!
//! A record finds its bucket in whole nanoseconds and adds itself to the bucket's [`Tally`](tally::Tally): count and sum are
//! one word, so there is no moment at which one of them knows of a record and the other does not, and nobody waits for
//! anybody. Each thread has a [lane] of its own, as far as there are lanes; each lane's tallies fill two cache lines that no
//! other lane touches.
//!
//! What is exact: every count, and the sum to the nanosecond, whatever its size. It is rounded once, when it is shown as a
//! floating-point number; OpenTelemetry and the usual crates round at each record.
//!
//! What it costs: [`BUCKETS`] words for each lane, of which there are as many as processors, rounded up to a power of two, eight
//! at the most; and 200 bytes. Reading adds up all lanes. A record waits for a lock only where it is beyond the last bucket, or
//! when its tally is full: after 32,768 records, or 39 hours, of one bucket and lane.

mod lane;
mod scale;
mod sync;
mod tallies;
mod tally;

#[cfg(all(test, pool_loom))]
mod loom_tests;

use std::{sync::OnceLock, thread, time::Duration};

pub(crate) use scale::Scale;
pub(crate) use tallies::Reading;
use tallies::Tallies;

/// The most bounds that a histogram can have: what two cache lines hold.
pub(crate) const BUCKETS: usize = 16;

/// The most lanes of a histogram.
const MOST_LANES: usize = 8;

/// Durations by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    scale: &'static Scale,
    tallies: Tallies<BUCKETS>,
}

impl Histogram {
    /// For what many threads record at once: a lane for each processor.
    pub(crate) fn of_many(scale: &'static Scale) -> Self {
        Self::new(scale, lanes())
    }

    /// For what happens seldom: all threads share one lane.
    pub(crate) fn of_few(scale: &'static Scale) -> Self {
        Self::new(scale, 1)
    }

    /// With so many lanes, a power of two.
    fn new(scale: &'static Scale, lanes: usize) -> Self {
        Self {
            scale,
            tallies: Tallies::new(lanes),
        }
    }

    /// Adds a duration. It allocates nothing.
    #[inline]
    pub(crate) fn record(&self, elapsed: Duration) {
        match self.scale.place(elapsed) {
            Some((bucket, nanos)) => self.tallies.add(lane::own(), bucket, nanos),
            None => self.tallies.add_beyond(elapsed),
        }
    }

    /// Everything that was recorded until now.
    pub(crate) fn read(&self) -> Reading<BUCKETS> {
        self.tallies.read()
    }
}

/// As many as this process may use processors: asked once, since the answer is read from files.
fn lanes() -> usize {
    static LANES: OnceLock<usize> = OnceLock::new();
    *LANES.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(1, Into::into);
        processors.next_power_of_two().min(MOST_LANES)
    })
}

#[cfg(all(test, not(pool_loom)))]
mod tests;
