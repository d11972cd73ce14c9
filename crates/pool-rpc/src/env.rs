//! `${NAME}` in configured texts.

/// Why a text could not be expanded. Names variables, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// The variable is not set. Export it before starting, or correct its name.
    #[error("environment variable {name} is not set")]
    Unset {
        /// The variable's name.
        name: String,
    },
    /// The variable is set to nothing. Give it a value, or leave `${...}` out.
    #[error("environment variable {name} is empty")]
    Empty {
        /// The variable's name.
        name: String,
    },
    /// A `${` has no `}`. Close it, or write `$${` for a literal `${`.
    #[error("`${{` at character {at} is never closed by `}}`; write `$${{` for a literal `${{`")]
    Unclosed {
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// The file named by `${file:...}` cannot be read. Correct the path, or let this process read it.
    #[error("the file {path} can't be read: {why}")]
    File {
        /// The path as it is written.
        path: String,
        /// What the system says.
        why: String,
    },
    /// The file named by `${file:...}` holds nothing. Put the secret into it.
    #[error("the file {path} is empty")]
    EmptyFile {
        /// The path as it is written.
        path: String,
    },
    /// What stands in `${...}` is not a name of letters, digits and underscores.
    #[error(
        "`${{...}}` at character {at} does not hold a variable's name (letters, digits, _; no leading digit)"
    )]
    Name {
        /// Where it stands, counted from 1.
        at: usize,
    },
}

/// Replaces each `${NAME}` by what `lookup` knows under that name. `$${` gives a literal `${`; any other `$` stays.
///
/// Values are inserted as they are and not expanded again.
///
/// # Errors
/// [`EnvError`] when a variable is unset or empty, or a `${` is not well formed.
///
/// ```
/// # use pool_rpc::expand_env;
/// let url = expand_env("https://node.example/${KEY}", |name| (name == "KEY").then(|| "k1".to_owned()));
/// assert_eq!(url.as_deref(), Ok("https://node.example/k1"));
/// ```
pub fn expand_env(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, EnvError> {
    expand_by(text, |name, at| variable(name, at, &lookup))
}

/// As [`expand_env`], and `${file:PATH}` by what `read` finds in that file, without line ends at its end.
#[cfg(feature = "file")]
pub(crate) fn expand(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
    read: impl Fn(&str) -> std::io::Result<String>,
) -> Result<String, EnvError> {
    expand_by(text, |name, at| {
        let Some(path) = name.strip_prefix("file:") else {
            return variable(name, at, &lookup);
        };
        let path = path.to_owned();
        match read(&path) {
            Err(error) => Err(EnvError::File {
                path,
                why: error.to_string(),
            }),
            Ok(content) => match content.trim_end_matches(['\r', '\n']) {
                "" => Err(EnvError::EmptyFile { path }),
                secret => Ok(secret.to_owned()),
            },
        }
    })
}

fn variable(name: &str, at: usize, lookup: impl Fn(&str) -> Option<String>) -> Result<String, EnvError> {
    if !is_name(name) {
        return Err(EnvError::Name { at });
    }
    let name = name.to_owned();
    match lookup(&name) {
        None => Err(EnvError::Unset { name }),
        Some(value) if value.is_empty() => Err(EnvError::Empty { name }),
        Some(value) => Ok(value),
    }
}

fn expand_by(
    text: &str,
    value: impl Fn(&str, usize) -> Result<String, EnvError>,
) -> Result<String, EnvError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            expanded.push_str(&rest[..start - 1]);
            expanded.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        expanded.push_str(&rest[..start]);
        let at = text[..text.len() - rest.len() + start].chars().count() + 1;
        let (name, after) = rest[start + 2..]
            .split_once('}')
            .ok_or(EnvError::Unclosed { at })?;
        expanded.push_str(&value(name, at)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, EnvError> {
        expand_env(text, |name| match name {
            "KEY" => Some("SECRETKEY".to_owned()),
            "NESTED" => Some("${KEY}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_once() {
        for (text, expected) in [
            ("plain $ and $x", "plain $ and $x"),
            ("${KEY}", "SECRETKEY"),
            ("a/${KEY}/b/${KEY}", "a/SECRETKEY/b/SECRETKEY"),
            ("${NESTED}", "${KEY}"),
            ("$${KEY}", "${KEY}"),
            ("é$${KEY}${KEY}", "é${KEY}SECRETKEY"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_variable_and_no_value() {
        assert_eq!(
            expand("${KEY}${NO_KEY}"),
            Err(EnvError::Unset {
                name: "NO_KEY".to_owned()
            })
        );
        assert_eq!(
            expand("${EMPTY}"),
            Err(EnvError::Empty {
                name: "EMPTY".to_owned()
            })
        );
        assert_eq!(expand("é${KEY"), Err(EnvError::Unclosed { at: 2 }));
        for text in ["${}", "${1A}", "${A-B}", "${A B}"] {
            assert_eq!(expand(text), Err(EnvError::Name { at: 1 }), "{text}");
        }
        assert_eq!(
            expand("${KEY").unwrap_err().to_string(),
            "`${` at character 1 is never closed by `}`; write `$${` for a literal `${`"
        );
    }
}
