//! Alertmanager's configuration.

use super::addresses::Addresses;
use crate::{
    alert::{Alert, Subject, alerts},
    duration::PromDuration,
    model::alertmanager::{
        AlertmanagerConfig, Authorization, EmailConfig, Global, HttpConfig, InhibitRule, PagerDutyConfig,
        Receiver, Route, SlackConfig, WebhookConfig,
    },
    spec::{AlertName, Routes, Spec},
};

/// Name of the built-in receiver.
pub(crate) const NOTIFICATION_LOG: &str = "notification-log";
/// Receiver of whatever no route takes.
const UNROUTED: &str = "unrouted";

/// What one incident is: an alert of one pool in one relayer. Endpoints of that pool join the same notification; a
/// further alert of the pool gets its own at once rather than waiting for the next `group_interval`.
const GROUP_BY: [&str; 3] = ["alertname", "instance", "pool"];

/// Which alert makes which others superfluous.
const INHIBITIONS: [(AlertName, &[AlertName]); 4] = [
    (
        AlertName::RelayerDown,
        &[
            AlertName::ConnectionPoolExhausted,
            AlertName::NoHealthyEndpoints,
            AlertName::ConnectionPoolHighUtilization,
            AlertName::EndpointUnhealthy,
            AlertName::ConnectionPoolQueueGrowing,
            AlertName::EndpointBlockLag,
            AlertName::EndpointThrottled,
        ],
    ),
    (
        AlertName::NoHealthyEndpoints,
        &[
            AlertName::EndpointUnhealthy,
            AlertName::ConnectionPoolHighUtilization,
            AlertName::ConnectionPoolQueueGrowing,
        ],
    ),
    (
        AlertName::ConnectionPoolExhausted,
        &[
            AlertName::ConnectionPoolHighUtilization,
            AlertName::ConnectionPoolQueueGrowing,
        ],
    ),
    (
        AlertName::CircuitBreakerOpen,
        &[
            AlertName::EndpointUnhealthy,
            AlertName::ConnectionPoolHighErrorRate,
        ],
    ),
];

/// Alertmanager's configuration.
pub(super) fn config(addresses: &Addresses<'_>) -> AlertmanagerConfig {
    let spec = addresses.spec;
    let [critical, _, heartbeat] = spec.routes();
    let mut routes = Vec::new();
    let mut receivers = vec![Receiver {
        name: UNROUTED.to_owned(),
        ..Receiver::default()
    }];
    // First, and without `continue`: what always fires doesn't belong into the log.
    routes.push(severity_route(&heartbeat));
    receivers.push(receiver(addresses, &heartbeat));
    if spec.notification_log {
        routes.push(Route {
            receiver: NOTIFICATION_LOG.to_owned(),
            continue_: true,
            ..Route::default()
        });
        receivers.push(notification_log(addresses));
    }
    for route in spec
        .routes()
        .iter()
        .filter(|route| route.severity != heartbeat.severity)
    {
        routes.push(severity_route(route));
        receivers.push(receiver(addresses, route));
    }
    AlertmanagerConfig {
        global: Global {
            resolve_timeout: spec.scaled(PromDuration::from_secs(300)),
        },
        route: Route {
            receiver: UNROUTED.to_owned(),
            group_by: GROUP_BY.map(str::to_owned).to_vec(),
            group_wait: Some(critical.group_wait),
            group_interval: Some(critical.group_interval),
            repeat_interval: Some(critical.repeat_interval),
            routes,
            ..Route::default()
        },
        inhibit_rules: inhibit_rules(spec),
        receivers,
    }
}

fn severity_route(route: &Routes<'_>) -> Route {
    Route {
        receiver: route.severity.to_owned(),
        matchers: vec![format!("severity=\"{}\"", route.severity)],
        group_wait: Some(route.group_wait),
        group_interval: Some(route.group_interval),
        repeat_interval: Some(route.repeat_interval),
        ..Route::default()
    }
}

fn inhibit_rules(spec: &Spec) -> Vec<InhibitRule> {
    let find = |name| alerts(spec).find(|alert| alert.definition.name == name && alert.enabled);
    let mut rules = Vec::new();
    for (source, targets) in INHIBITIONS {
        let Some(source) = find(source) else { continue };
        let names: Vec<&str> = targets
            .iter()
            .filter_map(|name| find(*name))
            .filter(|target| in_time(spec, &source, target))
            .map(|target| target.definition.name.as_str())
            .collect();
        if !names.is_empty() {
            rules.push(InhibitRule {
                source_matchers: vec![format!("alertname=\"{}\"", source.definition.name)],
                target_matchers: vec![format!("alertname=~\"{}\"", names.join("|"))],
                equal: shared_labels(source.definition.subject),
            });
        }
    }
    rules
}

/// The source's labels: a pool's alert silences those of the pool and of its endpoints, which carry its labels too.
fn shared_labels(source: Subject) -> Vec<String> {
    source.labels().iter().map(|label| (*label).to_owned()).collect()
}

/// Whether the source fires before the target notifies; otherwise it would inhibit nothing.
pub(crate) fn in_time(spec: &Spec, source: &Alert<'_>, target: &Alert<'_>) -> bool {
    let window = if source.definition.averages {
        source.window.as_millis()
    } else {
        0
    };
    // The log's route waits as briefly as the critical one.
    let wait = spec
        .routes()
        .iter()
        .map(|route| route.group_wait.as_millis())
        .min()
        .unwrap_or(0);
    spec.scaled(source.for_).as_millis() + spec.scaled(PromDuration::from_millis(window)).as_millis()
        <= spec.scaled(target.for_).as_millis() + wait
}

fn notification_log(addresses: &Addresses<'_>) -> Receiver {
    Receiver {
        name: NOTIFICATION_LOG.to_owned(),
        webhook_configs: vec![WebhookConfig {
            url: Some(addresses.notification_log()),
            url_file: None,
            send_resolved: true,
            http_config: None,
        }],
        ..Receiver::default()
    }
}

/// One Alertmanager receiver per severity, made of all receivers that the spec routes it to.
fn receiver(addresses: &Addresses<'_>, route: &Routes<'_>) -> Receiver {
    let known = &addresses.spec.receivers;
    let mut receiver = Receiver {
        name: route.severity.to_owned(),
        ..Receiver::default()
    };
    for name in route.receivers {
        let secret = |key| addresses.secret(name, key);
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
                title: TITLE.to_owned(),
                text: TEXT.to_owned(),
            });
        }
        if let Some(pagerduty) = known.pagerduty.get(name) {
            receiver.pagerduty_configs.push(PagerDutyConfig {
                routing_key_file: secret("routing_key_file").unwrap_or_default(),
                send_resolved: pagerduty.send_resolved,
                severity: if route.severity == "heartbeat" {
                    "info"
                } else {
                    route.severity
                }
                .to_owned(),
                description: TITLE.to_owned(),
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
            });
        }
    }
    receiver
}

const TITLE: &str = "[{{ .Status }}] {{ .CommonLabels.alertname }} {{ .CommonLabels.pool }}";
const TEXT: &str = "{{ range .Alerts }}{{ .Annotations.description }}\n\
    <{{ .Annotations.runbook_url }}|Runbook> <{{ .Annotations.dashboard_url }}|Dashboard>\n{{ end }}";
