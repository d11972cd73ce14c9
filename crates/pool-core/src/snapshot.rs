//! What the pool looks like at one moment: the source of all gauges and counters.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    CloseReason, EndpointId, ErrorType, PoolId, ProviderId, Rejection, ThrottleCause, TimeoutsInForce,
    breaker::BreakerState, health::HealthStatus,
};

/// A pool at one moment. Numbers of one endpoint are consistent with each other (`connections_total` is
/// `connections_active` + `connections_idle`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// The pool's id.
    pub id: PoolId,
    /// When it was taken.
    pub taken_at: Instant,
    /// Callers that wait for a slot.
    pub queue_size: u64,
    /// Callers that may wait at the most.
    pub queue_limit: u64,
    /// Callers that ran out of time in the queue, ever; those among them who could not have been served before their
    /// deadline were told at once.
    pub queue_timeouts: u64,
    /// Callers that were rejected because the queue was full, ever.
    pub queue_rejections: u64,
    /// Slots of the endpoints that may be picked now.
    pub slots_usable: u64,
    /// How many of those can be given right now.
    pub slots_free: u64,
    /// The endpoints, in the order of the configuration.
    pub endpoints: Vec<EndpointSnapshot>,
    /// Attempts begun after a failed one, ever.
    pub retries: u64,
    /// Hedges sent, ever.
    pub hedges: u64,
    /// Hedges that succeeded before the first attempt did, ever.
    pub hedges_won: u64,
    /// Hedges that came to nothing, ever: beaten by the first attempt, failed, or given up by the caller. Those that are
    /// neither won nor lost are out.
    pub hedges_lost: u64,
    /// Hedges that were due while the budget was spent, ever.
    pub hedges_refused: u64,
    /// Retries and hedges that were wanted while the budget was spent, ever.
    pub budget_exhausted: u64,
    /// Callers who got no connection, ever, by [`Rejection::index`]. A call that tries again counts each time.
    pub rejections: [u64; Rejection::ALL.len()],
    /// Times that [`Pool::apply`](crate::Pool::apply) changed the pool, or found it as it should be, ever.
    pub updates: u64,
    /// Times that other settings were refused, ever; the pool went on as it was.
    pub updates_refused: u64,
    /// Leases that were held for longer than `leak_after`, ever.
    pub leaks: u64,
    /// Whether endpoints with a poor record are used, because too few others are left. Their slots are not among the
    /// usable ones: they are no capacity to count on.
    pub panicking: bool,
    /// Whether the pool was closed: it takes no more requests, and what is under way may still end.
    pub closed: bool,
    /// How old the reference head is: with one vote for each provider, the age that a majority stays below. `None` while no
    /// endpoint tells its head's age. It grows when the chain stands still, or all nodes at once; nobody is unhealthy for
    /// that alone.
    pub head_age: Option<Duration>,
    /// The time-outs in force: what measures durations can tell whether it measures that far. `None` in a snapshot that no
    /// pool has made.
    pub timeouts: Option<TimeoutsInForce>,
}

/// An endpoint at one moment. Counters are totals since the pool was built and never decrease.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointSnapshot {
    /// The endpoint's id.
    pub id: EndpointId,
    /// Open connections that carry at least one request.
    pub connections_active: u64,
    /// Open connections that are free.
    pub connections_idle: u64,
    /// Limit on open connections.
    pub connections_max: u64,
    /// Connections opened, ever.
    pub connections_created: u64,
    /// Connections closed, ever.
    pub connections_destroyed: u64,
    /// The same by [`CloseReason::index`]; together they are exactly those.
    pub connections_closed: [u64; CloseReason::ALL.len()],
    /// Requests admitted now.
    pub slots_active: u64,
    /// Requests admitted at the most.
    pub slots_max: u64,
    /// Requests that it probably bears at once, and is given as long as few wait
    /// ([`adaptive_concurrency`](crate::PoolConfig::adaptive_concurrency)); `slots_max` where nothing speaks against it.
    pub concurrency_limit: u64,
    /// Attempts that ended, ever; cancelled ones are not counted.
    pub requests: u64,
    /// Attempts that failed, ever, by [`ErrorType::index`].
    pub errors: [u64; ErrorType::ALL.len()],
    /// What the successful attempts took together, ever.
    pub latency_sum: Duration,
    /// Health checks that failed, ever.
    pub health_check_failures: u64,
    /// Health now.
    pub health: HealthStatus,
    /// Why the endpoint is not healthy, in words.
    pub health_reason: Option<String>,
    /// Circuit breaker now.
    pub breaker: BreakerState,
    /// Times the breaker opened, ever.
    pub breaker_opened: u64,
    /// Times the breaker went into each state, ever, by [`BreakerState::index`].
    pub breaker_moves: [u64; BreakerState::NAMES.len()],
    /// Until when the endpoint is throttled, if it is: it or its provider asked for a pause, or a quota is spent.
    pub throttled_until: Option<Instant>,
    /// By what, if it is; what lasts longest.
    pub throttled_by: Option<ThrottleCause>,
    /// Times it was throttled, ever, by [`ThrottleCause::index`]: it asked for a pause (for itself, or for its provider), or
    /// a request of this pool took the last of a quota. What was asked for in another pool is counted there.
    pub throttles: [u64; ThrottleCause::ALL.len()],
    /// The provider it belongs to.
    pub provider: Option<ProviderId>,
    /// Units that can be taken now of its own quota or its provider's, whichever has fewer; `None` without a quota.
    pub quota_left: Option<u64>,
    /// The most that can be left of that quota: its burst, or the day's budget if only the day is limited.
    pub quota_limit: Option<u64>,
    /// Until when the endpoint is left out because it stands out among the others, if it is.
    pub ejected_until: Option<Instant>,
    /// Times it was left out, ever.
    pub ejections: u64,
    /// Effective weight: 0 when the endpoint may not be picked, less than configured for a while after a recovery.
    pub weight: f64,
    /// Block height of the newest successful health check.
    pub position: Option<u64>,
    /// Blocks that it was behind the others at its newest check that told a position; see
    /// [`reference`](crate::position::reference).
    pub lag: Option<u64>,
    /// How old its head is now, as far as the newest health check that told it knows.
    pub head_age: Option<Duration>,
}

impl PoolSnapshot {
    /// A pool without endpoints and with nothing counted. For tests of observers, which set the fields that they
    /// need.
    pub const fn new(id: PoolId, taken_at: Instant) -> Self {
        Self {
            id,
            taken_at,
            queue_size: 0,
            queue_limit: 0,
            queue_timeouts: 0,
            queue_rejections: 0,
            slots_usable: 0,
            slots_free: 0,
            endpoints: Vec::new(),
            retries: 0,
            hedges: 0,
            hedges_won: 0,
            hedges_lost: 0,
            hedges_refused: 0,
            budget_exhausted: 0,
            rejections: [0; Rejection::ALL.len()],
            updates: 0,
            updates_refused: 0,
            leaks: 0,
            panicking: false,
            closed: false,
            head_age: None,
            timeouts: None,
        }
    }
}

impl EndpointSnapshot {
    /// A fresh endpoint: nothing counted, not yet checked, breaker closed, weight 1. For tests of observers, which
    /// set the fields that they need.
    pub const fn new(id: EndpointId) -> Self {
        Self {
            id,
            connections_active: 0,
            connections_idle: 0,
            connections_max: 0,
            connections_created: 0,
            connections_destroyed: 0,
            connections_closed: [0; CloseReason::ALL.len()],
            slots_active: 0,
            slots_max: 0,
            concurrency_limit: 0,
            requests: 0,
            errors: [0; ErrorType::ALL.len()],
            latency_sum: Duration::ZERO,
            health_check_failures: 0,
            health: HealthStatus::Unknown,
            health_reason: None,
            breaker: BreakerState::Closed,
            breaker_opened: 0,
            breaker_moves: [0; BreakerState::NAMES.len()],
            throttled_until: None,
            throttled_by: None,
            throttles: [0; ThrottleCause::ALL.len()],
            provider: None,
            quota_left: None,
            quota_limit: None,
            ejected_until: None,
            ejections: 0,
            weight: 1.0,
            position: None,
            lag: None,
            head_age: None,
        }
    }

    /// Open connections, active and idle.
    pub const fn connections_total(&self) -> u64 {
        self.connections_active + self.connections_idle
    }
}
