//! Situations: series as Prometheus would have scraped them, and which alerts fire when.
//!
//! Paths keep them short: `i/p/e` are instance, pool and endpoint; further parts are `label=value`. A series that names its
//! `job` is taken as it stands; all others are scraped under one job, and in the twin of each situation under two.

use pool_metrics::catalogue::{JOB_POOLS, PREFIX};
use serde_json::{Value, json};

use crate::{recording::Recording, spec::AlertName};

/// The rule that a situation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Alert(AlertName, &'static str),
    /// An alert one of whose pools has a limit of its own, under a name of its own.
    ByPool(AlertName, &'static str, &'static str),
    Recording(Recording),
}

impl Of {
    /// The rule's name among those that are proven.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Alert(alert, _) => alert.as_str(),
            Self::ByPool(_, _, name) => name,
            Self::Recording(recording) => recording.name(),
        }
    }
}

impl Of {
    /// The rule's name in its file.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::Alert(alert, _) | Self::ByPool(alert, ..) => alert.as_str(),
            Self::Recording(recording) => recording.name(),
        }
    }
}

/// One situation of one rule.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) of: Of,
    name: String,
    /// Seconds between two samples.
    interval: u64,
    /// Seconds between two evaluations.
    pub(super) evaluation: u64,
    series: Vec<(&'static str, &'static str, String)>,
    looks: Vec<Look>,
}

/// What is seen at one moment.
#[derive(Clone, Debug)]
struct Look {
    at: String,
    /// What the alerts that fire are about.
    fires: Vec<&'static str>,
    /// The recorded value.
    value: f64,
    /// Summary and description of the only one, where they are told.
    says: Option<(&'static str, &'static str)>,
}

impl Case {
    pub(super) fn new(alert: AlertName, severity: &'static str, name: impl Into<String>) -> Self {
        Self::of(Of::Alert(alert, severity), name)
    }

    pub(super) fn of(of: Of, name: impl Into<String>) -> Self {
        Self {
            of,
            name: name.into(),
            interval: 5,
            evaluation: 5,
            series: Vec::new(),
            looks: Vec::new(),
        }
    }

    /// A series in promtool's notation of values; one sample every 5 s unless [`Case::every`] says otherwise.
    pub(super) fn given(
        mut self,
        metric: &'static str,
        path: &'static str,
        values: impl Into<String>,
    ) -> Self {
        self.series.push((metric, path, values.into()));
        self
    }

    /// Seconds between two samples and between two evaluations, for what takes days.
    pub(super) fn every(mut self, interval: u64, evaluation: u64) -> Self {
        self.interval = interval;
        self.evaluation = evaluation;
        self
    }

    fn look(
        mut self,
        at: impl Into<String>,
        fires: &[&'static str],
        value: f64,
        says: Option<(&'static str, &'static str)>,
    ) -> Self {
        self.looks.push(Look {
            at: at.into(),
            fires: fires.into(),
            value,
            says,
        });
        self
    }

    /// The recording has this value then, and these are all.
    pub(super) fn records(self, at: &'static str, about: &'static str, value: f64) -> Self {
        self.look(at, &[about], value, None)
    }

    /// Exactly these fire then.
    pub(super) fn fires<const N: usize>(self, at: impl Into<String>, about: [&'static str; N]) -> Self {
        self.look(at, &about, 1.0, None)
    }

    /// Nothing fires then.
    pub(super) fn silent(self, at: impl Into<String>) -> Self {
        self.look(at, &[], 1.0, None)
    }

    /// Exactly one fires then, with these texts.
    pub(super) fn says(
        self,
        at: impl Into<String>,
        about: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        self.look(at, &[about], 1.0, Some((summary, description)))
    }

    pub(super) fn fires_at_all(&self) -> bool {
        self.looks.iter().any(|look| !look.fires.is_empty())
    }

    pub(super) fn is_silent_at_all(&self) -> bool {
        self.looks.iter().any(|look| look.fires.is_empty())
    }

    /// promtool's test of the situation. Each of `names` stands for the alert: its own, or those of its mutants.
    pub(super) fn test(&self, jobs: &[&str], names: &[String]) -> Value {
        let series: Vec<Value> = self
            .series
            .iter()
            .flat_map(|(metric, path, values)| {
                // A recorded series has no job.
                let own = if path.contains("job=") || metric.contains(':') {
                    &[""]
                } else {
                    jobs
                };
                own.iter().map(move |job| {
                    let more = (!job.is_empty()).then(|| ("job".to_owned(), (*job).to_owned()));
                    let labels: Vec<_> = labels(path).into_iter().chain(more).collect();
                    json!({ "series": selector(&full_name(metric), &labels), "values": values })
                })
            })
            .collect();
        let mut alerts = Vec::new();
        let mut exprs = Vec::new();
        for (look, name) in self
            .looks
            .iter()
            .flat_map(|look| names.iter().map(move |name| (look, name)))
        {
            match look.says {
                Some(says) => alerts.push(self.alert(look, name, says)),
                None => exprs.push(match self.of {
                    Of::Alert(..) | Of::ByPool(..) => self.samples(look, name),
                    Of::Recording(_) => recorded(look, name),
                }),
            }
        }
        json!({
            "name": format!("{}, {} job(s)", self.name, jobs.len()),
            "interval": format!("{}s", self.interval),
            "input_series": series,
            "alert_rule_test": alerts,
            "promql_expr_test": exprs,
        })
    }

    /// The labels that the alert must carry then, `alertname` apart; no others.
    fn labels(&self, path: &str) -> Vec<(String, String)> {
        let mut all = labels(path);
        if let Of::Alert(_, severity) | Of::ByPool(_, severity, _) = self.of {
            all.push(("severity".to_owned(), severity.to_owned()));
            all.push(("team".to_owned(), "relayer".to_owned()));
        }
        all
    }

    fn alert(&self, look: &Look, name: &str, (summary, description): (&str, &str)) -> Value {
        let alerts: Vec<Value> = look
            .fires
            .iter()
            .map(|path| {
                let labels: serde_json::Map<String, Value> = self
                    .labels(path)
                    .into_iter()
                    .map(|(name, value)| (name, Value::String(value)))
                    .collect();
                let mut annotations = json!({
                    "summary": summary,
                    "description": description,
                    "runbook_url": runbook(self.of.rule()),
                    "dashboard_url": dashboard(self.of.rule(), path),
                });
                if let Some(value) = figure(self.of.rule(), description) {
                    annotations["value"] = Value::String(value);
                }
                json!({ "exp_labels": labels, "exp_annotations": annotations })
            })
            .collect();
        json!({ "eval_time": look.at, "alertname": name, "exp_alerts": alerts })
    }

    /// The same without the texts: the series that Prometheus itself keeps of every alert.
    fn samples(&self, look: &Look, name: &str) -> Value {
        let state = [
            ("alertname".to_owned(), name.to_owned()),
            ("alertstate".to_owned(), "firing".to_owned()),
        ];
        let samples: Vec<Value> = look
            .fires
            .iter()
            .map(|path| {
                let labels: Vec<_> = state.iter().cloned().chain(self.labels(path)).collect();
                json!({ "labels": selector("ALERTS", &labels), "value": 1 })
            })
            .collect();
        json!({ "expr": selector("ALERTS", &state), "eval_time": look.at, "exp_samples": samples })
    }
}

/// The values of a recorded series, to two places.
fn recorded(look: &Look, name: &str) -> Value {
    let samples: Vec<Value> = look
        .fires
        .iter()
        .map(|path| json!({ "labels": selector("", &labels(path)), "value": look.value }))
        .collect();
    json!({ "expr": format!("round({name}, 0.01)"), "eval_time": look.at, "exp_samples": samples })
}

/// The jobs of a situation: as we scrape, and as somebody does who scrapes the same page twice.
pub(super) const JOBS: [&[&str]; 2] = [&[JOB_POOLS], &[JOB_POOLS, "another"]];

/// `up` and its kin are Prometheus' own.
fn full_name(metric: &str) -> String {
    match metric {
        "up" => metric.to_owned(),
        recorded if recorded.contains(':') => metric.to_owned(),
        _ => format!("{PREFIX}{metric}"),
    }
}

fn labels(path: &str) -> Vec<(String, String)> {
    let mut places = ["instance", "pool", "endpoint"].into_iter();
    path.split('/')
        .filter(|part| !part.is_empty())
        .filter_map(|part| match part.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => places.next().map(|name| (name.to_owned(), part.to_owned())),
        })
        .collect()
}

fn selector(name: &str, labels: &[(String, String)]) -> String {
    let inside: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{name}{{{}}}", inside.join(","))
}

/// What one line about the alert tells: the figure that stands in its description, with its unit.
fn figure(alert: &str, description: &str) -> Option<String> {
    let word = |index: usize| description.split(' ').nth(index).unwrap_or_default();
    let before = |end: &str| {
        let (before, _) = description.split_once(end)?;
        before.split(' ').next_back()
    };
    Some(match alert {
        "ConnectionPoolExhausted" => format!("0 of {} slots free", word(1)),
        "ConnectionPoolQueueTimeouts" => format!("{} timed out", word(1)),
        "ConnectionPoolHighUtilization" => format!("{} in use", word(0)),
        "ConnectionPoolHighErrorRate" | "PoolAvailabilityBurnFast" | "PoolAvailabilityBurnSlow" => {
            format!("{} failed", word(0))
        }
        "ConnectionPoolHighLatency" => format!("p95 {} ms", before(" ms or more")?),
        "ConnectionPoolQueueGrowing" => format!("{} waiting", word(0)),
        "ConnectionPoolHighChurn" => {
            let (_, life) = description.split_once(" lived ")?;
            format!("{} mean life", life.split_once(" on average")?.0)
        }
        "ConnectionLeak" => format!("{} not given back", word(1)),
        "RetryBudgetExhausted" => format!("{} not sent", word(1)),
        "EndpointBlockLag" => format!("{} blocks behind", before(" blocks")?),
        "EndpointThrottled" => format!("{} of the time", before(" of the time")?),
        "ReconfigurationFailed" => format!("{} refused", before(" times within")?),
        "PoolLatencyBurnFast" | "PoolLatencyBurnSlow" => format!("{} slow", word(0)),
        _ => return None,
    })
}

/// Written out here once more, lest a slip in the generator prove itself right.
fn runbook(alert: &str) -> String {
    format!("https://github.com/fusion-relayers/connection-pool/blob/main/monitoring/runbooks/{alert}.md")
}

fn dashboard(alert: &str, path: &str) -> String {
    let has_variables = alert != "ScrapeTargetDown";
    let variables: Vec<String> = labels(path)
        .iter()
        .filter(|(name, _)| has_variables && ["instance", "pool", "endpoint"].contains(&name.as_str()))
        .map(|(name, value)| format!("var-{name}={value}"))
        .collect();
    let query = if variables.is_empty() { "" } else { "?" };
    format!(
        "http://localhost:3001/d/fusion-connection-pool/connection-pools{query}{}",
        variables.join("&")
    )
}
