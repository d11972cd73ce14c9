//! What each alert is: severity, subject, defaults, texts. The expressions are made in `generate::rules`.

mod frozen;
mod more;

use indexmap::IndexMap;

use crate::{
    duration::PromDuration,
    spec::{AlertName, PoolOverride, Spec},
};

/// What one instance of an alert is about; it decides which labels the alert carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Pool,
    Endpoint,
    /// A relayer's process.
    Relayer,
    /// Whatever else Prometheus scrapes.
    Target,
    /// The monitoring itself.
    Stack,
}

impl Subject {
    /// The labels that every expression about this subject keeps.
    pub(crate) const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Pool => &["instance", "pool"],
            Self::Endpoint => &["instance", "pool", "endpoint"],
            Self::Relayer => &["instance"],
            Self::Target => &["job", "instance"],
            Self::Stack => &[],
        }
    }

    /// For tables.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Endpoint => "endpoint",
            Self::Relayer => "relayer",
            Self::Target => "scrape target",
            Self::Stack => "monitoring",
        }
    }

    /// The same as a grouping clause.
    pub(crate) fn by(self) -> String {
        self.labels().join(", ")
    }
}

/// A limit and what may be written for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threshold {
    pub(crate) default: f64,
    /// Both ends are excluded.
    pub(crate) above: f64,
    pub(crate) below: f64,
    pub(crate) unit: &'static str,
}

/// One alert with its defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) name: AlertName,
    pub(crate) severity: &'static str,
    pub(crate) subject: Subject,
    pub(crate) for_: PromDuration,
    /// `None`: the alert looks at the present, through the last four scrapes.
    pub(crate) window: Option<PromDuration>,
    /// For tables: what it looks back over, where that can't be set.
    pub(crate) windows: Option<&'static str>,
    /// Whether the condition is a mean or rate over the window, so that it becomes true only late in it.
    pub(crate) averages: bool,
    /// Whether a single event makes the condition true, and true only for as long as the window remembers it.
    pub(crate) remembers: bool,
    pub(crate) threshold: Option<Threshold>,
    pub(crate) min_rate: Option<f64>,
    pub(crate) min_count: Option<f64>,
    /// When it fires, in a few words; the time it must hold stands beside.
    pub(crate) condition: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// The figure of the description with its unit, for one line among many; empty where there is none to tell.
    pub(crate) value: &'static str,
}

/// An alert with the operator's overrides; not yet scaled.
#[derive(Clone, Debug)]
pub(crate) struct Alert<'a> {
    pub(crate) definition: &'static Definition,
    pub(crate) enabled: bool,
    pub(crate) severity: &'a str,
    /// Whether alerts from which it follows silence it.
    pub(crate) silenced: bool,
    pub(crate) for_: PromDuration,
    pub(crate) window: PromDuration,
    pub(crate) threshold: f64,
    pub(crate) min_rate: f64,
    pub(crate) min_count: f64,
    pub(crate) labels: Option<&'a IndexMap<String, String>>,
    /// Pools with a limit of their own.
    pools: Option<&'a IndexMap<String, PoolOverride>>,
}

impl Definition {
    /// Whether single pools can have a limit of their own.
    pub(crate) fn has_pools(&self) -> bool {
        self.threshold.is_some() && matches!(self.subject, Subject::Pool | Subject::Endpoint)
    }
}

/// Scrapes that a gauge under a `for` looks back, so that one failed scrape doesn't start the `for` anew.
pub(crate) const LOOK_BACK_SCRAPES: u64 = 4;

/// Every alert, the frozen ones first.
pub(crate) fn definitions() -> impl Iterator<Item = &'static Definition> {
    frozen::FROZEN.iter().chain(&more::MORE)
}

/// All alerts as the spec wants them.
pub(crate) fn alerts(spec: &Spec) -> impl Iterator<Item = Alert<'_>> {
    definitions().map(|definition| {
        let given = spec.alerts.get(&definition.name);
        let look_back = spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
        Alert {
            definition,
            enabled: given.and_then(|g| g.enabled).unwrap_or(true),
            severity: given
                .and_then(|g| g.severity.as_deref())
                .unwrap_or(definition.severity),
            silenced: given.and_then(|g| g.silenced).unwrap_or(true),
            for_: given.and_then(|g| g.for_).unwrap_or(definition.for_),
            window: given
                .and_then(|g| g.window)
                .or(definition.window)
                .unwrap_or(look_back),
            threshold: given
                .and_then(|g| g.threshold)
                .or(definition.threshold.map(|t| t.default))
                .unwrap_or_default(),
            min_rate: given
                .and_then(|g| g.min_rate)
                .or(definition.min_rate)
                .unwrap_or_default(),
            min_count: given
                .and_then(|g| g.min_count)
                .or(definition.min_count)
                .unwrap_or_default(),
            labels: given.map(|g| &g.labels),
            pools: given.map(|g| &g.pools),
        }
    })
}

impl<'a> Alert<'a> {
    /// Who is responsible: the label `team`.
    pub(crate) fn team(&self, spec: &'a Spec) -> &'a str {
        let own = self.labels.and_then(|labels| labels.get("team"));
        own.unwrap_or(&spec.links.team)
    }
}

impl Alert<'_> {
    /// What it looks back over, for tables.
    pub(crate) fn window_text(&self) -> String {
        match self.definition.windows {
            Some(windows) => windows.to_owned(),
            None => self.window.to_string(),
        }
    }

    /// A text for people with the values in force in place of `{threshold}`, `{window}` and so on.
    pub(crate) fn fill(&self, spec: &Spec, text: &str) -> String {
        self.filled(spec, text, &self.threshold_text())
    }

    /// The same for a template of Prometheus, which knows the pool when it is filled.
    pub(crate) fn fill_template(&self, spec: &Spec, text: &str) -> String {
        let mut limit = String::new();
        for (index, (pool, threshold)) in self.pools().enumerate() {
            let case = if index == 0 { "if" } else { "else if" };
            let text = self.limit_text(threshold);
            limit.push_str(&format!("{{{{ {case} eq $labels.pool \"{pool}\" }}}}{text}"));
        }
        let others = self.limit_text(self.threshold);
        if limit.is_empty() {
            limit = others;
        } else {
            limit.push_str(&format!("{{{{ else }}}}{others}{{{{ end }}}}"));
        }
        self.filled(spec, text, &limit)
    }

    /// Pools with a limit of their own, in the order of the spec.
    pub(crate) fn pools(&self) -> impl Iterator<Item = (&str, f64)> {
        let pools = self.pools.into_iter().flatten();
        pools.map(|(pool, own)| (pool.as_str(), own.threshold))
    }

    fn filled(&self, spec: &Spec, text: &str, threshold: &str) -> String {
        text.replace("{threshold}", threshold)
            .replace("{window}", &spec.scaled(self.window).to_string())
            .replace("{for}", &spec.scaled(self.for_).to_string())
            .replace("{min_rate}", &number(self.min_rate))
            .replace("{min_count}", &number(self.min_count))
            .replace("{availability}", &percent(spec.slo.availability))
            .replace("{latency}", &percent(spec.slo.latency))
            .replace("{latency_ms}", &number(spec.slo.latency_ms))
            .replace("{slo_min_rate}", &number(spec.slo.min_rate))
    }

    /// The limit for humans, with those of single pools.
    pub(crate) fn threshold_text(&self) -> String {
        let own: Vec<String> = self
            .pools()
            .map(|(pool, threshold)| format!("pool {pool}: {}", self.limit_text(threshold)))
            .collect();
        let others = self.limit_text(self.threshold);
        if own.is_empty() {
            others
        } else {
            format!("{others} ({})", own.join(", "))
        }
    }

    fn limit_text(&self, threshold: f64) -> String {
        match self.definition.name {
            AlertName::ConnectionPoolHighUtilization
            | AlertName::ConnectionPoolHighErrorRate
            | AlertName::EndpointThrottled => percent(threshold),
            AlertName::ConnectionPoolHighLatency => format!("{} ms", number(threshold)),
            AlertName::ConnectionPoolHighChurn => {
                PromDuration::from_millis((threshold * 1_000.0).round() as u64).to_string()
            }
            _ => number(threshold),
        }
    }
}

/// A share for humans.
fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// A number without the noise of binary fractions: at most six decimals, no trailing zeros.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What one alert is, with the limits in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSummary {
    /// Its name.
    pub name: String,
    /// `critical` or `warning`.
    pub severity: String,
    /// What one instance of it is about: a pool, an endpoint ...
    pub about: String,
    /// When it fires, in words.
    pub condition: String,
    /// How long the condition must hold; scaled.
    pub for_: PromDuration,
    /// Whether the spec leaves it on.
    pub is_enabled: bool,
}

/// Every alert as the spec wants it, the operator's own last.
pub fn alert_list(spec: &Spec) -> Vec<AlertSummary> {
    alerts(spec)
        .map(|alert| AlertSummary {
            name: alert.definition.name.to_string(),
            severity: alert.severity.to_owned(),
            about: alert.definition.subject.word().to_owned(),
            condition: alert.fill(spec, alert.definition.condition),
            for_: spec.scaled(alert.for_),
            is_enabled: alert.enabled,
        })
        .chain(spec.more_alerts.iter().map(|(name, alert)| AlertSummary {
            name: name.clone(),
            severity: alert.severity.clone(),
            about: "own".to_owned(),
            condition: alert.expr.split_whitespace().collect::<Vec<_>>().join(" "),
            for_: spec.scaled(alert.for_),
            is_enabled: true,
        }))
        .collect()
}
