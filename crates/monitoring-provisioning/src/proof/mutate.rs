//! Mutants of an expression: each differs from it in one place, the way a slip of the pen would.
//!
//! The expression is parsed, changed as a tree and printed again, so that every mutant is valid PromQL.

mod selector;

use promql_parser::{
    label::Labels,
    parser::{
        AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, NumberLiteral, SubqueryExpr,
        VectorMatchCardinality,
        token::{
            T_ADD, T_COUNT, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MAX,
            T_MIN, T_MUL, T_NEQ, T_SUB, T_SUM, TokenId, TokenType,
        },
    },
};

use crate::{lint::flow, spec::Spec};

/// A changed expression.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// What was changed, for people: `> 0` → `>= 0`.
    pub(super) change: String,
    pub(super) expr: Expr,
}

fn variant(before: impl std::fmt::Display, after: impl std::fmt::Display, at: &str, expr: Expr) -> Variant {
    let at = if at.is_empty() {
        String::new()
    } else {
        format!(" at {at}")
    };
    Variant {
        change: format!("`{before}` -> `{after}`{at}"),
        expr,
    }
}

fn removed(what: impl std::fmt::Display, at: &str, expr: Expr) -> Variant {
    Variant {
        change: format!("without `{what}` at {at}"),
        expr,
    }
}

/// All mutants of an expression.
pub(super) fn variants(spec: &Spec, expr: &Expr) -> Vec<Variant> {
    match expr {
        Expr::Aggregate(aggregate) => self::aggregate(spec, aggregate),
        Expr::Binary(binary) => self::binary(spec, binary),
        Expr::Call(call) => self::call(spec, call),
        Expr::Paren(paren) => inside(spec, &paren.expr, |inner| {
            let mut paren = paren.clone();
            *paren.expr = inner;
            Expr::Paren(paren)
        }),
        Expr::Unary(unary) => inside(spec, &unary.expr, |inner| {
            let mut unary = unary.clone();
            *unary.expr = inner;
            Expr::Unary(unary)
        }),
        Expr::Subquery(subquery) => self::subquery(spec, subquery),
        Expr::NumberLiteral(number) => self::number(number.val),
        Expr::VectorSelector(selector) => selector::vector(selector),
        Expr::MatrixSelector(matrix) => selector::matrix(matrix),
        Expr::StringLiteral(_) | Expr::Extension(_) => Vec::new(),
    }
}

/// The mutants of a part, each put back into its place.
fn inside(spec: &Spec, part: &Expr, rebuild: impl Fn(Expr) -> Expr) -> Vec<Variant> {
    variants(spec, part)
        .into_iter()
        .map(|variant| Variant {
            change: variant.change,
            expr: rebuild(variant.expr),
        })
        .collect()
}

/// A number one step up and one step down: one for what is counted, one percent for what is measured.
fn number(value: f64) -> Vec<Variant> {
    let step = if value.fract() == 0.0 && value.abs() <= 100.0 {
        1.0
    } else {
        value.abs() / 100.0
    };
    [value - step, value + step]
        .map(|changed| {
            // Rounded, since 0.8 - 0.008 is 0.7920000000000001 in binary.
            let changed = (changed * 1e9).round() / 1e9;
            variant(
                value,
                changed,
                "",
                Expr::NumberLiteral(NumberLiteral::new(changed)),
            )
        })
        .into()
}

/// What an operator is taken for by mistake.
fn mistaken(op: TokenId) -> &'static [TokenId] {
    match op {
        T_GTR => &[T_GTE, T_LSS],
        T_GTE => &[T_GTR, T_LTE],
        T_LSS => &[T_LTE, T_GTR],
        T_LTE => &[T_LSS, T_GTE],
        T_EQLC => &[T_NEQ],
        T_NEQ => &[T_EQLC],
        T_DIV => &[T_MUL],
        T_MUL => &[T_DIV],
        T_SUB => &[T_ADD],
        T_ADD => &[T_SUB],
        T_LAND => &[T_LUNLESS],
        T_LUNLESS | T_LOR => &[T_LAND],
        T_MAX => &[T_MIN, T_SUM],
        T_MIN | T_SUM => &[T_MAX],
        T_COUNT => &[T_SUM],
        _ => &[],
    }
}

fn binary(spec: &Spec, binary: &BinaryExpr) -> Vec<Variant> {
    let at = &near(&binary.lhs);
    let with = |change: &dyn Fn(&mut BinaryExpr)| {
        let mut changed = binary.clone();
        change(&mut changed);
        Expr::Binary(changed)
    };
    let mut all: Vec<Variant> = mistaken(binary.op.id())
        .iter()
        .map(|op| {
            let op = TokenType::new(*op);
            let limit = match binary.rhs.as_ref() {
                Expr::NumberLiteral(limit) => format!(" {}", limit.val),
                _ => String::new(),
            };
            variant(
                format_args!("{}{limit}", binary.op),
                format_args!("{op}{limit}"),
                at,
                with(&|changed| changed.op = op),
            )
        })
        .collect();
    if binary.op.is_set_operator() {
        let right = &near(&binary.rhs);
        all.push(removed(
            format_args!("{} …", binary.op),
            right,
            (*binary.lhs).clone(),
        ));
        if binary.op.id() != T_LUNLESS {
            all.push(removed(
                format_args!("… {}", binary.op),
                at,
                (*binary.rhs).clone(),
            ));
        }
    }
    all.extend(matched(binary, at));
    all.extend(inside(spec, &binary.lhs, |lhs| {
        with(&|changed| *changed.lhs = lhs.clone())
    }));
    all.extend(inside(spec, &binary.rhs, |rhs| {
        with(&|changed| *changed.rhs = rhs.clone())
    }));
    all
}

/// Each label of `on (...)` left out, and `group_left` or `group_right` forgotten.
fn matched(binary: &BinaryExpr, at: &str) -> Vec<Variant> {
    let Some(modifier) = &binary.modifier else {
        return Vec::new();
    };
    let mut all = Vec::new();
    if let Some(LabelModifier::Include(on)) = &modifier.matching {
        for (index, label) in on.labels.iter().enumerate() {
            let mut fewer = on.labels.clone();
            fewer.remove(index);
            let mut changed = binary.clone();
            if let Some(modifier) = &mut changed.modifier {
                modifier.matching = Some(LabelModifier::Include(Labels { labels: fewer }));
            }
            all.push(removed(
                format_args!("{label} in on (…)"),
                at,
                Expr::Binary(changed),
            ));
        }
    }
    if matches!(
        modifier.card,
        VectorMatchCardinality::ManyToOne(_) | VectorMatchCardinality::OneToMany(_)
    ) {
        let mut changed = binary.clone();
        if let Some(modifier) = &mut changed.modifier {
            modifier.card = VectorMatchCardinality::OneToOne;
        }
        all.push(removed("group_left or group_right", at, Expr::Binary(changed)));
    }
    all
}

fn aggregate(spec: &Spec, aggregate: &AggregateExpr) -> Vec<Variant> {
    let at = &near(&aggregate.expr);
    let mut all: Vec<Variant> = mistaken(aggregate.op.id())
        .iter()
        .map(|op| {
            let mut changed = aggregate.clone();
            changed.op = TokenType::new(*op);
            let op = changed.op;
            variant(aggregate.op, op, at, Expr::Aggregate(changed))
        })
        .collect();
    if let Some(LabelModifier::Include(by)) = &aggregate.modifier {
        let grouped = |labels: Vec<String>| {
            let mut changed = aggregate.clone();
            changed.modifier = Some(LabelModifier::Include(Labels { labels }));
            Expr::Aggregate(changed)
        };
        for (index, label) in by.labels.iter().enumerate() {
            let mut fewer = by.labels.clone();
            fewer.remove(index);
            all.push(removed(
                format_args!("{label} in {} by (…)", aggregate.op),
                at,
                grouped(fewer),
            ));
        }
        // Only what is there to be kept: another label would change nothing.
        for label in flow::labels_of(spec, &aggregate.expr) {
            if !by.labels.contains(&label) {
                let change = format!("`{label}` added to {} by (…) at {at}", aggregate.op);
                let more = by.labels.iter().cloned().chain([label]).collect();
                all.push(Variant {
                    change,
                    expr: grouped(more),
                });
            }
        }
    }
    all.extend(inside(spec, &aggregate.expr, |inner| {
        let mut changed = aggregate.clone();
        *changed.expr = inner;
        Expr::Aggregate(changed)
    }));
    all
}

/// Functions that one might write in its place.
fn exchanged(function: &str) -> &'static [&'static str] {
    match function {
        "rate" => &["increase", "delta"],
        "increase" => &["rate", "delta"],
        "avg_over_time" | "last_over_time" => &["max_over_time", "min_over_time"],
        "max_over_time" => &["last_over_time", "min_over_time"],
        "min_over_time" => &["last_over_time", "max_over_time"],
        "sum_over_time" => &["avg_over_time"],
        _ => &[],
    }
}

fn call(spec: &Spec, call: &Call) -> Vec<Variant> {
    let name = call.func.name;
    let at = &call.args.args.last().map(|last| near(last)).unwrap_or_default();
    let mut all: Vec<Variant> = exchanged(name)
        .iter()
        .map(|other| {
            let mut changed = call.clone();
            changed.func.name = other;
            variant(name, other, at, Expr::Call(changed))
        })
        .collect();
    for index in 0..call.args.args.len() {
        all.extend(inside(spec, &call.args.args[index], |argument| {
            let mut changed = call.clone();
            *changed.args.args[index] = argument;
            Expr::Call(changed)
        }));
    }
    all
}

fn subquery(spec: &Spec, subquery: &SubqueryExpr) -> Vec<Variant> {
    let with = |change: &dyn Fn(&mut SubqueryExpr)| {
        let mut changed = subquery.clone();
        change(&mut changed);
        Expr::Subquery(changed)
    };
    let mut all = selector::ranges(subquery.range, &near(&subquery.expr), |range| {
        with(&|changed| changed.range = range)
    });
    all.extend(inside(spec, &subquery.expr, |inner| {
        with(&|changed| *changed.expr = inner.clone())
    }));
    all
}

/// The short name of the first metric in a part: tells people where they are.
fn near(expr: &Expr) -> String {
    flow::first_selector(expr)
        .and_then(|selector| selector.name.as_deref())
        .map(selector::short)
        .unwrap_or_default()
        .to_owned()
}
