//! `monitoring-up`: from nothing, or from what runs already, to everything ready; or back to where it was.

mod bring;
mod prepare;

use std::time::Instant;

use anyhow::{Result, bail};
use monitoring_provisioning::{Runtime as Rendering, generate};

use self::bring::Before;
use self::prepare::Prepared;
use crate::cli::Up;
use crate::failure::{AlreadyReported, BadInput};
use crate::interrupt::Interrupt;
use crate::readiness::{self, NotReady};
use crate::report::Report;
use crate::state::{self, Runtime, Stack};
use crate::workspace::Workspace;
use crate::{logs, supervisor};

/// How many lines of a log are shown when its service does not get ready.
const LAST_LINES: usize = 10;

pub(super) fn run(workspace: &Workspace, up: &Up) -> Result<u8> {
    let begun = Instant::now();
    let interrupt = Interrupt::install()?;
    let spec = workspace.load_spec()?;
    if let Some(file) = up.relayer_config.as_ref().filter(|file| !file.is_file()) {
        return Err(BadInput(format!("{}: no such file (--relayer-config)", file.display())).into());
    }
    for secret in workspace.native_spec(&spec)?.secret_files() {
        if !secret.resolved.is_file() {
            return Err(BadInput(format!(
                "{}: receiver {}: {} names {}, which does not exist; create it with the secret as its only line",
                workspace.spec_path.display(),
                secret.receiver,
                secret.key,
                secret.resolved.display()
            ))
            .into());
        }
    }
    let _lock = state::lock(&workspace.state_dir, "lock")?;
    super::generate::write(&workspace.stack_root, &generate(&spec, Rendering::Docker)?)?;

    let prepared = prepare::prepare(workspace, &spec, up, &interrupt)?;
    let before = Before::now(workspace);
    prepare::refuse_taken_ports(workspace, &prepared)?;
    let outcome = bring::bring(workspace, &prepared, &before)
        .and_then(|()| readiness::wait(&prepared.stack, &workspace.state_dir, up.timeout, &interrupt));
    match outcome {
        Ok(Ok(report)) => {
            conclude(&report, &prepared, up, begun);
            Ok(0)
        }
        Ok(Err(not_ready)) => {
            explain(workspace, &prepared, &not_ready);
            before.restore(workspace, &prepared)?;
            Err(AlreadyReported.into())
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            before.restore(workspace, &prepared)?;
            Err(AlreadyReported.into())
        }
    }
}

fn conclude(report: &Report, prepared: &Prepared, up: &Up, begun: Instant) {
    print!("{}", super::status::render(report));
    let awaited = prepared.stack.jobs.join(", ");
    println!(
        "\nready in {:.1} s ({}): every service answers, every rule is loaded, and a scrape",
        begun.elapsed().as_secs_f64(),
        prepared.stack.runtime.name()
    );
    println!("of each of these jobs has succeeded: {awaited}");
    for note in &prepared.notes {
        println!("note: {note}");
    }
    if prepared.relayer_runs() {
        println!(
            "next: open the dashboard or Prometheus above; `cargo xtask monitoring-logs notifications` shows what is sent"
        );
    } else if up.relayer_config.is_none() {
        println!(
            "next: start your relayer (its /metrics belong on the port that the spec names), or add --demo"
        );
    }
    println!("stop: cargo xtask monitoring-down");
}

fn explain(workspace: &Workspace, prepared: &Prepared, not_ready: &NotReady) {
    eprintln!("error: {}", not_ready.why);
    for (name, reason) in &not_ready.missing {
        eprintln!("  {name}: {reason}");
    }
    for component in &prepared.stack.components {
        if !not_ready.missing.contains_key(&component.name) {
            continue;
        }
        let lines = match &prepared.compose {
            Some(compose) if component.container => compose.log(&component.name, LAST_LINES),
            _ => logs::tail(&logs::path(&workspace.state_dir, &component.name), LAST_LINES),
        };
        eprintln!("  last lines of {}:", component.name);
        for line in &lines {
            eprintln!("    {line}");
        }
        if lines.is_empty() {
            eprintln!("    (it wrote none)");
            for line in logs::tail(&logs::path(&workspace.state_dir, supervisor::LOG), 3) {
                eprintln!("    supervisor: {line}");
            }
        }
    }
}

/// A stack runs on one runtime at a time.
fn refuse_other_runtime(workspace: &Workspace, wanted: Runtime) -> Result<()> {
    if let Some(running) = Stack::read(&workspace.state_dir).filter(|stack| stack.runtime != wanted) {
        bail!(
            "the stack runs on the {} runtime; stop it first with `cargo xtask monitoring-down`",
            running.runtime.name()
        );
    }
    Ok(())
}
