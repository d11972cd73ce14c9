//! The Compose file: what its containers see, and who sees them.

use std::net::IpAddr;

use super::{Lint, Read};
use crate::{
    generate::paths,
    model::{
        compose::{Compose, Service},
        prometheus::PrometheusConfig,
    },
};

/// Service, folder beside the Compose file, and where its configuration expects it.
const MOUNTS: [(&str, &str, &str); 5] = [
    ("prometheus", "./monitoring/prometheus", "/etc/prometheus"),
    ("alertmanager", "./monitoring/alertmanager", "/etc/alertmanager"),
    (
        "grafana",
        "./monitoring/grafana/provisioning",
        "/etc/grafana/provisioning",
    ),
    (
        "grafana",
        "./monitoring/grafana/dashboards",
        "/var/lib/grafana/dashboards",
    ),
    ("node-exporter", "/", "/host"),
];

impl Lint<'_> {
    pub(super) fn compose(&mut self, file: &Read<'_, Compose>) {
        for name in ["prometheus", "alertmanager", "grafana", "node-exporter"] {
            let Some(service) = file.model.services.get(name) else {
                let place = file.document.place("services");
                self.report(
                    file.path,
                    place,
                    format!("the service `{name}` is missing"),
                    "run `cargo xtask generate`",
                );
                continue;
            };
            self.mounts(file, name, service);
            self.published(file, name, service);
            let wanted = format!("fusion-{name}");
            if service.container_name != wanted {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/container_name")),
                    format!("the container is called `{}`", service.container_name),
                    format!("it is `{wanted}`; the name is fixed"),
                );
            }
            let tag = service
                .image
                .rsplit('/')
                .next()
                .and_then(|last| last.split_once(':'))
                .map(|(_, tag)| tag);
            if tag.is_none_or(|tag| tag == "latest") {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/image")),
                    format!("image `{}` has no version", service.image),
                    "pin one in monitoring/monitoring.yaml",
                );
            }
        }
        if let Some(exporter) = file.model.services.get("node-exporter") {
            self.host_view(file, exporter);
        }
        for (name, config) in [
            ("prometheus", paths::PROMETHEUS),
            ("alertmanager", paths::ALERTMANAGER),
        ] {
            if let Some(service) = file.model.services.get(name) {
                self.host_names(file, name, service, config);
            }
        }
    }

    /// What isn't mounted isn't there, and to Prometheus a rule file that isn't there is no error.
    fn mounts(&mut self, file: &Read<'_, Compose>, name: &str, service: &Service) {
        for (_, from, to) in MOUNTS.iter().filter(|(owner, ..)| *owner == name) {
            let is_mounted = service.volumes.iter().any(|volume| {
                let mut parts = volume.split(':');
                parts.next() == Some(from) && parts.next() == Some(to)
            });
            if !is_mounted {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/volumes")),
                    format!(
                        "`{name}` doesn't mount its files at {to}: they would not be found, without any error"
                    ),
                    format!("add `{from}:{to}:ro`"),
                );
            }
        }
    }

    /// None of the services but Grafana asks who is there.
    fn published(&mut self, file: &Read<'_, Compose>, name: &str, service: &Service) {
        let address = match self.spec.bind_address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        for (index, port) in service.ports.iter().enumerate() {
            if !port.starts_with(&format!("{address}:")) {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/ports/{index}")),
                    format!("`{name}` publishes {port} elsewhere than on {address}"),
                    format!("write `{address}:HOST:CONTAINER`, or change `bind_address` in monitoring/monitoring.yaml"),
                );
            }
        }
    }

    /// Node Exporter measures the container unless it sees the host's processes, network and file systems.
    fn host_view(&mut self, file: &Read<'_, Compose>, service: &Service) {
        let is_host = |mode: &Option<String>| mode.as_deref() == Some("host");
        let has_root = service.command.iter().any(|flag| flag == "--path.rootfs=/host");
        for (is_right, key, wanted) in [
            (is_host(&service.pid), "pid", "pid: host"),
            (
                is_host(&service.network_mode),
                "network_mode",
                "network_mode: host",
            ),
            (has_root, "command", "--path.rootfs=/host"),
        ] {
            if !is_right {
                self.report(
                    file.path,
                    file.document.place(&format!("services/node-exporter/{key}")),
                    format!("without `{wanted}`, Node Exporter measures its container instead of the host"),
                    format!("add `{wanted}`"),
                );
            }
        }
    }

    /// A container finds the host, and what runs in the host's network, only by names that it is given.
    fn host_names(&mut self, file: &Read<'_, Compose>, name: &str, service: &Service, config: &str) {
        let Some(config) = self.find(config) else {
            return;
        };
        for (host, wanted) in [
            ("host.docker.internal", "host.docker.internal:host-gateway"),
            ("node-exporter", "node-exporter:"),
        ] {
            let is_used = config.contents.contains(&format!("{host}:"));
            if is_used && !service.extra_hosts.iter().any(|entry| entry.starts_with(wanted)) {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/extra_hosts")),
                    format!("`{name}` reaches for `{host}`, which its container doesn't know"),
                    "run `cargo xtask generate`: `extra_hosts` names it",
                );
            }
        }
    }

    /// In a container, loopback is the container: only Prometheus finds itself there.
    pub(super) fn loopback(&mut self, file: &Read<'_, PrometheusConfig>) {
        let config = &file.model;
        let scraped = config
            .scrape_configs
            .iter()
            .enumerate()
            .filter(|(_, job)| job.job_name != "prometheus");
        let scraped = scraped.map(|(index, job)| (format!("scrape_configs/{index}"), &job.static_configs));
        let told = config.alerting.alertmanagers.iter().enumerate();
        let told = told.map(|(index, am)| (format!("alerting/alertmanagers/{index}"), &am.static_configs));
        for (path, configs) in scraped.chain(told) {
            for (outer, config) in configs.iter().enumerate() {
                for (inner, target) in config.targets.iter().enumerate() {
                    let host = target.rsplit_once(':').map_or(target.as_str(), |(host, _)| host);
                    if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
                        self.report(
                            file.path,
                            file.document
                                .place(&format!("{path}/static_configs/{outer}/targets/{inner}")),
                            format!("the target {target} is the container of Prometheus itself"),
                            "the host is `host.docker.internal` there",
                        );
                    }
                }
            }
        }
    }
}
