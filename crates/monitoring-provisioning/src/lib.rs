//! Generates and lints the monitoring stack of the connection pool.
//!
//! Two inputs: the metric catalogue of `pool-metrics`, which says what can be observed, and one hand-edited file,
//! `monitoring/monitoring.yaml` ([`Spec`]), which says what this operator wants. Out of them [`generate()`] makes every
//! other file of the stack: Prometheus' configuration and alert rules, Alertmanager's configuration, Grafana's
//! provisioning and dashboards, the Compose file. [`validate`] reads such files back and reports whatever the running
//! stack would accept in silence and then never fire: a metric nobody exposes, a label that an aggregation dropped, a
//! severity that no route takes.
//!
//! Nothing here touches the network, a process or (but for [`Spec::load`] and [`Kept::read`]) the disk.
//!
//! What people write among the generated files stays: the bodies of the runbooks, and edits made in Grafana ([`edits`]);
//! [`generate_keeping`] generates around them.
//!
//! ```
//! use std::path::Path;
//!
//! use monitoring_provisioning::{Runtime, Spec, generate, validate};
//!
//! # fn main() -> Result<(), monitoring_provisioning::Problems> {
//! let spec = Spec::parse("alerts: { EndpointUnhealthy: { for: 2m } }", Path::new("monitoring.yaml"))?;
//! let files = generate(&spec, Runtime::Docker)?;
//! assert!(validate(&spec, &files).is_empty());
//! # Ok(())
//! # }
//! ```

mod alert;
mod duration;
pub mod edits;
mod explain;
mod generate;
mod lint;
mod model;
mod problem;
pub mod proof;
mod recording;
mod spec;
mod yaml;

pub use alert::{AlertSummary, alert_list};
pub use duration::PromDuration;
pub use explain::{Explanation, Part, explain};
pub use generate::{
    DashboardQuery, GeneratedFile, Kept, Runtime, Trouble, dashboard_queries, generate, generate_keeping,
};
pub use lint::validate;
pub use problem::{Problem, Problems};
pub use spec::{
    AlertName, AlertOverride, DayTime, Discord, Discovery, Dns, DnsType, Docker, Email, Grafana, Images,
    Kubernetes, Limits, Links, MsTeams, MuteTimes, Notifications, Opsgenie, OpsgenieRegion, Overlay,
    OwnAlert, PagerDuty, PoolOverride, Ports, Profile, Prometheus, Receivers, RemoteWrite, Resources, Route,
    Routes, Schedule, SecretFile, SecretOwner, Slack, Slo, Spec, Surroundings, Target, TeamRoutes, Telegram,
    Version, Webhook,
};
