//! What is marked on every panel: alerts that fire, and what was changed.

use pool_metrics::catalogue;

use super::datasource;
use crate::{
    alert::LOOK_BACK_SCRAPES,
    duration::PromDuration,
    generate::panels::{
        FIRING, Trouble,
        colours::{BAD, PLAIN, WATCH},
    },
    model::dashboard::Annotation,
    spec::Spec,
};

/// Each with what must happen before it marks anything.
pub(super) fn list(spec: &Spec) -> [(Annotation, Trouble); 3] {
    let alerts = annotation(
        "Firing alerts",
        BAD,
        FIRING.to_owned(),
        "{{alertname}}",
        "{{severity}} {{pool}} {{endpoint}} {{instance}}",
        "severity",
    );
    let deployments = annotation(
        "Deployments",
        PLAIN,
        deployments(spec),
        "Version {{version}}",
        "began to run on {{instance}}",
        "version",
    );
    let restarts = annotation(
        "Restarts",
        WATCH,
        restarts(spec),
        "Relayer started",
        "{{instance}} counts anew, or is back",
        "instance",
    );
    [
        (alerts, Trouble::NodeDown),
        (deployments, Trouble::Deployment),
        (restarts, Trouble::Restart),
    ]
}

/// A version that a relayer did not run within the hour before.
fn deployments(spec: &Spec) -> String {
    let info = format!(
        "{}{{job=~\"$job\",instance=~\"$instance\"}}",
        catalogue::BUILD_INFO.name
    );
    let [hour, minute] = [3_600, 60].map(|seconds| spec.scaled(PromDuration::from_secs(seconds)));
    format!(
        "max by (instance, version) ({info}) unless on (instance, version) max by (instance, \
version) (present_over_time({info}[{hour}] offset {minute}))"
    )
}

/// A relayer whose counters began anew (it exposes no start time), or that was away for longer than that can be seen.
fn restarts(spec: &Spec) -> String {
    let chosen = "job=~\"$job\",instance=~\"$instance\"";
    let info = format!("{}{{{chosen}}}", catalogue::BUILD_INFO.name);
    let least = spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
    let window = spec.scaled(least.max(PromDuration::from_secs(60)));
    format!(
        "max by (instance) (resets({requests}{{{chosen},pool=~\"$pool\"}}[{window}])) > 0 or \
max by (instance) ({info}) unless on (instance) max by (instance) \
(present_over_time({info}[{window}] offset {window}))",
        requests = catalogue::REQUESTS_TOTAL.name,
    )
}

fn annotation(name: &str, colour: &str, expr: String, title: &str, text: &str, tags: &str) -> Annotation {
    Annotation {
        name: name.to_owned(),
        datasource: datasource(),
        enable: true,
        icon_color: colour.to_owned(),
        expr,
        step: "60s".to_owned(),
        title_format: title.to_owned(),
        text_format: text.to_owned(),
        tag_keys: tags.to_owned(),
    }
}
