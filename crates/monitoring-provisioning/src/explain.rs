//! An alert in words, and the parts of its condition.

use pool_metrics::catalogue::{self, PREFIX};
use promql_parser::{
    label::Matcher,
    parser::{
        AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector,
        token::{
            T_ADD, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MUL, T_NEQ, T_SUB,
        },
    },
};

use crate::{
    alert::{AlertSummary, alert_list, number},
    duration::PromDuration,
    generate::rules,
    lint::promql,
    recording::Recording,
    spec::{AlertName, Spec},
};

/// What an alert asks, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The alert with the limits in force.
    pub summary: AlertSummary,
    /// Its expression.
    pub expr: String,
    /// The expression in words.
    pub words: String,
    /// What the expression compares, in its order; each can be asked for by itself.
    pub parts: Vec<Part>,
}

/// One thing that an expression compares with a limit, or asks the existence of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In words.
    pub words: String,
    /// As PromQL, without the limit.
    pub expr: String,
    /// What it must be: `be above 0.8`, `be there`, `not be there`.
    pub must: String,
}

/// Explains an alert as the spec wants it; `None` when the spec has switched it off.
pub fn explain(spec: &Spec, name: AlertName) -> Option<Explanation> {
    let file = rules::rule_file(spec);
    let rule = file
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .find(|rule| rule.alert == name.as_str())?;
    let parsed = promql::parse(&rule.expr).ok()?;
    let mut parts = Vec::new();
    collect(&parsed, false, &mut parts);
    Some(Explanation {
        summary: alert_list(spec)
            .into_iter()
            .find(|alert| alert.name == name.as_str())?,
        words: words(&parsed),
        expr: rule.expr,
        parts,
    })
}

/// The outermost comparisons, and what stands beside them; `not` is behind `unless`.
fn collect(expr: &Expr, not: bool, parts: &mut Vec<Part>) {
    let not_word = if not { "not " } else { "" };
    match expr {
        Expr::Paren(paren) => collect(&paren.expr, not, parts),
        Expr::Binary(binary) if binary.op.is_set_operator() => {
            collect(&binary.lhs, not, parts);
            collect(&binary.rhs, not != (binary.op.id() == T_LUNLESS), parts);
        }
        Expr::Binary(binary) if binary.op.is_comparison_operator() => parts.push(Part {
            words: words(&binary.lhs),
            expr: binary.lhs.to_string(),
            must: format!("{not_word}be {} {}", comparison(binary), words(&binary.rhs)),
        }),
        other => parts.push(Part {
            words: words(other),
            expr: other.to_string(),
            must: format!("{not_word}be there"),
        }),
    }
}

fn words(expr: &Expr) -> String {
    match expr {
        Expr::Aggregate(aggregate) => aggregated(aggregate),
        Expr::Unary(unary) => format!("minus {}", words(&unary.expr)),
        Expr::Binary(binary) => compared(binary),
        Expr::Paren(paren) => format!("({})", words(&paren.expr)),
        Expr::Subquery(subquery) => format!("{} over {}", words(&subquery.expr), span(subquery.range)),
        Expr::NumberLiteral(literal) => number(literal.val),
        Expr::StringLiteral(literal) => literal.val.clone(),
        Expr::VectorSelector(selector) => selected(selector),
        Expr::MatrixSelector(matrix) => selected(&matrix.vs),
        Expr::Call(call) => called(call),
        Expr::Extension(_) => expr.to_string(),
    }
}

fn span(range: std::time::Duration) -> String {
    PromDuration::from_millis(range.as_millis() as u64).to_string()
}

fn aggregated(aggregate: &AggregateExpr) -> String {
    let per = match &aggregate.modifier {
        Some(LabelModifier::Include(by)) if !by.labels.is_empty() => format!(" per {}", by.labels.join(", ")),
        Some(LabelModifier::Exclude(without)) => format!(" over {}", without.labels.join(", ")),
        _ => String::new(),
    };
    let operation = aggregate.op.to_string();
    let word = match operation.as_str() {
        "max" => "the greatest",
        "min" => "the least",
        "sum" => "the sum",
        "avg" => "the mean",
        "count" => "the number",
        other => other,
    };
    format!("{word}{per} of {}", words(&aggregate.expr))
}

fn comparison(binary: &BinaryExpr) -> &'static str {
    match binary.op.id() {
        T_GTR => "above",
        T_GTE => "at least",
        T_LSS => "below",
        T_LTE => "at most",
        T_EQLC => "equal to",
        T_NEQ => "other than",
        T_LAND => "and",
        T_LOR => "or",
        T_LUNLESS => "and not",
        T_ADD => "plus",
        T_SUB => "minus",
        T_MUL => "times",
        T_DIV => "divided by",
        _ => "combined with",
    }
}

fn compared(binary: &BinaryExpr) -> String {
    let (left, right) = (words(&binary.lhs), words(&binary.rhs));
    let word = comparison(binary);
    if binary.op.is_set_operator() {
        format!("{left}; {word}: {right}")
    } else if binary.op.is_comparison_operator() {
        format!("{left} is {word} {right}")
    } else {
        format!("{left} {word} {right}")
    }
}

fn called(call: &Call) -> String {
    let range = call
        .args
        .args
        .iter()
        .find_map(|argument| match argument.as_ref() {
            Expr::MatrixSelector(matrix) => Some(span(matrix.range)),
            Expr::Subquery(subquery) => Some(span(subquery.range)),
            _ => None,
        });
    let range = range.unwrap_or_default();
    let what = call.args.args.last().map(|last| words(last)).unwrap_or_default();
    match call.func.name {
        "rate" => format!("the rate per second (over {range}) of {what}"),
        "increase" => format!("the increase within {range} of {what}"),
        "last_over_time" => format!("the newest value within {range} of {what}"),
        "avg_over_time" => format!("the mean over {range} of {what}"),
        "max_over_time" => format!("the greatest value within {range} of {what}"),
        "min_over_time" => format!("the least value within {range} of {what}"),
        "sum_over_time" => format!("the sum over {range} of {what}"),
        "present_over_time" => format!("the presence within {range} of {what}"),
        "absent" | "absent_over_time" => format!("the absence (for {range}) of {what}"),
        "vector" => format!("always {what}"),
        "histogram_quantile" => {
            let share = call.args.args.first().map(|share| match share.as_ref() {
                Expr::NumberLiteral(share) => number(share.val * 100.0),
                other => other.to_string(),
            });
            format!("the {}th percentile of {what}", share.unwrap_or_default())
        }
        other => format!("{other} of {what}"),
    }
}

fn selected(selector: &VectorSelector) -> String {
    let name = selector.name.as_deref().unwrap_or_default();
    let matchers: Vec<String> = selector
        .matchers
        .matchers
        .iter()
        .map(Matcher::to_string)
        .collect();
    let only = if matchers.is_empty() {
        String::new()
    } else {
        format!(" where {}", matchers.join(" and "))
    };
    format!("{}{only}", meaning(name))
}

/// The short name, with the catalogue's words for it.
fn meaning(name: &str) -> String {
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    let metric = ["", "_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| catalogue::by_name(name.strip_suffix(suffix)?));
    let help = match (metric, Recording::by_name(name)) {
        (Some(metric), _) => metric.help.trim_end_matches('.'),
        (_, Some(recording)) => recording.help(),
        _ if name == "up" => "1 when the last scrape succeeded",
        _ => return format!("`{short}`"),
    };
    format!("`{short}` ({help})")
}
