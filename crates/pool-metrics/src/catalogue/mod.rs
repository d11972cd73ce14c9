//! The metric catalogue: the contract between the pool, the exposition, the rules and the dashboards.
//!
//! Every metric stands here once, with everything anybody needs to know about it. The instruments are made from it,
//! the alert rules and dashboards are generated from it, and the validator refuses an expression that names anything
//! outside it. It has no dependencies, so that the generator can use it without building a pool.

mod more;
mod promised;
mod values;

pub use more::*;
pub use promised::*;
pub use values::*;

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
    /// Seconds.
    Seconds,
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
    /// What each of them means, in the same order.
    pub meanings: &'static [&'static str],
    /// What the label says.
    pub help: &'static str,
}

/// A label with a closed set of values, out of a list of what has a `value` and a `help`.
macro_rules! closed {
    ($name:literal, $list:expr, $help:literal) => {
        Label {
            name: $name,
            values: &{
                let mut values = [""; $list.len()];
                let mut i = 0;
                while i < values.len() {
                    values[i] = $list[i].value;
                    i += 1;
                }
                values
            },
            meanings: &{
                let mut meanings = [""; $list.len()];
                let mut i = 0;
                while i < meanings.len() {
                    meanings[i] = $list[i].help;
                    i += 1;
                }
                meanings
            },
            help: $help,
        }
    };
}

const fn chosen(name: &'static str, help: &'static str) -> Label {
    Label {
        name,
        values: &[],
        meanings: &[],
        help,
    }
}

const POOL: Label = chosen("pool", "the pool's id, chosen by the operator");
const ENDPOINT: Label = chosen(
    "endpoint",
    "the endpoint's id, chosen by the operator; never its URL, which carries the API key",
);

const PER_POOL: &[Label] = &[POOL];
const PER_ENDPOINT: &[Label] = &[POOL, ENDPOINT];

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
    /// The metric of OpenTelemetry's semantic conventions that says the same, with the attribute that narrows it, if there
    /// is one.
    pub otel: Option<&'static str>,
}

impl Metric {
    /// Whether the metric has the label.
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.name == name)
    }
}

macro_rules! metric {
    ($ident:ident, $short:literal, $kind:ident, $unit:ident, $labels:expr, $help:literal, $question:literal $(, buckets: $buckets:expr)? $(, otel: $otel:literal)? $(,)?) => {
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
            otel: { let _name: Option<&'static str> = None; $(let _name = Some($otel);)? _name },
        };
    };
}
use closed;
use metric;

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
    CIRCUIT_BREAKER_STATE,
    CIRCUIT_BREAKER_TRANSITIONS_TOTAL,
    QUEUE_LIMIT,
    QUEUE_WAIT_SECONDS,
    REJECTIONS_TOTAL,
    RETRIES_TOTAL,
    HEDGES_TOTAL,
    HEDGES_WON_TOTAL,
    HEDGES_LOST_TOTAL,
    HEDGE_BUDGET_EXHAUSTED_TOTAL,
    RETRY_BUDGET_EXHAUSTED_TOTAL,
    LEASE_LEAKS_TOTAL,
    PANIC_THRESHOLD_ACTIVE,
    RECONFIGURATIONS_TOTAL,
    CONCURRENCY_LIMIT,
    EJECTION_STATUS,
    EJECTIONS_TOTAL,
    THROTTLE_STATUS,
    THROTTLES_TOTAL,
    QUOTA_LEFT,
    QUOTA_LIMIT,
    BLOCK_HEIGHT,
    BLOCK_LAG,
    HEAD_AGE_SECONDS,
    REFERENCE_HEAD_AGE_SECONDS,
    CONNECT_DURATION_SECONDS,
    HEALTH_CHECK_DURATION_SECONDS,
    CONNECTIONS_CLOSED_TOTAL,
    TIMEOUTS_BEYOND_BUCKETS,
    BUILD_INFO,
    METRICS_OVERFLOW,
];

/// Finds a metric by its exposed name (without `_bucket`, `_sum`, `_count`).
pub fn by_name(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}
