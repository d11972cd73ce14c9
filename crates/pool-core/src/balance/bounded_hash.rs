//! Consistent hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam, SODA 2018 (arXiv 1608.01350). Requests with
//! the same key go to the same endpoint, so that a nonce that was just used is seen and a cache is warm; but no endpoint
//! gets more than so many times its fair share of the requests under way, so that one hot key cannot drown it.
//!
//! The order of endpoints for a key is by weighted rendezvous hashing (Thaler and Ravishankar, 1998; Schindelhauer and
//! Schomaker, 2005) instead of a ring: no table to keep, exact shares by weight, and an endpoint that leaves takes only
//! its own keys with it. It costs a look at each endpoint. Endpoints are hashed by id, so processes agree.

use super::{Balancer, Candidate, Candidates, P2c, PickCx};
use crate::{ConfigError, chance::mix};

/// Sends requests with the same key to the same endpoint, within a bound on its load. Without a key: [`P2c`].
#[derive(Clone, Copy, Debug)]
pub struct BoundedHash {
    bound: f64,
}

impl Default for BoundedHash {
    fn default() -> Self {
        Self::new()
    }
}

impl BoundedHash {
    /// An endpoint gets at most 1.25 times its fair share of the requests under way, a common choice: keys rarely
    /// move, and no endpoint is much busier than the mean.
    pub const fn new() -> Self {
        Self { bound: 1.25 }
    }

    /// An endpoint gets at most so many times its fair share of the requests under way.
    ///
    /// # Errors
    /// When it is not in `1.01..=100.0`: at 1 hardly any key stays where it belongs.
    pub fn with_bound(bound: f64) -> Result<Self, ConfigError> {
        if (1.01..=100.0).contains(&bound) {
            Ok(Self { bound })
        } else {
            Err(ConfigError::new(
                "balancer.bound",
                bound.to_string(),
                "1.01 to 100",
            ))
        }
    }
}

/// How much the key likes the endpoint, in proportion to its weight; above 0.
fn liking(candidate: &Candidate<'_>, key: u64) -> f64 {
    // 53 bits, and a half more so that it is neither 0 nor 1
    let bits = mix(key ^ candidate.hash()) >> 11;
    let share = (bits as f64 + 0.5) / (1_u64 << 53) as f64;
    candidate.weight() / -share.ln()
}

impl Balancer for BoundedHash {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let Some(key) = cx.key() else {
            return P2c.pick(among, cx);
        };
        // neighbouring keys, such as nonces, must not stay neighbours
        let key = mix(key);
        let (mut load, mut weight) = (1, 0.0);
        for candidate in among.iter() {
            load += candidate.in_flight();
            weight += candidate.weight();
        }
        let mut best: Option<(bool, f64, usize)> = None;
        for (index, candidate) in among.iter().enumerate() {
            let share = (self.bound * load as f64 * candidate.weight() / weight).ceil();
            let room = !candidate.is_full() && ((candidate.in_flight() + 1) as f64) <= share;
            let liking = liking(&candidate, key);
            // with room before without; the latter is taken when loads have changed while we looked
            if best.is_none_or(|(other, most, _)| (room, liking) > (other, most)) {
                best = Some((room, liking, index));
            }
        }
        best.map(|(_, _, index)| index)
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        // it keeps nothing; without a key it draws
        cx.key().and_then(|_| self.pick(among, cx))
    }
}
