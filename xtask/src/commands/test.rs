//! `test`: the whole suite on a machine that may be bare.

use std::process::Command;

use anyhow::{Context, Result};

use crate::binaries::Program;
use crate::workspace::{self, Workspace};
use crate::{anvil, browser, databases, packages};

/// Set for the tests that run real servers.
const END_TO_END: &str = "MONITORING_E2E";
/// What those tests need.
const NEEDED: [Program; 5] = [
    Program::Prometheus,
    Program::Promtool,
    Program::Alertmanager,
    Program::Amtool,
    Program::NodeExporter,
];

pub(super) fn run(workspace: &Workspace, no_install: bool, cargo_args: &[String]) -> Result<u8> {
    let mut summary = Vec::new();
    if !no_install && let Err(error) = packages::obtain(&NEEDED, true) {
        outln!("notice: {error:#}");
        summary.push(format!("could not obtain everything: {error:#}"));
    }
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|program| program.find().is_none())
        .map(|program| program.names()[0])
        .collect();
    let end_to_end = missing.is_empty();

    let anvil = anvil::obtain(&workspace.root, !no_install);
    let databases = databases::obtain(!no_install);
    let browser = browser::obtain(!no_install);

    let cargo = || workspace::cargo(&workspace.root);
    let built = call(cargo().args(["build", "--package", "relayer", "--package", "devnet"]))?;
    let mut test = cargo();
    // the peers that `benches` measures against burden only who measures; CI tests its harness
    test.args(["test", "--workspace", "--exclude", "benches", "--no-fail-fast"]);
    test.args(["--features", databases::FEATURES]);
    if let Ok(anvil) = &anvil {
        test.env(anvil::VARIABLE, anvil);
    }
    if let Ok(databases) = &databases {
        test.envs(databases.environment());
    }
    if let Ok(Some(browser)) = &browser {
        test.env(browser::VARIABLE, browser);
    }
    if !cargo_args.is_empty() {
        test.arg("--").args(cargo_args);
    }
    if end_to_end {
        test.env(END_TO_END, "1");
    }
    let passed = call(&mut test)?;

    summary.insert(
        0,
        format!(
            "unit and integration tests: {}",
            if passed { "passed" } else { "FAILED, see above" }
        ),
    );
    if !built {
        summary.push("relayer and devnet: can't be built, see above".to_owned());
    }
    summary.push(if end_to_end {
        let found: Vec<String> = NEEDED
            .iter()
            .filter_map(|program| program.find())
            .map(|path| path.display().to_string())
            .collect();
        format!("tests with real servers: run, with {}", found.join(", "))
    } else {
        format!("tests with real servers: NOT RUN, missing {}", missing.join(", "))
    });
    summary.push(match &anvil {
        Ok(path) => format!("tests with a real Ethereum node: run, with {}", path.display()),
        Err(reason) => format!("tests with a real Ethereum node: NOT RUN, no anvil: {reason}"),
    });
    summary.push(match &databases {
        Ok(found) => format!(
            "tests with real databases: run, with {} and {}",
            found.postgres.display(),
            found.redis.display()
        ),
        Err(reason) => format!("tests with real databases: NOT RUN: {reason}"),
    });
    summary.push(match &browser {
        Ok(Some(path)) => format!("tests with a real browser: run, with {}", path.display()),
        Ok(None) => "tests with a real browser: NOT RUN, missing chromium".to_owned(),
        Err(reason) => format!("tests with a real browser: NOT RUN: {reason}"),
    });
    outln!("\nsummary");
    for line in &summary {
        outln!("  {line}");
    }
    // The servers are what the suite is about: without them it has not passed, nor without the browser where a package brings
    // it. anvil serves a few tests and comes by npm only; that it was missing stands in the summary.
    let complete = (end_to_end && databases.is_ok() && browser.is_ok()) || no_install;
    Ok(u8::from(!(passed && built && complete)))
}

fn call(command: &mut Command) -> Result<bool> {
    let words: Vec<String> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    outln!("running: cargo {}", words.join(" "));
    let status = command.status().context("can't run cargo")?;
    Ok(status.success())
}
