//! Alertmanager's configuration, as far as we write it; every key is known to 0.25 and 0.33, unless it says otherwise.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{duration::PromDuration, spec::Schedule};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertmanagerConfig {
    pub(crate) global: Global,
    pub(crate) templates: Vec<String>,
    pub(crate) route: Route,
    pub(crate) inhibit_rules: Vec<InhibitRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) time_intervals: Vec<TimeInterval>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mute_time_intervals: Vec<String>,
    #[serde(rename = "continue", default, skip_serializing_if = "is_false")]
    pub(crate) continue_: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) routes: Vec<Self>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InhibitRule {
    /// From 0.30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) source_matchers: Vec<String>,
    pub(crate) target_matchers: Vec<String>,
    pub(crate) equal: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeInterval {
    pub(crate) name: String,
    pub(crate) time_intervals: Vec<Schedule>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) discord_configs: Vec<DiscordConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) telegram_configs: Vec<TelegramConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) msteamsv2_configs: Vec<MsTeamsConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) opsgenie_configs: Vec<OpsgenieConfig>,
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
    pub(crate) color: String,
    pub(crate) title: String,
    pub(crate) title_link: String,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagerDutyConfig {
    pub(crate) routing_key_file: String,
    pub(crate) send_resolved: bool,
    pub(crate) severity: String,
    pub(crate) class: String,
    pub(crate) component: String,
    pub(crate) description: String,
    pub(crate) details: IndexMap<String, String>,
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
    pub(crate) headers: IndexMap<String, String>,
    /// Empty: a mail of plain text, which every client on every screen shows as it is.
    pub(crate) html: String,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscordConfig {
    /// From 0.27.
    pub(crate) webhook_url_file: String,
    pub(crate) send_resolved: bool,
    pub(crate) title: String,
    pub(crate) message: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelegramConfig {
    /// From 0.26.
    pub(crate) bot_token_file: String,
    pub(crate) chat_id: i64,
    /// From 0.28.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_thread_id: Option<i64>,
    pub(crate) send_resolved: bool,
    /// Empty: plain text, in which nothing needs escaping.
    pub(crate) parse_mode: String,
    pub(crate) message: String,
}

/// From 0.28.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MsTeamsConfig {
    pub(crate) webhook_url_file: String,
    pub(crate) send_resolved: bool,
    pub(crate) title: String,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpsgenieConfig {
    pub(crate) api_key_file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_url: Option<String>,
    pub(crate) send_resolved: bool,
    pub(crate) message: String,
    pub(crate) description: String,
    pub(crate) priority: String,
    pub(crate) tags: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) responders: Vec<Responder>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Responder {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

fn is_false(value: &bool) -> bool {
    !value
}
