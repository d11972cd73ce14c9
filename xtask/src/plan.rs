//! What the supervisor is to run: written by `monitoring-up`, read by the supervisor.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::atomic;

/// All processes of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The processes.
    pub(crate) services: Vec<ServicePlan>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServicePlan {
    /// Its name in state, logs and messages.
    pub(crate) name: String,
    /// Program and arguments. A change restarts the process.
    pub(crate) argv: Vec<String>,
    /// Added to the environment. A change restarts the process.
    pub(crate) env: BTreeMap<String, String>,
    /// Working folder.
    pub(crate) cwd: PathBuf,
    /// The program's version, where it tells. A change restarts the process.
    pub(crate) version: Option<String>,
    /// Fingerprint of the configuration files. A change alone reloads or restarts, as `reload` says.
    pub(crate) config: String,
    /// How a new configuration is taken over.
    pub(crate) reload: Reload,
    /// Started only when these accept connections, or after a short while without them: Prometheus' first
    /// scrape would fail otherwise, and the second one is an interval away.
    pub(crate) wait_for: Vec<SocketAddr>,
}

/// How a process takes over a changed configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reload {
    /// By SIGHUP.
    Hangup,
    /// By a restart.
    Restart,
}

impl ServicePlan {
    /// True when the running process of `self` can go on as that of `next`, a reload aside.
    pub(crate) fn same_process(&self, next: &Self) -> bool {
        self.argv == next.argv && self.env == next.env && self.cwd == next.cwd && self.version == next.version
    }
}

impl Plan {
    /// Where a run's plan stands.
    pub(crate) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("plan.json")
    }

    /// Tells two plans apart.
    pub(crate) fn id(&self) -> Result<String> {
        Ok(fingerprint([serde_json::to_vec(self)?]))
    }

    /// Writes the plan, readable by its owner only: Grafana's password is in an environment.
    pub(crate) fn write(&self, state_dir: &Path) -> Result<()> {
        atomic::write_private(&Self::path(state_dir), &serde_json::to_vec_pretty(self)?)
    }

    /// Reads the plan.
    pub(crate) fn read(state_dir: &Path) -> Result<Self> {
        let path = Self::path(state_dir);
        let text = std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }
}

/// Equal for equal parts, also in another run of this program.
pub(crate) fn fingerprint<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        part.as_ref().hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
