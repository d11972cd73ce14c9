//! Which Prometheus an expression needs.

use std::convert::Infallible;

use promql_parser::parser::{Call, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::without_strings;
use crate::{duration::PromDuration, spec::Version};

/// Functions that came after 2.42, with the first version that has them.
const FUNCTIONS: [(&str, Version); 3] = [
    ("histogram_avg", Version::new(2, 51)),
    ("histogram_stddev", Version::new(2, 47)),
    ("histogram_stdvar", Version::new(2, 47)),
];
/// `time() - x > 10m`.
const SPANS_AS_NUMBERS: Version = Version::new(2, 54);
/// `{"a.metric", "a.label"="x"}`, `by ("a.label")`.
const QUOTED_NAMES: Version = Version::new(3, 0);

/// Something that not every supported Prometheus has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// As it stands in the expression.
    pub(crate) needle: String,
    /// In words.
    pub(crate) what: String,
    /// The first version that has it.
    pub(crate) since: Version,
}

/// What of an expression came after 2.42; the one that needs the newest version first.
pub(crate) fn needs(text: &str, expr: &Expr) -> Option<Need> {
    let bare = without_strings(text);
    let mut calls = Calls(Vec::new());
    // A walk that never breaks off.
    let Ok(_) = walk_expr(&mut calls, expr);
    calls
        .0
        .into_iter()
        .chain(span_as_number(&bare))
        .chain(quoted_name(&bare))
        .max_by_key(|need| need.since)
}

/// The first version with this function, if it came after 2.42.
pub(super) fn function(name: &str) -> Option<Version> {
    FUNCTIONS
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, since)| since)
}

struct Calls(Vec<Need>);

impl ExprVisitor for Calls {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        if let Expr::Call(Call { func, .. }) = expr
            && let Some(since) = function(func.name)
        {
            self.0.push(Need {
                needle: func.name.to_owned(),
                what: format!("the function `{}`", func.name),
                since,
            });
        }
        Ok(true)
    }
}

/// A duration that is neither a range nor an offset.
fn span_as_number(bare: &str) -> Option<Need> {
    let mut depth = 0_usize;
    let outside: String = bare
        .chars()
        .map(|c| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > 0 || c == ']' { ' ' } else { c }
        })
        .collect();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    let words: Vec<&str> = outside
        .split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
        .collect();
    let is_span = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(|c: char| c.is_ascii_alphabetic())
            && word.parse::<PromDuration>().is_ok()
    };
    let before = std::iter::once("").chain(words.iter().copied());
    words
        .iter()
        .zip(before)
        .find(|(word, before)| is_span(word) && *before != "offset")
        .map(|(word, _)| Need {
            needle: with_sign(&outside, word),
            what: format!("the duration `{word}` in place of a number"),
            since: SPANS_AS_NUMBERS,
        })
}

/// The word with the sign before it: by itself it may stand in a range as well.
fn with_sign(text: &str, word: &str) -> String {
    let before = text.find(word).map_or("", |at| &text[..at]);
    let sign = before
        .trim_end()
        .char_indices()
        .next_back()
        .map_or(before.len(), |(at, _)| at);
    format!("{}{word}", &before[sign..])
}

/// A text where only a name can stand: at the beginning of a matcher, or in the list of a grouping.
fn quoted_name(bare: &str) -> Option<Need> {
    const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    // What has been opened: whether names belong there.
    let mut open: Vec<bool> = Vec::new();
    let (mut word, mut before) = (String::new(), ' ');
    let mut in_string = None;
    for c in bare.chars() {
        if let Some(quote) = in_string {
            if c == quote {
                in_string = None;
            }
            continue;
        }
        match c {
            '"' | '\'' | '`' => {
                if matches!(before, '{' | ',' | '(') && open.last() == Some(&true) {
                    return Some(Need {
                        needle: c.to_string(),
                        what: "a name in quotes".to_owned(),
                        since: QUOTED_NAMES,
                    });
                }
                in_string = Some(c);
            }
            '{' => open.push(true),
            '(' => open.push(GROUPINGS.contains(&word.to_lowercase().as_str())),
            '}' | ')' => drop(open.pop()),
            _ => {}
        }
        if c.is_alphanumeric() || c == '_' {
            if !(before.is_alphanumeric() || before == '_') {
                word.clear();
            }
            word.push(c);
        } else if !c.is_whitespace() {
            word.clear();
        }
        // A space before a bracket doesn't part it from its word.
        if !c.is_whitespace() || before.is_alphanumeric() {
            before = c;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::promql::parse;

    fn since(text: &str) -> Option<Version> {
        needs(text, &parse(text).expect("valid PromQL")).map(|need| need.since)
    }

    #[test]
    fn what_came_after_the_oldest_version_is_found() {
        for (text, version) in [
            ("histogram_avg(a)", Version::new(2, 51)),
            ("sum(histogram_stddev(a)) > 1", Version::new(2, 47)),
            ("time() - a > 10m", Version::new(2, 54)),
            ("a > 1h30m", Version::new(2, 54)),
            ("{\"a\"}", Version::new(3, 0)),
            ("a{b=\"c\", \"d\"=\"e\"}", Version::new(3, 0)),
            ("sum by (b, \"c\") (a)", Version::new(3, 0)),
            ("a / on(\"c\") b", Version::new(3, 0)),
            ("histogram_avg(a) > 5m", Version::new(2, 54)),
        ] {
            assert_eq!(since(text), Some(version), "{text}");
        }
    }

    #[test]
    fn what_the_oldest_version_has_needs_nothing() {
        for text in [
            "rate(a_total{x=\"10m\", y=~'b'}[5m]) > 5",
            "max_over_time(rate(a_total[5m])[1h:1m]) > 1e5",
            "a offset 5m > 0x1f",
            "a offset -5m",
            "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")",
            "sum by (b) (label_replace(a, \"b\", \"x\", \"\", \"\"))",
            "a5m > 1 # \"x\" 10m",
            "a:b5m:c > 5",
        ] {
            assert_eq!(since(text), None, "{text}");
        }
    }
}
