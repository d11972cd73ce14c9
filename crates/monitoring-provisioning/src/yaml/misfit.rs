//! Why a value doesn't fit its type, in words that name no Rust type and repeat no secret.

use std::fmt;

use serde::de;

use super::tree::{Node, Place};

/// Why a node doesn't fit.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) node: Option<(usize, Place)>,
    pub(super) what: String,
    pub(super) remedy: Option<String>,
    pub(super) missing_field: Option<&'static str>,
    pub(super) missing_because_skipped: bool,
}

impl Misfit {
    pub(super) fn new(what: String, remedy: Option<String>) -> Self {
        Self {
            node: None,
            what,
            remedy,
            missing_field: None,
            missing_because_skipped: false,
        }
    }

    /// Gives the misfit its place unless a deeper node has already done so.
    pub(super) fn at(mut self, node: &Node) -> Self {
        self.node.get_or_insert((node.id, node.place));
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once("; ") {
            Some((what, remedy)) => Self::new(what.to_owned(), Some(remedy.to_owned())),
            None => Self::new(message, None),
        }
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // The value itself isn't quoted: somebody may have put a secret where a number belongs.
        let found = match unexpected {
            de::Unexpected::Str(_) => "a text".to_owned(),
            de::Unexpected::Map => "a mapping".to_owned(),
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Unit => "nothing".to_owned(),
            other => other.to_string(),
        };
        Self::new(format!("expected {}, found {found}", in_words(expected)), None)
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(
            format!("expected {}, found {unexpected}", in_words(expected)),
            None,
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let remedy = did_you_mean(variant, expected).unwrap_or_else(|| allowed(expected));
        Self::new(format!("unknown name `{variant}`"), Some(remedy))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut misfit = Self::new(format!("`{field}` is missing"), None);
        misfit.missing_field = Some(field);
        misfit
    }
}

/// What is expected, without the names of Rust's types.
fn in_words(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "a text",
        "a sequence" => "a list",
        text if text.starts_with("struct ") || text == "a map" => "a mapping",
        text => text,
    }
    .to_owned()
}

pub(super) fn allowed(names: &[&str]) -> String {
    match names {
        [] => "nothing is allowed here".to_owned(),
        names => format!(
            "allowed: {}",
            names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// The allowed name that `name` was probably meant to be: the same but for case and separators, or one edit away.
pub(crate) fn did_you_mean(name: &str, names: &[&str]) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    let near = |candidate: &&&str| {
        let (a, b) = (plain(name), plain(candidate));
        a == b || (a.len() > 3 && edits(&a, &b) <= 2)
    };
    names
        .iter()
        .find(near)
        .map(|name| format!("did you mean `{name}`?"))
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
