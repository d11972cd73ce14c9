//! `alerts explain`: the condition in words, and what each part of it says now.

use std::time::Duration;

use anyhow::Result;
use monitoring_provisioning::{AlertName, Part, explain};

use crate::failure::BadInput;
use crate::probe::Probe;
use crate::prometheus_api::{self, Sample};
use crate::workspace::Workspace;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// More series than that are only counted.
const SHOWN: usize = 20;

pub(super) fn run(workspace: &Workspace, alert: &str, prometheus: Option<&str>) -> Result<u8> {
    let spec = workspace.load_spec()?;
    let name = AlertName::ALL
        .into_iter()
        .find(|name| name.as_str() == alert)
        .ok_or_else(|| {
            let all: Vec<&str> = AlertName::ALL.iter().map(|name| name.as_str()).collect();
            BadInput(format!(
                "there is no alert `{alert}`; there are {}",
                all.join(", ")
            ))
        })?;
    let Some(explanation) = explain(&spec, name) else {
        return Err(BadInput(format!(
            "`{alert}` is switched off in the spec: `alerts.{alert}.enabled`"
        ))
        .into());
    };
    let summary = &explanation.summary;
    outln!("{} ({}, per {})", summary.name, summary.severity, summary.about);
    outln!("fires when {}, for {}", summary.condition, summary.for_);
    outln!("\n{}\n", explanation.expr);
    outln!("in words: {}\n", explanation.words);

    let own = format!("http://127.0.0.1:{}", spec.ports.prometheus);
    let url = prometheus.unwrap_or(&own);
    let probe = Probe::new(ANSWERS_WITHIN);
    match prometheus_api::query(&probe, url, &explanation.expr) {
        Err(error) => {
            outln!("no values: Prometheus at {url}: {error:#}");
            outln!("start the stack with `cargo xtask monitoring-up`, or name another with --prometheus URL");
            for part in &explanation.parts {
                head(part);
            }
        }
        Ok(holds) => {
            outln!(
                "now ({url}): {}",
                count(holds.len(), "holds for no series", "holds for")
            );
            series(&holds);
            for part in &explanation.parts {
                head(part);
                series(&prometheus_api::query(&probe, url, &part.expr)?);
            }
        }
    }
    Ok(0)
}

fn head(part: &Part) {
    outln!("\n- {}\n  must {}", part.words, part.must);
    outln!("  {}", part.expr);
}

fn count(number: usize, none: &str, some: &str) -> String {
    match number {
        0 => none.to_owned(),
        1 => format!("{some} 1 series"),
        many => format!("{some} {many} series"),
    }
}

fn series(samples: &[Sample]) {
    if samples.is_empty() {
        outln!("    no data");
    }
    for sample in samples.iter().take(SHOWN) {
        let labels: Vec<String> = sample
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        outln!("    {{{}}} {}", labels.join(", "), sample.value);
    }
    if samples.len() > SHOWN {
        outln!("    and {} more", samples.len() - SHOWN);
    }
}
