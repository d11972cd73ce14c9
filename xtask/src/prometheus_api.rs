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
    #[serde(default)]
    last_scrape: String,
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
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct QueryResult {
    result: serde_json::Value,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Its labels, the name apart.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value as Prometheus writes it.
    pub(crate) value: String,
}

/// The present value of an expression.
pub(crate) fn query(probe: &Probe, prometheus: &str, expr: &str) -> Result<Vec<Sample>> {
    Ok(series(probe, prometheus, expr)?
        .iter()
        .map(|series| Sample {
            labels: labels(series),
            value: series["value"][1].as_str().unwrap_or_default().to_owned(),
        })
        .collect())
}

/// When a series has samples.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    /// Its labels, the name apart.
    pub(crate) labels: BTreeMap<String, String>,
    /// In seconds since 1970, oldest first.
    pub(crate) at: Vec<f64>,
}

/// When the series that a range selector names have samples.
pub(crate) fn moments(probe: &Probe, prometheus: &str, selector: &str) -> Result<Vec<Moments>> {
    Ok(series(probe, prometheus, selector)?
        .iter()
        .map(|series| {
            let samples = series["values"].as_array().into_iter().flatten();
            Moments {
                labels: labels(series),
                at: samples.filter_map(|sample| sample[0].as_f64()).collect(),
            }
        })
        .collect())
}

fn series(probe: &Probe, prometheus: &str, expr: &str) -> Result<Vec<serde_json::Value>> {
    let encoded: String = expr
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let data: QueryResult = get(probe, prometheus, &format!("api/v1/query?query={encoded}"))?;
    Ok(data.result.as_array().cloned().unwrap_or_default())
}

fn labels(series: &serde_json::Value) -> BTreeMap<String, String> {
    let labels = series["metric"].as_object().into_iter().flatten();
    labels
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
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
    /// When the last scrape began, RFC 3339; the year 1 before the first one.
    pub(crate) last_scrape: String,
}

impl Target {
    /// True when the last scrape began after this moment, in seconds since 1970.
    pub(crate) fn scraped_after(&self, since: f64) -> bool {
        seconds(&self.last_scrape).is_some_and(|scraped| scraped > since)
    }
}

/// RFC 3339, with any offset, as seconds since 1970; `None` when it is none.
fn seconds(text: &str) -> Option<f64> {
    let (date, time) = text.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<Vec<f64>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    let [year, month, day] = numbers(date, '-')?[..] else {
        return None;
    };
    let (time, zone) = time.split_at(time.find(['Z', '+', '-'])?);
    let [hour, minute, second] = numbers(time, ':')?[..] else {
        return None;
    };
    let east = match numbers(&zone[1..], ':').as_deref() {
        Some([hours, minutes]) => (hours * 60.0 + minutes) * 60.0,
        _ => 0.0,
    };
    let east = if zone.starts_with('-') { -east } else { east };
    // Years begin with March here, so that the leap day is the last one: days since 0000-03-01.
    let (year, month) = if month > 2.0 {
        (year, month - 3.0)
    } else {
        (year - 1.0, month + 9.0)
    };
    let leap = (year / 4.0).floor() - (year / 100.0).floor() + (year / 400.0).floor();
    let days = year * 365.0 + leap + ((month * 153.0 + 2.0) / 5.0).floor() + day - 1.0;
    Some((days - 719_468.0) * 86_400.0 + hour * 3600.0 + minute * 60.0 + second - east)
}

/// The rules that Prometheus evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Rules {
    /// Alerting and recording rules together.
    pub(crate) loaded: usize,
    /// As many were generated.
    pub(crate) expected: usize,
    /// Alerting rules with at least one firing alert, the dead man's switch apart.
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
            last_scrape: target.last_scrape,
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
        // The dead man's switch always fires.
        .filter(|rule| rule.labels.get("severity").map(String::as_str) != Some("heartbeat"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_fraction_and_offset() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds("2000-02-29T12:00:00.5Z"), Some(951_825_600.5));
        assert_eq!(seconds("2026-01-02T03:04:05Z"), Some(1_767_323_045.0));
        assert_eq!(seconds("2026-01-02T05:04:05+02:00"), Some(1_767_323_045.0));
        assert_eq!(seconds("2026-01-01T21:34:05-05:30"), Some(1_767_323_045.0));
        assert!(seconds("0001-01-01T00:00:00Z").is_some_and(|long_ago| long_ago < 0.0));
        assert_eq!(seconds("soon"), None);
    }
}
