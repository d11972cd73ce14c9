//! Starts or changes what runs, and takes that back when it fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::prepare::{Prepared, config_folder};
use crate::commands::down;
use crate::compose::Compose;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::process::Identity;
use crate::stack::RELAYER;
use crate::state::{Stack, State};
use crate::workspace::Workspace;
use crate::{atomic, engine, logs, supervisor};

/// A supervisor that starts needs some milliseconds; taking over a plan may include stopping services.
const SUPERVISOR_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// What ran before this command, to go back to.
#[derive(Debug)]
pub(super) struct Before {
    stack: Option<Stack>,
    plan: Option<Plan>,
    /// Running containers by service, with their process.
    containers: BTreeMap<String, Option<u32>>,
    /// The relayer that a supervisor of ours runs.
    relayer: Option<Identity>,
}

impl Before {
    /// Looks at what runs. What a killed supervisor left behind is stopped: nobody watches over it any more.
    pub(super) fn now(workspace: &Workspace) -> Self {
        let state_dir = &workspace.state_dir;
        let supervised = State::read(state_dir).is_some_and(|state| state.supervisor.is_alive());
        if !supervised {
            match down::stop_processes(state_dir) {
                Ok(left) if !left.is_empty() => {
                    outln!(
                        "  stopped   {}: left behind by a supervisor that is gone",
                        left.join(", ")
                    );
                }
                Ok(_) => {}
                Err(error) => outln!("  notice    {error:#}"),
            }
        }
        let plan = if supervised {
            Plan::read(state_dir).ok()
        } else {
            None
        };
        let containers = match Stack::read(state_dir) {
            Some(stack) if stack.has_containers() => running_containers(state_dir),
            _ => BTreeMap::new(),
        };
        let stack = Stack::read(state_dir).filter(|_| plan.is_some() || !containers.is_empty());
        Self {
            stack,
            plan,
            containers,
            relayer: relayer(state_dir),
        }
    }

    /// Stops what this command has started; what ran before goes on as it was.
    /// Says what that was.
    pub(super) fn restore(&self, workspace: &Workspace, prepared: &Prepared) -> Result<()> {
        let Some(stack) = &self.stack else {
            let (stopped, _) = down::stop(workspace, false)?;
            if stopped.is_empty() {
                outln!("nothing was running yet: there was nothing to stop");
            } else {
                outln!("stopped everything that was started: {}", stopped.join(", "));
            }
            return Ok(());
        };
        match &self.plan {
            Some(plan) => apply(workspace, plan)?,
            None => {
                down::stop_processes(&workspace.state_dir)?;
            }
        }
        if let Some(compose) = &prepared.compose {
            let names = prepared.containers();
            let new: Vec<&str> = names
                .into_iter()
                .filter(|name| !self.containers.contains_key(*name))
                .collect();
            if !new.is_empty() {
                compose.run(&[&["rm", "--stop", "--force"], new.as_slice()].concat())?;
            }
        }
        stack.write(&workspace.state_dir)?;
        outln!("went back to what ran before");
        Ok(())
    }
}

/// Starts what is missing, changes what differs, leaves the rest alone. When the relayer is a new one, the moment
/// (seconds since 1970) since which it has run.
pub(super) fn bring(
    workspace: &Workspace,
    prepared: &Prepared,
    before: &Before,
    interrupt: &Interrupt,
) -> Result<Option<f64>> {
    let state_dir = &workspace.state_dir;
    // First of all: whatever happens from here on, monitoring-down knows what to look for.
    prepared.stack.write(state_dir)?;
    for file in &prepared.config {
        atomic::write_if_changed(
            &config_folder(workspace).join(&file.path),
            file.contents.as_bytes(),
        )?;
    }
    if !prepared.plan.services.is_empty() || before.plan.is_some() {
        apply(workspace, &prepared.plan)?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let relayer_since = (relayer(state_dir) != before.relayer).then_some(now.as_secs_f64());
    if let Some(compose) = &prepared.compose {
        engine::claim(state_dir, &workspace.root, &prepared.containers())?;
        containers(workspace, compose, prepared, before, interrupt)?;
    }
    Ok(relayer_since)
}

fn relayer(state_dir: &Path) -> Option<Identity> {
    let state = State::read(state_dir)?;
    let process = state.service(RELAYER)?.process.clone();
    process.filter(Identity::is_alive)
}

fn running_containers(state_dir: &Path) -> BTreeMap<String, Option<u32>> {
    let running = engine::containers(state_dir)
        .into_iter()
        .filter(|(_, container)| container.state == "running");
    running.map(|(name, container)| (name, container.pid)).collect()
}

fn containers(
    workspace: &Workspace,
    compose: &Compose,
    prepared: &Prepared,
    before: &Before,
    interrupt: &Interrupt,
) -> Result<()> {
    let names = prepared.containers();
    let up = [&["up", "--detach", "--no-build"], names.as_slice()].concat();
    compose.run_unless_interrupted(&up, interrupt)?;
    let Some(old) = &before.stack else { return Ok(()) };
    let unwanted: Vec<&str> = before
        .containers
        .keys()
        .map(String::as_str)
        .filter(|name| !names.contains(name))
        .collect();
    if !unwanted.is_empty() {
        compose.run(&[&["rm", "--stop", "--force"], unwanted.as_slice()].concat())?;
    }
    // A file that was replaced is not the one that a running container has mounted: a restart mounts it anew.
    let now = running_containers(&workspace.state_dir);
    let changed = |name: &&str| {
        let find = |stack: &Stack| {
            stack
                .container_configs
                .iter()
                .find(|(one, _)| one == name)
                .cloned()
        };
        let untouched = before
            .containers
            .get(*name)
            .is_some_and(|pid| now.get(*name) == Some(pid));
        untouched && find(old) != find(&prepared.stack)
    };
    let stale: Vec<&str> = names.iter().copied().filter(changed).collect();
    if !stale.is_empty() {
        outln!("  restart   {}: new configuration", stale.join(", "));
        compose.run(&[&["restart", "--timeout", "3"], stale.as_slice()].concat())?;
    }
    Ok(())
}

/// Hands a plan to the supervisor, starting one when none runs, and waits until it has taken it over.
fn apply(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let state_dir = &workspace.state_dir;
    plan.write(state_dir)?;
    let id = plan.id()?;
    let running = State::read(state_dir).filter(|state| state.supervisor.is_alive());
    let started = match running {
        Some(state) => {
            state.supervisor.signal(Signal::HUP);
            None
        }
        None => Some(supervisor::spawn(state_dir)?),
    };
    let end = Instant::now() + SUPERVISOR_ANSWERS_WITHIN;
    // A signal to stop is looked at by the wait for readiness; here it would leave a supervisor nobody knows.
    while Instant::now() < end {
        if State::read(state_dir).is_some_and(|state| state.plan_id == id && state.supervisor.is_alive()) {
            return Ok(());
        }
        if started.as_ref().is_some_and(std::thread::JoinHandle::is_finished) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let lines = logs::tail(&logs::path(state_dir, supervisor::LOG), 5);
    let lines = if lines.is_empty() {
        "it wrote nothing".to_owned()
    } else {
        lines.join("\n  ")
    };
    Err(anyhow::anyhow!("its last lines:\n  {lines}")).context("the supervisor did not take over the plan")
}
