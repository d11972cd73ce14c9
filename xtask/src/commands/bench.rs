//! `bench`: builds and runs the package `benches`, which is no default member, so that the peers burden nobody else.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cli::Bench;
use crate::failure::AlreadyReported;
use crate::workspace::{self, Workspace};

pub(super) fn run(workspace: &Workspace, options: &Bench) -> Result<u8> {
    let status = command(workspace, options)?.status().context("can't run cargo")?;
    // 1 and 2 mean there what they mean here; whatever else it is, cargo has told
    match status.code() {
        Some(code @ 0..=2) => Ok(code as u8),
        _ => Err(AlreadyReported.into()),
    }
}

fn command(workspace: &Workspace, options: &Bench) -> Result<Command> {
    let mut command = workspace::cargo(&workspace.root);
    command.args(["run", "--release", "--quiet", "--package", "benches"]);
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
