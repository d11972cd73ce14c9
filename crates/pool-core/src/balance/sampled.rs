//! Least requests among a few: draws some endpoints in proportion to their weights and takes the one with the fewest
//! requests under way for its weight. As Envoy's least request policy samples (`choice_count`); the theory is
//! Mitzenmacher's "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001.
//!
//! Against the full scan: the cost does not grow with the number of endpoints, and many processes with the same view do
//! not all fall on the same endpoint.

use std::num::NonZeroU32;

use super::{Balancer, Candidate, Candidates, PickCx, draw};

/// Takes the endpoint with the fewest requests under way, in proportion to its weight, of a few drawn at random.
#[derive(Clone, Copy, Debug)]
pub struct SampledLeastRequests {
    choices: NonZeroU32,
}

impl Default for SampledLeastRequests {
    fn default() -> Self {
        Self::new()
    }
}

impl SampledLeastRequests {
    /// Draws three: one more than [`P2c`](crate::P2c), for pools in which a third of the endpoints may be slow.
    pub const fn new() -> Self {
        Self {
            choices: NonZeroU32::MIN.saturating_add(2),
        }
    }

    /// Draws so many. The same endpoint may be drawn twice.
    pub const fn with_choices(choices: NonZeroU32) -> Self {
        Self { choices }
    }
}

impl Balancer for SampledLeastRequests {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let load = |candidate: &Candidate<'_>| {
            let load = candidate.in_flight() as f64 / candidate.weight();
            let handicap = candidate.handicap_at(among.now());
            // one more than there are, so that an idle one that fails is not as good as any idle one
            if handicap > 1.0 {
                (load + 1.0) * handicap
            } else {
                load
            }
        };
        let (mut best, first) = draw::weighted(among, None, cx)?;
        let mut least = load(&first);
        for _ in 1..self.choices.get() {
            let (index, candidate) = draw::weighted(among, None, cx)?;
            let load = load(&candidate);
            if load < least {
                (best, least) = (index, load);
            }
        }
        Some(best)
    }
}
