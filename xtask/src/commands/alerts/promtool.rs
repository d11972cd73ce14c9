//! `alerts test`: the unit tests of the rules, judged by the real promtool.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use monitoring_provisioning::{GeneratedFile, proof};

use crate::binaries::{Captured, Program, output_within, version};
use crate::failure::{AlreadyReported, BadInput};

/// The tests of one alert take a second or two; those of its mutants some ten.
const ANSWERS_WITHIN: Duration = Duration::from_secs(240);

pub(super) fn run(names: &[String]) -> Result<u8> {
    let wanted = chosen(names)?;
    let promtool = find()?;
    let folder = tempfile::tempdir().context("can't create a temporary folder")?;
    write(folder.path(), &proof::unit_tests()?)?;
    let mut failed = 0;
    for alert in wanted.iter().copied() {
        let answer = test(&promtool, folder.path(), &proof::test_file(alert))?;
        if answer.success {
            outln!("{alert}: ok");
        } else {
            failed += 1;
            errln!("error: {alert}:\n{}{}", answer.stdout, answer.stderr);
        }
    }
    if failed > 0 {
        errln!(
            "error: {failed} of {} rules aren't as they should be",
            wanted.len()
        );
        return Err(AlreadyReported.into());
    }
    outln!(
        "{} rules: each alert fires when it should, and only then",
        wanted.len()
    );
    Ok(0)
}

/// The rules that were named; all when none was.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static str>> {
    if names.is_empty() {
        return Ok(proof::rule_names().collect());
    }
    names
        .iter()
        .map(|name| {
            proof::rule_names().find(|rule| rule == name).ok_or_else(|| {
                let all: Vec<&str> = proof::rule_names().collect();
                BadInput(format!(
                    "there is no alert or recording `{name}`; there are {}",
                    all.join(", ")
                ))
                .into()
            })
        })
        .collect()
}

/// promtool, or why nothing can be proven without it.
pub(super) fn find() -> Result<PathBuf> {
    let Some(path) = Program::Promtool.find() else {
        bail!(
            "promtool was not found; it comes with Prometheus: install that, or name its folder in MONITORING_BIN_DIR"
        );
    };
    outln!(
        "promtool {} ({})",
        version(&path).unwrap_or_else(|| "of unknown version".to_owned()),
        path.display()
    );
    Ok(path)
}

pub(super) fn write(folder: &Path, files: &[GeneratedFile]) -> Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        std::fs::write(&path, &file.contents).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

/// Runs the tests in a file of the folder.
pub(super) fn test(promtool: &Path, folder: &Path, file: &str) -> Result<Captured> {
    let mut command = Command::new(promtool);
    command.args(["test", "rules", file]).current_dir(folder);
    output_within(&mut command, ANSWERS_WITHIN).with_context(|| {
        format!(
            "{} doesn't answer within {} s",
            promtool.display(),
            ANSWERS_WITHIN.as_secs()
        )
    })
}
