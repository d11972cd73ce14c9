//! What a caller wants.

use tokio::time::Instant;

use crate::{
    Cost, Priority,
    admission::{Rank, Terms},
    balance::Ask,
};

/// What a caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    /// Endpoints that it takes only when there are no others: they have failed it, or it said so.
    pub(crate) avoid: Vec<u32>,
    /// It takes only endpoints that are known to have got so far.
    pub(crate) min_position: Option<u64>,
    /// It takes only endpoints that suit these.
    pub(crate) terms: Terms,
    pub(crate) priority: Priority,
    /// When it gives up.
    pub(crate) deadline: Instant,
    /// What it takes of a quota.
    pub(crate) cost: Cost,
    /// Its rank, if it has been given something before and has to go round again.
    pub(crate) rank: Option<Rank>,
    /// What the balancer may know.
    pub(crate) ask: Ask,
}

impl Want {
    /// Anything, before the deadline.
    pub(crate) const fn anything(deadline: Instant) -> Self {
        Self {
            avoid: Vec::new(),
            min_position: None,
            terms: Terms::NONE,
            priority: Priority::Normal,
            deadline,
            cost: Cost::ONE,
            rank: None,
            ask: Ask::NOTHING,
        }
    }

    /// Whether every endpoint suits it.
    #[inline]
    pub(in super::super) fn takes_anything(&self) -> bool {
        self.min_position.is_none() && self.terms.are_none()
    }
}
