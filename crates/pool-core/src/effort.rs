//! What a pool has done beyond one attempt for each request.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::Rejection;

/// Totals of one pool.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    retries: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    exhausted: AtomicU64,
    hedges_lost: AtomicU64,
    hedges_refused: AtomicU64,
    rejections: [AtomicU64; Rejection::ALL.len()],
    updates: AtomicU64,
    updates_refused: AtomicU64,
}

impl Effort {
    /// A further attempt was begun after a failed one.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A hedge is sent. It is counted as lost unless it is said to have won.
    pub(crate) fn hedged(&self) -> Sent<'_> {
        self.hedges.fetch_add(1, Relaxed);
        Sent(&self.hedges_lost)
    }

    /// A hedge succeeded before the first attempt did.
    pub(crate) fn hedge_won(&self, sent: Sent<'_>) {
        std::mem::forget(sent);
        self.hedges_won.fetch_add(1, Release);
    }

    /// A hedge was due, and the budget was spent.
    pub(crate) fn hedge_refused(&self) {
        self.exhausted.fetch_add(1, Relaxed);
        self.hedges_refused.fetch_add(1, Release);
    }

    /// A caller got no connection.
    pub(crate) fn rejected(&self, why: Rejection) {
        self.rejections[why.index()].fetch_add(1, Relaxed);
    }

    /// Other settings were applied, or refused.
    pub(crate) fn updated(&self, applied: bool) {
        let count = if applied {
            &self.updates
        } else {
            &self.updates_refused
        };
        count.fetch_add(1, Relaxed);
    }

    /// A retry was wanted, and the budget was spent.
    pub(crate) fn exhausted(&self) {
        self.exhausted.fetch_add(1, Relaxed);
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Hedges sent, won and lost; won and lost together are never more than sent.
    pub(crate) fn hedges(&self) -> (u64, u64, u64) {
        let lost = self.hedges_lost.load(Acquire);
        let won = self.hedges_won.load(Acquire);
        (self.hedges.load(Relaxed), won, lost)
    }

    /// Retries and hedges that the budget refused, and the hedges among them.
    pub(crate) fn budget_exhausted(&self) -> (u64, u64) {
        let hedges = self.hedges_refused.load(Acquire);
        (self.exhausted.load(Relaxed), hedges)
    }

    pub(crate) fn rejections(&self) -> [u64; Rejection::ALL.len()] {
        std::array::from_fn(|i| self.rejections[i].load(Relaxed))
    }

    /// Updates applied, and refused.
    pub(crate) fn updates(&self) -> (u64, u64) {
        (self.updates.load(Relaxed), self.updates_refused.load(Relaxed))
    }
}

/// A hedge that is out. Dropped, it has lost: beaten, failed or given up by the caller.
#[derive(Debug)]
#[must_use = "it counts as lost when it is dropped"]
pub(crate) struct Sent<'a>(&'a AtomicU64);

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Release);
    }
}
