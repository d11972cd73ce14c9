//! Recording rules: what the objectives are reckoned from, once a minute instead of from raw series of days.

use pool_metrics::catalogue::{self, ERROR_TYPES, Fault};

use crate::{alert::number, duration::PromDuration, spec::Spec};

/// One recorded series per relayer and pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    /// Attempts per second.
    Attempts,
    /// Attempts per second that failed through a node.
    NodeErrors,
    /// Attempts per second that took longer than the objective allows.
    Slow,
}

/// Labels of every recorded series.
pub(crate) const LABELS: [&str; 2] = ["instance", "pool"];
/// How far a recorded rate looks back.
const WINDOW: PromDuration = PromDuration::from_secs(300);
/// How often they are recorded, and the slow alerts evaluated: days of samples are then few.
pub(crate) const INTERVAL: PromDuration = PromDuration::from_secs(60);

impl Recording {
    pub(crate) const ALL: [Self; 3] = [Self::Attempts, Self::NodeErrors, Self::Slow];

    /// `level:metric:operations`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "instance_pool:fusion_connection_pool_requests:rate5m",
            Self::NodeErrors => "instance_pool:fusion_connection_pool_node_errors:rate5m",
            Self::Slow => "instance_pool:fusion_connection_pool_slow_requests:rate5m",
        }
    }

    /// What it says, in a few words.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Attempts => "attempts per second of the pool",
            Self::NodeErrors => "attempts per second that failed through a node",
            Self::Slow => "attempts per second that took longer than the objective allows",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recording| recording.name() == name)
    }

    /// Folds the jobs per endpoint first, then adds up the endpoints of the pool.
    pub(crate) fn expr(self, spec: &Spec) -> String {
        let window = spec.scaled(WINDOW);
        let endpoint = "max by (instance, pool, endpoint)";
        let inner = match self {
            Self::Attempts => format!("{endpoint} (rate({}[{window}]))", catalogue::REQUESTS_TOTAL.name),
            Self::NodeErrors => format!(
                "max by (instance, pool, endpoint, error_type) (rate({}{{error_type=~\"{}\"}}[{window}]))",
                catalogue::ERRORS_TOTAL.name,
                node_faults()
            ),
            Self::Slow => format!(
                "{endpoint} (rate({metric}_count[{window}]))\n  -\n  {endpoint} (rate({metric}_bucket{{le=~\"{le}(\\\\.0)?\"}}[{window}]))",
                metric = catalogue::REQUEST_DURATION_MS.name,
                le = number(spec.slo.latency_ms).replace('.', "\\\\."),
            ),
        };
        format!("sum by ({}) (\n  {inner}\n)", LABELS.join(", "))
    }
}

/// Values of `error_type` that are the node's fault, as a regular expression.
pub(crate) fn node_faults() -> String {
    let values: Vec<&str> = ERROR_TYPES
        .iter()
        .filter(|error| error.fault == Fault::Node)
        .map(|error| error.value)
        .collect();
    values.join("|")
}
