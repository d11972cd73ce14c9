//! The operator's side of the contract: `monitoring/monitoring.yaml`.

mod alerts;
mod check;
mod read;
mod receivers;
mod slo;
mod target;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use alerts::{AlertName, AlertOverride, OwnAlert, PoolOverride};
pub use read::Overlay;
pub use receivers::{Email, PagerDuty, Receivers, SecretFile, Slack, Webhook};
pub use slo::Slo;
pub use target::{Target, Version};

use crate::duration::PromDuration;

/// Everything that can be set, with the defaults of the local profile. An empty file is a valid spec.
///
/// All durations are as written; `time_scale` is applied when files are generated and by the methods of this type.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// What the stack is for; `production` demands more. Default `local`.
    pub profile: Profile,
    /// Versions of the servers that will run the stack; what they lack is refused.
    pub target: Target,
    /// How many times faster than real time the stack runs: scrape and evaluation intervals, the rules' windows and
    /// `for`, Alertmanager's waits. 1 to 120, default 1; tests and demonstrations use 60. Retention isn't scaled.
    pub time_scale: f64,
    /// Address on which every published port listens. Default 127.0.0.1.
    pub bind_address: IpAddr,
    /// Ports on the host.
    pub ports: Ports,
    /// Container images, each with a version.
    pub images: Images,
    /// Prometheus: how often, how long, under which external labels.
    pub prometheus: Prometheus,
    /// `host:port` of every relayer's `/metrics`. Default (empty): one relayer on this host at `ports.relayer`.
    pub relayers: Vec<String>,
    /// Grafana's administrator.
    pub grafana: Grafana,
    /// Where the links in notifications lead, and who is named in them.
    pub links: Links,
    /// The objectives, which the burn-rate alerts watch.
    pub slo: Slo,
    /// Overrides of the alerts, by name. Default: none.
    pub alerts: BTreeMap<AlertName, AlertOverride>,
    /// Alerts of the operator's own, by name. Default: none.
    pub more_alerts: IndexMap<String, OwnAlert>,
    /// Sends every notification also to a small log of its own on `ports.notification_log` of this host. Default true.
    pub notification_log: bool,
    /// How notifications are grouped, timed and routed.
    pub notifications: Notifications,
    /// Where notifications can go, by name.
    pub receivers: Receivers,
    /// The file the spec was read from; relative secret files stand beside it.
    #[serde(skip)]
    pub source: PathBuf,
}

/// What the stack is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A developer's machine.
    #[default]
    Local,
    /// People depend on it: refused without a receiver for the dead man's switch, without one for critical alerts, and with
    /// Grafana's well-known password.
    Production,
}

/// Ports on the host.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ports {
    /// The relayer's `/metrics`. Default 9090.
    pub relayer: u16,
    /// Prometheus. Default 9091.
    pub prometheus: u16,
    /// Alertmanager. Default 9093.
    pub alertmanager: u16,
    /// Grafana. Default 3001.
    pub grafana: u16,
    /// Node Exporter. Default 9100.
    pub node_exporter: u16,
    /// The notification log. Default 9094.
    pub notification_log: u16,
}

/// Container images; `latest` and images without a version are refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// Default `prom/prometheus:v3.5.3`.
    pub prometheus: String,
    /// Default `prom/alertmanager:v0.33.1`.
    pub alertmanager: String,
    /// Default `prom/node-exporter:v1.11.1`.
    pub node_exporter: String,
    /// Default `grafana/grafana:13.2.3`.
    pub grafana: String,
}

/// How Prometheus scrapes, evaluates and keeps.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Time between two scrapes of a target. Default 5s: the shortest window of a rule is then 12 scrapes, and an
    /// outage is seen within a relayer's shortest timelock.
    pub scrape_interval: PromDuration,
    /// How long a scrape may take; at most `scrape_interval`. Default 4s.
    pub scrape_timeout: PromDuration,
    /// Time between two evaluations of the rules. Default 5s.
    pub evaluation_interval: PromDuration,
    /// How long samples are kept. Not scaled. Default 15d.
    pub retention: PromDuration,
    /// Labels added to every alert that leaves this Prometheus. Default: none.
    pub external_labels: IndexMap<String, String>,
}

/// Grafana's administrator. The defaults are for a stack that only this host can reach.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grafana {
    /// Default `admin`.
    pub admin_user: String,
    /// Default `fusion123`; a well-known password of the local profile, not a secret.
    pub admin_password: String,
}

/// Where the links in notifications lead, and who is named in them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Links {
    /// Value of the label `team` on every alert. Default `relayer`.
    pub team: String,
    /// Folder of the runbooks; `/<AlertName>.md` is appended.
    pub runbook_base_url: String,
    /// Grafana as the readers of a notification reach it. Default (empty): `http://localhost:<ports.grafana>`.
    pub grafana_base_url: String,
}

/// How notifications are grouped, timed and routed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// Alerts of severity `critical`. Default: group_wait 10s, group_interval 1m, repeat_interval 1h, no receivers.
    pub critical: Route,
    /// Alerts of severity `warning`. Default: group_wait 30s, group_interval 5m, repeat_interval 12h, no receivers.
    pub warning: Route,
    /// The dead man's switch, which always fires: a receiver outside of this stack must raise the alarm when it stays away.
    /// Default: group_wait 10s, group_interval 1m, repeat_interval 5m, no receivers.
    pub heartbeat: Route,
}

/// Seconds that a new group of this severity waits for company unless the spec says otherwise.
pub(crate) const CRITICAL_GROUP_WAIT: u64 = 10;
pub(crate) const WARNING_GROUP_WAIT: u64 = 30;

/// Prometheus' own default of `--rules.alert.resend-delay`.
const RESEND_DELAY: PromDuration = PromDuration::from_secs(60);
/// Its default of `--scrape.discovery-reload-interval`, which it doesn't show, but has from 2.42 on.
const DISCOVERY_RELOAD: PromDuration = PromDuration::from_secs(5);

/// One route.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Names of the receivers that get these alerts. Default: none.
    pub receivers: Vec<String>,
    /// How long a new group waits for more alerts before its first notification.
    pub group_wait: Option<PromDuration>,
    /// Least time between two notifications of a group that changes.
    pub group_interval: Option<PromDuration>,
    /// When an unchanged group is notified again.
    pub repeat_interval: Option<PromDuration>,
}

/// The severities of the alerts, with their route's defaults filled in.
#[derive(Clone, Copy, Debug)]
pub struct Routes<'a> {
    /// The severity's label value.
    pub severity: &'static str,
    /// Names of the receivers.
    pub receivers: &'a [String],
    /// Scaled.
    pub group_wait: PromDuration,
    /// Scaled.
    pub group_interval: PromDuration,
    /// Scaled.
    pub repeat_interval: PromDuration,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            target: Target::default(),
            time_scale: 1.0,
            bind_address: IpAddr::from([127, 0, 0, 1]),
            ports: Ports::default(),
            images: Images::default(),
            prometheus: Prometheus::default(),
            relayers: Vec::new(),
            grafana: Grafana::default(),
            links: Links::default(),
            slo: Slo::default(),
            alerts: BTreeMap::new(),
            more_alerts: IndexMap::new(),
            notification_log: true,
            notifications: Notifications::default(),
            receivers: Receivers::default(),
            source: PathBuf::from("monitoring/monitoring.yaml"),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            relayer: 9090,
            prometheus: 9091,
            alertmanager: 9093,
            grafana: 3001,
            node_exporter: 9100,
            notification_log: 9094,
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self {
            prometheus: "prom/prometheus:v3.5.3".to_owned(),
            alertmanager: "prom/alertmanager:v0.33.1".to_owned(),
            node_exporter: "prom/node-exporter:v1.11.1".to_owned(),
            grafana: "grafana/grafana:13.2.3".to_owned(),
        }
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            scrape_interval: PromDuration::from_secs(5),
            scrape_timeout: PromDuration::from_secs(4),
            evaluation_interval: PromDuration::from_secs(5),
            retention: PromDuration::from_secs(15 * 86_400),
            external_labels: IndexMap::new(),
        }
    }
}

impl Default for Grafana {
    fn default() -> Self {
        Self {
            admin_user: "admin".to_owned(),
            admin_password: "fusion123".to_owned(),
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self {
            team: "relayer".to_owned(),
            runbook_base_url:
                "https://github.com/fusion-relayers/connection-pool/blob/main/monitoring/runbooks".to_owned(),
            grafana_base_url: String::new(),
        }
    }
}

/// Shows everything but the password.
impl std::fmt::Debug for Grafana {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grafana")
            .field("admin_user", &self.admin_user)
            .field("admin_password", &"…")
            .finish()
    }
}

impl Spec {
    /// A duration of this spec as the running stack will use it.
    pub fn scaled(&self, duration: PromDuration) -> PromDuration {
        duration.scaled(self.time_scale)
    }

    /// Time between two scrapes, scaled.
    pub fn scrape_interval(&self) -> Duration {
        self.scaled(self.prometheus.scrape_interval).std()
    }

    /// Time between two evaluations of the rules, scaled.
    pub fn evaluation_interval(&self) -> Duration {
        self.scaled(self.prometheus.evaluation_interval).std()
    }

    /// How long a scrape may take, scaled.
    pub fn scrape_timeout(&self) -> Duration {
        self.scaled(self.prometheus.scrape_timeout).std()
    }

    /// How long samples are kept; never scaled.
    pub fn retention(&self) -> PromDuration {
        self.prometheus.retention
    }

    /// How often Prometheus tells Alertmanager again that an alert goes on. Alertmanager ends an alert that it hasn't heard of
    /// for four times as long.
    pub fn resend_delay(&self) -> PromDuration {
        self.scaled(RESEND_DELAY)
    }

    /// Flags of Prometheus for waits of its own that its configuration doesn't reach; none in real time. Unscaled, the dead
    /// man's switch would outlive its Prometheus by minutes, and a new target would be scraped only after seconds.
    pub fn scaled_flags(&self) -> Vec<String> {
        if self.time_scale == 1.0 {
            return Vec::new();
        }
        vec![
            format!("--rules.alert.resend-delay={}", self.resend_delay()),
            format!(
                "--scrape.discovery-reload-interval={}",
                self.scaled(DISCOVERY_RELOAD)
            ),
        ]
    }

    /// Where a browser finds Grafana.
    pub fn grafana_url(&self) -> String {
        match self.links.grafana_base_url.trim_end_matches('/') {
            "" => format!("http://localhost:{}", self.ports.grafana),
            url => url.to_owned(),
        }
    }

    /// The routes by severity, the more urgent first.
    pub fn routes(&self) -> [Routes<'_>; 3] {
        let route = |severity, route: &'_ Route, wait, interval, repeat| {
            let scaled = |given: Option<PromDuration>, default| {
                self.scaled(given.unwrap_or(PromDuration::from_secs(default)))
            };
            (
                severity,
                scaled(route.group_wait, wait),
                scaled(route.group_interval, interval),
                scaled(route.repeat_interval, repeat),
            )
        };
        let notifications = &self.notifications;
        [
            (
                &notifications.critical,
                route(
                    "critical",
                    &notifications.critical,
                    CRITICAL_GROUP_WAIT,
                    60,
                    3_600,
                ),
            ),
            (
                &notifications.warning,
                route("warning", &notifications.warning, WARNING_GROUP_WAIT, 300, 43_200),
            ),
            (
                &notifications.heartbeat,
                route(
                    "heartbeat",
                    &notifications.heartbeat,
                    CRITICAL_GROUP_WAIT,
                    60,
                    300,
                ),
            ),
        ]
        .map(
            |(given, (severity, group_wait, group_interval, repeat_interval))| Routes {
                severity,
                receivers: &given.receivers,
                group_wait,
                group_interval,
                repeat_interval,
            },
        )
    }
}
