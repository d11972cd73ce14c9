//! Follows labels through an expression, and finds what Prometheus would evaluate to nothing without a word.

mod selector;
mod traps;

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality,
    token::{T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_LOR, T_TOPK},
};

pub(crate) use traps::first_selector;

use super::known::{Series, series};
use crate::spec::Spec;

/// Something wrong with an expression; `needle` is the word in it to point at.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) needle: String,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// The labels that a result carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Labels {
    /// A scalar or text: there is nothing to carry labels.
    None,
    /// Not known: another exporter's series.
    Any,
    /// Exactly these, as far as they aren't empty.
    Set(BTreeSet<String>),
}

impl Labels {
    pub(crate) fn has(&self, label: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Set(labels) => labels.contains(label),
        }
    }

    fn keep(self, keep: impl Fn(&str) -> bool) -> Self {
        match self {
            Self::Set(labels) => Self::Set(labels.into_iter().filter(|label| keep(label)).collect()),
            other => other,
        }
    }

    /// Those that are known.
    pub(crate) fn known(self) -> Vec<String> {
        match self {
            Self::Set(labels) => labels.into_iter().collect(),
            Self::Any | Self::None => Vec::new(),
        }
    }

    /// For messages.
    pub(crate) fn list(&self) -> String {
        match self {
            Self::Set(labels) if !labels.is_empty() => labels.iter().cloned().collect::<Vec<_>>().join(", "),
            _ => "none".to_owned(),
        }
    }
}

/// The labels of an expression's result, as far as they are known.
pub(crate) fn labels_of(spec: &Spec, expr: &Expr) -> Vec<String> {
    Flow::new(spec, true).labels(expr).known()
}

/// Follows one expression.
pub(crate) struct Flow<'a> {
    spec: &'a Spec,
    /// Whether a gauge may be read as it stands; not under a `for`.
    bare_gauges: bool,
    pub(crate) findings: Vec<Finding>,
}

/// Where a selector stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Its value matters.
    Value,
    /// Only whether it exists matters.
    Existence,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(spec: &'a Spec, bare_gauges: bool) -> Self {
        Self {
            spec,
            bare_gauges,
            findings: Vec::new(),
        }
    }

    fn find(&mut self, needle: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding {
            needle: needle.to_owned(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// The labels of the expression's result.
    pub(crate) fn labels(&mut self, expr: &Expr) -> Labels {
        self.follow(expr, Reads::Value)
    }

    fn follow(&mut self, expr: &Expr, reads: Reads) -> Labels {
        match expr {
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, reads),
            Expr::Unary(unary) => self.follow(&unary.expr, reads),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Paren(paren) => self.follow(&paren.expr, reads),
            Expr::Subquery(subquery) => self.follow(&subquery.expr, reads),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Labels::None,
            Expr::VectorSelector(selector) => {
                let (name, labels) = self.selector(selector);
                if reads == Reads::Value {
                    self.instant(&name);
                }
                labels
            }
            Expr::MatrixSelector(matrix) => {
                let (name, labels) = self.selector(&matrix.vs);
                self.range(&name, matrix.range);
                labels
            }
            Expr::Call(call) => self.call(call),
            Expr::Extension(_) => Labels::Any,
        }
    }

    fn call(&mut self, call: &Call) -> Labels {
        let name = call.func.name;
        let reads = if matches!(name, "absent" | "absent_over_time" | "timestamp") {
            Reads::Existence
        } else {
            Reads::Value
        };
        if let Some(Expr::MatrixSelector(matrix)) = call.args.args.first().map(AsRef::as_ref) {
            self.counter_or_gauge(name, matrix.vs.name.as_deref().unwrap_or_default());
        }
        let arguments: Vec<Labels> = call
            .args
            .args
            .iter()
            .map(|argument| self.follow(argument, reads))
            .collect();
        let vector = arguments.iter().find(|labels| **labels != Labels::None).cloned();
        match name {
            "histogram_quantile" => {
                let labels = vector.unwrap_or(Labels::None);
                self.quantile(call, &labels);
                labels.keep(|label| label != "le")
            }
            "vector" => Labels::Set(BTreeSet::new()),
            "scalar" | "time" | "pi" => Labels::None,
            "absent" | "absent_over_time" => absent(call),
            "label_replace" | "label_join" => Labels::Any,
            _ => vector.unwrap_or(Labels::None),
        }
    }

    fn counter_or_gauge(&mut self, function: &str, metric: &str) {
        let wants_counter = matches!(function, "rate" | "irate" | "increase" | "resets");
        let wants_gauge = matches!(
            function,
            "delta"
                | "idelta"
                | "deriv"
                | "predict_linear"
                | "avg_over_time"
                | "min_over_time"
                | "max_over_time"
        );
        match series(metric).ok().and_then(Series::is_counter) {
            Some(false) if wants_counter => self.find(
                metric,
                format!("`{function}` of `{metric}`, which is a gauge"),
                "a gauge falls without a restart: use `delta`, `deriv` or an `_over_time` function",
            ),
            Some(true) if wants_gauge => self.find(
                metric,
                format!("`{function}` of `{metric}`, which is a counter"),
                "a counter restarts with the process: use `rate` or `increase`",
            ),
            _ => {}
        }
    }

    fn quantile(&mut self, call: &Call, labels: &Labels) {
        if !labels.has("le") {
            self.find(
                "histogram_quantile",
                "`histogram_quantile` without the label `le` always is empty",
                "keep `le` in the aggregation below it, and read the `_bucket` series",
            );
        }
        if let Some(Expr::NumberLiteral(share)) = call.args.args.first().map(AsRef::as_ref)
            && !(0.0..=1.0).contains(&share.val)
        {
            self.find(
                "histogram_quantile",
                format!("a quantile of {}", share.val),
                "allowed: 0 to 1; p95 is 0.95",
            );
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr, reads: Reads) -> Labels {
        let counts = matches!(aggregate.op.id(), T_COUNT | T_GROUP);
        let inner = self.follow(&aggregate.expr, if counts { Reads::Existence } else { reads });
        self.adds_up(aggregate, &inner);
        if matches!(aggregate.op.id(), T_TOPK | T_BOTTOMK) {
            return inner;
        }
        if aggregate.op.id() == T_COUNT_VALUES {
            return Labels::Any;
        }
        match &aggregate.modifier {
            None => Labels::Set(BTreeSet::new()),
            Some(LabelModifier::Include(by)) => {
                for label in by.labels.iter().filter(|label| !inner.has(label)) {
                    self.find(
                        label,
                        format!("grouped by `{label}`, which isn't there"),
                        format!("what is grouped has {}", inner.list()),
                    );
                }
                match inner {
                    Labels::Any => Labels::Set(by.labels.iter().cloned().collect()),
                    inner => inner.keep(|label| by.labels.iter().any(|kept| kept == label)),
                }
            }
            Some(LabelModifier::Exclude(without)) => {
                inner.keep(|label| !without.labels.iter().any(|l| l == label))
            }
        }
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Labels {
        let left = self.labels(&binary.lhs);
        let right = self.labels(&binary.rhs);
        self.quantile_limit(binary);
        self.flag_limit(binary);
        if left == Labels::None {
            return right;
        }
        if right == Labels::None {
            return left;
        }
        let matching = binary
            .modifier
            .as_ref()
            .and_then(|modifier| modifier.matching.as_ref());
        self.sides(matching, &left, &right, binary.op.id() == T_LOR);
        if binary.op.is_set_operator() {
            return if binary.op.id() == T_LOR {
                left.keep(|label| right.has(label))
            } else {
                left
            };
        }
        match (binary.modifier.as_ref().map(|modifier| &modifier.card), matching) {
            (Some(VectorMatchCardinality::ManyToOne(_)), _) => left,
            (Some(VectorMatchCardinality::OneToMany(_)), _) => right,
            (_, Some(LabelModifier::Include(on))) => left.keep(|label| on.labels.iter().any(|l| l == label)),
            (_, Some(LabelModifier::Exclude(ignoring))) => {
                left.keep(|label| !ignoring.labels.iter().any(|l| l == label))
            }
            (_, None) => left,
        }
    }

    /// Both sides must be able to meet.
    fn sides(&mut self, matching: Option<&LabelModifier>, left: &Labels, right: &Labels, or: bool) {
        match matching {
            Some(LabelModifier::Include(on)) => {
                for label in &on.labels {
                    for (side, labels) in [("left", left), ("right", right)] {
                        if !labels.has(label) {
                            self.find(
                                label,
                                format!("matched on `{label}`, which the {side} side doesn't have"),
                                format!("it has {}", labels.list()),
                            );
                        }
                    }
                }
            }
            None if !or => {
                if let (Labels::Set(l), Labels::Set(r)) = (left, right)
                    && l != r
                {
                    self.find(
                        "",
                        format!(
                            "the two sides never match: one has {}, the other {}",
                            left.list(),
                            right.list()
                        ),
                        "aggregate both by the same labels, or match with `on (...)`",
                    );
                }
            }
            _ => {}
        }
    }

    /// A quantile is never below the first or above the last finite bucket: a limit out there never, or always, holds.
    fn quantile_limit(&mut self, binary: &BinaryExpr) {
        let Expr::NumberLiteral(limit) = binary.rhs.as_ref() else {
            return;
        };
        let Expr::Call(call) = binary.lhs.as_ref() else {
            return;
        };
        if !binary.op.is_comparison_operator() || call.func.name != "histogram_quantile" {
            return;
        }
        let Some(Series::Own { metric, .. }) = call.args.args.get(1).and_then(|inner| first_metric(inner))
        else {
            return;
        };
        if let (Some(first), Some(last)) = (metric.buckets.first(), metric.buckets.last())
            && !(limit.val > *first && limit.val < *last)
        {
            self.find(
                &limit.val.to_string(),
                format!(
                    "the limit {} lies outside the finite buckets of `{}`",
                    limit.val, metric.name
                ),
                format!("allowed: between {first} and {last}"),
            );
        }
    }
}

/// What is absent has the labels that it was asked for with `=`.
fn absent(call: &Call) -> Labels {
    let selector = match call.args.args.first().map(AsRef::as_ref) {
        Some(Expr::VectorSelector(selector)) => selector,
        Some(Expr::MatrixSelector(matrix)) => &matrix.vs,
        _ => return Labels::Set(BTreeSet::new()),
    };
    let asked = selector.matchers.matchers.iter();
    Labels::Set(
        asked
            .filter(|matcher| matcher.op == MatchOp::Equal && matcher.name != "__name__")
            .map(|matcher| matcher.name.clone())
            .collect(),
    )
}

/// The first catalogue metric within an expression.
pub(super) fn first_metric(expr: &Expr) -> Option<Series> {
    match expr {
        Expr::Aggregate(aggregate) => first_metric(&aggregate.expr),
        Expr::Paren(paren) => first_metric(&paren.expr),
        Expr::Call(call) => call.args.args.iter().find_map(|argument| first_metric(argument)),
        Expr::MatrixSelector(matrix) => series(matrix.vs.name.as_deref()?).ok(),
        Expr::VectorSelector(selector) => series(selector.name.as_deref()?).ok(),
        Expr::Binary(binary) => first_metric(&binary.lhs).or_else(|| first_metric(&binary.rhs)),
        _ => None,
    }
}
