//! The metrics that were promised from the start: the fourteen frozen ones, and the five of capacity.

use super::{ENDPOINT, ERROR_TYPES, Kind, Label, Metric, PER_ENDPOINT, PER_POOL, POOL, Unit, closed, metric};

const PER_ERROR: &[Label] = &[
    POOL,
    ENDPOINT,
    closed!("error_type", ERROR_TYPES, "class of the error"),
];

/// Bucket bounds of [`REQUEST_DURATION_MS`]. The last lies far above every default time-out, because a histogram that ends
/// below the time-out cannot show p99; 1000 is the default latency threshold, so that the fraction above it is exact.
pub const REQUEST_DURATION_BUCKETS_MS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0,
    60_000.0, 120_000.0,
];

metric!(
    CONNECTIONS_TOTAL,
    "connections_total",
    Gauge,
    Connections,
    PER_ENDPOINT,
    "Open connections, active and idle.",
    "How many sockets does this endpoint hold?",
    otel: "db.client.connection.count"
);
metric!(
    CONNECTIONS_ACTIVE,
    "connections_active",
    Gauge,
    Connections,
    PER_ENDPOINT,
    "Connections that carry at least one request.",
    "How many sockets are at work?",
    otel: "db.client.connection.count, db.client.connection.state = used"
);
metric!(
    CONNECTIONS_IDLE,
    "connections_idle",
    Gauge,
    Connections,
    PER_ENDPOINT,
    "Connections that are open and free.",
    "How many sockets are ready?",
    otel: "db.client.connection.count, db.client.connection.state = idle"
);
metric!(
    REQUESTS_TOTAL,
    "requests_total",
    Counter,
    Count,
    PER_ENDPOINT,
    "Attempts that ended, successful or not; cancelled ones are not counted.",
    "How much traffic does this endpoint serve?"
);
metric!(
    REQUEST_DURATION_MS,
    "request_duration_ms",
    Histogram,
    Milliseconds,
    PER_ENDPOINT,
    "Latency of one attempt in milliseconds, failed and timed out ones included; queueing and connecting excluded.",
    "How slow is this endpoint?",
    buckets: REQUEST_DURATION_BUCKETS_MS,
    otel: "db.client.connection.use_time"
);
metric!(
    QUEUE_SIZE,
    "queue_size",
    Gauge,
    Count,
    PER_POOL,
    "Callers that wait for a slot now.",
    "Is demand above capacity?",
    otel: "db.client.connection.pending_requests"
);
metric!(
    QUEUE_TIMEOUTS_TOTAL,
    "queue_timeouts_total",
    Counter,
    Count,
    PER_POOL,
    "Callers that ran out of time in the queue, or were told at once that no slot could come in time.",
    "Are callers turned away by time?",
    otel: "db.client.connection.timeouts"
);
metric!(
    HEALTH_STATUS,
    "health_status",
    Gauge,
    Flag,
    PER_ENDPOINT,
    "Health of the endpoint: 0 healthy, 1 unhealthy or not yet checked.",
    "Can this endpoint be used?"
);
metric!(
    CIRCUIT_BREAKER_STATUS,
    "circuit_breaker_status",
    Gauge,
    Flag,
    PER_ENDPOINT,
    "Circuit breaker of the endpoint: 0 closed, 1 open or half-open.",
    "Has this endpoint been cut off?"
);
metric!(
    ENDPOINT_WEIGHT,
    "endpoint_weight",
    Gauge,
    Ratio,
    PER_ENDPOINT,
    "Effective weight of the endpoint in balancing; 0 when it may not be picked.",
    "Which share of traffic is this endpoint meant to get?"
);
metric!(
    ERRORS_TOTAL,
    "errors_total",
    Counter,
    Count,
    PER_ERROR,
    "Attempts that failed, by class of error; at most one per attempt.",
    "What goes wrong, and whose fault is it?"
);
metric!(
    HEALTH_CHECK_FAILURES_TOTAL,
    "health_check_failures_total",
    Counter,
    Count,
    PER_ENDPOINT,
    "Active health checks that failed.",
    "Does this endpoint fail its checks?"
);
metric!(
    CONNECTIONS_CREATED_TOTAL,
    "connections_created_total",
    Counter,
    Connections,
    PER_ENDPOINT,
    "Connections opened.",
    "How often is a socket opened?"
);
metric!(
    CONNECTIONS_DESTROYED_TOTAL,
    "connections_destroyed_total",
    Counter,
    Connections,
    PER_ENDPOINT,
    "Connections closed, for whatever reason.",
    "How often is a socket thrown away?"
);
metric!(
    CONNECTIONS_MAX,
    "connections_max",
    Gauge,
    Connections,
    PER_ENDPOINT,
    "Limit on open connections.",
    "How many sockets may this endpoint hold?",
    otel: "db.client.connection.max"
);
metric!(
    SLOTS_ACTIVE,
    "slots_active",
    Gauge,
    Slots,
    PER_ENDPOINT,
    "Requests admitted to the endpoint now.",
    "How loaded is this endpoint?"
);
metric!(
    SLOTS_MAX,
    "slots_max",
    Gauge,
    Slots,
    PER_ENDPOINT,
    "Requests that the endpoint admits at most.",
    "How much can this endpoint take?"
);
metric!(
    SLOTS_USABLE,
    "slots_usable",
    Gauge,
    Slots,
    PER_POOL,
    "Slots of the endpoints that may be picked now (healthy, breaker closed, not throttled).",
    "How much capacity has the pool right now?"
);
metric!(
    SLOTS_FREE,
    "slots_free",
    Gauge,
    Slots,
    PER_POOL,
    "Usable slots that can be given out right now.",
    "Is anything left to give?"
);
