//! A thin front before the PromQL parser.
//!
//! The parser agrees with Prometheus on everything that people write in rules; it panics, overflows or accepts on some
//! things that they don't. Those are refused here. What came after Prometheus 2.42, the oldest that is supported, is found by
//! [`mod@needs`].

mod needs;

use std::panic::catch_unwind;

use promql_parser::parser::{self, Call, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};

use crate::duration::PromDuration;

pub(crate) use needs::needs;

/// Longest expression that is parsed: the parser's time grows faster than the length.
const MAX_LENGTH: usize = 16 * 1024;
/// Deepest nesting that is parsed: the parser recurses.
const MAX_DEPTH: usize = 200;

/// The functions of Prometheus 2.42 that 3.5 still has.
const FUNCTIONS: &str = " abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp \
    clamp_max clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv exp \
    floor histogram_count histogram_fraction histogram_quantile histogram_sum hour idelta increase irate label_join \
    label_replace last_over_time ln log10 log2 max_over_time min_over_time minute month pi predict_linear \
    present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh sort sort_desc sqrt stddev_over_time \
    stdvar_over_time sum_over_time tan tanh time timestamp vector year ";

/// Parses an expression as the newest Prometheus would without experimental features.
///
/// # Errors
/// Why they wouldn't.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("the expression is longer than {MAX_LENGTH} bytes"));
    }
    let bare = without_strings(text);
    check_depth(&bare)?;
    check_durations(&bare)?;
    check_signs(&bare)?;
    // What the checks above let through has not been seen to panic; a panic must still not end a whole run.
    let expr = catch_unwind(|| parser::parse(text))
        .map_err(|_| "the expression can't be parsed".to_owned())?
        .map_err(|error| format!("not valid PromQL: {}", error.to_string().trim()))?;
    walk_expr(&mut Functions, &expr)?;
    Ok(expr)
}

/// The text with every string's contents and every comment blanked out, so that brackets in them don't count.
fn without_strings(text: &str) -> String {
    let mut quote = None;
    let mut escaped = false;
    let mut comment = false;
    text.chars()
        .map(|c| {
            if comment {
                comment = c != '\n';
                return if comment { ' ' } else { c };
            }
            match quote {
                Some(_) if escaped => escaped = false,
                Some('"' | '\'') if c == '\\' => escaped = true,
                Some(open) if c == open => {
                    quote = None;
                    return c;
                }
                Some(_) => {}
                None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
                None if c == '#' => comment = true,
                None => return c,
            }
            if quote == Some(c) { c } else { '_' }
        })
        .collect()
}

fn check_depth(bare: &str) -> Result<(), String> {
    let mut depth: usize = 0;
    for c in bare.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!(
                "the expression is nested more than {MAX_DEPTH} levels deep"
            ));
        }
    }
    Ok(())
}

/// Ranges, subquery steps and offsets must be durations that Prometheus accepts; the parser panics on some others.
fn check_durations(bare: &str) -> Result<(), String> {
    for inside in bare.split('[').skip(1).filter_map(|rest| rest.split(']').next()) {
        let mut parts = inside.split(':').map(str::trim);
        let range = parts.next().unwrap_or_default();
        range
            .parse::<PromDuration>()
            .map_err(|why| format!("in `[{inside}]`: {why}"))?;
        if let Some(step) = parts.next().filter(|step| !step.is_empty()) {
            step.parse::<PromDuration>()
                .map_err(|why| format!("in `[{inside}]`: {why}"))?;
        }
    }
    let words: Vec<&str> = bare
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','))
        .filter(|w| !w.is_empty())
        .collect();
    for pair in words.windows(2).filter(|pair| pair[0] == "offset") {
        pair[1]
            .trim_start_matches('-')
            .parse::<PromDuration>()
            .map_err(|why| format!("after `offset`: {why}"))?;
    }
    if bare.contains('@') {
        return Err(
            "the `@` modifier pins an expression to one moment; a rule or panel lives in the present"
                .to_owned(),
        );
    }
    Ok(())
}

/// The parser accepts a leading `+` before a range or a text; Prometheus doesn't.
fn check_signs(bare: &str) -> Result<(), String> {
    let mut before = '(';
    for c in bare.chars().filter(|c| !c.is_whitespace()) {
        if c == '+' && matches!(before, '(' | ',' | '[') {
            return Err("a leading `+` says nothing; drop it".to_owned());
        }
        before = c;
    }
    Ok(())
}

/// Refuses functions that no supported version has unless an experimental feature is switched on.
struct Functions;

impl ExprVisitor for Functions {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        if let Expr::Call(Call { func, .. }) = expr
            && !FUNCTIONS.contains(&format!(" {} ", func.name))
            && needs::function(func.name).is_none()
        {
            return Err(format!(
                "`{}` isn't known to Prometheus 2.42 to 3.5 without experimental features",
                func.name
            ));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn accepts_what_prometheus_accepts() {
        for text in [
            "up",
            "rate(a_total{x=~\"a[b]|[(]\",y=\"[c\"}[1m30s]) # [x",
            "max_over_time(rate(a_total[5m])[1h:1m])",
            "a offset 5m",
            "-a + -b",
            "{__name__=\"a\"}",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text).err());
        }
    }

    #[test]
    fn refuses_what_prometheus_refuses_and_the_parser_does_not() {
        let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
        let long = format!("a{}", "+a".repeat(10_000));
        for text in [
            "foo[1e30]",
            "foo offset 1e30",
            "foo[5m:1e30]",
            "foo[300y]",
            "foo[5]",
            "foo[1.5h]",
            "foo[18446744073709551616]",
            "+foo[5m]",
            "rate(+foo[5m])",
            "foo @ 1e30",
            "mad_over_time(a[5m])",
            "rate(foo)",
            "sum(",
            "",
            &deep,
            &long,
        ] {
            assert!(parse(text).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }
}
