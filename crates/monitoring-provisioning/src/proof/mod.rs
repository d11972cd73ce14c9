//! Proof that the alerts fire on what they name, and only then.
//!
//! [`unit_tests`] makes promtool's unit tests out of situations that stand here; [`batches`] makes every small slip that could
//! be in a rule (a comparison turned, a limit one step off, a label lost, a window halved ...) and hands it to the same
//! tests, which must notice. Both are of the rules by default: an operator's overrides change limits, never meanings.
//!
//! Nothing is run here: the caller writes the files to a folder and runs `promtool test rules` there.

mod batch;
mod case;
mod cases;
mod mutate;
mod pools;
mod score;
mod timing;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

pub use batch::{Batch, Mutant, Next, batches};
pub use score::Score;
pub use timing::{Timing, shortest_window, timings};

use crate::{
    generate::GeneratedFile,
    model::rules::RuleFile,
    problem::{Problem, Problems},
    recording::Recording,
    spec::AlertName,
};
use batch::{cases_of, evaluation};
use case::{Case, JOBS};

/// For each alert and recording a file with the rule, and its tests in its [`test_file`]; all for one folder.
///
/// # Errors
/// The rules can't be written, or an alert is never seen firing, or never seen silent.
pub fn unit_tests() -> Result<Vec<GeneratedFile>, Problems> {
    let mut files = Vec::new();
    for name in rule_names() {
        let cases = cases_of(name);
        let seen = [
            cases.iter().any(Case::fires_at_all),
            cases.iter().any(Case::is_silent_at_all),
        ];
        let silent_too = AlertName::ALL
            .iter()
            .any(|alert| alert.as_str() == name && !alert.always_fires())
            || pools::NAMES.contains(&name);
        if !seen[0] || !seen[1] && silent_too {
            return Err(Problem::new(
                Path::new("crates/monitoring-provisioning/src/proof/cases"),
                format!("`{name}` must be seen firing in one situation and silent in another"),
            )
            .into());
        }
        let tests: Vec<_> = cases
            .iter()
            .flat_map(|case| JOBS.map(|jobs| case.test(jobs, &[case.of.rule().to_owned()])))
            .collect();
        // Alone, since promtool evaluates every rule of its file at every step.
        let rule = pools::rules().into_iter().filter(|(own, _)| own == name);
        let alone = format!("rules.{}", test_file(name));
        files.push(json_file(
            &alone,
            &RuleFile::of(rule.map(|(_, rule)| rule).collect()),
        )?);
        files.push(json_file(
            &test_file(name),
            &json!({
                "rule_files": [alone],
                "evaluation_interval": format!("{}s", evaluation(&cases)),
                "tests": tests,
            }),
        )?);
    }
    Ok(files)
}

/// Every alert, every recording, and alerts one of whose pools has a limit of its own.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    let alerts = AlertName::ALL.into_iter().map(AlertName::as_str);
    alerts
        .chain(Recording::ALL.into_iter().map(Recording::name))
        .chain(pools::NAMES)
}

/// The file that holds the tests of a rule; a recording's name has colons, which not every file system takes.
pub fn test_file(rule: &str) -> String {
    format!("{}.yml", rule.replace(':', "."))
}

/// JSON is YAML too, and needs no care with quotes.
fn json_file<T: Serialize>(path: &str, model: &T) -> Result<GeneratedFile, Problem> {
    let contents = serde_json::to_string_pretty(model)
        .map_err(|error| Problem::new(Path::new(path), format!("can't be written: {error}")))?;
    Ok(GeneratedFile {
        path: PathBuf::from(path),
        contents,
    })
}
