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

/// The server that reads a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretOwner {
    /// For a receiver.
    Alertmanager,
    /// For a remote write, or to look for targets.
    Prometheus,
    /// For its administrator.
    Grafana,
}

/// A file that a server needs and that must exist before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The server that reads it.
    pub owner: SecretOwner,
    /// The path of the setting within the spec.
    pub(crate) place: String,
    /// The receiver's name; `remote-write-<index>` or `kubernetes-<index>` for Prometheus, `grafana`.
    pub receiver: String,
    /// The setting that names the file.
    pub key: &'static str,
    /// The path as the spec gives it.
    pub path: PathBuf,
    /// The path from the working directory of whoever loaded the spec.
    pub resolved: PathBuf,
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

    /// Kind, name, setting and path of every secret file.
    fn secrets(&self) -> Vec<(&'static str, &str, &'static str, &PathBuf)> {
        let mut all: Vec<(_, &String, _, Option<&PathBuf>)> = Vec::new();
        let mut add = |kind, name, key, path| all.push((kind, name, key, path));
        for (name, webhook) in &self.webhook {
            add("webhook", name, "url_file", webhook.url_file.as_ref());
            add(
                "webhook",
                name,
                "credentials_file",
                webhook.credentials_file.as_ref(),
            );
        }
        for (name, slack) in &self.slack {
            add("slack", name, "api_url_file", Some(&slack.api_url_file));
        }
        for (name, pagerduty) in &self.pagerduty {
            add(
                "pagerduty",
                name,
                "routing_key_file",
                Some(&pagerduty.routing_key_file),
            );
        }
        for (name, email) in &self.email {
            add(
                "email",
                name,
                "auth_password_file",
                email.auth_password_file.as_ref(),
            );
        }
        for (name, discord) in &self.discord {
            add(
                "discord",
                name,
                "webhook_url_file",
                Some(&discord.webhook_url_file),
            );
        }
        for (name, telegram) in &self.telegram {
            add("telegram", name, "bot_token_file", Some(&telegram.bot_token_file));
        }
        for (name, teams) in &self.msteams {
            add("msteams", name, "webhook_url_file", Some(&teams.webhook_url_file));
        }
        for (name, opsgenie) in &self.opsgenie {
            add("opsgenie", name, "api_key_file", Some(&opsgenie.api_key_file));
        }
        all.into_iter()
            .filter_map(|(kind, name, key, path)| Some((kind, name.as_str(), key, path?)))
            .collect()
    }

    /// All names, in the order of the kinds and then of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_kind().into_iter().flat_map(|(_, names)| names)
    }
}

impl Spec {
    /// Every secret file that a receiver, a remote write or a discovery names, so that a caller can check and mount it.
    pub fn secret_files(&self) -> Vec<SecretFile> {
        let base = self.source.parent().unwrap_or(Path::new(""));
        let receivers = self
            .receivers
            .secrets()
            .into_iter()
            .map(|(kind, name, key, path)| {
                let place = format!("receivers/{kind}/{name}/{key}");
                (SecretOwner::Alertmanager, place, name.to_owned(), key, path)
            });
        let remotes = self
            .prometheus
            .remote_write
            .iter()
            .enumerate()
            .flat_map(|(index, remote)| {
                [
                    ("credentials_file", &remote.credentials_file),
                    ("password_file", &remote.password_file),
                ]
                .into_iter()
                .filter_map(move |(key, path)| {
                    let place = format!("prometheus/remote_write/{index}/{key}");
                    let name = format!("remote-write-{index}");
                    Some((SecretOwner::Prometheus, place, name, key, path.as_ref()?))
                })
            });
        let clusters = self
            .discovery
            .kubernetes
            .iter()
            .enumerate()
            .filter_map(|(index, cluster)| {
                let place = format!("discovery/kubernetes/{index}/kubeconfig_file");
                let path = cluster.kubeconfig_file.as_ref()?;
                let name = format!("kubernetes-{index}");
                Some((SecretOwner::Prometheus, place, name, "kubeconfig_file", path))
            });
        let grafana = self.grafana.admin_password_file.iter().map(|path| {
            let place = "grafana/admin_password_file".to_owned();
            let key = "admin_password_file";
            (SecretOwner::Grafana, place, "grafana".to_owned(), key, path)
        });
        receivers
            .chain(grafana)
            .chain(remotes)
            .chain(clusters)
            .map(|(owner, place, receiver, key, path)| SecretFile {
                owner,
                place,
                receiver,
                key,
                path: path.clone(),
                resolved: base.join(path),
            })
            .collect()
    }
}
