//! Templates in annotations and legends.

/// Functions of Prometheus' templates, and those of Go's.
const FUNCTIONS: [&str; 24] = [
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "printf",
    "print",
    "title",
    "toUpper",
    "toLower",
    "reReplaceAll",
    "urlquery",
    "html",
    "js",
    "len",
    "index",
    "not",
    "and",
    "or",
    "eq",
    "ne",
    "with",
    "if",
    "end",
];

/// What a template refers to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// `$labels.<name>`.
    pub(crate) labels: Vec<String>,
    /// Whether `$value` is used.
    pub(crate) value: bool,
}

/// Reads the references of an annotation or a label's value.
///
/// # Errors
/// What Prometheus would stumble over when the alert fires, and only then.
pub(crate) fn references(template: &str) -> Result<References, String> {
    let mut references = References::default();
    for action in actions(template)? {
        let action = without_texts(action);
        for word in action.split(|c: char| c.is_whitespace() || matches!(c, '|' | '(' | ')' | '-')) {
            match word {
                "" => {}
                "$value" => references.value = true,
                word if word.starts_with("$labels.") => {
                    references.labels.push(word["$labels.".len()..].to_owned());
                }
                word if word.starts_with('"') || word.ends_with('"') || word.parse::<f64>().is_ok() => {}
                word if FUNCTIONS.contains(&word) || word == "else" => {}
                word => return Err(format!("the template uses `{word}`, which isn't known there")),
            }
        }
    }
    Ok(references)
}

/// The action with every text in it left empty: its words are none of the template's.
fn without_texts(action: &str) -> String {
    let mut is_inside = false;
    let mut escaped = false;
    action
        .chars()
        .filter(|c| {
            let quote = *c == '"' && !escaped;
            escaped = is_inside && *c == '\\' && !escaped;
            is_inside ^= quote;
            quote || !is_inside
        })
        .collect()
}

/// The labels in a Grafana legend.
///
/// # Errors
/// Braces that don't close.
pub(super) fn legend_labels(legend: &str) -> Result<Vec<String>, String> {
    Ok(actions(legend)?
        .into_iter()
        .map(|action| action.trim().to_owned())
        .collect())
}

/// The insides of all `{{ }}`.
fn actions(template: &str) -> Result<Vec<&str>, String> {
    let mut rest = template;
    let mut actions = Vec::new();
    while let Some((_, after)) = rest.split_once("{{") {
        let (action, after) = after.split_once("}}").ok_or("a `{{` is never closed")?;
        actions.push(action);
        rest = after;
    }
    if rest.contains("}}") {
        return Err("a `}}` was never opened".to_owned());
    }
    Ok(actions)
}
