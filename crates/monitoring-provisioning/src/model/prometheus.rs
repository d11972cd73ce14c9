//! `prometheus.yml`, as far as we write it; every key is known to Prometheus 2.42 and 3.5, unless it says otherwise.

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) remote_write: Vec<RemoteWrite>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Global {
    pub(crate) scrape_interval: PromDuration,
    pub(crate) scrape_timeout: PromDuration,
    pub(crate) evaluation_interval: PromDuration,
    /// From 2.49.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scrape_protocols: Vec<String>,
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

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScrapeConfig {
    pub(crate) job_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) static_configs: Vec<StaticConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) file_sd_configs: Vec<FileSd>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns_sd_configs: Vec<DnsSd>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) docker_sd_configs: Vec<DockerSd>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kubernetes_sd_configs: Vec<KubernetesSd>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) relabel_configs: Vec<RelabelConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metric_relabel_configs: Vec<RelabelConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticConfig {
    pub(crate) targets: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSd {
    pub(crate) files: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsSd {
    pub(crate) names: Vec<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DockerSd {
    pub(crate) host: String,
    /// Of a container that exposes no port.
    pub(crate) port: u16,
    pub(crate) filters: Vec<DockerFilter>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DockerFilter {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KubernetesSd {
    pub(crate) role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kubeconfig_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespaces: Option<Namespaces>,
    pub(crate) selectors: Vec<KubernetesSelector>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespaces {
    pub(crate) names: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KubernetesSelector {
    pub(crate) role: String,
    pub(crate) label: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelabelConfig {
    pub(crate) source_labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) separator: Option<String>,
    pub(crate) regex: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replacement: Option<String>,
    pub(crate) action: RelabelAction,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RelabelAction {
    #[default]
    Replace,
    Keep,
    Drop,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteWrite {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization: Option<Authorization>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) basic_auth: Option<BasicAuth>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorization {
    pub(crate) credentials_file: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuth {
    pub(crate) username: String,
    pub(crate) password_file: String,
}
