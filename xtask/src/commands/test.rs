//! `test`: the whole suite on a machine that may be bare.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::binaries::Program;
use crate::packages;
use crate::workspace::Workspace;

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
        println!("notice: {error:#}");
        summary.push(format!("could not obtain everything: {error:#}"));
    }
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|program| program.find().is_none())
        .map(|program| program.names()[0])
        .collect();
    let end_to_end = missing.is_empty();

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = call(
        Command::new(&cargo).args(["build", "--package", "relayer", "--package", "devnet"]),
        &workspace.root,
    )?;
    let mut test = Command::new(&cargo);
    test.args(["test", "--workspace", "--no-fail-fast"]);
    if !cargo_args.is_empty() {
        test.arg("--").args(cargo_args);
    }
    if end_to_end {
        test.env(END_TO_END, "1");
    }
    let passed = call(&mut test, &workspace.root)?;

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
    println!("\nsummary");
    for line in &summary {
        println!("  {line}");
    }
    // Asked to get everything and test everything: what was not run is not passed.
    let complete = end_to_end || no_install;
    Ok(u8::from(!(passed && built && complete)))
}

fn call(command: &mut Command, folder: &Path) -> Result<bool> {
    let words: Vec<String> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    println!("running: cargo {}", words.join(" "));
    let status = command.current_dir(folder).status().context("can't run cargo")?;
    Ok(status.success())
}
