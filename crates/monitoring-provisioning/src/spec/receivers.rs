//! Where notifications go. Secrets stand in files of their own, never in the spec.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Spec;

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

fn yes() -> bool {
    true
}

/// A file that a receiver needs and that must exist before Alertmanager starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The receiver's name.
    pub receiver: String,
    /// The setting that names the file.
    pub key: &'static str,
    /// The path as the spec gives it.
    pub path: PathBuf,
    /// The path from the working directory of whoever loaded the spec.
    pub resolved: PathBuf,
}

impl Receivers {
    /// All names, in the order of the kinds and then of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.webhook
            .keys()
            .chain(self.slack.keys())
            .chain(self.pagerduty.keys())
            .chain(self.email.keys())
            .map(String::as_str)
    }
}

impl Spec {
    /// Every secret file that a receiver names, so that a caller can check and mount it.
    pub fn secret_files(&self) -> Vec<SecretFile> {
        let base = self.source.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        let mut add = |receiver: &str, key, path: Option<&PathBuf>| {
            files.extend(path.map(|path| SecretFile {
                receiver: receiver.to_owned(),
                key,
                path: path.clone(),
                resolved: base.join(path),
            }));
        };
        for (name, webhook) in &self.receivers.webhook {
            add(name, "url_file", webhook.url_file.as_ref());
            add(name, "credentials_file", webhook.credentials_file.as_ref());
        }
        for (name, slack) in &self.receivers.slack {
            add(name, "api_url_file", Some(&slack.api_url_file));
        }
        for (name, pagerduty) in &self.receivers.pagerduty {
            add(name, "routing_key_file", Some(&pagerduty.routing_key_file));
        }
        for (name, email) in &self.receivers.email {
            add(name, "auth_password_file", email.auth_password_file.as_ref());
        }
        files
    }
}
