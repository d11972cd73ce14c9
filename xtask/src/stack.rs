//! What a run consists of: from the spec and the flags to processes, containers and what must be ready.

mod native;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use monitoring_provisioning::{GeneratedFile, Spec};

pub(crate) use self::native::{Programs, native_services};
use crate::cli::{Optional, Up};
use crate::plan::{Reload, ServicePlan};
use crate::state::Component;
use crate::workspace::Workspace;

/// The relayer's name in state and logs.
pub(crate) const RELAYER: &str = "relayer";
/// The scrape jobs of relayers.
pub(crate) const RELAYER_JOBS: [&str; 2] = ["fusion-relayer", "connection-pools"];
/// The notification log's name in state and logs.
pub(crate) const NOTIFICATION_LOG: &str = "notification-log";

/// Everything that decides what runs.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    /// Folders.
    pub(crate) workspace: &'a Workspace,
    /// The spec.
    pub(crate) spec: &'a Spec,
    /// The flags.
    pub(crate) up: &'a Up,
    /// The relayer to run; `None` when none was asked for.
    pub(crate) relayer: Option<PathBuf>,
    /// A further address for what containers must reach on the host.
    pub(crate) gateway: Option<Ipv4Addr>,
}

impl Inputs<'_> {
    /// True unless `--without` names it.
    pub(crate) fn wants(&self, service: Optional) -> bool {
        !self.up.without.contains(&service)
    }

    /// Where a service listens.
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.spec.bind_address, port)
    }

    /// Where a service is reached from this machine.
    pub(crate) fn reach(&self, port: u16) -> SocketAddr {
        SocketAddr::new(reachable(self.spec.bind_address), port)
    }

    /// Where a process of the host that containers use listens.
    pub(crate) fn host_addresses(&self, port: u16) -> Vec<SocketAddr> {
        let own = self.address(port);
        let gateway = self.gateway.map(|ip| SocketAddr::new(IpAddr::V4(ip), port));
        std::iter::once(own)
            .chain(gateway.filter(|_| !own.ip().is_unspecified()))
            .collect()
    }

    /// The services as the user sees them; `containers` tells where Prometheus and its family run.
    pub(crate) fn components(&self, containers: bool, grafana: bool) -> Vec<Component> {
        let ports = &self.spec.ports;
        let component = |name: &str, port: u16, ready: &str, container: bool| Component {
            name: name.to_owned(),
            url: format!("http://localhost:{port}"),
            ready_url: format!("http://{}/{ready}", self.reach(port)),
            container,
            version: None,
        };
        let mut all = vec![
            component("prometheus", ports.prometheus, "-/ready", containers),
            component("alertmanager", ports.alertmanager, "-/ready", containers),
        ];
        if grafana {
            all.push(component("grafana", ports.grafana, "api/health", containers));
        }
        if self.wants(Optional::NodeExporter) {
            all.push(component("node-exporter", ports.node_exporter, "", containers));
        }
        if self.spec.notification_log {
            all.push(component(
                NOTIFICATION_LOG,
                ports.notification_log,
                "healthz",
                false,
            ));
        }
        if self.relayer.is_some() {
            let mut relayer = component(RELAYER, ports.relayer, "readyz", false);
            relayer.url.push_str("/metrics");
            all.push(relayer);
        }
        all
    }

    /// The jobs whose targets must be up. Without a relayer of ours its jobs are only shown: it may come later.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let mut jobs = vec!["prometheus", "alertmanager"];
        if self.wants(Optional::NodeExporter) {
            jobs.push("node");
        }
        if self.relayer.is_some() && self.relayer_is_scraped() {
            jobs.extend(RELAYER_JOBS);
        }
        jobs.into_iter().map(str::to_owned).collect()
    }

    /// The addresses by which Prometheus may know the relayer of this run; other relayers that the spec names are not
    /// ours to wait for. Empty without a relayer.
    pub(crate) fn own_relayer(&self) -> Vec<String> {
        if self.relayer.is_none() {
            return Vec::new();
        }
        let port = self.spec.ports.relayer;
        let names = ["host.docker.internal", "localhost"].map(|name| format!("{name}:{port}"));
        let addresses = self.host_addresses(port).into_iter().chain([self.reach(port)]);
        names
            .into_iter()
            .chain(addresses.map(|address| address.to_string()))
            .collect()
    }

    /// True unless the spec names other relayers only, or looks for them.
    pub(crate) fn relayer_is_scraped(&self) -> bool {
        let own = self.own_relayer();
        self.spec.scrapes_this_host() || self.spec.relayers.iter().any(|target| own.contains(target))
    }

    /// The processes that run on the host whatever the runtime is.
    pub(crate) fn host_services(&self) -> Result<Vec<ServicePlan>> {
        let mut services = Vec::new();
        if self.spec.notification_log {
            let mut argv = vec![text(
                &std::env::current_exe().context("can't tell this program's own path")?,
            )];
            argv.push("notification-log".to_owned());
            for address in self.host_addresses(self.spec.ports.notification_log) {
                argv.extend(["--listen".to_owned(), address.to_string()]);
            }
            argv.extend([
                "--file".to_owned(),
                text(&crate::notifications::path(&self.workspace.state_dir)),
            ]);
            services.push(self.service(NOTIFICATION_LOG, argv));
        }
        if let Some(program) = &self.relayer {
            let mut argv = vec![text(program)];
            match &self.up.relayer_config {
                Some(file) => argv.extend(["--config".to_owned(), text(&std::path::absolute(file)?)]),
                None => argv.push("--devnet".to_owned()),
            }
            for address in self.host_addresses(self.spec.ports.relayer) {
                argv.extend(["--listen".to_owned(), address.to_string()]);
            }
            services.push(self.relayer_service(argv));
        }
        Ok(services)
    }

    fn relayer_service(&self, argv: Vec<String>) -> ServicePlan {
        let mut service = self.service(RELAYER, argv);
        // A rebuilt program or an edited configuration is taken over by a restart.
        let stamp = |path: &Path| {
            let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
            format!("{modified:?}")
        };
        let files = self.relayer.iter().chain(&self.up.relayer_config);
        service.config = crate::plan::fingerprint(files.map(|path| stamp(path)));
        service
    }

    /// A process with nothing special about it.
    pub(crate) fn service(&self, name: &str, argv: Vec<String>) -> ServicePlan {
        ServicePlan {
            name: name.to_owned(),
            argv,
            env: BTreeMap::new(),
            cwd: self.workspace.root.clone(),
            version: None,
            config: String::new(),
            reload: Reload::Restart,
            wait_for: Vec::new(),
        }
    }
}

/// The address by which this machine reaches something that listens on `ip`.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        other => other,
    }
}

/// How many rules the generated rule files hold.
pub(crate) fn count_rules(files: &[GeneratedFile]) -> usize {
    files
        .iter()
        .filter(|file| file.path.components().any(|part| part.as_os_str() == "alerts"))
        .flat_map(|file| file.contents.lines())
        .map(|line| line.trim_start().trim_start_matches("- "))
        .filter(|line| line.starts_with("alert:") || line.starts_with("record:"))
        .count()
}

/// Fingerprint of the files below a folder named `service` (`prometheus`, `alertmanager`, `grafana`).
pub(crate) fn config_of(files: &[GeneratedFile], service: &str) -> String {
    let own = files
        .iter()
        .filter(|file| file.path.components().any(|part| part.as_os_str() == service));
    crate::plan::fingerprint(own.map(|file| file.contents.as_bytes()))
}

/// A path as an argument. Paths that aren't Unicode can't stand in the plan; the loss shows in the log.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_counted_in_rule_files_only() {
        let file = |path: &str, contents: &str| GeneratedFile {
            path: path.into(),
            contents: contents.into(),
        };
        let rules = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 1\n    # alert: no\n  - record: r\n    expr: 1\n";
        let files = [
            file("monitoring/prometheus/alerts/a.yml", rules),
            file("monitoring/prometheus/prometheus.yml", "alert: no\n"),
        ];
        assert_eq!(count_rules(&files), 2);
    }

    #[test]
    fn a_wildcard_address_is_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0".parse().unwrap()).to_string(), "127.0.0.1");
        assert_eq!(reachable("::".parse().unwrap()).to_string(), "::1");
        assert_eq!(reachable("10.1.2.3".parse().unwrap()).to_string(), "10.1.2.3");
    }

    #[test]
    fn a_change_of_one_service_leaves_the_fingerprints_of_the_others() {
        let files = |text: &str| {
            [
                GeneratedFile {
                    path: "monitoring/prometheus/alerts/a.yml".into(),
                    contents: text.into(),
                },
                GeneratedFile {
                    path: "monitoring/alertmanager/config.yml".into(),
                    contents: "same".into(),
                },
            ]
        };
        assert_ne!(
            config_of(&files("a"), "prometheus"),
            config_of(&files("b"), "prometheus")
        );
        assert_eq!(
            config_of(&files("a"), "alertmanager"),
            config_of(&files("b"), "alertmanager")
        );
    }
}
