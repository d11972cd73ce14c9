//! What a running Prometheus says about its targets and rules.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::probe::Probe;

#[derive(Debug, Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<ActiveTarget>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget {
    labels: BTreeMap<String, String>,
    health: String,
    #[serde(default)]
    last_error: String,
}

#[derive(Debug, Deserialize)]
struct RuleGroups {
    groups: Vec<RuleGroup>,
}

#[derive(Debug, Deserialize)]
struct RuleGroup {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(default)]
    state: Option<String>,
}

/// A scrape target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Target {
    /// The scrape job.
    pub(crate) job: String,
    /// The target's address.
    pub(crate) instance: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub(crate) health: String,
    /// Why the last scrape failed; empty when it did not.
    pub(crate) last_error: String,
}

/// The rules that Prometheus evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Rules {
    /// Alerting and recording rules together.
    pub(crate) loaded: usize,
    /// As many were generated.
    pub(crate) expected: usize,
    /// Alerting rules with at least one firing alert.
    pub(crate) firing: usize,
}

/// All targets, by job and instance.
pub(crate) fn targets(probe: &Probe, prometheus: &str) -> Result<Vec<Target>> {
    let data: Targets = get(probe, prometheus, "api/v1/targets?state=active")?;
    let mut targets: Vec<Target> = data
        .active_targets
        .into_iter()
        .map(|mut target| Target {
            job: target.labels.remove("job").unwrap_or_default(),
            instance: target.labels.remove("instance").unwrap_or_default(),
            health: target.health,
            last_error: target.last_error,
        })
        .collect();
    targets.sort_by(|a, b| (&a.job, &a.instance).cmp(&(&b.job, &b.instance)));
    Ok(targets)
}

/// The loaded rules beside the expected number.
pub(crate) fn rules(probe: &Probe, prometheus: &str, expected: usize) -> Result<Rules> {
    let data: RuleGroups = get(probe, prometheus, "api/v1/rules")?;
    let all = || data.groups.iter().flat_map(|group| &group.rules);
    let firing = all()
        .filter(|rule| rule.state.as_deref() == Some("firing"))
        .count();
    Ok(Rules {
        loaded: all().count(),
        expected,
        firing,
    })
}

fn get<T: serde::de::DeserializeOwned>(probe: &Probe, prometheus: &str, path: &str) -> Result<T> {
    let envelope: Envelope<T> = probe.json(&format!("{}/{path}", prometheus.trim_end_matches('/')))?;
    match envelope.data {
        Some(data) if envelope.status == "success" => Ok(data),
        _ => bail!(
            "Prometheus refuses {path}: {}",
            envelope.error.unwrap_or(envelope.status)
        ),
    }
}
