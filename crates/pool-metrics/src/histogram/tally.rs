//! A count and a sum in one word.

use super::sync::{AtomicU64, Ordering::Relaxed};

/// The lower bits hold the count, the upper ones the sum.
const COUNT_BITS: u32 = 16;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// From here on a tally is full, by count or by sum. Half of each field is left for those who add meanwhile: each thread at
/// the most once, for it empties the tally before it goes on. So a count has room for 32,768 threads that do so at the same
/// instant, and a sum for 1,024, each of which adds [`LONGEST`].
#[cfg(not(pool_loom))]
const FULL: u64 = (1 << 63) | (1 << (COUNT_BITS - 1));
/// Full after two, so that a model of few steps sees it.
#[cfg(pool_loom)]
const FULL: u64 = (1 << 63) | (1 << 1);

/// Nanoseconds that may be added at once, at the most: 137 s.
pub(super) const LONGEST: u64 = 1 << 37;

/// How many, and how long they took together.
///
/// Both change by one addition, so whoever reads it sees each record wholly or not at all. `Relaxed` is enough: nothing
/// else is published through it, and one word has one order of changes.
#[derive(Debug)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one of so many nanoseconds, fewer than [`LONGEST`]. Returns whether it is full: then it must be emptied
    /// before this thread adds anything else.
    #[inline]
    pub(super) fn add(&self, nanos: u64) -> bool {
        let one = (nanos << COUNT_BITS) | 1;
        is_full(self.0.fetch_add(one, Relaxed).wrapping_add(one))
    }

    pub(super) fn is_full(&self) -> bool {
        is_full(self.0.load(Relaxed))
    }

    /// Count and nanoseconds.
    pub(super) fn read(&self) -> (u64, u64) {
        parts(self.0.load(Relaxed))
    }

    /// The same, and begins anew.
    pub(super) fn take(&self) -> (u64, u64) {
        parts(self.0.swap(0, Relaxed))
    }
}

const fn is_full(word: u64) -> bool {
    word & FULL != 0
}

const fn parts(word: u64) -> (u64, u64) {
    (word & COUNT, word >> COUNT_BITS)
}
