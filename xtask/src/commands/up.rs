//! `monitoring-up`: from nothing, or from what runs already, to everything ready; or back to where it was.

mod bring;
mod prepare;

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, bail};
use monitoring_provisioning::{Runtime as Rendering, Spec, generate_keeping};

use self::bring::Before;
use self::prepare::Prepared;
use crate::cli::Up;
use crate::failure::{AlreadyReported, BadInput};
use crate::interrupt::{self, Interrupt, Interrupted};
use crate::readiness::{self, NotReady};
use crate::report::Report;
use crate::state::{self, Runtime, Stack};
use crate::workspace::Workspace;
use crate::{logs, supervisor};

/// How many lines of a log are shown when its service does not get ready.
const LAST_LINES: usize = 10;

pub(super) fn run(workspace: &Workspace, up: &Up) -> Result<u8> {
    let interrupt = Interrupt::install()?;
    let spec = workspace.mounted_spec(workspace.load_spec_and_secrets()?)?;
    if let Some(file) = up.relayer_config.as_ref().filter(|file| !file.is_file()) {
        return Err(BadInput(format!("{}: no such file (--relayer-config)", file.display())).into());
    }
    for secret in workspace.native_spec(&spec)?.secret_files() {
        if !secret.resolved.is_file() {
            return Err(BadInput(format!(
                "{}: {}: {} names {}, which does not exist; create it with the secret as its only line",
                workspace.spec_path.display(),
                secret.receiver,
                secret.key,
                secret.resolved.display()
            ))
            .into());
        }
    }
    let new_folder = !workspace.state_dir.exists();
    let _lock = state::lock(&workspace.state_dir, "lock")?;
    let ready = ready_to_start(workspace, &spec, up, &interrupt);
    let (prepared, before) = ready.map_err(|error| {
        if new_folder {
            // Nothing was started: what was prepared goes, so that nothing seems to be kept.
            let _ = super::down::purge_files(&workspace.state_dir);
        }
        if interrupt.is_set() {
            return anyhow::Error::new(Interrupted).context("nothing was started or changed");
        }
        error
    })?;
    // what came before, installing and building, told of itself
    let begun = Instant::now();
    let outcome = bring::bring(workspace, &prepared, &before, &interrupt).and_then(|since| {
        let state_dir = &workspace.state_dir;
        readiness::wait(&prepared.stack, state_dir, up.timeout, since, &interrupt)
    });
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
        Err(_) if interrupt.is_set() => {
            errln!("interrupted");
            before.restore(workspace, &prepared)?;
            Ok(interrupt::EXIT_CODE)
        }
        Err(error) => {
            errln!("error: {error:#}");
            before.restore(workspace, &prepared)?;
            Err(AlreadyReported.into())
        }
    }
}

/// Everything before the first start; an error means that nothing was started.
fn ready_to_start(
    workspace: &Workspace,
    spec: &Spec,
    up: &Up,
    interrupt: &Interrupt,
) -> Result<(Prepared, Before)> {
    let files = generate_keeping(spec, Rendering::Docker, &workspace.kept()?)?;
    super::generate::write(&workspace.stack_root, &files)?;
    let prepared = prepare::prepare(workspace, spec, up, interrupt)?;
    let before = Before::now(workspace);
    prepare::refuse_taken_ports(workspace, &prepared)?;
    interrupt.check()?;
    Ok((prepared, before))
}

/// How the user's own relayer is started so that Prometheus reaches it.
fn relayer_command(listen: &[SocketAddr]) -> String {
    let usual = [SocketAddr::from(([127, 0, 0, 1], 9090))];
    let addresses = if listen == usual { &[] } else { listen };
    let flags: String = addresses
        .iter()
        .map(|address| format!(" --listen {address}"))
        .collect();
    format!("relayer --config pools.yaml{flags}")
}

fn conclude(report: &Report, prepared: &Prepared, up: &Up, begun: Instant) {
    crate::output::out(format_args!("{}", super::status::render(report)));
    let awaited = prepared.stack.jobs.join(", ");
    outln!(
        "\nready in {:.1} s ({}): every service answers, every rule is loaded, and a scrape",
        begun.elapsed().as_secs_f64(),
        prepared.stack.runtime.name()
    );
    outln!("of each of these jobs has succeeded: {awaited}");
    for note in &prepared.notes {
        outln!("note: {note}");
    }
    if prepared.relayer_runs() {
        let has_dashboard = prepared.stack.components.iter().any(|one| one.name == "grafana");
        outln!(
            "next: open {}Prometheus above, or the relayer without its /metrics, which shows pools and endpoints;",
            if has_dashboard { "the dashboard or " } else { "" }
        );
        outln!("      `cargo xtask monitoring-logs notifications` shows what is sent");
    } else if up.relayer_config.is_none() {
        outln!(
            "next: start your relayer with `{}`, or let this command run it: --relayer-config pools.yaml, or --demo",
            relayer_command(&prepared.listen)
        );
    }
    outln!("stop: cargo xtask monitoring-down");
}

fn explain(workspace: &Workspace, prepared: &Prepared, not_ready: &NotReady) {
    errln!("error: {}", not_ready.why);
    for (name, reason) in &not_ready.missing {
        errln!("  {name}: {reason}");
    }
    for component in &prepared.stack.components {
        if !not_ready.missing.contains_key(&component.name) {
            continue;
        }
        let lines = match &prepared.compose {
            Some(compose) if component.container => compose.log(&component.name, LAST_LINES),
            _ => logs::tail(&logs::path(&workspace.state_dir, &component.name), LAST_LINES),
        };
        errln!("  last lines of {}:", component.name);
        for line in &lines {
            errln!("    {line}");
        }
        if lines.is_empty() {
            errln!("    (it wrote none)");
            for line in logs::tail(&logs::path(&workspace.state_dir, supervisor::LOG), 3) {
                errln!("    supervisor: {line}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_the_users_relayer_listens_where_prometheus_looks() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(
            relayer_command(&[at("127.0.0.1:9090")]),
            "relayer --config pools.yaml"
        );
        assert_eq!(
            relayer_command(&[at("127.0.0.1:9090"), at("172.17.0.1:9090")]),
            "relayer --config pools.yaml --listen 127.0.0.1:9090 --listen 172.17.0.1:9090"
        );
    }
}
