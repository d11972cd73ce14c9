//! Alertmanager's receivers: one for each route, made of all receivers that the spec routes it to.

use indexmap::IndexMap;

use super::addresses::Addresses;
use crate::{
    model::alertmanager::{
        Authorization, DiscordConfig, EmailConfig, HttpConfig, MsTeamsConfig, OpsgenieConfig,
        PagerDutyConfig, Receiver, Responder, SlackConfig, TelegramConfig, WebhookConfig,
    },
    spec::{OpsgenieRegion, Routes, SecretOwner},
};

const TITLE: &str = r#"{{ template "fusion.title" . }}"#;
const TEXT: &str = r#"{{ template "fusion.text" . }}"#;
const SLACK: &str = r#"{{ template "fusion.text.slack" . }}"#;
const DISCORD: &str = r#"{{ template "fusion.text.discord" . }}"#;
const TEAMS: &str = r#"{{ template "fusion.text.teams" . }}"#;
/// A message without a title.
const MESSAGE: &str = "{{ template \"fusion.title\" . }}\n{{ template \"fusion.text\" . }}";
const COLOR: &str = r#"{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger{{ else }}warning{{ end }}"#;
const DASHBOARD: &str = "{{ (index .Alerts 0).Annotations.dashboard_url }}";

/// The receiver of one route.
pub(super) fn receiver(addresses: &Addresses<'_>, route: &Routes<'_>) -> Receiver {
    let mut receiver = Receiver {
        name: route.name(),
        ..Receiver::default()
    };
    for name in route.receivers {
        chats(addresses, name, &mut receiver);
        pagers(addresses, route, name, &mut receiver);
    }
    receiver
}

fn chats(addresses: &Addresses<'_>, name: &str, receiver: &mut Receiver) {
    let known = &addresses.spec.receivers;
    let secret = |key| addresses.secret(SecretOwner::Alertmanager, name, key);
    if let Some(webhook) = known.webhook.get(name) {
        receiver.webhook_configs.push(WebhookConfig {
            url: webhook.url.clone(),
            url_file: secret("url_file"),
            send_resolved: webhook.send_resolved,
            http_config: secret("credentials_file").map(|credentials_file| HttpConfig {
                authorization: Authorization { credentials_file },
            }),
        });
    }
    if let Some(slack) = known.slack.get(name) {
        receiver.slack_configs.push(SlackConfig {
            api_url_file: secret("api_url_file").unwrap_or_default(),
            channel: slack.channel.clone(),
            send_resolved: slack.send_resolved,
            color: COLOR.to_owned(),
            title: TITLE.to_owned(),
            title_link: DASHBOARD.to_owned(),
            text: SLACK.to_owned(),
        });
    }
    if let Some(discord) = known.discord.get(name) {
        receiver.discord_configs.push(DiscordConfig {
            webhook_url_file: secret("webhook_url_file").unwrap_or_default(),
            send_resolved: discord.send_resolved,
            title: TITLE.to_owned(),
            message: DISCORD.to_owned(),
        });
    }
    if let Some(telegram) = known.telegram.get(name) {
        receiver.telegram_configs.push(TelegramConfig {
            bot_token_file: secret("bot_token_file").unwrap_or_default(),
            chat_id: telegram.chat_id,
            message_thread_id: telegram.message_thread_id,
            send_resolved: telegram.send_resolved,
            parse_mode: String::new(),
            message: MESSAGE.to_owned(),
        });
    }
    if let Some(teams) = known.msteams.get(name) {
        receiver.msteamsv2_configs.push(MsTeamsConfig {
            webhook_url_file: secret("webhook_url_file").unwrap_or_default(),
            send_resolved: teams.send_resolved,
            title: TITLE.to_owned(),
            text: TEAMS.to_owned(),
        });
    }
}

fn pagers(addresses: &Addresses<'_>, route: &Routes<'_>, name: &str, receiver: &mut Receiver) {
    let known = &addresses.spec.receivers;
    let secret = |key| addresses.secret(SecretOwner::Alertmanager, name, key);
    let (severity, priority) = match route.severity {
        "critical" => ("critical", "P1"),
        "warning" => ("warning", "P3"),
        _ => ("info", "P5"),
    };
    if let Some(pagerduty) = known.pagerduty.get(name) {
        receiver.pagerduty_configs.push(PagerDutyConfig {
            routing_key_file: secret("routing_key_file").unwrap_or_default(),
            send_resolved: pagerduty.send_resolved,
            severity: severity.to_owned(),
            class: "{{ .CommonLabels.alertname }}".to_owned(),
            component: "{{ .CommonLabels.pool }}".to_owned(),
            description: TITLE.to_owned(),
            details: details(),
        });
    }
    if let Some(email) = known.email.get(name) {
        receiver.email_configs.push(EmailConfig {
            to: email.to.clone(),
            from: email.from.clone(),
            smarthost: email.smarthost.clone(),
            auth_username: email.auth_username.clone(),
            auth_password_file: secret("auth_password_file"),
            require_tls: email.require_tls,
            send_resolved: email.send_resolved,
            headers: IndexMap::from([("Subject".to_owned(), TITLE.to_owned())]),
            html: String::new(),
            text: TEXT.to_owned(),
        });
    }
    if let Some(opsgenie) = known.opsgenie.get(name) {
        receiver.opsgenie_configs.push(OpsgenieConfig {
            api_key_file: secret("api_key_file").unwrap_or_default(),
            api_url: match opsgenie.region {
                OpsgenieRegion::Us => None,
                OpsgenieRegion::Eu => Some("https://api.eu.opsgenie.com/".to_owned()),
            },
            send_resolved: opsgenie.send_resolved,
            message: TITLE.to_owned(),
            description: TEXT.to_owned(),
            priority: priority.to_owned(),
            tags: "{{ .CommonLabels.severity }},{{ .CommonLabels.team }}".to_owned(),
            responders: opsgenie.teams.iter().map(|name| team(name)).collect(),
        });
    }
}

fn team(name: &str) -> Responder {
    Responder {
        name: name.to_owned(),
        kind: "team".to_owned(),
    }
}

/// In place of Alertmanager's own four, which list every label of every alert.
fn details() -> IndexMap<String, String> {
    [
        ("firing", TEXT),
        ("resolved", "{{ len .Alerts.Resolved }}"),
        ("num_firing", "{{ len .Alerts.Firing }}"),
        ("num_resolved", "{{ len .Alerts.Resolved }}"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into()
}
