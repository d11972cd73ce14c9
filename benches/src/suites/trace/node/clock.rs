//! The time of a trace, in milliseconds, and the chain's height at it.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two blocks. With that of Ethereum a node that is stuck gives wrong answers for long before it stands out.
pub(super) const BLOCK_MS: u64 = 12_000;
/// The chain's height when the trace begins.
pub(super) const FIRST_BLOCK: u64 = 1_000;
/// A caller acts on what is so many blocks deep, and needs a node that has got there.
const CONFIRMATIONS: u64 = 2;

/// The clock of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    pub(crate) fn at(self, moment: u64) -> Instant {
        self.0 + Duration::from_millis(moment)
    }
}

/// The newest block.
pub(super) const fn head(now: u64) -> u64 {
    FIRST_BLOCK + now / BLOCK_MS
}

/// The block that a caller needs who calls now.
pub(crate) const fn needed(now: u64) -> u64 {
    head(now) - CONFIRMATIONS
}
