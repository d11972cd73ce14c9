//! Alertmanager's configuration, as far as we write it; every key is known to 0.25 and 0.33, unless it says otherwise.

use serde::{Deserialize, Serialize};

use crate::duration::PromDuration;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertmanagerConfig {
    pub(crate) global: Global,
    pub(crate) route: Route,
    pub(crate) inhibit_rules: Vec<InhibitRule>,
    pub(crate) receivers: Vec<Receiver>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Global {
    pub(crate) resolve_timeout: PromDuration,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    pub(crate) receiver: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) matchers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) group_by: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group_wait: Option<PromDuration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group_interval: Option<PromDuration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repeat_interval: Option<PromDuration>,
    #[serde(rename = "continue", default, skip_serializing_if = "is_false")]
    pub(crate) continue_: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) routes: Vec<Self>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InhibitRule {
    pub(crate) source_matchers: Vec<String>,
    pub(crate) target_matchers: Vec<String>,
    pub(crate) equal: Vec<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) webhook_configs: Vec<WebhookConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) slack_configs: Vec<SlackConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pagerduty_configs: Vec<PagerDutyConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) email_configs: Vec<EmailConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// From 0.26.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url_file: Option<String>,
    pub(crate) send_resolved: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_config: Option<HttpConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpConfig {
    pub(crate) authorization: Authorization,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorization {
    pub(crate) credentials_file: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackConfig {
    pub(crate) api_url_file: String,
    pub(crate) channel: String,
    pub(crate) send_resolved: bool,
    pub(crate) title: String,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagerDutyConfig {
    pub(crate) routing_key_file: String,
    pub(crate) send_resolved: bool,
    pub(crate) severity: String,
    pub(crate) description: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailConfig {
    pub(crate) to: String,
    pub(crate) from: String,
    pub(crate) smarthost: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_password_file: Option<String>,
    pub(crate) require_tls: bool,
    pub(crate) send_resolved: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}
