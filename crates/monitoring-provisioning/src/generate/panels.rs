//! The panels of the dashboards, section by section; each file is one section, or one dashboard.

mod chain;
pub(crate) mod colours;
mod draft;
pub(super) mod endpoint;
mod errors;
mod health;
mod lifecycle;
mod looks;
mod machine;
mod performance;
mod queries;
mod queue;
mod quota;
pub(super) mod slo;
mod status;

pub(super) use draft::{Draft, Leads};
pub(super) use status::FIRING;

use crate::{
    alert::alerts,
    spec::{AlertName, Spec},
};

const POOL_LEGEND: &str = "{{pool}} · {{instance}}";
const ENDPOINT_LEGEND: &str = "{{pool}} · {{endpoint}} · {{instance}}";

/// A row of a dashboard: its title and its panels.
pub(super) type Section = (&'static str, Vec<Draft>);

/// One query of a panel.
#[derive(Clone, Debug)]
pub(crate) struct PanelQuery {
    pub(crate) expr: String,
    pub(crate) legend: String,
    /// What must go wrong before it has data; `None`: it always has.
    pub(crate) empty_until: Option<Trouble>,
}

/// What must go wrong before a query has data that is empty while all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// An endpoint's node is gone: requests to it fail, its breaker opens, an alert fires.
    NodeDown,
    /// Every slot is taken: callers stand in the queue.
    Saturation,
    /// Nodes close their connections all the time: others are opened.
    ConnectionsLost,
    /// A relayer was started anew.
    Restart,
    /// A relayer runs a version that it did not run before; also one that is seen for the first time.
    Deployment,
}

/// The sections of the connection pools' dashboard: the five of the operator's guide first.
pub(super) fn sections(spec: &Spec) -> Vec<Section> {
    vec![
        ("Status overview", status::panels(spec)),
        ("Performance", performance::panels(spec)),
        ("Errors and circuit breakers", errors::panels(spec)),
        ("Endpoint health and weights", health::panels()),
        ("Queue", queue::panels(spec)),
        ("Connection lifecycle", lifecycle::panels(spec)),
        ("Quota and throttling", quota::panels()),
        ("Chain lag", chain::panels(spec)),
        ("Node (system)", machine::panels()),
    ]
}

/// The limit of an alert, so that a panel shows where the alert fires.
fn limit(spec: &Spec, name: AlertName) -> f64 {
    alerts(spec)
        .find(|alert| alert.definition.name == name)
        .map(|alert| alert.threshold)
        .unwrap_or_default()
}

/// A legend of an endpoint's series with something behind it.
fn endpoint_legend(last: &str) -> String {
    format!("{ENDPOINT_LEGEND} {last}")
}

/// A legend of a pool's series with something behind it.
fn pool_legend(last: &str) -> String {
    format!("{POOL_LEGEND} {last}")
}
