//! The measures that our pool is to reach in every trace, and whether it does.

use super::{
    contestant::Side,
    outcome::{Entrant, Outcome},
};

/// A peer that asks nodes more often than this for each call is no measure for latency: it buys it.
const DEAR: f64 = 1.10;
/// Shares that differ by less than two calls in a run are the same.
const SAME: f64 = 1e-4;

/// What was held against what, in one trace.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Success at least that of the best peer.
    pub(crate) success: bool,
    /// No wrong answer at all, in any round.
    pub(crate) wrong: bool,
    /// The 99th percentile at most the larger of 0.8 times the best peer's that is not dear, and 1.1 times the limit's.
    pub(crate) p99: bool,
    /// Calls for each call.
    pub(crate) cost: bool,
    /// Within 1.5 times the limit's 99th percentile.
    pub(crate) near_limit: bool,
    /// The best peer in success, and how good it is.
    pub(crate) best_success: (String, f64),
    /// The best peer in latency that is not dear, and its 99th percentile.
    pub(crate) best_p99: (String, f64),
    /// The limit's 99th percentile.
    pub(crate) limit: f64,
}

impl Verdict {
    /// Holds a contestant of ours against the others.
    pub(crate) fn on(outcome: &Outcome, ours: &Entrant) -> Self {
        let peers = || {
            outcome
                .results
                .iter()
                .filter(|entrant| entrant.side == Side::Peer)
        };
        let best_success = peers()
            .map(|peer| (peer.name.clone(), peer.median(|score| score.success)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .unwrap_or_default();
        let best_p99 = peers()
            .filter(|peer| peer.median(|score| score.cost) <= DEAR)
            .map(|peer| (peer.name.clone(), peer.median(|score| score.p99)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .unwrap_or_default();
        let limit = outcome.results.iter().find(|entrant| entrant.side == Side::Limit);
        let limit = limit.map_or(f64::NAN, |limit| limit.median(|score| score.p99));
        let p99 = ours.median(|score| score.p99);
        Self {
            success: ours.median(|score| score.success) >= best_success.1 - SAME,
            wrong: ours.scores.iter().all(|score| score.wrong == 0.0),
            p99: p99 <= (0.8 * best_p99.1).max(1.1 * limit),
            cost: ours.median(|score| score.cost) <= DEAR,
            near_limit: p99 <= 1.5 * limit,
            best_success,
            best_p99,
            limit,
        }
    }

    /// Whether all that holds for every trace does.
    pub(crate) const fn is_met(&self) -> bool {
        self.success && self.wrong && self.p99 && self.cost
    }
}
