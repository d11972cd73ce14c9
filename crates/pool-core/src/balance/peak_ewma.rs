//! Power of two choices by expected latency: of two different endpoints drawn at random, the one whose estimate times its
//! requests under way is smaller. Finagle's `PeakEwma` (2014) in linkerd's form: estimates fade to 1/e in 10 s and start
//! at 30 ms; failures are recorded as 5 s or more (linkerd2-proxy PR 4537), without which an endpoint that fails in 1 ms
//! gets two thirds of the traffic among three.
//!
//! The weight is a handicap, not a share: an endpoint of weight 2 counts as twice as fast as it is.

use super::{Balancer, Candidate, Candidates, PickCx, draw};

/// Takes the one of two endpoints drawn at random that will probably answer first.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeakEwma;

impl PeakEwma {
    /// The balancer.
    pub const fn new() -> Self {
        Self
    }
}

fn cost(candidate: &Candidate<'_>, tick: u32) -> f64 {
    candidate.seconds_at(tick) * (candidate.in_flight() + 1) as f64 / candidate.weight()
}

impl Balancer for PeakEwma {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let first = draw::uniform(among.len(), None, cx)?;
        let Some(second) = draw::uniform(among.len(), Some(first), cx) else {
            return Some(first);
        };
        let (a, b) = (among.get(first)?, among.get(second)?);
        let tick = among.tick(cx.now());
        Some(if cost(&a, tick) <= cost(&b, tick) {
            first
        } else {
            second
        })
    }
}
