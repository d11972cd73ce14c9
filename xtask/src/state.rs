//! What runs: written by the supervisor (`state.json`) and by `monitoring-up` (`stack.json`).

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::process::Identity;

/// The supervisor's view of its processes, rewritten at every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The supervisor itself.
    pub(crate) supervisor: Identity,
    /// The plan that has been taken over.
    pub(crate) plan_id: String,
    /// Its processes.
    pub(crate) services: Vec<ServiceState>,
}

/// One supervised process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceState {
    /// Its name.
    pub(crate) name: String,
    /// The live process; `None` while it waits for its start.
    pub(crate) process: Option<Identity>,
    /// How often it was started again after it ended by itself.
    pub(crate) restarts: u32,
    /// How it ended last.
    pub(crate) last_exit: Option<String>,
}

impl State {
    fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("state.json")
    }

    /// Writes the state.
    pub(crate) fn write(&self, state_dir: &Path) -> Result<()> {
        atomic::write(&Self::path(state_dir), &serde_json::to_vec_pretty(self)?)
    }

    /// The state as it was written last; `None` when there is none (or it can't be understood).
    pub(crate) fn read(state_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(state_dir)).ok()?).ok()
    }

    /// Forgets the state.
    pub(crate) fn remove(state_dir: &Path) {
        let _ = std::fs::remove_file(Self::path(state_dir));
    }

    /// The processes that live, whoever watches over them.
    pub(crate) fn alive(&self) -> Vec<Identity> {
        self.services
            .iter()
            .filter_map(|service| service.process.clone())
            .filter(Identity::is_alive)
            .collect()
    }

    /// One service.
    pub(crate) fn service(&self, name: &str) -> Option<&ServiceState> {
        self.services.iter().find(|service| service.name == name)
    }
}

/// Where the services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Runtime {
    /// Containers.
    Docker,
    /// Supervised processes.
    Native,
}

impl Runtime {
    /// As the command line spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Native => "native",
        }
    }
}

/// What `monitoring-up` set out to run; written before anything starts, so that `monitoring-down` always knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stack {
    /// Where.
    pub(crate) runtime: Runtime,
    /// What.
    pub(crate) components: Vec<Component>,
    /// Prometheus' address.
    pub(crate) prometheus_url: String,
    /// Jobs whose targets must all be up for the stack to be well.
    pub(crate) jobs: Vec<String>,
    /// Where Prometheus may find the relayer of this run; empty without one.
    #[serde(default)]
    pub(crate) own_relayer: Vec<String>,
    /// How many rules Prometheus must have loaded.
    pub(crate) rules_expected: usize,
    /// The folder with the compose file of the run.
    pub(crate) root: PathBuf,
    /// Fingerprint of each container's configuration, to see which must take over a new one.
    pub(crate) container_configs: Vec<(String, String)>,
}

/// One service as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Component {
    /// Its name.
    pub(crate) name: String,
    /// What a person opens.
    pub(crate) url: String,
    /// Answers with success when the service is ready.
    pub(crate) ready_url: String,
    /// True for a container, false for a supervised process.
    pub(crate) container: bool,
    /// Its version, where known.
    pub(crate) version: Option<String>,
}

impl Stack {
    fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("stack.json")
    }

    /// Writes it.
    pub(crate) fn write(&self, state_dir: &Path) -> Result<()> {
        atomic::write(&Self::path(state_dir), &serde_json::to_vec_pretty(self)?)
    }

    /// Reads it; `None` when nothing was brought up.
    pub(crate) fn read(state_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(state_dir)).ok()?).ok()
    }

    /// Forgets it.
    pub(crate) fn remove(state_dir: &Path) {
        let _ = std::fs::remove_file(Self::path(state_dir));
    }

    /// True when some of it runs in containers.
    pub(crate) fn has_containers(&self) -> bool {
        self.runtime == Runtime::Docker
    }
}

/// Only one `monitoring-up` or `monitoring-down` at a time; released when the file is closed.
pub(crate) fn lock(state_dir: &Path, name: &str) -> Result<File> {
    std::fs::create_dir_all(state_dir).with_context(|| format!("can't create {}", state_dir.display()))?;
    let path = state_dir.join(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("can't open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!(
                "another one is at work on {} at the moment; try again when it has ended",
                state_dir.display()
            )
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("can't lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_to_wait() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path(), "lock").unwrap();
        assert!(
            lock(dir.path(), "lock")
                .unwrap_err()
                .to_string()
                .contains("another one is at work")
        );
        drop(first);
        lock(dir.path(), "lock").unwrap();
    }

    #[test]
    fn a_damaged_state_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(State::path(dir.path()), "{").unwrap();
        assert_eq!(State::read(dir.path()), None);
        assert_eq!(Stack::read(dir.path()), None);
    }
}
