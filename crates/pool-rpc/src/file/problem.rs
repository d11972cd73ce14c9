//! What is wrong with a configuration file, in one line.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Longest part of a message that is quoted from the file. Anything longer is more likely a key than a typing error.
const LONGEST_QUOTE: usize = 40;

/// What is wrong with a configuration file. Displays as `file:line: what is wrong; what is allowed`.
///
/// Print it and exit with status 2; nothing has been started. It never shows a URL, a header's value or the value of an
/// environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    file: PathBuf,
    line: Option<usize>,
    message: String,
}

impl ConfigProblem {
    pub(super) fn new(file: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        // one line, whatever is quoted from the file
        let message = message.into();
        let words = message.split(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c));
        Self {
            file: file.to_owned(),
            line,
            message: words
                .filter(|words| !words.is_empty())
                .map(without_keys)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// A problem that the YAML reader found: syntax, unknown keys, wrong types.
    pub(super) fn yaml(file: &Path, error: &serde_yaml::Error) -> Self {
        let mut message = error.to_string();
        let line = error.location().map(|location| {
            let said = format!(" at line {} column {}", location.line(), location.column());
            if let Some(rest) = message.strip_suffix(&said) {
                message.truncate(rest.len());
            }
            location.line()
        });
        Self::new(file, Some(line.unwrap_or(1)), without_values(&message))
    }

    /// The line, counted from 1; `None` when the problem is the file itself.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

impl std::error::Error for ConfigProblem {}

/// Takes out what serde quotes from the file: a text in a wrong place may be a URL with a key in it. Short words in
/// backticks stay, they are names of keys and typing errors.
pub(super) fn without_values(message: &str) -> String {
    let mut clean = message.to_owned();
    for kind in ["invalid type: string ", "invalid value: string "] {
        if let Some(start) = clean.find(&format!("{kind}\""))
            && let Some(end) = clean.rfind(", expected")
            && start < end
        {
            clean.replace_range(start + kind.len() - "string ".len()..end, "a text");
        }
    }
    let parts = clean.split('`').enumerate().map(|(i, part)| {
        let quoted = i % 2 == 1;
        if quoted && (part.len() > LONGEST_QUOTE || part.contains("://")) {
            "***"
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Takes out what looks like a key, wherever it is quoted from: somebody may have put it into the wrong place.
fn without_keys(message: &str) -> String {
    let mut clean = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(in_key) {
        let word = &rest[start..];
        let (word, after) = word.split_at(word.find(|c| !in_key(c)).unwrap_or(word.len()));
        clean.push_str(&rest[..start]);
        clean.push_str(if is_key(word) { "***" } else { word });
        rest = after;
    }
    clean + rest
}

fn in_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_".contains(c)
}

/// Long, and with too many digits for a word. The name of an environment variable is none.
fn is_key(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let variable = word.bytes().any(|byte| byte.is_ascii_uppercase())
        && !word.bytes().any(|byte| byte.is_ascii_lowercase())
        && word.contains('_');
    word.len() >= 12 && digits >= 3 && !variable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line() {
        let problem = ConfigProblem::new(Path::new("f"), Some(2), "unknown field `a\r\n\u{2028}b\u{85}c`");
        assert_eq!(problem.to_string(), "f:2: unknown field `a b c`");
    }

    #[test]
    fn what_looks_like_a_key_is_not_repeated() {
        for (message, expected) in [
            ("`0a1b2c3d4e5f` is not a dialect", "`***` is not a dialect"),
            ("`a 7308519264073185.5é`", "`a ***.5é`"),
            ("${AbC-123_xyzzy", "${***"),
            (
                "environment variable MAINNET_KEY_2024 is not set; http2_prior_knowledge, acquire_timeout",
                "environment variable MAINNET_KEY_2024 is not set; http2_prior_knowledge, acquire_timeout",
            ),
            ("31536000s is not possible", "31536000s is not possible"),
        ] {
            let problem = ConfigProblem::new(Path::new("f"), None, message);
            assert_eq!(problem.to_string(), format!("f: {expected}"));
        }
    }

    #[test]
    fn texts_from_the_file_are_not_repeated() {
        for (message, expected) in [
            (
                "pools[0].weight: invalid type: string \"https://h/SECRET, expected\", expected f64",
                "pools[0].weight: invalid type: a text, expected f64",
            ),
            (
                "unknown field `https://h/SECRET`, expected `id`",
                "unknown field `***`, expected `id`",
            ),
            (
                "unknown field `weigth`, expected `weight`",
                "unknown field `weigth`, expected `weight`",
            ),
            (
                "invalid type: map, expected u32",
                "invalid type: map, expected u32",
            ),
        ] {
            assert_eq!(without_values(message), expected);
        }
    }
}
