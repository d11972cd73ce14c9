//! The situations, by alert. What they tell apart is in their names; the moments are chosen so that a rule that is off by one
//! step, one scrape or one label comes out differently.
//!
//! Prometheus 2 looks back over a range with both ends, Prometheus 3 leaves out the older one: no situation rests on a
//! sample that lies exactly there.

mod breaker;
mod budget;
mod churn;
mod errors;
mod exhausted;
mod health;
mod lag;
mod latency;
mod pools;
mod queue;
mod recordings;
mod relayer;
mod slo;
mod utilization;

use super::case::Case;

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    [
        exhausted::cases(),
        breaker::cases(),
        health::none_healthy(),
        queue::timeouts(),
        utilization::cases(),
        health::unhealthy(),
        errors::cases(),
        latency::cases(),
        queue::growing(),
        churn::cases(),
        relayer::cases(),
        budget::leaks(),
        budget::retries(),
        lag::block_lag(),
        lag::throttled(),
        lag::reconfiguration(),
        slo::cases(),
        recordings::cases(),
        pools::queue(),
        pools::utilization(),
    ]
    .concat()
}
