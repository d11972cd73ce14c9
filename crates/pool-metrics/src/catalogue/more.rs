//! What operators need beyond the promised metrics.

use super::{
    BREAKER_STATES, CLOSE_REASONS, ENDPOINT, Kind, Label, Metric, PER_ENDPOINT, PER_POOL, POOL, REJECTIONS,
    THROTTLE_CAUSES, UPDATE_RESULTS, Unit, Value, closed, metric,
};

const PER_REJECTION: &[Label] = &[
    POOL,
    closed!("reason", REJECTIONS, "why the caller got no connection"),
];
const PER_UPDATE: &[Label] = &[
    POOL,
    closed!("result", UPDATE_RESULTS, "what became of the new settings"),
];
const PER_CLOSE: &[Label] = &[
    POOL,
    ENDPOINT,
    closed!("reason", CLOSE_REASONS, "why the connection was closed"),
];
const PER_THROTTLE: &[Label] = &[
    POOL,
    ENDPOINT,
    closed!("cause", THROTTLE_CAUSES, "why the endpoint was throttled"),
];
const PER_BREAKER_STATE: &[Label] = &[
    POOL,
    ENDPOINT,
    closed!("state", BREAKER_STATES, "a state of the circuit breaker"),
];
const VERSION: Value = Value {
    value: env!("CARGO_PKG_VERSION"),
    help: "the version of the crate that exposes the metrics",
};
const PER_VERSION: &[Label] = &[closed!("version", [VERSION], "version of the pool's code")];

/// Bucket bounds of the histograms in seconds: those of [`REQUEST_DURATION_MS`](super::REQUEST_DURATION_MS) with less
/// detail, up to the same two minutes.
pub const WAIT_BUCKETS_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

metric!(
    CIRCUIT_BREAKER_OPENED_TOTAL,
    "circuit_breaker_opened_total",
    Counter,
    Count,
    PER_ENDPOINT,
    "Times the circuit breaker went from closed or half-open to open.",
    "Does the breaker flap between two scrapes?"
);
metric!(
    CIRCUIT_BREAKER_STATE,
    "circuit_breaker_state",
    Gauge,
    Flag,
    PER_BREAKER_STATE,
    "State of the circuit breaker: 1 for the one it is in, 0 for the others.",
    "Is this endpoint cut off, or is it being tried again?"
);
metric!(
    CIRCUIT_BREAKER_TRANSITIONS_TOTAL,
    "circuit_breaker_transitions_total",
    Counter,
    Count,
    PER_BREAKER_STATE,
    "Times the circuit breaker went into the state.",
    "Does the breaker recover, or fall back each time it is tried?"
);
metric!(
    QUEUE_LIMIT,
    "queue_limit",
    Gauge,
    Count,
    PER_POOL,
    "Callers that may wait at most; one more is rejected at once.",
    "How close is the queue to rejecting?"
);
metric!(
    QUEUE_WAIT_SECONDS,
    "queue_wait_seconds",
    Histogram,
    Seconds,
    PER_POOL,
    "Time that callers stood in the queue, whether they got a slot in the end or not; those served at once and those who \
     went away are not counted.",
    "How long do callers wait who have to wait?",
    buckets: WAIT_BUCKETS_SECONDS,
    otel: "db.client.connection.wait_time"
);
metric!(
    REJECTIONS_TOTAL,
    "rejections_total",
    Counter,
    Count,
    PER_REJECTION,
    "Callers that got no connection, by reason; a call that tries again counts each time.",
    "Why are callers turned away: the queue, the endpoints or the time?"
);
metric!(
    RETRIES_TOTAL,
    "retries_total",
    Counter,
    Count,
    PER_POOL,
    "Attempts begun because the one before had failed.",
    "How many calls cost more than one request?"
);
metric!(
    HEDGES_TOTAL,
    "hedges_total",
    Counter,
    Count,
    PER_POOL,
    "Second attempts sent elsewhere because the first took long.",
    "What does hedging cost?"
);
metric!(
    HEDGES_WON_TOTAL,
    "hedges_won_total",
    Counter,
    Count,
    PER_POOL,
    "Hedges that answered before the first attempt did.",
    "Is hedging worth it?"
);
metric!(
    HEDGES_LOST_TOTAL,
    "hedges_lost_total",
    Counter,
    Count,
    PER_POOL,
    "Hedges that came to nothing: beaten by the first attempt, failed, or given up by the caller.",
    "How many hedges are sent for nothing?"
);
metric!(
    HEDGE_BUDGET_EXHAUSTED_TOTAL,
    "hedge_budget_exhausted_total",
    Counter,
    Count,
    PER_POOL,
    "Hedges that were due while the budget was spent; they were not sent.",
    "Is hedging held back when it is needed?"
);
metric!(
    RETRY_BUDGET_EXHAUSTED_TOTAL,
    "retry_budget_exhausted_total",
    Counter,
    Count,
    PER_POOL,
    "Retries and hedges that were wanted while their budget was spent.",
    "Do retries run into their limit?"
);
metric!(
    LEASE_LEAKS_TOTAL,
    "lease_leaks_total",
    Counter,
    Count,
    PER_POOL,
    "Leases that were held for longer than leak_after.",
    "Does the relayer forget to give connections back?"
);
metric!(
    PANIC_THRESHOLD_ACTIVE,
    "panic_threshold_active",
    Gauge,
    Flag,
    PER_POOL,
    "1 while endpoints with a poor record are used, because too few others are left.",
    "Does the pool send requests to endpoints that it would rather not use?"
);
metric!(
    RECONFIGURATIONS_TOTAL,
    "reconfigurations_total",
    Counter,
    Count,
    PER_UPDATE,
    "Times that other settings were given to the pool while it ran, by what became of them.",
    "Did my new settings arrive?"
);
metric!(
    CONCURRENCY_LIMIT,
    "concurrency_limit",
    Gauge,
    Slots,
    PER_ENDPOINT,
    "Requests that the endpoint probably bears at once, learned from its answers; as many as it admits while nothing speaks against it.",
    "Does this endpoint work on as many requests at once as it is given, or do they wait there?"
);
metric!(
    EJECTION_STATUS,
    "ejection_status",
    Gauge,
    Flag,
    PER_ENDPOINT,
    "1 while the endpoint is left out because it stands out among the others.",
    "Is this endpoint left out although its checks pass?"
);
metric!(
    EJECTIONS_TOTAL,
    "ejections_total",
    Counter,
    Count,
    PER_ENDPOINT,
    "Times that the endpoint was left out because it stood out among the others.",
    "Which endpoint is again and again worse than the others?"
);
metric!(
    THROTTLE_STATUS,
    "throttle_status",
    Gauge,
    Flag,
    PER_ENDPOINT,
    "1 while the endpoint is throttled: it or its provider asked for a pause, or a quota is spent.",
    "Is this endpoint out of the choice because of its rate limit?"
);
metric!(
    THROTTLES_TOTAL,
    "throttles_total",
    Counter,
    Count,
    PER_THROTTLE,
    "Times that the endpoint was throttled, by cause.",
    "Do we run into our own quota, or does the provider stop us?"
);
metric!(
    QUOTA_LEFT,
    "quota_left",
    Gauge,
    Count,
    PER_ENDPOINT,
    "Units that can be taken now of the endpoint's quota or its provider's, whichever has fewer; 0 without a quota.",
    "How much of the quota is left?"
);
metric!(
    QUOTA_LIMIT,
    "quota_limit",
    Gauge,
    Count,
    PER_ENDPOINT,
    "The most that can be left of that quota; 0 without a quota.",
    "Is quota_left much or little?"
);
metric!(
    BLOCK_HEIGHT,
    "block_height",
    Gauge,
    Blocks,
    PER_ENDPOINT,
    "Height of the newest block that the endpoint reported to its health check; 0 before the first.",
    "Does this node keep up with the chain?"
);
metric!(
    BLOCK_LAG,
    "block_lag",
    Gauge,
    Blocks,
    PER_ENDPOINT,
    "Blocks that the endpoint was behind the others of its pool at its newest health check; 0 before the first.",
    "Does this node serve old data?"
);
metric!(
    HEAD_AGE_SECONDS,
    "head_age_seconds",
    Gauge,
    Seconds,
    PER_ENDPOINT,
    "Age of the newest block that the endpoint reported to its health check; 0 while it is not known, because no limit on \
     ages is set (max_lag_time, max_head_age).",
    "Is this node's head old, although its height is that of the others?"
);
metric!(
    REFERENCE_HEAD_AGE_SECONDS,
    "reference_head_age_seconds",
    Gauge,
    Seconds,
    PER_POOL,
    "Age of the head that most providers of the pool have, or a newer one; 0 while no endpoint tells its head's age.",
    "Does the chain itself stand still, or only a node?"
);
metric!(
    CONNECT_DURATION_SECONDS,
    "connect_duration_seconds",
    Histogram,
    Seconds,
    PER_ENDPOINT,
    "Time to open a connection, with DNS, TCP and TLS; failed and timed out ones included.",
    "Is the network to this endpoint slow, or the node?",
    buckets: WAIT_BUCKETS_SECONDS,
    otel: "db.client.connection.create_time"
);
metric!(
    HEALTH_CHECK_DURATION_SECONDS,
    "health_check_duration_seconds",
    Histogram,
    Seconds,
    PER_ENDPOINT,
    "Time of one health check, failed and timed out ones included.",
    "Does this endpoint get slow before it fails its checks?",
    buckets: WAIT_BUCKETS_SECONDS
);
metric!(
    CONNECTIONS_CLOSED_TOTAL,
    "connections_closed_total",
    Counter,
    Connections,
    PER_CLOSE,
    "Connections closed, by reason; all reasons together are connections_destroyed_total.",
    "Why are sockets thrown away?"
);
metric!(
    TIMEOUTS_BEYOND_BUCKETS,
    "timeouts_beyond_buckets",
    Gauge,
    Count,
    PER_POOL,
    "Time-outs in force (to acquire, to connect, of a health check, of a request where it is known) that lie beyond the last bucket of their histogram: its \
     percentiles read too low for what takes longer.",
    "Can I believe the percentiles?"
);
metric!(
    BUILD_INFO,
    "build_info",
    Gauge,
    Flag,
    PER_VERSION,
    "Always 1; the label says which version runs.",
    "Which version runs there?"
);
metric!(
    METRICS_OVERFLOW,
    "metrics_overflow",
    Gauge,
    Count,
    &[],
    "Metrics of which series are missing, because there are more endpoints than there was room made for; 0 when all are \
     shown.",
    "Do I see everything?"
);
