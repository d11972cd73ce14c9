//! Chance, injected: one seeded source for all jitter outside the admission lock, and for balancers.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The step of `SplitMix64` (Steele, Lea and Flood 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Random numbers from the pool's seed.
#[derive(Debug)]
pub(crate) struct Chance {
    rng: Mutex<fastrand::Rng>,
    picks: AtomicU64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            picks: AtomicU64::new(seed),
        }
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn share(&self) -> f64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    /// A seed for one pick, without a lock.
    pub(crate) fn seed(&self) -> u64 {
        // mixed, so that the numbers of one pick are not those of the next, shifted by one
        mix(self.picks.fetch_add(STEP, Relaxed))
    }
}

/// Spreads every bit of a number over all (the finaliser of `SplitMix64`).
pub(crate) const fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The next number of the stream that `state` is in.
pub(crate) const fn step(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(STEP);
    (state, mix(state))
}
