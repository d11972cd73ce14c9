//! The stored edits, applied again.

use std::path::Path;

use json_patch::{Patch, PatchError, PatchErrorKind, PatchOperation};
use serde_json::Value;

use super::pretty;
use crate::{problem::Problem, yaml::Document};

/// A generated dashboard with its stored patch applied.
///
/// # Errors
/// The patch isn't one, or no longer applies: the problem names the operation and its line.
pub(crate) fn apply(dashboard: &str, file: &Path, patch: &str) -> Result<String, Problem> {
    let name = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut document: Value = serde_json::from_str(dashboard)
        .map_err(|error| Problem::new(file, format!("the dashboard isn't JSON: {error}")))?;
    let Patch(operations) = serde_json::from_str(patch).map_err(|error| {
        Problem::new(file, format!("this is no JSON Patch (RFC 6902): {error}"))
            .at(error.line(), error.column())
            .remedy(format!(
                "store it anew with `cargo xtask dashboard pull {name}`, or delete the file"
            ))
    })?;
    let before = document.clone();
    json_patch::patch(&mut document, &operations)
        .map_err(|error| no_longer(file, &name, patch, before, &operations, &error))?;
    Ok(pretty(&document))
}

fn no_longer(
    file: &Path,
    name: &str,
    patch: &str,
    mut before: Value,
    operations: &[PatchOperation],
    error: &PatchError,
) -> Problem {
    // The document as the failing operation found it.
    let done = &operations[..error.operation.min(operations.len())];
    let is_found = json_patch::patch(&mut before, done).is_ok();
    let operation = operations.get(error.operation);
    let path = operation
        .map(|operation| operation.path().to_string())
        .unwrap_or_default();
    let found = before.pointer(&path).filter(|_| is_found);
    let why = match (operation, &error.kind, found) {
        (Some(PatchOperation::Test(test)), PatchErrorKind::TestFailed, Some(found)) => {
            format!(
                "it was made on {}, generated is {}",
                short(&test.value),
                short(found)
            )
        }
        (_, _, None) => "the generated dashboard has nothing there".to_owned(),
        (_, kind, Some(_)) => kind.to_string(),
    };
    let what = format!(
        "operation {} (`{}` at {path}) no longer applies to the generated dashboard: {why}",
        error.operation + 1,
        operation.map_or("?", word),
    );
    let moved = match operation {
        Some(PatchOperation::Test(test)) if path.ends_with("/title") => whereabouts(&before, &test.value),
        _ => None,
    };
    let again = format!(
        "correct the path, delete the operation, or bring Grafana up to date and store the edits anew: `cargo xtask dashboard pull {name}`"
    );
    let remedy = moved.map_or(again.clone(), |place| {
        format!(
            "the panel {} now stands at {place}: {again}",
            short(&match operation {
                Some(PatchOperation::Test(test)) => test.value.clone(),
                _ => Value::Null,
            })
        )
    });
    let problem = Problem::new(file, what).remedy(remedy);
    let (document, _) = Document::read(patch, file);
    match document {
        Some(document) => {
            let place = document.place(&format!("{}", error.operation));
            problem.at(place.line, place.column)
        }
        None => problem,
    }
}

/// Where the only panel with that title stands.
fn whereabouts(dashboard: &Value, title: &Value) -> Option<String> {
    let panels = dashboard["panels"].as_array()?;
    let mut places = panels
        .iter()
        .enumerate()
        .filter(|(_, panel)| panel["title"] == *title)
        .map(|(index, _)| format!("/panels/{index}"));
    let place = places.next()?;
    places.next().is_none().then_some(place)
}

fn word(operation: &PatchOperation) -> &'static str {
    match operation {
        PatchOperation::Add(_) => "add",
        PatchOperation::Remove(_) => "remove",
        PatchOperation::Replace(_) => "replace",
        PatchOperation::Move(_) => "move",
        PatchOperation::Copy(_) => "copy",
        PatchOperation::Test(_) => "test",
    }
}

/// A value on one line, cut when long.
fn short(value: &Value) -> String {
    const LONG: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONG {
        return text;
    }
    let cut: String = text.chars().take(LONG).collect();
    format!("{cut}…")
}
