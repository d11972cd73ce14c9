//! Power of two choices: of two different endpoints drawn at random, the one with fewer requests under way. Mitzenmacher,
//! "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001.
//!
//! Weighted twice over, so that shares follow the weights both when idle and under load: the two are drawn in proportion
//! to their weights, and their requests are compared per weight. Of two that are equal, as idle ones are, the first drawn
//! is taken.

use super::{Balancer, Candidate, Candidates, PickCx, draw};

/// Takes the less loaded of two endpoints drawn at random.
#[derive(Clone, Copy, Debug, Default)]
pub struct P2c;

impl P2c {
    /// The balancer.
    pub const fn new() -> Self {
        Self
    }
}

impl Balancer for P2c {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let (first, a) = draw::weighted(among, None, cx)?;
        let Some((second, b)) = draw::weighted(among, Some(first), cx) else {
            return Some(first);
        };
        let handicaps = (a.handicap_at(among.now()), b.handicap_at(among.now()));
        if handicaps != (1.0, 1.0) {
            let load = |of: &Candidate<'_>, handicap| (of.in_flight() + 1) as f64 / of.weight() * handicap;
            let is_first = load(&a, handicaps.0) <= load(&b, handicaps.1);
            return Some(if is_first { first } else { second });
        }
        // a/wa <= b/wb without the divisions
        if a.in_flight() as f64 * b.weight() <= b.in_flight() as f64 * a.weight() {
            Some(first)
        } else {
            Some(second)
        }
    }
}
