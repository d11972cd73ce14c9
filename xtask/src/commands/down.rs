//! `monitoring-down`: stops what runs, however it was left.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::engine::{self, Removed};
use crate::process::{self, Identity};
use crate::state::{self, Runtime, Stack, State};
use crate::workspace::Workspace;

/// The supervisor gives its services three seconds, then kills them; more than that, and it hangs.
const SUPERVISOR_ENDS_WITHIN: Duration = Duration::from_secs(4);

pub(super) fn run(workspace: &Workspace, purge: bool) -> Result<u8> {
    let begun = Instant::now();
    let lock = if workspace.state_dir.is_dir() {
        Some(state::lock(&workspace.state_dir, "lock")?)
    } else {
        None
    };
    let (mut stopped, removed) = stop(workspace, purge)?;
    stopped.sort();
    if stopped.is_empty() {
        outln!("nothing was running");
    } else {
        outln!(
            "stopped {} ({:.1} s)",
            stopped.join(", "),
            begun.elapsed().as_secs_f64()
        );
    }
    if let Some(stranger) = &removed.stranger {
        outln!("left alone: {stranger}");
    }
    if !removed.volumes.is_empty() {
        outln!("removed the Docker volumes {}", removed.volumes.join(", "));
    }
    if !removed.foreign_volumes.is_empty() {
        outln!(
            "left alone: the Docker volumes {0}, which this state folder knows nothing of; `docker volume rm {1}` removes them",
            removed.foreign_volumes.join(", "),
            removed.foreign_volumes.join(" ")
        );
    }
    if purge && workspace.state_dir.is_dir() {
        purge_files(&workspace.state_dir)?;
        outln!("removed data, logs and state");
    } else if workspace.state_dir.join("data").is_dir() {
        outln!("data are kept; `cargo xtask monitoring-down --purge` removes them");
    }
    drop(lock);
    Ok(0)
}

/// Stops processes and containers, and forgets the run. Names what was stopped.
pub(super) fn stop(workspace: &Workspace, purge: bool) -> Result<(Vec<String>, Removed)> {
    let native = Stack::read(&workspace.state_dir).is_some_and(|stack| stack.runtime == Runtime::Native);
    let mut stopped = stop_processes(&workspace.state_dir)?;
    // A native run knows nothing of containers, unless there were some before it whose volumes are to go now.
    let removed = if native && !(purge && engine::owner_file(&workspace.state_dir).is_file()) {
        Removed::default()
    } else {
        engine::remove(&workspace.state_dir, purge)?
    };
    stopped.extend(removed.containers.iter().cloned());
    Stack::remove(&workspace.state_dir);
    Ok((stopped, removed))
}

/// Stops the supervisor and its services. When the supervisor was killed, its services are found by the state it
/// left: process id and start time together, so that never a stranger's process is hit.
pub(super) fn stop_processes(state_dir: &Path) -> Result<Vec<String>> {
    let Some(state) = State::read(state_dir) else {
        return Ok(Vec::new());
    };
    let alive = |one: &state::ServiceState| one.process.as_ref().is_some_and(Identity::is_alive);
    let names: Vec<String> = state
        .services
        .iter()
        .filter(|one| alive(one))
        .map(|one| one.name.clone())
        .collect();
    state.supervisor.signal(Signal::TERM);
    for stuck in process::wait_gone(vec![state.supervisor.clone()], SUPERVISOR_ENDS_WITHIN) {
        stuck.signal(Signal::KILL);
    }
    // It may have restarted one since the state was read.
    let newest = State::read(state_dir).unwrap_or(state);
    let left = process::stop_groups(newest.alive(), Duration::from_secs(3));
    if !left.is_empty() {
        let pids: Vec<String> = left.iter().map(ToString::to_string).collect();
        bail!("can't stop {}; is it another user's process?", pids.join(", "));
    }
    State::remove(state_dir);
    Ok(names)
}

/// Removes what this program has written below the state folder.
pub(super) fn purge_files(state_dir: &Path) -> Result<()> {
    for name in ["data", "config", "logs", "generated"] {
        let folder = state_dir.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", folder.display()))?;
        }
    }
    for name in [
        "plan.json",
        "state.json",
        "stack.json",
        "notifications.jsonl",
        "compose.owner.yml",
        "supervisor.lock",
        "lock",
    ] {
        let _ = std::fs::remove_file(state_dir.join(name));
    }
    // Only when it is empty: what else stands there is not ours.
    let _ = std::fs::remove_dir(state_dir);
    Ok(())
}
