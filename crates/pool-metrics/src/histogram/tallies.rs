//! The tallies of all lanes, and what was taken out of them.

use std::time::Duration;

use super::{sync, tally::Tally};

/// One lane's tallies. Processors fetch cache lines of 64 bytes in pairs; so two threads never want the same pair.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<const BUCKETS: usize>([Tally; BUCKETS]);

/// What a lane of a histogram takes.
#[cfg(all(test, not(pool_loom)))]
pub(super) const LANE_BYTES: usize = size_of::<Lane<{ super::BUCKETS }>>();

/// Counts and sums by bucket.
///
/// Records go to the tallies. A tally that is full is emptied into `settled`, under the lock that readers take as well:
/// so what is on its way from one to the other is never missing nor there twice.
#[derive(Debug)]
pub(super) struct Tallies<const BUCKETS: usize> {
    /// A power of two of them.
    lanes: Box<[Lane<BUCKETS>]>,
    settled: sync::Mutex<Reading<BUCKETS>>,
}

/// What a histogram holds at one moment. All of it is of the same records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading<const BUCKETS: usize> {
    /// How many are in each bucket, and in no lower one.
    pub(crate) counts: [u64; BUCKETS],
    /// How many are beyond the last.
    pub(crate) beyond: u64,
    /// What all took together.
    pub(crate) nanos: u128,
}

impl<const BUCKETS: usize> Tallies<BUCKETS> {
    pub(super) fn new(lanes: usize) -> Self {
        debug_assert!(lanes.is_power_of_two());
        let lane = |_| Lane(std::array::from_fn(|_| Tally::new()));
        Self {
            lanes: (0..lanes).map(lane).collect(),
            settled: sync::Mutex::new(Reading {
                counts: [0; BUCKETS],
                beyond: 0,
                nanos: 0,
            }),
        }
    }

    /// Adds one to a bucket. Any number is a lane: those beyond the last share them.
    #[inline]
    pub(super) fn add(&self, lane: usize, bucket: usize, nanos: u64) {
        let tally = &self.lanes[lane & (self.lanes.len() - 1)].0[bucket];
        if tally.add(nanos) {
            self.settle(tally, bucket);
        }
    }

    #[cold]
    #[inline(never)]
    fn settle(&self, tally: &Tally, bucket: usize) {
        let mut settled = self.lock();
        // another thread may have been here
        if tally.is_full() {
            let (count, nanos) = tally.take();
            settled.counts[bucket] += count;
            settled.nanos += u128::from(nanos);
        }
    }

    /// Adds one that no bucket holds. Such are rare, and some are too long for a tally.
    #[cold]
    #[inline(never)]
    pub(super) fn add_beyond(&self, elapsed: Duration) {
        let mut settled = self.lock();
        settled.beyond += 1;
        settled.nanos += elapsed.as_nanos();
    }

    /// All of it. Of two readings that follow each other, the later has at least what the earlier had.
    pub(super) fn read(&self) -> Reading<BUCKETS> {
        let settled = self.lock();
        let mut all = settled.clone();
        for Lane(tallies) in &self.lanes {
            for (sum, tally) in all.counts.iter_mut().zip(tallies) {
                let (count, nanos) = tally.read();
                *sum += count;
                all.nanos += u128::from(nanos);
            }
        }
        drop(settled);
        all
    }

    fn lock(&self) -> sync::MutexGuard<'_, Reading<BUCKETS>> {
        // nothing under the lock can fail half-way
        self.settled
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
