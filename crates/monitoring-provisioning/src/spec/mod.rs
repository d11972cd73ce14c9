//! The operator's side of the contract: `monitoring/monitoring.yaml`.

mod alerts;
mod check;
mod discovery;
mod files;
mod mute;
mod read;
mod receivers;
mod remote;
mod resources;
mod routes;
mod slo;
mod target;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use alerts::{AlertName, AlertOverride, OwnAlert, PoolOverride};
pub use discovery::{Discovery, Dns, DnsType, Docker, Kubernetes};
pub use files::{SecretFile, SecretOwner};
pub use mute::{DayTime, MuteTimes, Schedule};
pub use read::{Overlay, Surroundings};
pub use receivers::{
    Discord, Email, MsTeams, Opsgenie, OpsgenieRegion, PagerDuty, Receivers, Slack, Telegram, Webhook,
};
pub use remote::RemoteWrite;
pub use resources::{Limits, Resources};
pub use routes::{Notifications, Route, Routes, TeamRoutes};
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
    /// `host:port` of every relayer's `/metrics`. Default (empty, and no `discovery`): one relayer on this host at
    /// `ports.relayer`.
    pub relayers: Vec<String>,
    /// Where further relayers are looked for. Default: nowhere.
    pub discovery: Discovery,
    /// How much of the machine each container may take. Default: no limits.
    pub resources: Resources,
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
    /// Times at which routes keep silent, by name. Default: none.
    pub mute_times: MuteTimes,
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
    /// Stores that get every sample as well. Default: none.
    pub remote_write: Vec<RemoteWrite>,
    /// The formats in which relayers are asked for their metrics, the preferred one first: `PrometheusText0.0.4`,
    /// `OpenMetricsText1.0.0` ... Default: Prometheus' own choice. From Prometheus 2.49.
    pub scrape_protocols: Vec<String>,
    /// How far in the past the rules are evaluated, for samples that arrive late. Default: not at all. From Prometheus 2.53.
    pub query_offset: Option<PromDuration>,
}

/// Grafana's administrator. The defaults are for a stack that only this host can reach.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grafana {
    /// Default `admin`.
    pub admin_user: String,
    /// Default `fusion123`; a well-known password of the local profile, not a secret.
    pub admin_password: String,
    /// File that holds the password, in place of `admin_password`. Default: none.
    pub admin_password_file: Option<PathBuf>,
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
    /// Prometheus as the readers of a dashboard reach it. Default (empty): `http://localhost:<ports.prometheus>`.
    pub prometheus_base_url: String,
    /// Alertmanager as the readers of a dashboard reach it. Default (empty): `http://localhost:<ports.alertmanager>`.
    pub alertmanager_base_url: String,
}

/// Prometheus' own default of `--rules.alert.resend-delay`.
const RESEND_DELAY: PromDuration = PromDuration::from_secs(60);
/// Its default of `--scrape.discovery-reload-interval`, which it doesn't show, but has from 2.42 on.
const DISCOVERY_RELOAD: PromDuration = PromDuration::from_secs(5);

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
            discovery: Discovery::default(),
            resources: Resources::default(),
            grafana: Grafana::default(),
            links: Links::default(),
            slo: Slo::default(),
            alerts: BTreeMap::new(),
            more_alerts: IndexMap::new(),
            notification_log: true,
            notifications: Notifications::default(),
            mute_times: MuteTimes::new(),
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
            remote_write: Vec::new(),
            scrape_protocols: Vec::new(),
            query_offset: None,
        }
    }
}

impl Default for Grafana {
    fn default() -> Self {
        Self {
            admin_user: "admin".to_owned(),
            admin_password: "fusion123".to_owned(),
            admin_password_file: None,
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
            prometheus_base_url: String::new(),
            alertmanager_base_url: String::new(),
        }
    }
}

/// Shows everything but the password.
impl std::fmt::Debug for Grafana {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grafana")
            .field("admin_user", &self.admin_user)
            .field("admin_password", &"…")
            .field("admin_password_file", &self.admin_password_file)
            .finish()
    }
}

impl Grafana {
    /// Whether everybody knows the password.
    pub fn is_well_known(&self) -> bool {
        self.admin_password_file.is_none() && self.admin_password == Self::default().admin_password
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
        site(&self.links.grafana_base_url, self.ports.grafana)
    }

    /// Where a browser finds Prometheus.
    pub fn prometheus_url(&self) -> String {
        site(&self.links.prometheus_base_url, self.ports.prometheus)
    }

    /// Where a browser finds Alertmanager.
    pub fn alertmanager_url(&self) -> String {
        site(&self.links.alertmanager_base_url, self.ports.alertmanager)
    }

    /// Whether a relayer on this host, at `ports.relayer`, is scraped because none is listed or looked for.
    pub fn scrapes_this_host(&self) -> bool {
        self.relayers.is_empty() && self.discovery.is_empty()
    }
}

/// The address that is given, or this host's.
fn site(given: &str, port: u16) -> String {
    match given.trim_end_matches('/') {
        "" => format!("http://localhost:{port}"),
        url => url.to_owned(),
    }
}
