//! Edits made in Grafana, and their way back into generation.
//!
//! Grafana keeps what somebody changes on a provisioned dashboard in its own database, never in the file. [`pull()`] holds
//! an answer of Grafana's API against the dashboard as we generate it and makes the difference a JSON Patch (RFC 6902),
//! which generation applies from then on ([`patch_path`] says where it stands). What Grafana itself adds or counts (ids,
//! versions, defaults written out) is no difference: an unedited dashboard gives an empty patch.
//!
//! Every operation that changes or removes something is preceded by a `test` of what stood there, and every panel that is
//! touched by a `test` of its title: when the generated dashboard has moved on, the patch doesn't silently change another
//! panel, it fails and says where.

mod answer;
mod apply;
mod diff;
mod fields;
mod rules;
mod tidy;
mod v2;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use answer::stored_version;
pub(crate) use apply::apply;
pub(crate) use fields::is_grafanas;
pub use v2::Inexpressible;

/// Folder of the patches, relative to the output root.
pub(crate) const PATCHES: &str = "monitoring/grafana/patches";
/// Folder of the dashboards, relative to the output root.
pub(crate) const DASHBOARDS: &str = "monitoring/grafana/dashboards";

/// Where the edits of a generated dashboard are kept, relative to the output root; `None` for a file that is no dashboard.
pub fn patch_path(dashboard: &Path) -> Option<PathBuf> {
    let name = dashboard.file_name()?;
    let is_ours = dashboard.starts_with(DASHBOARDS) && dashboard.extension().is_some_and(|e| e == "json");
    is_ours.then(|| Path::new(PATCHES).join(name))
}

/// What was edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The patch as its file's text, or `None` when nothing was edited.
    pub patch: Option<String>,
    /// How many changes it makes; the tests that guard them are not counted.
    pub changes: usize,
    /// The generated dashboard with the patch applied: the text that generation will write.
    pub edited: String,
}

/// Why an answer of Grafana gives no patch. Nothing has been stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Whatever answered, it wasn't Grafana's API: check the address, and whether a proxy stands before it.
    #[error("the answer isn't JSON: {0}")]
    NotJson(String),
    /// Grafana answered with an error; its message says which permission or dashboard is missing.
    #[error("Grafana refuses: {0}")]
    Refused(String),
    /// JSON, but none of the forms in which Grafana's API answers a dashboard: ask another address of the API.
    #[error(
        "the answer is no dashboard in a form that is known (classic, v1 or v2 of dashboard.grafana.app): {0}"
    )]
    NotADashboard(String),
    /// The answer belongs to another dashboard; name the right one, or edit the provisioned one instead of a copy.
    #[error("the answer is the dashboard with uid `{found}`, not `{expected}`")]
    AnotherDashboard {
        /// The uid of the generated dashboard.
        expected: String,
        /// The uid in the answer.
        found: String,
    },
    /// Grafana converted the dashboard for this answer and may have dropped what the form can't express: ask for the form
    /// in which it is stored.
    #[error("Grafana converted the dashboard to answer; it is stored as {stored}")]
    Converted {
        /// The version of the API to ask for.
        stored: String,
    },
    /// Something was used in Grafana that a classic dashboard has no place for; undo it there, or make it in the generator.
    #[error("{}", list(.0))]
    NotClassic(Vec<Inexpressible>),
    /// A fault of this crate: the patch that it made doesn't apply. Please report it.
    #[error("the patch just made doesn't apply: {0}")]
    Unsound(String),
}

fn list(all: &[Inexpressible]) -> String {
    let lines: Vec<String> = all.iter().map(|one| format!("  {one}")).collect();
    format!(
        "a classic dashboard can't express what was edited; undo it in Grafana:\n{}",
        lines.join("\n")
    )
}

/// The difference between a generated dashboard (without a patch) and Grafana's answer for it.
///
/// # Errors
/// See [`PullError`].
pub fn pull(generated: &str, answer: &str) -> Result<Edit, PullError> {
    let base: Value =
        serde_json::from_str(generated).map_err(|error| PullError::NotJson(error.to_string()))?;
    let mut edited = answer::classic(&base, answer)?;
    tidy::tidy(&base, &mut edited);
    let operations = diff::diff(&base, &edited);
    let changes = operations
        .iter()
        .filter(|operation| !matches!(operation, json_patch::PatchOperation::Test(_)))
        .count();
    let mut result = base;
    json_patch::patch(&mut result, &operations).map_err(|error| PullError::Unsound(error.to_string()))?;
    Ok(Edit {
        patch: (changes > 0).then(|| pretty(&operations)),
        changes,
        edited: pretty(&result),
    })
}

/// As the generated JSON files are written. Values made of strings, numbers and lists can't fail to be written.
fn pretty<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
