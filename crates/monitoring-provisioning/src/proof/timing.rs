//! When an alert must fire, be told of and end, read off the rules as they are generated.

use indexmap::IndexMap;
use promql_parser::parser::{Expr, VectorSelector, token};

use crate::{
    alert::definitions,
    duration::PromDuration,
    generate::rules,
    lint::promql,
    model::rules::RuleFile,
    problem::{Problem, Problems},
    recording::Recording,
    spec::{AlertName, Spec},
};

/// The times of one alert, scaled as the running stack has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Which.
    pub alert: AlertName,
    /// `critical`, `warning` or `heartbeat`.
    pub severity: String,
    /// The labels that the rule itself sets, `severity` and `team` among them.
    pub labels: IndexMap<String, String>,
    /// The labels that come from what it is about.
    pub subject: &'static [&'static str],
    /// How long the condition must hold.
    pub for_: PromDuration,
    /// By when a condition that is true from now on is seen: the longest range; where two conditions will do, that of the
    /// quicker one.
    pub window: PromDuration,
    /// By when a condition that has ended is forgotten: the longest range; where two conditions must hold, that of the one
    /// that forgets first.
    pub memory: PromDuration,
    /// Time between two scrapes.
    pub scrape_interval: PromDuration,
    /// Time between two evaluations of its group.
    pub evaluation_interval: PromDuration,
    /// How long its first notification waits for company.
    pub group_wait: PromDuration,
    /// Least time between two notifications of its group; the one that it has ended waits for it.
    pub group_interval: PromDuration,
    /// When an alert that goes on is told again.
    pub repeat_interval: PromDuration,
}

impl Timing {
    /// From the beginning of the trouble until it fires: `for`, the window, a scrape and an evaluation.
    pub const fn fires_within(&self) -> PromDuration {
        self.for_
            .plus(self.window)
            .plus(self.scrape_interval)
            .plus(self.evaluation_interval)
    }

    /// From the beginning of the trouble until somebody is told.
    pub const fn notified_within(&self) -> PromDuration {
        self.fires_within().plus(self.group_wait)
    }

    /// From the end of the trouble until somebody is told.
    pub const fn resolved_within(&self) -> PromDuration {
        self.memory
            .plus(self.scrape_interval)
            .plus(self.evaluation_interval)
            .plus(self.group_interval)
    }
}

/// The times of every alert that the spec leaves on, in the order of [`AlertName::ALL`].
///
/// # Errors
/// An expression can't be parsed.
pub fn timings(spec: &Spec) -> Result<Vec<Timing>, Problems> {
    let file = rules::rule_file(spec);
    let mut timings = Vec::new();
    for group in &file.groups {
        let evaluation_interval = group
            .interval
            .unwrap_or(spec.scaled(spec.prometheus.evaluation_interval));
        for rule in group.rules.iter().filter(|rule| !rule.alert.is_empty()) {
            // alerts of the operator's own aren't ours to time
            let Some(definition) = definitions().find(|one| one.name.as_str() == rule.alert) else {
                continue;
            };
            let expr = parse(spec, &rule.alert, &rule.expr)?;
            let spans = Spans { spec };
            let routes = spec.routes();
            let route = routes
                .iter()
                .find(|route| route.severity == definition.severity)
                .unwrap_or(&routes[0]);
            timings.push(Timing {
                alert: definition.name,
                severity: definition.severity.to_owned(),
                labels: rule.labels.clone(),
                subject: definition.subject.labels(),
                for_: rule.for_,
                window: spans.seen(&expr),
                memory: spans.forgotten(&expr),
                scrape_interval: spec.scaled(spec.prometheus.scrape_interval),
                evaluation_interval,
                group_wait: route.group_wait,
                group_interval: route.group_interval,
                repeat_interval: route.repeat_interval,
            });
        }
    }
    timings.sort_by_key(|timing| timing.alert);
    Ok(timings)
}

/// The shortest range over scraped series in any rule. It must hold four scrapes, or one that fails decides.
///
/// # Errors
/// An expression can't be parsed.
pub fn shortest_window(spec: &Spec) -> Result<Option<PromDuration>, Problems> {
    let RuleFile { groups } = rules::rule_file(spec);
    let mut shortest: Option<PromDuration> = None;
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let expr = parse(spec, rule.name(), &rule.expr)?;
        for (selector, range) in ranges(&expr) {
            let scraped = selector
                .name
                .as_deref()
                .is_none_or(|name| Recording::by_name(name).is_none());
            if scraped {
                shortest = Some(shortest.map_or(range, |other| other.min(range)));
            }
        }
    }
    Ok(shortest)
}

fn parse(spec: &Spec, rule: &str, expr: &str) -> Result<Expr, Problem> {
    promql::parse(expr).map_err(|why| Problem::new(&spec.source, format!("`{rule}`: {why}")))
}

/// Every range of an expression.
fn ranges(expr: &Expr) -> Vec<(&VectorSelector, PromDuration)> {
    if let Expr::MatrixSelector(matrix) = expr {
        return vec![(&matrix.vs, millis(matrix.range))];
    }
    children(expr).into_iter().flat_map(ranges).collect()
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Paren(paren) => vec![&paren.expr],
        Expr::Aggregate(aggregate) => std::iter::once(&*aggregate.expr)
            .chain(aggregate.param.as_deref())
            .collect(),
        Expr::Unary(unary) => vec![&unary.expr],
        Expr::Subquery(subquery) => vec![&subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(|argument| &**argument).collect(),
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        _ => Vec::new(),
    }
}

/// How far an expression looks back.
struct Spans<'a> {
    spec: &'a Spec,
}

impl Spans<'_> {
    fn seen(&self, expr: &Expr) -> PromDuration {
        self.span(expr, token::T_LOR)
    }

    fn forgotten(&self, expr: &Expr) -> PromDuration {
        self.span(expr, token::T_LAND)
    }

    /// The longest range; of two sides joined by `either`, the shorter.
    fn span(&self, expr: &Expr, either: token::TokenId) -> PromDuration {
        match expr {
            Expr::MatrixSelector(matrix) => {
                millis(matrix.range).plus(self.recorded(matrix.vs.name.as_deref()))
            }
            Expr::Binary(binary) if binary.op.id() == either => {
                self.span(&binary.lhs, either).min(self.span(&binary.rhs, either))
            }
            other => {
                let spans = children(other).into_iter().map(|child| self.span(child, either));
                spans.max().unwrap_or(PromDuration::ZERO)
            }
        }
    }

    /// What a recorded series itself looks back over.
    fn recorded(&self, name: Option<&str>) -> PromDuration {
        let Some(recording) = name.and_then(Recording::by_name) else {
            return PromDuration::ZERO;
        };
        // our own expressions parse; a unit test sees to it
        promql::parse(&recording.expr(self.spec)).map_or(PromDuration::ZERO, |expr| self.seen(&expr))
    }
}

fn millis(range: std::time::Duration) -> PromDuration {
    PromDuration::from_millis(u64::try_from(range.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spec: &Spec, alert: AlertName) -> Timing {
        let all = timings(spec).unwrap();
        all.into_iter().find(|timing| timing.alert == alert).unwrap()
    }

    const fn secs(seconds: u64) -> PromDuration {
        PromDuration::from_secs(seconds)
    }

    #[test]
    fn every_alert_has_its_times() {
        let names: Vec<_> = timings(&Spec::default())
            .unwrap()
            .iter()
            .map(|timing| timing.alert)
            .collect();
        assert_eq!(names, AlertName::ALL);
    }

    #[test]
    fn for_window_scrape_and_evaluation_add_up() {
        let spec = Spec::default();
        let utilization = of(&spec, AlertName::ConnectionPoolHighUtilization);
        // 5m + 2m + 5s + 5s, and 30 s for company
        assert_eq!(utilization.fires_within(), secs(430));
        assert_eq!(utilization.notified_within(), secs(460));
        // 2m + 5s + 5s, and 5m between two notifications
        assert_eq!(utilization.resolved_within(), secs(430));
        let unhealthy = of(&spec, AlertName::EndpointUnhealthy);
        assert_eq!(unhealthy.fires_within(), secs(300 + 20 + 10));
        assert_eq!(unhealthy.subject, ["instance", "pool", "endpoint"]);
        let heartbeat = of(&spec, AlertName::DeadMansSwitch);
        assert_eq!(heartbeat.window, PromDuration::ZERO);
        assert_eq!(heartbeat.repeat_interval, secs(300));
    }

    #[test]
    fn one_of_two_conditions_will_do_to_fire_and_to_end() {
        let fast = of(&Spec::default(), AlertName::PoolAvailabilityBurnFast);
        // (1h and 5m) or (6h and 30m), over rates of 5m
        assert_eq!((fast.window, fast.memory), (secs(3_600 + 300), secs(1_800 + 300)));
        assert_eq!(fast.evaluation_interval, secs(60));
        let slow = of(&Spec::default(), AlertName::PoolLatencyBurnSlow);
        assert_eq!(
            (slow.window, slow.memory),
            (secs(86_400 + 300), secs(6 * 3_600 + 300))
        );
    }

    #[test]
    fn everything_is_scaled() {
        let spec = Spec {
            time_scale: 20.0,
            ..Spec::default()
        };
        let churn = of(&spec, AlertName::ConnectionPoolHighChurn);
        assert_eq!(
            churn.fires_within(),
            PromDuration::from_millis(30_000 + 250 + 250)
        );
        assert_eq!(churn.group_wait, PromDuration::from_millis(1_500));
        assert_eq!(shortest_window(&spec).unwrap(), Some(secs(1)));
    }

    #[test]
    fn an_alert_that_is_off_has_no_times() {
        let spec = Spec::parse(
            "alerts: { EndpointUnhealthy: { enabled: false } }",
            std::path::Path::new("monitoring.yaml"),
        )
        .unwrap();
        let all = timings(&spec).unwrap();
        assert_eq!(all.len(), AlertName::ALL.len() - 1);
    }
}
