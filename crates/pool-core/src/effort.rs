//! What a pool has done beyond one attempt for each request.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Totals of one pool.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    retries: AtomicU64,
    exhausted: AtomicU64,
}

impl Effort {
    /// A further attempt was begun after a failed one.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A retry or hedge was wanted, and the budget was spent.
    pub(crate) fn exhausted(&self) {
        self.exhausted.fetch_add(1, Relaxed);
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    pub(crate) fn budget_exhausted(&self) -> u64 {
        self.exhausted.load(Relaxed)
    }
}
