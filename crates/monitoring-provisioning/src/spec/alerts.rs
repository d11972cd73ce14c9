//! The alerts as the operator may adjust them.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::PromDuration;

macro_rules! alert_names {
    ($($name:ident),* $(,)?) => {
        /// Name of an alert. Those of the first ten are frozen, with their severities and meanings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum AlertName {
            $(#[doc = concat!("`", stringify!($name), "`; its runbook says what it means.")] $name,)*
        }

        impl AlertName {
            /// Whether the alert fires all the time, to prove that alerts arrive at all.
            pub const fn always_fires(self) -> bool {
                matches!(self, Self::DeadMansSwitch)
            }

            /// Whether it is one of the first ten, whose severity and meaning are fixed.
            pub fn is_frozen(self) -> bool {
                Self::ALL[..10].contains(&self)
            }

            /// Whether the alert watches over an objective, by the pace at which its budget burns.
            pub const fn is_burn_rate(self) -> bool {
                matches!(
                    self,
                    Self::PoolAvailabilityBurnFast
                        | Self::PoolAvailabilityBurnSlow
                        | Self::PoolLatencyBurnFast
                        | Self::PoolLatencyBurnSlow
                )
            }

            /// All of them, the ten frozen ones first.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// The name as Prometheus knows it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

alert_names!(
    ConnectionPoolExhausted,
    CircuitBreakerOpen,
    NoHealthyEndpoints,
    ConnectionPoolQueueTimeouts,
    ConnectionPoolHighUtilization,
    EndpointUnhealthy,
    ConnectionPoolHighErrorRate,
    ConnectionPoolHighLatency,
    ConnectionPoolQueueGrowing,
    ConnectionPoolHighChurn,
    RelayerDown,
    PoolMetricsMissing,
    NoRelayerScraped,
    ScrapeTargetDown,
    ConnectionLeak,
    RetryBudgetExhausted,
    EndpointBlockLag,
    EndpointThrottled,
    ReconfigurationFailed,
    PoolAvailabilityBurnFast,
    PoolAvailabilityBurnSlow,
    PoolLatencyBurnFast,
    PoolLatencyBurnSlow,
    DeadMansSwitch,
);

impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What of an alert is changed. An alert refuses a setting that it has no use for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertOverride {
    /// Whether the alert exists. Default true.
    pub enabled: Option<bool>,
    /// `critical` or `warning`; the first ten alerts keep theirs.
    pub severity: Option<String>,
    /// Whether alerts from which this one follows silence it. Default true.
    pub silenced: Option<bool>,
    /// How long the condition must hold before the alert fires.
    #[serde(rename = "for")]
    pub for_: Option<PromDuration>,
    /// Over which time the condition looks back; at least four scrapes.
    pub window: Option<PromDuration>,
    /// The limit; its unit is the alert's (share, milliseconds, waiters, seconds).
    pub threshold: Option<f64>,
    /// Another limit for single pools, by the pool's name; all others keep `threshold`. Default: none.
    pub pools: IndexMap<String, PoolOverride>,
    /// Least attempts per second below which the alert keeps silent.
    pub min_rate: Option<f64>,
    /// Least connections opened, and closed, within the window below which the alert keeps silent.
    pub min_count: Option<f64>,
    /// Another expression in place of ours, checked against the catalogue as ours is. It stands as it is: `time_scale`,
    /// `threshold` and the rest don't reach into it.
    pub expr: Option<String>,
    /// More labels on the alert.
    pub labels: IndexMap<String, String>,
    /// More annotations, which may use Prometheus' templates.
    pub annotations: IndexMap<String, String>,
}

/// What is different for one pool.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolOverride {
    /// The limit, in the alert's unit.
    pub threshold: f64,
}

/// An alert of the operator's own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnAlert {
    /// When it fires; checked against the catalogue as our own expressions are. It must keep the label `instance`.
    pub expr: String,
    /// How long the condition must hold. Default: not at all.
    #[serde(rename = "for", default)]
    pub for_: PromDuration,
    /// `critical` or `warning`.
    pub severity: String,
    /// One sentence for the notification's title.
    pub summary: String,
    /// What has happened, with the value.
    pub description: String,
    /// Default: `<links.runbook_base_url>/<name>.md`.
    #[serde(default)]
    pub runbook_url: Option<String>,
    /// More labels.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// More annotations.
    #[serde(default)]
    pub annotations: IndexMap<String, String>,
}
