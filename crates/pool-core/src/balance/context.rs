//! What a balancer may know of the request that it picks for.

use std::cell::Cell;

use tokio::time::Instant;

use crate::chance::{Chance, step};

/// Why an endpoint is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The first attempt of a request.
    #[default]
    First,
    /// Another attempt, after one has failed.
    Retry,
    /// A second attempt beside one that takes long.
    Hedge,
    /// Nobody waits for the answer; the pool wants to learn about the endpoint.
    Probe,
}

/// What a caller tells about its request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) key: Option<u64>,
    pub(crate) attempts: u32,
    pub(crate) purpose: Purpose,
}

impl Ask {
    /// A first attempt without a key.
    pub(crate) const NOTHING: Self = Self {
        key: None,
        attempts: 0,
        purpose: Purpose::First,
    };
}

/// What a balancer may know of the request that it picks for, and a source of chance for this pick.
#[derive(Debug)]
#[non_exhaustive]
pub struct PickCx<'a> {
    now: Instant,
    ask: Ask,
    tried: &'a [u32],
    random: Cell<u64>,
    /// Gives the seed when chance is first asked for: many balancers never ask.
    chance: Cell<Option<&'a Chance>>,
}

impl<'a> PickCx<'a> {
    pub(crate) const fn new(now: Instant, ask: Ask, tried: &'a [u32], seed: u64) -> Self {
        Self {
            now,
            ask,
            tried,
            random: Cell::new(seed),
            chance: Cell::new(None),
        }
    }

    /// With a seed of its own from the pool's.
    pub(crate) const fn seeded_by(mut self, chance: &'a Chance) -> Self {
        self.chance = Cell::new(Some(chance));
        self
    }

    /// The time now.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The request's key: requests with the same key belong together. `None` when it has none.
    pub const fn key(&self) -> Option<u64> {
        self.ask.key
    }

    /// Attempts of this request that were made before.
    pub const fn attempts(&self) -> u32 {
        self.ask.attempts
    }

    /// Why an endpoint is wanted.
    pub const fn purpose(&self) -> Purpose {
        self.ask.purpose
    }

    /// How many endpoints this request has failed on. They are among the candidates only when there are no others.
    pub const fn tried(&self) -> usize {
        self.tried.len()
    }

    /// Whether the request has failed on the endpoint with this [key](crate::Candidate::key).
    pub fn has_tried(&self, key: usize) -> bool {
        self.tried.iter().any(|tried| *tried as usize == key)
    }

    /// 64 random bits, from the pool's seed. Not for secrets.
    #[inline]
    pub fn random(&self) -> u64 {
        if let Some(chance) = self.chance.take() {
            self.random.set(chance.seed());
        }
        let (state, number) = step(self.random.get());
        self.random.set(state);
        number
    }

    /// A random number below `limit`; 0 if that is 0.
    #[inline]
    pub fn below(&self, limit: usize) -> usize {
        // the upper half of the product; its bias, limit in 2^64, cannot be measured
        ((u128::from(self.random()) * limit as u128) >> 64) as usize
    }

    /// A random number in `0.0..1.0`.
    pub fn share(&self) -> f64 {
        (self.random() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
