//! Grafana's provisioning files.

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Datasources {
    #[serde(rename = "apiVersion")]
    pub(crate) api_version: u32,
    pub(crate) datasources: Vec<Datasource>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Datasource {
    pub(crate) name: String,
    pub(crate) uid: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) access: String,
    pub(crate) url: String,
    pub(crate) is_default: bool,
    pub(crate) editable: bool,
    pub(crate) json_data: DatasourceOptions,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DatasourceOptions {
    /// What `$__rate_interval` is computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_interval: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_method: Option<String>,
    /// Which Alertmanager a datasource of type `alertmanager` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) implementation: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DashboardProviders {
    #[serde(rename = "apiVersion")]
    pub(crate) api_version: u32,
    pub(crate) providers: Vec<DashboardProvider>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DashboardProvider {
    pub(crate) name: String,
    pub(crate) folder: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) disable_deletion: bool,
    pub(crate) allow_ui_updates: bool,
    pub(crate) update_interval_seconds: u32,
    pub(crate) options: ProviderOptions,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderOptions {
    pub(crate) path: String,
}
