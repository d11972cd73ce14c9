//! How much of the machine a container may take.

use schemars::JsonSchema;
use serde::Deserialize;

/// Limits of the containers. A native stack has none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Default: none.
    pub prometheus: Limits,
    /// Default: none.
    pub alertmanager: Limits,
    /// Default: none.
    pub grafana: Limits,
    /// Default: none.
    pub node_exporter: Limits,
}

/// Limits of one container.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory, beyond which it is ended and started anew: `512m`, `2g`. At least 32m.
    pub memory: Option<String>,
    /// Cores, also parts of one: 0.5.
    pub cpus: Option<f64>,
}

impl Limits {
    /// The memory in bytes; `None` where it can't be read.
    pub(crate) fn bytes(memory: &str) -> Option<u64> {
        let (digits, unit) = memory.split_at(memory.find(|c: char| !c.is_ascii_digit())?);
        let shift = match unit {
            "k" => 10,
            "m" => 20,
            "g" => 30,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(1 << shift)
    }
}
