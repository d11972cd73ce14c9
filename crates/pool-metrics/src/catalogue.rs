//! The metric catalogue: the contract between the pool, the exposition, the rules and the dashboards.
//!
//! Every metric stands here once, with everything anybody needs to know about it. The instruments are made from it,
//! the alert rules and dashboards are generated from it, and the validator refuses an expression that names anything
//! outside it. It has no dependencies, so that the generator can use it without building a pool.

/// Prefix that all metric names share.
pub const PREFIX: &str = "fusion_connection_pool_";

/// Scrape job that carries the relayer's own series (process, runtime); the pool's series are dropped from it.
pub const JOB_RELAYER: &str = "fusion-relayer";

/// Scrape job that carries the pool's series and nothing else.
pub const JOB_POOLS: &str = "connection-pools";

/// How a metric is exposed to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; 0 when the process starts. Stands at 0 from registration for every known label value, because
    /// a counter first seen at 1 never had a rate.
    Counter,
    /// Cumulative buckets, `_sum` and `_count`.
    Histogram,
}

/// What one unit of the value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Sockets.
    Connections,
    /// Places for requests.
    Slots,
    /// Requests, attempts, checks, events.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// 0 or 1.
    Flag,
    /// A ratio or weight without a unit.
    Ratio,
    /// Blocks.
    Blocks,
}

/// A label and, where its values are a closed set, those values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The label's name.
    pub name: &'static str,
    /// All values the label can have; empty when the operator chooses them.
    pub values: &'static [&'static str],
    /// What the label says.
    pub help: &'static str,
}

/// Whose fault an error is. Only [`Fault::Node`] enters error rates and objectives: a revert pages nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The node, its provider or the network to it.
    Node,
    /// The caller's request could not have succeeded anywhere.
    Caller,
    /// This process: its deadline, its resources.
    Local,
}

/// One value of the label `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorType {
    /// The label value.
    pub value: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// What it means to the person on call.
    pub help: &'static str,
}

/// The closed set of values of `error_type`. The pool's own enum is checked against it by a test.
pub const ERROR_TYPES: &[ErrorType] = &[
    ErrorType {
        value: "connect",
        fault: Fault::Node,
        help: "the connection could not be opened (DNS, TCP or TLS)",
    },
    ErrorType {
        value: "timeout",
        fault: Fault::Node,
        help: "no complete answer within the request time-out",
    },
    ErrorType {
        value: "transport",
        fault: Fault::Node,
        help: "the connection broke while a request was on it",
    },
    ErrorType {
        value: "http_status",
        fault: Fault::Node,
        help: "an HTTP error status without a JSON-RPC body",
    },
    ErrorType {
        value: "malformed",
        fault: Fault::Node,
        help: "the answer was not valid JSON-RPC",
    },
    ErrorType {
        value: "rate_limited",
        fault: Fault::Node,
        help: "the provider throttled the request",
    },
    ErrorType {
        value: "unauthorized",
        fault: Fault::Node,
        help: "the provider refused the credentials or the plan",
    },
    ErrorType {
        value: "unavailable",
        fault: Fault::Node,
        help: "the node lacks the data: syncing, lagging or pruned",
    },
    ErrorType {
        value: "unsupported",
        fault: Fault::Node,
        help: "this node does not offer the method",
    },
    ErrorType {
        value: "node_internal",
        fault: Fault::Node,
        help: "the node answered with an internal error",
    },
    ErrorType {
        value: "invalid_request",
        fault: Fault::Caller,
        help: "the request is wrong wherever it is sent",
    },
    ErrorType {
        value: "reverted",
        fault: Fault::Caller,
        help: "the execution reverted",
    },
    ErrorType {
        value: "tx_rejected",
        fault: Fault::Caller,
        help: "the transaction was refused on its merits (nonce, funds, price)",
    },
    ErrorType {
        value: "deadline",
        fault: Fault::Local,
        help: "the caller's deadline passed before the node's time-out",
    },
    ErrorType {
        value: "local",
        fault: Fault::Local,
        help: "this process could not do its part (for instance, out of file descriptors)",
    },
];

const ERROR_TYPE_VALUES: &[&str] = &{
    let mut values = [""; ERROR_TYPES.len()];
    let mut i = 0;
    while i < values.len() {
        values[i] = ERROR_TYPES[i].value;
        i += 1;
    }
    values
};

const POOL: Label = Label {
    name: "pool",
    values: &[],
    help: "the pool's id, chosen by the operator",
};
const ENDPOINT: Label = Label {
    name: "endpoint",
    values: &[],
    help: "the endpoint's id, chosen by the operator; never its URL, which carries the API key",
};
const ERROR_TYPE: Label = Label {
    name: "error_type",
    values: ERROR_TYPE_VALUES,
    help: "class of the error",
};

const PER_POOL: &[Label] = &[POOL];
const PER_ENDPOINT: &[Label] = &[POOL, ENDPOINT];
const PER_ERROR: &[Label] = &[POOL, ENDPOINT, ERROR_TYPE];

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Name without [`PREFIX`].
    pub short_name: &'static str,
    /// Full name, exactly as exposed.
    pub name: &'static str,
    /// How it is exposed.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// Its labels, in the order in which they are exposed.
    pub labels: &'static [Label],
    /// The HELP text.
    pub help: &'static str,
    /// The operator's question that it answers.
    pub question: &'static str,
    /// Finite upper bounds of the buckets, ascending; empty unless a histogram.
    pub buckets: &'static [f64],
    /// The first version of this project that had it.
    pub since: &'static str,
}

impl Metric {
    /// Whether the metric has the label.
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.name == name)
    }
}

macro_rules! metric {
    ($ident:ident, $short:literal, $kind:ident, $unit:ident, $labels:expr, $help:literal, $question:literal $(, $buckets:expr)?) => {
        #[doc = $help]
        pub const $ident: Metric = Metric {
            short_name: $short,
            name: concat!("fusion_connection_pool_", $short),
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: $labels,
            help: $help,
            question: $question,
            buckets: { const EMPTY: &[f64] = &[]; let _b = EMPTY; $(let _b = $buckets;)? _b },
            since: "0.1.0",
        };
    };
}

/// Bucket bounds of [`REQUEST_DURATION_MS`]. The last lies above every request time-out a pool accepts, because a
/// histogram that ends below the time-out cannot show p99; 1000 is the default latency threshold, so that the
/// fraction above it is exact.
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
    "How many sockets does this endpoint hold?"
);
metric!(
    CONNECTIONS_ACTIVE,
    "connections_active",
    Gauge,
    Connections,
    PER_ENDPOINT,
    "Connections that carry at least one request.",
    "How many sockets are at work?"
);
metric!(
    CONNECTIONS_IDLE,
    "connections_idle",
    Gauge,
    Connections,
    PER_ENDPOINT,
    "Connections that are open and free.",
    "How many sockets are ready?"
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
    REQUEST_DURATION_BUCKETS_MS
);
metric!(
    QUEUE_SIZE,
    "queue_size",
    Gauge,
    Count,
    PER_POOL,
    "Callers that wait for a slot now.",
    "Is demand above capacity?"
);
metric!(
    QUEUE_TIMEOUTS_TOTAL,
    "queue_timeouts_total",
    Counter,
    Count,
    PER_POOL,
    "Callers that ran out of time in the queue, or were told at once that no slot could come in time.",
    "Are callers turned away by time?"
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
    "How many sockets may this endpoint hold?"
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
    QUEUE_LIMIT,
    "queue_limit",
    Gauge,
    Count,
    PER_POOL,
    "Callers that may wait at most; one more is rejected at once.",
    "How close is the queue to rejecting?"
);
metric!(
    QUEUE_REJECTIONS_TOTAL,
    "queue_rejections_total",
    Counter,
    Count,
    PER_POOL,
    "Callers rejected because the queue was full.",
    "Are callers turned away at the door?"
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

/// Every metric, the fourteen frozen ones and the five of capacity first.
pub const METRICS: &[Metric] = &[
    CONNECTIONS_TOTAL,
    CONNECTIONS_ACTIVE,
    CONNECTIONS_IDLE,
    REQUESTS_TOTAL,
    REQUEST_DURATION_MS,
    QUEUE_SIZE,
    QUEUE_TIMEOUTS_TOTAL,
    HEALTH_STATUS,
    CIRCUIT_BREAKER_STATUS,
    ENDPOINT_WEIGHT,
    ERRORS_TOTAL,
    HEALTH_CHECK_FAILURES_TOTAL,
    CONNECTIONS_CREATED_TOTAL,
    CONNECTIONS_DESTROYED_TOTAL,
    CONNECTIONS_MAX,
    SLOTS_ACTIVE,
    SLOTS_MAX,
    SLOTS_USABLE,
    SLOTS_FREE,
    CIRCUIT_BREAKER_OPENED_TOTAL,
    QUEUE_LIMIT,
    QUEUE_REJECTIONS_TOTAL,
    BLOCK_HEIGHT,
    RETRIES_TOTAL,
    HEDGES_TOTAL,
    HEDGES_WON_TOTAL,
    RETRY_BUDGET_EXHAUSTED_TOTAL,
    LEASE_LEAKS_TOTAL,
];

/// Finds a metric by its exposed name (without `_bucket`, `_sum`, `_count`).
pub fn by_name(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}
