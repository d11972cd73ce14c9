//! Mutants of selectors: another metric, another range, another set of label values.

use std::time::Duration;

use pool_metrics::catalogue::{self, METRICS, Metric, PREFIX};
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{
        Expr, MatrixSelector, VectorSelector,
        token::{T_EQL, T_EQL_REGEX, T_NEQ, T_NEQ_REGEX, TokenId},
    },
};

use super::{Variant, removed, variant};
use crate::{duration::PromDuration, recording::Recording};

/// A metric's name without our prefix.
pub(super) fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

pub(super) fn vector(selector: &VectorSelector) -> Vec<Variant> {
    selectors(selector)
        .into_iter()
        .map(|(change, selector)| Variant {
            change,
            expr: Expr::VectorSelector(selector),
        })
        .collect()
}

pub(super) fn matrix(matrix: &MatrixSelector) -> Vec<Variant> {
    let at = matrix.vs.name.as_deref().map(short).unwrap_or_default();
    let mut all = ranges(matrix.range, at, |range| {
        Expr::MatrixSelector(MatrixSelector {
            vs: matrix.vs.clone(),
            range,
        })
    });
    all.extend(selectors(&matrix.vs).into_iter().map(|(change, vs)| Variant {
        change,
        expr: Expr::MatrixSelector(MatrixSelector {
            vs,
            range: matrix.range,
        }),
    }));
    all
}

/// Half the range, and twice the range.
pub(super) fn ranges(range: Duration, at: &str, rebuild: impl Fn(Duration) -> Expr) -> Vec<Variant> {
    let shown = |range: Duration| format!("[{}]", PromDuration::from_millis(range.as_millis() as u64));
    [range / 2, range * 2]
        .map(|changed| variant(shown(range), shown(changed), at, rebuild(changed)))
        .into()
}

fn selectors(selector: &VectorSelector) -> Vec<(String, VectorSelector)> {
    let mut all = Vec::new();
    let Some(name) = &selector.name else {
        return all;
    };
    if let Some(other) = neighbour(name) {
        let mut changed = selector.clone();
        let change = format!("`{}` -> `{}`", short(name), short(&other));
        changed.name = Some(other);
        all.push((change, changed));
    }
    for index in 0..selector.matchers.matchers.len() {
        for (change, matcher) in matchers(name, &selector.matchers.matchers[index]) {
            let mut changed = selector.clone();
            match matcher {
                Some(matcher) => changed.matchers.matchers[index] = matcher,
                None => drop(changed.matchers.matchers.remove(index)),
            }
            all.push((change, changed));
        }
    }
    all
}

/// The next metric of the catalogue that has the same type and labels, round the end.
fn neighbour(name: &str) -> Option<String> {
    if let Some(index) = Recording::ALL
        .iter()
        .position(|recording| recording.name() == name)
    {
        return Some(
            Recording::ALL[(index + 1) % Recording::ALL.len()]
                .name()
                .to_owned(),
        );
    }
    let (metric, suffix) = ["_bucket", "_sum", "_count", ""]
        .iter()
        .find_map(|suffix| Some((catalogue::by_name(name.strip_suffix(suffix)?)?, suffix)))?;
    let like = |other: &&Metric| other.kind == metric.kind && other.labels == metric.labels;
    let next = METRICS
        .iter()
        .skip_while(|other| other.name != metric.name)
        .skip(1)
        .chain(METRICS)
        .find(like)?;
    (next.name != metric.name).then(|| format!("{}{suffix}", next.name))
}

/// A matcher turned round, dropped (`None`), and with each alternative of a regular expression left out or one more let in.
fn matchers(metric: &str, matcher: &Matcher) -> Vec<(String, Option<Matcher>)> {
    let at = short(metric);
    let turned = match matcher.op {
        MatchOp::Equal => T_NEQ,
        MatchOp::NotEqual => T_EQL,
        MatchOp::Re(_) => T_NEQ_REGEX,
        MatchOp::NotRe(_) => T_EQL_REGEX,
    };
    let other =
        |op: TokenId, value: &str| Matcher::new_matcher(op, matcher.name.clone(), value.to_owned()).ok();
    let mut all = vec![(
        removed(
            format_args!("the matcher on {}", matcher.name),
            at,
            Expr::from(0.0),
        )
        .change,
        None,
    )];
    if let Some(changed) = other(turned, &matcher.value) {
        all.push((format!("`{}` turned round at {at}", matcher.name), Some(changed)));
    }
    let op = match matcher.op {
        MatchOp::Re(_) => T_EQL_REGEX,
        MatchOp::NotRe(_) => T_NEQ_REGEX,
        MatchOp::Equal | MatchOp::NotEqual => return all,
    };
    let values: Vec<&str> = matcher.value.split('|').collect();
    let known = catalogue::by_name(metric)
        .and_then(|metric| metric.labels.iter().find(|label| label.name == matcher.name))
        .map_or(&[] as &[&str], |label| label.values);
    let changed = values.iter().filter(|_| values.len() > 1).map(|gone| {
        let kept: Vec<&str> = values.iter().copied().filter(|value| value != gone).collect();
        (format!("without `{gone}` in `{}` at {at}", matcher.name), kept)
    });
    let more = known.iter().filter(|value| !values.contains(value)).map(|value| {
        let kept = values.iter().copied().chain([*value]).collect();
        (format!("`{value}` added to `{}` at {at}", matcher.name), kept)
    });
    for (change, values) in changed.chain(more) {
        if let Some(changed) = other(op, &values.join("|")) {
            all.push((change, Some(changed)));
        }
    }
    all
}
