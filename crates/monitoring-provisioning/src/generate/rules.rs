//! The rules: the ten frozen alerts, what else an operator would miss, and what the objectives are reckoned from.
//!
//! What all expressions have in common:
//! - whoever scrapes a relayer under two jobs has every series twice, so `max by` first folds the jobs;
//! - `instance` is kept throughout: `by (pool)` alone would let a well relayer hide a sick one;
//! - a gauge under a `for` is read through `last_over_time`, because one failed scrape ends the series for a moment and
//!   would start the `for` anew.

mod more;

pub(crate) use more::{FAST, Pace, SLOW};

use indexmap::IndexMap;
use pool_metrics::catalogue::{self, Metric};

use crate::{
    alert::{Alert, Subject, alerts, number},
    duration::PromDuration,
    lint::{flow, promql},
    model::rules::{Group, Rule, RuleFile},
    recording::{self, Recording, node_faults},
    spec::{AlertName, Spec},
};

/// Name of the group of what happens now.
pub(crate) const GROUP: &str = "connection-pool";
/// Name of the group of the objectives: days of it are looked at, so it is evaluated once a minute.
const SLO_GROUP: &str = "connection-pool-slo";

/// The rule file.
pub(crate) fn rule_file(spec: &Spec) -> RuleFile {
    let (slow, now): (Vec<_>, Vec<_>) = alerts(spec)
        .filter(|alert| alert.enabled)
        .partition(|alert| alert.definition.name.is_burn_rate());
    let mut groups = vec![Group {
        name: GROUP.to_owned(),
        interval: None,
        query_offset: spec.prometheus.query_offset.map(|offset| spec.scaled(offset)),
        rules: now
            .iter()
            .map(|alert| rule(spec, alert))
            .chain(own(spec))
            .collect(),
    }];
    // Also where no alert looks at them: the objectives' dashboard does.
    let recorded = Recording::ALL.into_iter().map(|recording| Rule {
        record: recording.name().to_owned(),
        expr: recording.expr(spec),
        ..Rule::default()
    });
    groups.push(Group {
        name: SLO_GROUP.to_owned(),
        interval: Some(spec.scaled(recording::INTERVAL)),
        query_offset: spec.prometheus.query_offset.map(|offset| spec.scaled(offset)),
        rules: recorded
            .chain(slow.iter().map(|alert| rule(spec, alert)))
            .collect(),
    });
    RuleFile { groups }
}

fn rule(spec: &Spec, alert: &Alert<'_>) -> Rule {
    let definition = alert.definition;
    let mut labels = IndexMap::from([
        ("severity".to_owned(), alert.severity.to_owned()),
        ("team".to_owned(), spec.links.team.clone()),
    ]);
    if let Some(more) = alert.labels {
        labels.extend(more.clone());
    }
    let for_ = spec.scaled(alert.for_);
    let fill = |text: &str| alert.fill_template(spec, text);
    let mut annotations = IndexMap::from([
        ("summary".to_owned(), fill(definition.summary)),
        ("description".to_owned(), fill(definition.description)),
        (
            "runbook_url".to_owned(),
            format!(
                "{}/{}.md",
                spec.links.runbook_base_url.trim_end_matches('/'),
                definition.name
            ),
        ),
        (
            "dashboard_url".to_owned(),
            dashboard_url(spec, definition.subject.labels(), definition.subject),
        ),
    ]);
    if !definition.value.is_empty() {
        annotations.insert("value".to_owned(), definition.value.to_owned());
    }
    let given = spec.alerts.get(&definition.name);
    annotations.extend(given.into_iter().flat_map(|given| given.annotations.clone()));
    Rule {
        record: String::new(),
        alert: definition.name.to_string(),
        expr: given
            .and_then(|given| given.expr.clone())
            .unwrap_or_else(|| whole(spec, alert)),
        for_,
        labels,
        annotations,
    }
}

/// The operator's own alerts.
fn own(spec: &Spec) -> impl Iterator<Item = Rule> {
    spec.more_alerts.iter().map(|(name, alert)| {
        let mut labels = IndexMap::from([
            ("severity".to_owned(), alert.severity.clone()),
            ("team".to_owned(), spec.links.team.clone()),
        ]);
        labels.extend(alert.labels.clone());
        let left = promql::parse(&alert.expr).map_or(Vec::new(), |expr| flow::labels_of(spec, &expr));
        let about: Vec<&str> = Subject::Endpoint
            .labels()
            .iter()
            .copied()
            .filter(|label| left.iter().any(|known| known == label))
            .collect();
        let base = spec.links.runbook_base_url.trim_end_matches('/');
        let runbook = alert.runbook_url.clone();
        let mut annotations = IndexMap::from([
            ("summary".to_owned(), alert.summary.clone()),
            ("description".to_owned(), alert.description.clone()),
            (
                "runbook_url".to_owned(),
                runbook.unwrap_or_else(|| format!("{base}/{name}.md")),
            ),
            (
                "dashboard_url".to_owned(),
                dashboard_url(spec, &about, Subject::Pool),
            ),
            ("value".to_owned(), "{{ $value | humanize }}".to_owned()),
        ]);
        annotations.extend(alert.annotations.clone());
        Rule {
            record: String::new(),
            alert: name.clone(),
            expr: alert.expr.clone(),
            for_: spec.scaled(alert.for_),
            labels,
            annotations,
        }
    })
}

/// Opens the dashboard on what the alert is about.
fn dashboard_url(spec: &Spec, labels: &[&str], subject: Subject) -> String {
    let mut url = format!(
        "{}/d/{}/connection-pools",
        spec.grafana_url(),
        super::dashboard::UID
    );
    // The dashboard has no variable for other targets.
    let labels = if subject == Subject::Target { &[] } else { labels };
    for (index, label) in labels.iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        url.push_str(&format!(
            "{separator}var-{label}={{{{ $labels.{label} | urlquery }}}}"
        ));
    }
    url
}

/// The expression with each pool under exactly one limit: those with a limit of their own are matched by their names, and
/// all others by not having one of these.
fn whole(spec: &Spec, alert: &Alert<'_>) -> String {
    let with = |only: String, threshold| {
        Expressions {
            spec,
            alert,
            only,
            threshold,
        }
        .expr()
    };
    let others: Vec<String> = alert
        .pools()
        .map(|(pool, _)| format!("pool!=\"{pool}\""))
        .collect();
    if others.is_empty() {
        return with(String::new(), alert.threshold);
    }
    let own = alert
        .pools()
        .map(|(pool, threshold)| with(format!("pool=\"{pool}\""), threshold));
    let parts: Vec<String> = std::iter::once(with(others.join(","), alert.threshold))
        .chain(own)
        .map(|expr| format!("(\n  {}\n)", expr.replace('\n', "\n  ")))
        .collect();
    parts.join("\nor\n")
}

/// Builds the expression of one alert.
struct Expressions<'a> {
    spec: &'a Spec,
    alert: &'a Alert<'a>,
    /// Matchers of the pools that are judged; empty for all.
    only: String,
    /// Their limit.
    threshold: f64,
}

impl Expressions<'_> {
    fn expr(&self) -> String {
        match self.alert.definition.name {
            AlertName::ConnectionPoolExhausted => self.exhausted(),
            AlertName::CircuitBreakerOpen => self.breaker_open(),
            AlertName::NoHealthyEndpoints => self.no_healthy_endpoints(),
            AlertName::ConnectionPoolQueueTimeouts => self.queue_timeouts(),
            AlertName::ConnectionPoolHighUtilization => self.high_utilization(),
            AlertName::EndpointUnhealthy => self.endpoint_unhealthy(),
            AlertName::ConnectionPoolHighErrorRate => self.high_error_rate(),
            AlertName::ConnectionPoolHighLatency => self.high_latency(),
            AlertName::ConnectionPoolQueueGrowing => self.queue_growing(),
            AlertName::ConnectionPoolHighChurn => self.high_churn(),
            _ => self.more(),
        }
    }

    fn by(&self) -> String {
        self.alert.definition.subject.by()
    }

    fn window(&self) -> PromDuration {
        self.spec.scaled(self.alert.window)
    }

    /// `function(metric[window])` with the jobs folded, per subject of the alert.
    fn over(&self, function: &str, metric: &Metric) -> String {
        format!(
            "max by ({}) ({function}({}[{}]))",
            self.by(),
            metric.name,
            self.window()
        )
    }

    /// The same of the pools that are judged. What is combined with it is confined to them by its labels.
    fn judged(&self, function: &str, metric: &Metric) -> String {
        format!(
            "max by ({}) ({function}({}{}[{}]))",
            self.by(),
            metric.name,
            self.selector(),
            self.window()
        )
    }

    fn selector(&self) -> String {
        if self.only.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", self.only)
        }
    }

    fn now(&self, metric: &Metric) -> String {
        self.over("last_over_time", metric)
    }

    /// A pool whose endpoints are all out has no usable slot and none free: that is another alert.
    fn exhausted(&self) -> String {
        format!(
            "{usable} > 0\nand on ({by})\n{free} == 0",
            usable = self.now(&catalogue::SLOTS_USABLE),
            free = self.now(&catalogue::SLOTS_FREE),
            by = self.by(),
        )
    }

    /// Looks back, because a breaker that reopens with backoff is never open for long, and counts transitions, because
    /// one that opens between two scrapes is never seen open.
    fn breaker_open(&self) -> String {
        format!(
            "{open} > 0\nor\n{opened} > 0",
            open = self.over("max_over_time", &catalogue::CIRCUIT_BREAKER_STATUS),
            opened = self.over("increase", &catalogue::CIRCUIT_BREAKER_OPENED_TOTAL),
        )
    }

    /// The status is 0 when healthy: the least of all is 1 only when none is healthy.
    fn no_healthy_endpoints(&self) -> String {
        format!(
            "min by ({by}) (\n  max by ({endpoint}) (last_over_time({metric}[{window}]))\n) == 1",
            by = self.by(),
            endpoint = Subject::Endpoint.by(),
            metric = catalogue::HEALTH_STATUS.name,
            window = self.window(),
        )
    }

    fn queue_timeouts(&self) -> String {
        format!("{} > 0", self.over("increase", &catalogue::QUEUE_TIMEOUTS_TOTAL))
    }

    /// `> 0` below the line keeps a pool without usable slots out instead of dividing by zero.
    fn high_utilization(&self) -> String {
        format!(
            "1 - (\n  {free}\n  /\n  ({usable} > 0)\n) > {limit}",
            free = self.judged("avg_over_time", &catalogue::SLOTS_FREE),
            usable = self.over("avg_over_time", &catalogue::SLOTS_USABLE),
            limit = number(self.threshold),
        )
    }

    fn endpoint_unhealthy(&self) -> String {
        format!("{} == 1", self.now(&catalogue::HEALTH_STATUS))
    }

    /// A ratio, not a rate; the floor on traffic also keeps the division away from zero.
    fn high_error_rate(&self) -> String {
        format!(
            "(\n  sum by ({by}) (\n    max by ({by}, error_type) (rate({errors}{{error_type=~\"{faults}\"{only}}}[{window}]))\n  )\n  /\n  \
             ({attempts} >= {floor})\n) > {limit}",
            by = self.by(),
            errors = catalogue::ERRORS_TOTAL.name,
            only = if self.only.is_empty() {
                String::new()
            } else {
                format!(",{}", self.only)
            },
            faults = node_faults(),
            window = self.window(),
            attempts = self.over("rate", &catalogue::REQUESTS_TOTAL),
            floor = number(self.alert.min_rate),
            limit = number(self.threshold),
        )
    }

    fn high_latency(&self) -> String {
        format!(
            "histogram_quantile(\n  0.95,\n  max by ({by}, le) (rate({metric}_bucket{only}[{window}]))\n) > {limit}\nand on ({by})\n\
             max by ({by}) (rate({metric}_count[{window}])) >= {floor}",
            by = self.by(),
            metric = catalogue::REQUEST_DURATION_MS.name,
            only = self.selector(),
            window = self.window(),
            limit = number(self.threshold),
            floor = number(self.alert.min_rate),
        )
    }

    fn queue_growing(&self) -> String {
        format!(
            "{} > {}",
            self.judged("avg_over_time", &catalogue::QUEUE_SIZE),
            number(self.threshold)
        )
    }

    /// Little's law: the mean life is the mean number of open connections times the window, divided by how many closed.
    /// Enough must have opened and closed: warm-up only opens, a shrinking pool only closes.
    fn high_churn(&self) -> String {
        format!(
            "(\n  {open}\n  * {seconds}\n  /\n  ({closed} >= {count})\n) < {limit}\nand on ({by})\n{opened} >= {count}",
            open = self.judged("avg_over_time", &catalogue::CONNECTIONS_TOTAL),
            seconds = number(self.window().as_secs_f64()),
            closed = self.over("increase", &catalogue::CONNECTIONS_DESTROYED_TOTAL),
            opened = self.over("increase", &catalogue::CONNECTIONS_CREATED_TOTAL),
            count = number(self.alert.min_count),
            limit = number(self.threshold / self.spec.time_scale),
            by = self.by(),
        )
    }
}
