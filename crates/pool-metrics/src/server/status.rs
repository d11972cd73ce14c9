//! What `/pools` says: the pools at one moment, as [`Routes`](super::Routes) documents it.

use std::{collections::BTreeMap, time::Duration};

use pool_core::{
    EndpointSnapshot, ErrorType, Explanation, NotUsable, PoolSnapshot,
    breaker::BreakerState,
    health::{HealthReason, HealthStatus},
};
use serde::Serialize;
use tokio::time::Instant;

use crate::registrations::Followed;

use super::{history::History, mask::mask, readiness::is_ready};

/// Raised when a field changes its meaning or goes; new ones may join without.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) version: u32,
    pub(super) sampled_every_ms: u64,
    pub(super) pools: Vec<PoolStatus>,
}

#[derive(Debug, Serialize)]
pub(super) struct PoolStatus {
    pub(super) id: String,
    pub(super) ready: bool,
    pub(super) panicking: bool,
    pub(super) closed: bool,
    pub(super) slots: PoolSlots,
    pub(super) queue: Queue,
    pub(super) retries_total: u64,
    pub(super) hedges_total: u64,
    pub(super) hedges_won_total: u64,
    pub(super) budget_exhausted_total: u64,
    pub(super) leaks_total: u64,
    /// Of the reference head; none while no endpoint tells its own.
    pub(super) head_age_ms: Option<u64>,
    pub(super) endpoints: Vec<EndpointStatus>,
}

#[derive(Debug, Serialize)]
pub(super) struct PoolSlots {
    pub(super) usable: u64,
    pub(super) free: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Queue {
    pub(super) waiting: u64,
    pub(super) limit: u64,
    pub(super) timeouts_total: u64,
    pub(super) rejections_total: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct EndpointStatus {
    pub(super) id: String,
    pub(super) state: State,
    /// In words, unless usable.
    pub(super) why: Option<String>,
    pub(super) next: bool,
    pub(super) tier: u8,
    pub(super) weight: f64,
    pub(super) health: Health,
    pub(super) breaker: Breaker,
    pub(super) provider: Option<String>,
    pub(super) quota_left: Option<u64>,
    pub(super) quota_limit: Option<u64>,
    pub(super) throttled_for_ms: Option<u64>,
    pub(super) ejected_for_ms: Option<u64>,
    pub(super) ejections_total: u64,
    pub(super) position: Option<u64>,
    pub(super) head_age_ms: Option<u64>,
    pub(super) slots: Slots,
    pub(super) connections: Connections,
    pub(super) requests_total: u64,
    pub(super) errors_total: u64,
    /// Those that have happened.
    pub(super) errors_by_type: BTreeMap<&'static str, u64>,
    pub(super) latency: Latency,
}

/// What the endpoint is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Usable,
    Full,
    NotChecked,
    Unhealthy,
    BreakerOpen,
    Throttled,
    Ejected,
    /// A reason that is younger than this code; `why` has it.
    Other,
}

#[derive(Debug, Serialize)]
pub(super) struct Health {
    pub(super) status: &'static str,
    pub(super) reason: Option<String>,
    pub(super) check_failures_total: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Breaker {
    pub(super) status: &'static str,
    pub(super) open_for_ms: Option<u64>,
    pub(super) opened_total: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Slots {
    pub(super) active: u64,
    pub(super) max: u64,
    pub(super) bears: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Connections {
    pub(super) active: u64,
    pub(super) idle: u64,
    pub(super) max: u64,
    pub(super) created_total: u64,
    pub(super) destroyed_total: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) expected_ms: Option<f64>,
    pub(super) mean_ms: Vec<Option<f64>>,
}

impl Status {
    pub(super) fn take(pools: &[Followed], history: &History, sampled_every: Duration) -> Self {
        let pool = |pool: &Followed| PoolStatus::new(&pool.snapshot, &pool.explain(), history);
        Self {
            version: VERSION,
            sampled_every_ms: millis(sampled_every),
            pools: pools.iter().map(pool).collect(),
        }
    }
}

impl PoolStatus {
    fn new(now: &PoolSnapshot, explained: &[Explanation], history: &History) -> Self {
        let means = history.of(now);
        let endpoints = now.endpoints.iter().zip(means).enumerate();
        let endpoints = endpoints.map(|(at, (endpoint, means))| {
            let same = |explanation: &&Explanation| explanation.endpoint == endpoint.id;
            // in the same order, unless the pool was changed in between
            let explanation = explained.get(at).filter(same);
            let explanation = explanation.or_else(|| explained.iter().find(same));
            EndpointStatus::new(endpoint, explanation, means, now.taken_at)
        });
        Self {
            id: now.id.to_string(),
            ready: is_ready(now),
            panicking: now.panicking,
            closed: now.closed,
            slots: PoolSlots {
                usable: now.slots_usable,
                free: now.slots_free,
            },
            queue: Queue {
                waiting: now.queue_size,
                limit: now.queue_limit,
                timeouts_total: now.queue_timeouts,
                rejections_total: now.queue_rejections,
            },
            retries_total: now.retries,
            hedges_total: now.hedges,
            hedges_won_total: now.hedges_won,
            budget_exhausted_total: now.budget_exhausted,
            leaks_total: now.leaks,
            head_age_ms: now.head_age.map(millis),
            endpoints: endpoints.collect(),
        }
    }
}

impl EndpointStatus {
    fn new(
        now: &EndpointSnapshot,
        explanation: Option<&Explanation>,
        means: Vec<Option<f32>>,
        at: Instant,
    ) -> Self {
        let (state, why) = match explanation {
            Some(explanation) => explained(explanation.not_usable.as_ref()),
            None => guessed(now, at),
        };
        let left = |until: Option<Instant>| until.map(|until| millis(until.saturating_duration_since(at)));
        let errors = ErrorType::ALL
            .into_iter()
            .map(|class| (class.as_str(), now.errors[class.index()]));
        Self {
            id: now.id.to_string(),
            state,
            why: why.map(|why| mask(&why)),
            next: explanation.is_some_and(|explanation| explanation.next),
            tier: explanation.map_or(0, |explanation| explanation.tier),
            weight: now.weight,
            health: Health {
                status: match now.health {
                    HealthStatus::Healthy => "healthy",
                    HealthStatus::Unhealthy => "unhealthy",
                    HealthStatus::Unknown => "unknown",
                },
                reason: now.health_reason.as_deref().map(mask),
                check_failures_total: now.health_check_failures,
            },
            breaker: Breaker {
                status: match now.breaker {
                    BreakerState::Closed => "closed",
                    BreakerState::Open { .. } => "open",
                    BreakerState::HalfOpen => "half_open",
                },
                open_for_ms: match now.breaker {
                    BreakerState::Open { until } => left(Some(until)),
                    _ => None,
                },
                opened_total: now.breaker_opened,
            },
            provider: now.provider.as_ref().map(ToString::to_string),
            quota_left: now.quota_left,
            quota_limit: now.quota_limit,
            throttled_for_ms: left(now.throttled_until),
            ejected_for_ms: left(now.ejected_until),
            ejections_total: now.ejections,
            position: now.position,
            head_age_ms: now.head_age.map(millis),
            slots: Slots {
                active: now.slots_active,
                max: now.slots_max,
                bears: now.concurrency_limit,
            },
            connections: Connections {
                active: now.connections_active,
                idle: now.connections_idle,
                max: now.connections_max,
                created_total: now.connections_created,
                destroyed_total: now.connections_destroyed,
            },
            requests_total: now.requests,
            errors_total: now.errors.iter().sum(),
            errors_by_type: errors.filter(|(_, count)| *count > 0).collect(),
            latency: Latency {
                expected_ms: explanation.map(|explanation| rounded(explanation.latency.as_secs_f64() * 1e3)),
                mean_ms: means
                    .into_iter()
                    .map(|mean| mean.map(|mean| rounded(mean.into())))
                    .collect(),
            },
        }
    }
}

/// What the pool itself says.
fn explained(not_usable: Option<&NotUsable>) -> (State, Option<String>) {
    let Some(reason) = not_usable else {
        return (State::Usable, None);
    };
    let state = match reason {
        NotUsable::Unhealthy {
            reason: Some(HealthReason::NotChecked),
        } => State::NotChecked,
        NotUsable::Unhealthy { .. } => State::Unhealthy,
        NotUsable::BreakerOpen { .. } => State::BreakerOpen,
        NotUsable::Throttled { .. } => State::Throttled,
        NotUsable::Ejected { .. } => State::Ejected,
        NotUsable::Full { .. } => State::Full,
        _ => State::Other,
    };
    (state, Some(reason.to_string()))
}

/// For a source that explains nothing.
fn guessed(now: &EndpointSnapshot, at: Instant) -> (State, Option<String>) {
    let pending = |until: Option<Instant>| until.is_some_and(|until| until > at);
    let state = match (now.health, now.breaker) {
        (HealthStatus::Unknown, _) => State::NotChecked,
        (HealthStatus::Unhealthy, _) => State::Unhealthy,
        (_, BreakerState::Open { .. } | BreakerState::HalfOpen) => State::BreakerOpen,
        _ if pending(now.throttled_until) => State::Throttled,
        _ if pending(now.ejected_until) => State::Ejected,
        _ if now.slots_max > 0 && now.slots_active >= now.slots_max => State::Full,
        _ => State::Usable,
    };
    let why = (state != State::Usable)
        .then(|| now.health_reason.clone())
        .flatten();
    (state, why)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// To a thousandth, so that a figure is no longer than it means.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
