//! The objectives.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the pools owe their callers. The burn-rate alerts watch both objectives over 30 days.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Slo {
    /// Share of the attempts that must not fail through a node. 0.95 to 0.99999, default 0.999.
    pub availability: f64,
    /// Share of the attempts that must end within `latency_ms`. 0.95 to 0.99999, default 0.99.
    pub latency: f64,
    /// Milliseconds; one of the bounds of the histogram's buckets. Default 1000.
    pub latency_ms: f64,
    /// Attempts per second, as a mean over the longer window, below which the burn-rate alerts keep silent. Default 0.1.
    pub min_rate: f64,
}

impl Default for Slo {
    fn default() -> Self {
        Self {
            availability: 0.999,
            latency: 0.99,
            latency_ms: 1000.0,
            min_rate: 0.1,
        }
    }
}
