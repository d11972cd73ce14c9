//! Expressions that are valid and wrong: series counted once per job, and flags compared with what they never are.

use pool_metrics::catalogue::{JOB_POOLS, Unit};
use promql_parser::{
    label::MatchOp,
    parser::{
        AggregateExpr, BinaryExpr, Expr, VectorSelector,
        token::{T_COUNT, T_EQLC, T_GTE, T_GTR, T_LSS, T_LTE, T_MAX, T_MIN, T_NEQ, T_SUM, TokenId},
    },
};

use super::{super::known::Series, Flow, Labels, series};

impl Flow<'_> {
    /// Whoever scrapes a relayer under two jobs has every series twice: a sum must not count both.
    pub(super) fn adds_up(&mut self, aggregate: &AggregateExpr, inner: &Labels) {
        if !matches!(aggregate.op.id(), T_SUM | T_COUNT) {
            return;
        }
        self.sum_of_zeros(aggregate);
        if let Labels::Set(labels) = inner
            && labels.contains("job")
            && let Some(selector) = first_selector(&aggregate.expr)
            && let Some(Ok(Series::Own { .. })) = selector.name.as_deref().map(series)
            && !is_one_job(selector)
        {
            let name = selector.name.clone().unwrap_or_default();
            let keep: Vec<&str> = labels
                .iter()
                .map(String::as_str)
                .filter(|label| *label != "job")
                .collect();
            self.find(
                &name,
                format!(
                    "`{}` of `{name}` counts every series once per job that scrapes it",
                    aggregate.op
                ),
                format!("fold the jobs first: `max by ({}) (...)`", keep.join(", ")),
            );
        }
    }

    /// `sum(x == 0)` adds up nothing but zeros: it is 0 or, when no `x` is 0, absent.
    fn sum_of_zeros(&mut self, aggregate: &AggregateExpr) {
        if aggregate.op.id() == T_SUM
            && let Expr::Binary(binary) = bare(&aggregate.expr)
            && binary.op.id() == T_EQLC
            && !returns_bool(binary)
            && let Expr::NumberLiteral(zero) = bare(&binary.rhs)
            && zero.val == 0.0
        {
            self.find(
                "sum",
                "a sum of what is 0 always is 0",
                "to ask whether all are unhealthy, take `min by (instance, pool) (...) == 1`",
            );
        }
    }

    /// A flag is 0 or 1: a comparison that comes out the same for both says nothing.
    pub(super) fn flag_limit(&mut self, binary: &BinaryExpr) {
        if let Expr::NumberLiteral(limit) = bare(&binary.rhs)
            && let Some(name) = flag(&binary.lhs)
        {
            let holds = [0.0, 1.0].map(|value| compare(binary.op.id(), value, limit.val));
            let always = match holds {
                [Some(false), Some(false)] => "never",
                [Some(true), Some(true)] => "always",
                _ => return,
            };
            self.find(
                &name,
                format!("`{name}` is 0 or 1: `{} {}` {always} holds", binary.op, limit.val),
                "compare it with 0 or 1: 0 is well, 1 is not",
            );
        }
    }
}

fn compare(op: TokenId, value: f64, limit: f64) -> Option<bool> {
    Some(match op {
        T_EQLC => value == limit,
        T_NEQ => value != limit,
        T_GTR => value > limit,
        T_GTE => value >= limit,
        T_LSS => value < limit,
        T_LTE => value <= limit,
        _ => return None,
    })
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => bare(&paren.expr),
        other => other,
    }
}

fn returns_bool(binary: &BinaryExpr) -> bool {
    binary
        .modifier
        .as_ref()
        .is_some_and(|modifier| modifier.return_bool)
}

/// The flag whose value an expression has: only through what leaves a 0 or 1 a 0 or 1.
fn flag(expr: &Expr) -> Option<String> {
    let selector = match bare(expr) {
        Expr::Aggregate(aggregate) if matches!(aggregate.op.id(), T_MAX | T_MIN) => {
            return flag(&aggregate.expr);
        }
        Expr::Call(call)
            if matches!(
                call.func.name,
                "last_over_time" | "max_over_time" | "min_over_time"
            ) =>
        {
            return call.args.args.first().and_then(|argument| flag(argument));
        }
        Expr::MatrixSelector(matrix) => &matrix.vs,
        Expr::VectorSelector(selector) => selector,
        _ => return None,
    };
    let name = selector.name.clone()?;
    match series(&name) {
        Ok(Series::Own { metric, .. }) if metric.unit == Unit::Flag => Some(name),
        _ => None,
    }
}

/// The first selector within an expression.
pub(crate) fn first_selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::Aggregate(aggregate) => first_selector(&aggregate.expr),
        Expr::Unary(unary) => first_selector(&unary.expr),
        Expr::Paren(paren) => first_selector(&paren.expr),
        Expr::Subquery(subquery) => first_selector(&subquery.expr),
        Expr::Call(call) => call
            .args
            .args
            .iter()
            .find_map(|argument| first_selector(argument)),
        Expr::Binary(binary) => first_selector(&binary.lhs).or_else(|| first_selector(&binary.rhs)),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        Expr::VectorSelector(selector) => Some(selector),
        _ => None,
    }
}

fn is_one_job(selector: &VectorSelector) -> bool {
    selector
        .matchers
        .find_matchers("job")
        .iter()
        .any(|matcher| matcher.op == MatchOp::Equal && matcher.value == JOB_POOLS)
}
