//! Alerts that rest on a single event, which their range forgets: `for` and `group_wait` must be over before that.

use promql_parser::parser::Expr;

use super::{Checked, Lint, Read, rules::Emitted};
use crate::{
    alert::definitions,
    duration::PromDuration,
    model::{
        alertmanager::{AlertmanagerConfig, Route},
        rules::{Rule, RuleFile},
    },
};

impl Lint<'_> {
    /// How long the alert fires after a single event; reports one that never does.
    pub(super) fn memory(
        &mut self,
        file: &Read<'_, RuleFile>,
        path: &str,
        rule: &Rule,
        checked: &Checked,
    ) -> Option<PromDuration> {
        definitions().find(|definition| definition.remembers && definition.name.as_str() == rule.alert)?;
        let range = shortest_range(&checked.expr)?;
        let prometheus = &self.spec.prometheus;
        // The event is seen by the next scrape, and the alert by the next evaluation, pending and then firing.
        let unavoidable = prometheus
            .evaluation_interval
            .times(2)
            .plus(prometheus.scrape_interval);
        let unavoidable = self.spec.scaled(unavoidable);
        // One percent more for the rounding of scaled durations to milliseconds.
        let window = PromDuration::from_millis(range.as_millis() as u64 * 101 / 100);
        let needed = rule.for_.plus(unavoidable);
        if needed > window {
            let range = PromDuration::from_millis(range.as_millis() as u64);
            self.at(
                file,
                &format!("{path}/for"),
                format!(
                    "`{}` would never fire: its range [{range}] forgets an event before `for` ({}), two evaluations and a \
                     scrape have passed",
                    rule.alert, rule.for_
                ),
                format!("allowed: a `for` of {} or less", range.minus(unavoidable)),
            );
            return None;
        }
        Some(window.minus(needed))
    }

    /// A notification that waits longer than its alert fires is never sent.
    pub(super) fn patience(
        &mut self,
        file: &Read<'_, AlertmanagerConfig>,
        path: &str,
        route: &Route,
        taken: &[&Emitted],
    ) {
        let Some(wait) = route.group_wait.filter(|_| route.routes.is_empty()) else {
            return;
        };
        for alert in taken {
            if let Some(outlasts) = alert.outlasts.filter(|outlasts| wait > *outlasts) {
                self.report(
                    file.path,
                    file.document.place(&format!("{path}/group_wait")),
                    format!(
                        "`{}` may end before `group_wait` ({wait}): nobody would be told",
                        alert.name
                    ),
                    format!("allowed: {outlasts} or less"),
                );
            }
        }
    }
}

/// The shortest range that an expression looks back over.
fn shortest_range(expr: &Expr) -> Option<std::time::Duration> {
    match expr {
        Expr::MatrixSelector(matrix) => Some(matrix.range),
        Expr::Paren(paren) => shortest_range(&paren.expr),
        Expr::Aggregate(aggregate) => shortest_range(&aggregate.expr),
        Expr::Unary(unary) => shortest_range(&unary.expr),
        Expr::Subquery(subquery) => shortest_range(&subquery.expr),
        Expr::Call(call) => call
            .args
            .args
            .iter()
            .filter_map(|argument| shortest_range(argument))
            .min(),
        Expr::Binary(binary) => shortest_range(&binary.lhs)
            .into_iter()
            .chain(shortest_range(&binary.rhs))
            .min(),
        _ => None,
    }
}
