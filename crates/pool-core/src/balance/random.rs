//! Random, in proportion to the weights. Knows no load, so it needs none: the measure for all others, and the right
//! choice where several processes share the same nodes and none sees the whole load.
//!
//! How it draws: stochastic acceptance, Lipowski and Lipowska, Physica A 391, 2012.

use super::{Balancer, Candidates, PickCx, draw};

/// Draws an endpoint at random, in proportion to its weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Random {
    /// The balancer.
    pub const fn new() -> Self {
        Self
    }
}

impl Balancer for Random {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        draw::weighted(among, None, cx).map(|(index, _)| index)
    }
}
