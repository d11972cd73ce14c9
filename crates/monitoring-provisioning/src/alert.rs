//! What each frozen alert is: severity, subject, defaults, texts. The expressions are made in `generate::rules`.

use indexmap::IndexMap;
use pool_metrics::catalogue;

use crate::{
    duration::PromDuration,
    spec::{AlertName, Spec},
};

/// What one instance of an alert is about; it decides which labels the alert carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Pool,
    Endpoint,
}

impl Subject {
    /// The labels that every expression about this subject keeps.
    pub(crate) const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Pool => &["instance", "pool"],
            Self::Endpoint => &["instance", "pool", "endpoint"],
        }
    }

    /// For tables.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Endpoint => "endpoint",
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

/// One frozen alert with its defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) name: AlertName,
    pub(crate) severity: &'static str,
    pub(crate) subject: Subject,
    pub(crate) for_: PromDuration,
    /// `None`: the alert looks at the present, through the last four scrapes.
    pub(crate) window: Option<PromDuration>,
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
}

const fn definition(
    name: AlertName,
    severity: &'static str,
    subject: Subject,
    for_seconds: u64,
    condition: &'static str,
    summary: &'static str,
    description: &'static str,
) -> Definition {
    Definition {
        name,
        severity,
        subject,
        for_: PromDuration::from_secs(for_seconds),
        window: None,
        averages: false,
        remembers: false,
        threshold: None,
        min_rate: None,
        min_count: None,
        condition,
        summary,
        description,
    }
}

const fn window(seconds: u64) -> Option<PromDuration> {
    Some(PromDuration::from_secs(seconds))
}

const fn threshold(default: f64, above: f64, below: f64, unit: &'static str) -> Option<Threshold> {
    Some(Threshold {
        default,
        above,
        below,
        unit,
    })
}

/// What a pool takes as its limit of waiting callers at most.
const MOST_WAITERS: f64 = 10_000_000.0;
const BUCKETS: &[f64] = catalogue::REQUEST_DURATION_MS.buckets;

/// The ten, the critical ones first.
///
/// `{threshold}`, `{window}`, `{for}` in a description stand for the value in force; what is in double braces is
/// Prometheus' template language.
pub(crate) const DEFINITIONS: [Definition; 10] = [
    definition(
        AlertName::ConnectionPoolExhausted,
        "critical",
        Subject::Pool,
        60,
        "some slots are usable and none of them is free",
        "Connection pool {{ $labels.pool }} has no slot left to give.",
        "All {{ $value | humanize }} usable slots of pool {{ $labels.pool }} on {{ $labels.instance }} have been taken for \
         {for}; callers queue.",
    ),
    Definition {
        window: window(300),
        remembers: true,
        ..definition(
            AlertName::CircuitBreakerOpen,
            "critical",
            Subject::Endpoint,
            0,
            "the breaker is open, or was within {window}",
            "The circuit breaker of {{ $labels.endpoint }} in pool {{ $labels.pool }} is open.",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} was cut off after repeated \
             failures, now or within the last {window}. The alert ends {window} after the breaker last closed.",
        )
    },
    definition(
        AlertName::NoHealthyEndpoints,
        "critical",
        Subject::Pool,
        60,
        "every endpoint of the pool is unhealthy",
        "Pool {{ $labels.pool }} has no healthy endpoint.",
        "Every endpoint of pool {{ $labels.pool }} on {{ $labels.instance }} has been unhealthy for {for}: nothing on this \
         chain can be read or sent.",
    ),
    Definition {
        window: window(300),
        remembers: true,
        ..definition(
            AlertName::ConnectionPoolQueueTimeouts,
            "critical",
            Subject::Pool,
            0,
            "a caller ran out of time in the queue within {window}",
            "Requests time out in the queue of pool {{ $labels.pool }}.",
            "About {{ $value | humanize }} callers of pool {{ $labels.pool }} on {{ $labels.instance }} ran out of time in the \
             queue within {window}.",
        )
    },
    Definition {
        window: window(120),
        averages: true,
        threshold: threshold(0.8, 0.0, 1.0, "share of the usable slots, above 0 and below 1"),
        ..definition(
            AlertName::ConnectionPoolHighUtilization,
            "warning",
            Subject::Pool,
            300,
            "more than {threshold} of the usable slots are in use (mean over {window})",
            "Pool {{ $labels.pool }} is nearly full.",
            "{{ $value | humanizePercentage }} of the usable slots of pool {{ $labels.pool }} on {{ $labels.instance }} are in \
             use (mean over {window}, limit {threshold}).",
        )
    },
    definition(
        AlertName::EndpointUnhealthy,
        "warning",
        Subject::Endpoint,
        300,
        "the endpoint is unhealthy",
        "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} is unhealthy.",
        "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} has failed its health checks for \
         {for}.",
    ),
    Definition {
        window: window(300),
        averages: true,
        threshold: threshold(0.05, 0.0, 1.0, "share of the attempts, above 0 and below 1"),
        min_rate: Some(0.1),
        ..definition(
            AlertName::ConnectionPoolHighErrorRate,
            "warning",
            Subject::Endpoint,
            0,
            "more than {threshold} of the attempts fail through the node over {window}, from {min_rate} attempts/s",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} fails too often.",
            "{{ $value | humanizePercentage }} of the attempts on endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} \
             on {{ $labels.instance }} failed through the node's fault within {window} (limit {threshold}).",
        )
    },
    Definition {
        window: window(300),
        averages: true,
        threshold: threshold(
            1000.0,
            BUCKETS[0],
            BUCKETS[BUCKETS.len() - 1],
            "milliseconds, between the first and the last bucket (1 and 120000, both excluded)",
        ),
        min_rate: Some(0.1),
        ..definition(
            AlertName::ConnectionPoolHighLatency,
            "warning",
            Subject::Endpoint,
            0,
            "p95 is above {threshold} over {window}, from {min_rate} attempts/s",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} is slow.",
            "The slowest 5 % of the attempts on endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on \
             {{ $labels.instance }} took {{ $value | printf \"%.0f\" }} ms or more within {window} (limit {threshold}).",
        )
    },
    Definition {
        window: window(60),
        averages: true,
        threshold: threshold(
            10.0,
            -1.0,
            MOST_WAITERS,
            "waiting callers, 0 or more, and fewer than a pool can hold (10000000)",
        ),
        ..definition(
            AlertName::ConnectionPoolQueueGrowing,
            "warning",
            Subject::Pool,
            120,
            "more than {threshold} callers wait (mean over {window})",
            "Callers queue for pool {{ $labels.pool }}.",
            "{{ $value | humanize }} callers wait for a slot of pool {{ $labels.pool }} on {{ $labels.instance }} (mean over \
             {window}, limit {threshold}).",
        )
    },
    Definition {
        window: window(600),
        averages: true,
        threshold: threshold(120.0, 0.0, 1e9, "seconds of mean connection life, above 0"),
        min_count: Some(20.0),
        ..definition(
            AlertName::ConnectionPoolHighChurn,
            "warning",
            Subject::Endpoint,
            0,
            "connections live less than {threshold} on average over {window}, from {min_count} opened and closed",
            "Connections to {{ $labels.endpoint }} of pool {{ $labels.pool }} don't last.",
            "Connections to endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} lived \
             {{ $value | humanizeDuration }} on average over {window} (limit {threshold}).",
        )
    },
];

/// An alert with the operator's overrides; not yet scaled.
#[derive(Clone, Debug)]
pub(crate) struct Alert<'a> {
    pub(crate) definition: &'static Definition,
    pub(crate) enabled: bool,
    pub(crate) for_: PromDuration,
    pub(crate) window: PromDuration,
    pub(crate) threshold: f64,
    pub(crate) min_rate: f64,
    pub(crate) min_count: f64,
    pub(crate) labels: Option<&'a IndexMap<String, String>>,
}

/// Scrapes that a gauge under a `for` looks back, so that one failed scrape doesn't start the `for` anew.
pub(crate) const LOOK_BACK_SCRAPES: u64 = 4;

/// All ten as the spec wants them.
pub(crate) fn alerts(spec: &Spec) -> impl Iterator<Item = Alert<'_>> {
    DEFINITIONS.iter().map(|definition| {
        let given = spec.alerts.get(&definition.name);
        let look_back = spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
        Alert {
            definition,
            enabled: given.and_then(|g| g.enabled).unwrap_or(true),
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
        }
    })
}

impl Alert<'_> {
    /// A text with the values in force in place of `{threshold}`, `{window}` and so on.
    pub(crate) fn fill(&self, spec: &Spec, text: &str) -> String {
        text.replace("{threshold}", &self.threshold_text())
            .replace("{window}", &spec.scaled(self.window).to_string())
            .replace("{for}", &spec.scaled(self.for_).to_string())
            .replace("{min_rate}", &number(self.min_rate))
            .replace("{min_count}", &number(self.min_count))
    }

    /// The limit for humans.
    pub(crate) fn threshold_text(&self) -> String {
        match self.definition.name {
            AlertName::ConnectionPoolHighUtilization | AlertName::ConnectionPoolHighErrorRate => {
                format!("{} %", number(self.threshold * 100.0))
            }
            AlertName::ConnectionPoolHighLatency => format!("{} ms", number(self.threshold)),
            AlertName::ConnectionPoolHighChurn => {
                PromDuration::from_millis((self.threshold * 1_000.0).round() as u64).to_string()
            }
            _ => number(self.threshold),
        }
    }
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

/// Every alert as the spec wants it, in the order of the rule file.
pub fn alert_list(spec: &Spec) -> Vec<AlertSummary> {
    alerts(spec)
        .map(|alert| AlertSummary {
            name: alert.definition.name.to_string(),
            severity: alert.definition.severity.to_owned(),
            about: alert.definition.subject.word().to_owned(),
            condition: alert.fill(spec, alert.definition.condition),
            for_: spec.scaled(alert.for_),
            is_enabled: alert.enabled,
        })
        .collect()
}
