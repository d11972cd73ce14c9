//! Alertmanager's configuration.

use super::{addresses::Addresses, receivers::receiver, templates};
use crate::{
    alert::{Alert, Subject, alerts},
    duration::PromDuration,
    model::alertmanager::{
        AlertmanagerConfig, Global, InhibitRule, Receiver, Route, TimeInterval, WebhookConfig,
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

/// What a relayer that is down, or exposes nothing, leaves unknown. Alerts that have been told of before anybody knows that the
/// relayer is gone aren't among them: they were true.
const UNKNOWN: &[(AlertName, &[AlertName])] = &[
    (AlertName::RelayerDown, UNKNOWN_WITHOUT_RELAYER),
    (AlertName::PoolMetricsMissing, UNKNOWN_WITHOUT_RELAYER),
];

const UNKNOWN_WITHOUT_RELAYER: &[AlertName] = &[
    AlertName::ConnectionPoolExhausted,
    AlertName::NoHealthyEndpoints,
    AlertName::ConnectionPoolHighUtilization,
    AlertName::EndpointUnhealthy,
    AlertName::ConnectionPoolQueueGrowing,
    AlertName::EndpointBlockLag,
    AlertName::EndpointThrottled,
];

/// Which alert makes which others superfluous, because they follow from it.
///
/// Here as above each rule has one alert as its source, and `equal` names all of that alert's labels: so at most one source fires
/// for each set of them. Alertmanager before 0.34.1 forgets an inhibition when one of several such sources ends.
pub(crate) const CONSEQUENCES: &[(AlertName, &[AlertName])] = &[
    (
        AlertName::NoHealthyEndpoints,
        &[
            AlertName::EndpointUnhealthy,
            AlertName::EndpointBlockLag,
            AlertName::EndpointThrottled,
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
    // Those of teams stand first, and without `continue`: they take the place of everybody's.
    for route in spec.all_routes() {
        if route.severity != heartbeat.severity {
            routes.push(severity_route(&route));
            receivers.push(receiver(addresses, &route));
        }
    }
    AlertmanagerConfig {
        global: Global {
            resolve_timeout: spec.scaled(PromDuration::from_secs(300)),
        },
        templates: vec![templates::GLOB.to_owned()],
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
        time_intervals: time_intervals(spec),
        receivers,
    }
}

fn severity_route(route: &Routes<'_>) -> Route {
    let mut matchers = vec![format!("severity=\"{}\"", route.severity)];
    matchers.extend(route.team.map(|team| format!("team=\"{team}\"")));
    Route {
        receiver: route.name(),
        matchers,
        group_wait: Some(route.group_wait),
        group_interval: Some(route.group_interval),
        repeat_interval: Some(route.repeat_interval),
        mute_time_intervals: route.mute_times.to_vec(),
        ..Route::default()
    }
}

fn time_intervals(spec: &Spec) -> Vec<TimeInterval> {
    let mute_times = spec.mute_times.iter();
    mute_times
        .map(|(name, schedules)| TimeInterval {
            name: name.clone(),
            time_intervals: schedules.clone(),
        })
        .collect()
}

fn inhibit_rules(spec: &Spec) -> Vec<InhibitRule> {
    let find = |name| alerts(spec).find(|alert| alert.definition.name == name && alert.enabled);
    let mut rules = Vec::new();
    for (source, targets) in UNKNOWN.iter().chain(CONSEQUENCES) {
        let Some(source) = find(*source) else { continue };
        let names: Vec<&str> = targets
            .iter()
            .filter_map(|name| find(*name))
            .filter(|target| target.silenced && lateness(spec, &source, target).is_none())
            .map(|target| target.definition.name.as_str())
            .collect();
        if !names.is_empty() {
            rules.push(InhibitRule {
                name: spec
                    .notifications
                    .named_inhibitions
                    .then(|| source.definition.name.to_string()),
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

/// How long after the target has been told of the source fires; `None` where it is in time, and silences it.
pub(crate) fn lateness(spec: &Spec, source: &Alert<'_>, target: &Alert<'_>) -> Option<PromDuration> {
    let window = if source.definition.averages {
        source.window
    } else {
        PromDuration::ZERO
    };
    // Any route may take it, and the log's waits as briefly as the critical one.
    let wait = spec.all_routes().iter().map(|route| route.group_wait).min();
    let fires = spec.scaled(source.for_).plus(spec.scaled(window));
    let told = spec.scaled(target.for_).plus(wait.unwrap_or_default());
    (fires > told).then(|| fires.minus(told))
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
