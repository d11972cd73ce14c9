//! Where notifications go. Secrets stand in files of their own, never in the spec.

use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Receivers by kind and name; a name is used once over all kinds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Receivers {
    /// HTTP POST of Alertmanager's JSON.
    pub webhook: IndexMap<String, Webhook>,
    /// Slack.
    pub slack: IndexMap<String, Slack>,
    /// PagerDuty.
    pub pagerduty: IndexMap<String, PagerDuty>,
    /// E-mail over SMTP.
    pub email: IndexMap<String, Email>,
    /// Discord. From Alertmanager 0.27.
    pub discord: IndexMap<String, Discord>,
    /// Telegram. From Alertmanager 0.26.
    pub telegram: IndexMap<String, Telegram>,
    /// Microsoft Teams, through a workflow. From Alertmanager 0.28.
    pub msteams: IndexMap<String, MsTeams>,
    /// Opsgenie.
    pub opsgenie: IndexMap<String, Opsgenie>,
}

/// HTTP POST of Alertmanager's JSON.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to post: `http` or `https`, without user, password or query, since Alertmanager shows it. Either this or
    /// `url_file`.
    #[serde(default)]
    pub url: Option<String>,
    /// File that holds the address, where whoever knows it may post. From Alertmanager 0.26.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// File that holds a bearer token. Default: none is sent.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// Whether resolved alerts are sent. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Slack.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// File that holds the incoming webhook's URL.
    pub api_url_file: PathBuf,
    /// Channel, `#name` or id.
    pub channel: String,
    /// Whether resolved alerts are sent. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// PagerDuty, Events API v2.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// File that holds the integration's routing key.
    pub routing_key_file: PathBuf,
    /// Whether resolved alerts close the incident. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// E-mail over SMTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// Address of the recipient, or several separated by commas.
    pub to: String,
    /// Address of the sender.
    pub from: String,
    /// `host:port` of the SMTP server.
    pub smarthost: String,
    /// User name at the SMTP server. Default: no authentication.
    #[serde(default)]
    pub auth_username: Option<String>,
    /// File that holds the password; needed with `auth_username`.
    #[serde(default)]
    pub auth_password_file: Option<PathBuf>,
    /// Whether the connection must be encrypted. Default true.
    #[serde(default = "yes")]
    pub require_tls: bool,
    /// Whether resolved alerts are sent. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Discord.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    /// File that holds the URL of the channel's webhook.
    pub webhook_url_file: PathBuf,
    /// Whether resolved alerts are sent. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Telegram.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telegram {
    /// File that holds the bot's token.
    pub bot_token_file: PathBuf,
    /// Id of the chat; groups and channels have negative ones.
    pub chat_id: i64,
    /// Id of the topic within a group. Default: none. From Alertmanager 0.28.
    #[serde(default)]
    pub message_thread_id: Option<i64>,
    /// Whether resolved alerts are sent. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Microsoft Teams, through a workflow that posts what a webhook receives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MsTeams {
    /// File that holds the workflow's URL.
    pub webhook_url_file: PathBuf,
    /// Whether resolved alerts are sent. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Opsgenie.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opsgenie {
    /// File that holds the integration's API key.
    pub api_key_file: PathBuf,
    /// Where the account is: `us` (default) or `eu`.
    #[serde(default)]
    pub region: OpsgenieRegion,
    /// Opsgenie's teams that respond. Default: those of the integration.
    #[serde(default)]
    pub teams: Vec<String>,
    /// Whether resolved alerts close the incident. Default true.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Where Opsgenie keeps an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OpsgenieRegion {
    /// Everywhere but Europe.
    #[default]
    Us,
    /// Europe.
    Eu,
}

fn yes() -> bool {
    true
}

impl Receivers {
    /// The kinds as the spec calls them, each with the names of its receivers, in the order of the file.
    pub(crate) fn by_kind(&self) -> [(&'static str, Vec<&str>); 8] {
        fn names<T>(receivers: &IndexMap<String, T>) -> Vec<&str> {
            receivers.keys().map(String::as_str).collect()
        }
        [
            ("webhook", names(&self.webhook)),
            ("slack", names(&self.slack)),
            ("pagerduty", names(&self.pagerduty)),
            ("email", names(&self.email)),
            ("discord", names(&self.discord)),
            ("telegram", names(&self.telegram)),
            ("msteams", names(&self.msteams)),
            ("opsgenie", names(&self.opsgenie)),
        ]
    }

    /// All names, in the order of the kinds and then of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_kind().into_iter().flat_map(|(_, names)| names)
    }
}
