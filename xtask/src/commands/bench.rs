//! `bench`: builds and runs the package `benches`, which is no default member, so that the peers burden nobody else.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cli::Bench;
use crate::failure::{AlreadyReported, BadInput};
use crate::workspace::{self, Workspace};

/// The page that the suites write, each between its marks.
const PAGE: &str = "docs/benchmarks.md";

pub(super) fn run(workspace: &Workspace, options: &Bench) -> Result<u8> {
    let page = workspace.root.join(PAGE);
    let page = fs::read_to_string(&page).with_context(|| format!("can't read {}", page.display()))?;
    known(&options.only, &page)?;
    let status = command(workspace, options)?.status().context("can't run cargo")?;
    // 1 and 2 mean there what they mean here; whatever else it is, cargo has told
    match status.code() {
        Some(code @ 0..=2) => Ok(code as u8),
        _ => Err(AlreadyReported.into()),
    }
}

/// Whether there are suites of these names, by the page's marks: `benches` would say so too, but only once it is built.
fn known(chosen: &[String], page: &str) -> Result<()> {
    let marks = page.lines().filter_map(|line| line.strip_prefix("<!-- bench "));
    let suites: Vec<&str> = marks
        .filter_map(|mark| Some(mark.split_once(": begin")?.0))
        .collect();
    match chosen.iter().find(|name| !suites.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let there = suites.join(", ");
            Err(BadInput(format!("there is no suite `{name}`; there are {there}")).into())
        }
    }
}

fn command(workspace: &Workspace, options: &Bench) -> Result<Command> {
    let mut command = workspace::cargo(&workspace.root);
    // not quietly: the first build, for release, takes minutes
    command.args(["run", "--release", "--package", "benches"]);
    // pingora's balancers need it to build; without them the page says that they were not measured
    if cmake_is_here() {
        command.args(["--features", "pingora"]);
    }
    command.arg("--");
    if options.quick {
        command.arg("--quick");
    }
    for suite in &options.only {
        command.arg("--only").arg(suite);
    }
    if let Some(path) = &options.json {
        // cargo runs in the workspace's folder, and the caller may stand elsewhere
        command.arg("--json").arg(std::path::absolute(path)?);
    }
    command.args(&options.more);
    Ok(command)
}

fn cmake_is_here() -> bool {
    let told = Command::new("cmake")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    told.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_is_not_there_is_told_before_anything_is_built() {
        let page = "# A\n<!-- bench pool: begin, written by x -->\n<!-- bench pool: end -->\n<!-- bench pick: begin -->\n";
        assert!(known(&[], page).is_ok());
        assert!(known(&["pick".to_owned(), "pool".to_owned()], page).is_ok());
        let error = known(&["pol".to_owned()], page).unwrap_err();
        assert_eq!(error.to_string(), "there is no suite `pol`; there are pool, pick");
    }
}
