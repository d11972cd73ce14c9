//! `prometheus.yml`, as far as we write it; every key is known to Prometheus 2.42 and 3.5.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::duration::PromDuration;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrometheusConfig {
    pub(crate) global: Global,
    pub(crate) rule_files: Vec<String>,
    pub(crate) alerting: Alerting,
    pub(crate) scrape_configs: Vec<ScrapeConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Global {
    pub(crate) scrape_interval: PromDuration,
    pub(crate) scrape_timeout: PromDuration,
    pub(crate) evaluation_interval: PromDuration,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) external_labels: IndexMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerting {
    pub(crate) alertmanagers: Vec<AlertmanagerTarget>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertmanagerTarget {
    pub(crate) static_configs: Vec<StaticConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScrapeConfig {
    pub(crate) job_name: String,
    pub(crate) static_configs: Vec<StaticConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metric_relabel_configs: Vec<RelabelConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticConfig {
    pub(crate) targets: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelabelConfig {
    pub(crate) source_labels: Vec<String>,
    pub(crate) regex: String,
    pub(crate) action: RelabelAction,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RelabelAction {
    Keep,
    Drop,
}
