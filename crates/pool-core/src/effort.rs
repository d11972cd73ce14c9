//! What a pool has done beyond one attempt for each request.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Totals of one pool.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    retries: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    exhausted: AtomicU64,
}

impl Effort {
    /// A further attempt was begun after a failed one.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A hedge was sent.
    pub(crate) fn hedged(&self) {
        self.hedges.fetch_add(1, Relaxed);
    }

    /// A hedge succeeded before the first attempt did. It was counted as sent before.
    pub(crate) fn hedge_won(&self) {
        self.hedges_won.fetch_add(1, Release);
    }

    /// A retry or hedge was wanted, and the budget was spent.
    pub(crate) fn exhausted(&self) {
        self.exhausted.fetch_add(1, Relaxed);
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Hedges sent, and hedges won, which are never more.
    pub(crate) fn hedges(&self) -> (u64, u64) {
        let won = self.hedges_won.load(Acquire);
        (self.hedges.load(Relaxed), won)
    }

    pub(crate) fn budget_exhausted(&self) -> u64 {
        self.exhausted.load(Relaxed)
    }
}
