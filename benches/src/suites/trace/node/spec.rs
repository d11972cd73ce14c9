//! What a node is like.

use super::fault::Fault;

/// One call in a hundred takes so many times as long: a cold page, a garbage collection, a lost packet.
pub(super) const TAIL: (f64, f64) = (0.01, 4.0);
/// Spread of the logarithm of service times.
pub(super) const SIGMA: f64 = 0.35;

/// What a node is like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    /// Calls it works on at once.
    pub(crate) slots: usize,
    /// Calls that wait for that; one more is answered by 429.
    pub(crate) queue: usize,
    /// Half of the calls take longer.
    pub(crate) median_ms: f64,
    /// Whose it is.
    pub(crate) provider: usize,
    /// It is not there before; then its caches are cold.
    pub(crate) joins: Option<u64>,
    /// What is wrong with it, and when.
    pub(crate) faults: Vec<Fault>,
}

impl Spec {
    /// What a call takes on average, without faults.
    pub(crate) fn mean_ms(&self) -> f64 {
        let (share, factor) = TAIL;
        self.median_ms * (SIGMA * SIGMA / 2.0).exp() * (1.0 + share * (factor - 1.0))
    }

    /// Calls that it can answer in a second.
    pub(crate) fn capacity(&self) -> f64 {
        self.slots as f64 * 1_000.0 / self.mean_ms()
    }
}
