//! Who finds whom where, by runtime.

use std::path::Path;

use super::Runtime;
use crate::spec::{SecretFile, SecretOwner, Spec};

/// Addresses and paths as the parts of the stack see them.
pub(super) struct Addresses<'a> {
    pub(super) spec: &'a Spec,
    pub(super) runtime: Runtime<'a>,
}

/// Folder of the secret files inside the container that reads them.
pub(super) const SECRETS: &str = "/run/secrets/fusion";

impl Addresses<'_> {
    /// `host:port` for either runtime.
    fn pick(&self, docker: &str, docker_port: u16, native_port: u16) -> String {
        match self.runtime {
            Runtime::Docker => format!("{docker}:{docker_port}"),
            Runtime::Native { .. } => format!("127.0.0.1:{native_port}"),
        }
    }

    pub(super) fn relayers(&self) -> Vec<String> {
        if !self.spec.scrapes_this_host() {
            return self.spec.relayers.clone();
        }
        let port = self.spec.ports.relayer;
        vec![self.pick("host.docker.internal", port, port)]
    }

    /// Prometheus as it sees itself.
    pub(super) fn prometheus_self(&self) -> String {
        self.pick("localhost", 9090, self.spec.ports.prometheus)
    }

    pub(super) fn prometheus(&self) -> String {
        self.pick("prometheus", 9090, self.spec.ports.prometheus)
    }

    pub(super) fn alertmanager(&self) -> String {
        self.pick("alertmanager", 9093, self.spec.ports.alertmanager)
    }

    pub(super) fn node_exporter(&self) -> String {
        let port = self.spec.ports.node_exporter;
        self.pick("node-exporter", port, port)
    }

    pub(super) fn notification_log(&self) -> String {
        let port = self.spec.ports.notification_log;
        format!("http://{}/", self.pick("host.docker.internal", port, port))
    }

    pub(super) fn dashboards(&self) -> String {
        match self.runtime {
            Runtime::Docker => "/var/lib/grafana/dashboards".to_owned(),
            Runtime::Native { root } => root.join("monitoring/grafana/dashboards").display().to_string(),
        }
    }

    /// A secret file as the server that reads it finds it.
    pub(super) fn secret(&self, owner: SecretOwner, receiver: &str, key: &str) -> Option<String> {
        let file = self
            .spec
            .secret_files()
            .into_iter()
            .find(|file| file.owner == owner && file.receiver == receiver && file.key == key)?;
        Some(match self.runtime {
            Runtime::Docker => in_container(&file),
            // Only fails for an empty path, which the spec refuses.
            Runtime::Native { .. } => std::path::absolute(&file.resolved)
                .unwrap_or(file.resolved)
                .display()
                .to_string(),
        })
    }
}

/// Where a secret file is mounted.
pub(super) fn in_container(file: &SecretFile) -> String {
    format!("{SECRETS}/{}-{}", file.receiver, file.key)
}

/// Where a secret file is, as seen from the Compose file at the top; the spec stands in `monitoring/`.
pub(super) fn from_compose(path: &Path) -> String {
    if path.is_absolute() {
        path.display().to_string()
    } else {
        format!("./monitoring/{}", path.display())
    }
}
