//! What is marked on every panel: alerts that fire, and what was changed.

use pool_metrics::catalogue;

use super::datasource;
use crate::{
    alert::LOOK_BACK_SCRAPES,
    duration::PromDuration,
    generate::panels::{
        FIRING,
        colours::{BAD, PLAIN, WATCH},
    },
    model::dashboard::Annotation,
    spec::Spec,
};

pub(super) fn list(spec: &Spec) -> Vec<Annotation> {
    vec![
        annotation(
            "Firing alerts",
            BAD,
            FIRING.to_owned(),
            "{{alertname}}",
            "{{severity}} {{pool}} {{endpoint}} {{instance}}",
            "severity",
        ),
        annotation(
            "Deployments",
            PLAIN,
            deployments(spec),
            "Version {{version}}",
            "began to run on {{instance}}",
            "version",
        ),
        annotation(
            "Restarts",
            WATCH,
            restarts(spec),
            "Relayer started",
            "{{instance}} began to count anew",
            "instance",
        ),
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
        "max by (instance, version) ({info}) unless on (instance, version) max by (instance, version) \
         (present_over_time({info}[{hour}] offset {minute}))"
    )
}

/// A relayer whose counters began anew. It exposes no start time.
fn restarts(spec: &Spec) -> String {
    let least = spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
    format!(
        "max by (instance) (resets({}{{job=~\"$job\",instance=~\"$instance\",pool=~\"$pool\"}}[{}])) > 0",
        catalogue::REQUESTS_TOTAL.name,
        spec.scaled(least.max(PromDuration::from_secs(60)))
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
