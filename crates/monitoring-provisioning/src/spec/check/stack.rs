//! Where relayers are looked for, what is sent elsewhere, and what a container may take.

use std::path::{Component, Path};

use super::{Checker, is_web};
use crate::spec::{DnsType, Limits, Resources};

/// Below it no server starts.
const LEAST_MEMORY: u64 = 32 << 20;
/// Formats that Prometheus knows; which one is the newest doesn't matter here.
const PROTOCOLS: [&str; 5] = [
    "PrometheusProto",
    "PrometheusText0.0.4",
    "PrometheusText1.0.0",
    "OpenMetricsText0.0.1",
    "OpenMetricsText1.0.0",
];

impl Checker<'_> {
    pub(super) fn discovery(&mut self) {
        let discovery = &self.spec.discovery;
        for (index, file) in discovery.files.iter().enumerate() {
            self.target_file(&format!("discovery/files/{index}"), file);
        }
        for (index, dns) in discovery.dns.iter().enumerate() {
            let path = format!("discovery/dns/{index}");
            if dns.names.is_empty() || dns.names.iter().any(|name| !is_host(name)) {
                self.report(
                    &format!("{path}/names"),
                    "`names` are names that the DNS resolves",
                    "at least one, without scheme and port, for example `_metrics._tcp.relayers.example.org`",
                );
            }
            match (dns.kind, dns.port) {
                (DnsType::A | DnsType::Aaaa, None | Some(0)) => self.report(
                    &path,
                    "addresses without a `port`",
                    "give the relayers' port, or look for `SRV` records, which hold it",
                ),
                (DnsType::Srv, Some(_)) => self.report(
                    &format!("{path}/port"),
                    "`port` has no effect beside `type: SRV`",
                    "the record holds it; drop the line, or look for `A` records",
                ),
                _ => {}
            }
        }
        for (index, docker) in discovery.docker.iter().enumerate() {
            let path = format!("discovery/docker/{index}");
            let schemes = ["unix:///", "tcp://", "http://", "https://"];
            if !schemes.iter().any(|scheme| docker.host.starts_with(scheme)) {
                self.report(
                    &format!("{path}/host"),
                    "`host` is not a Docker engine's address",
                    "for example `unix:///var/run/docker.sock` or `tcp://docker-proxy:2375`",
                );
            }
            if docker.port == 0 {
                self.report(&format!("{path}/port"), "port 0", "allowed: 1 to 65535");
            }
            if docker.labels.is_empty() || docker.labels.iter().any(String::is_empty) {
                self.report(
                    &format!("{path}/labels"),
                    "without labels every container would be scraped as a relayer",
                    "give those that relayers have, for example `[fusion.relayer=true]`",
                );
            }
        }
        let with_network = discovery.docker.iter().filter(|one| one.network.is_some());
        if ![0, discovery.docker.len()].contains(&with_network.count()) {
            self.report(
                "discovery/docker",
                "some of the engines have a `network` and some have none",
                "name it for each, or for none",
            );
        }
        for (index, kubernetes) in discovery.kubernetes.iter().enumerate() {
            if kubernetes.selector.trim().is_empty() {
                self.report(
                    &format!("discovery/kubernetes/{index}/selector"),
                    "without a selector every pod would be scraped as a relayer",
                    "give the labels that relayers have, for example `app=relayer`",
                );
            }
        }
    }

    /// The folder is mounted into the container: it must hold the files of targets and nothing that is secret.
    fn target_file(&mut self, path: &str, file: &Path) {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let folder = file.parent().unwrap_or(Path::new(""));
        let ends_well = ["yml", "yaml", "json"]
            .iter()
            .any(|ending| name.rsplit_once('.').is_some_and(|(_, end)| end == *ending));
        if !ends_well || name.matches('*').count() > 1 || folder.to_string_lossy().contains('*') {
            self.report(
                path,
                "a file of targets ends in `.yml`, `.yaml` or `.json`",
                "only the last part may hold a `*`, once, for example `targets/*.yml`",
            );
        } else if folder.as_os_str().is_empty()
            || folder.components().any(|part| part == Component::ParentDir)
        {
            self.report(
                path,
                "a file of targets stands in no folder of its own",
                "the folder is mounted into Prometheus' container: for example `targets/*.yml`",
            );
        }
    }

    pub(super) fn remote_write(&mut self) {
        for (index, remote) in self.spec.prometheus.remote_write.iter().enumerate() {
            let path = format!("prometheus/remote_write/{index}");
            if !is_web(&remote.url) {
                self.report(
                    &format!("{path}/url"),
                    "`url` is not a web address",
                    "for example `https://metrics.example.org/api/v1/push`",
                );
            }
            if remote.username.is_some() != remote.password_file.is_some() {
                self.report(
                    &path,
                    "`username` and `password_file` belong together",
                    "give both, or neither",
                );
            } else if remote.username.is_some() && remote.credentials_file.is_some() {
                self.report(
                    &format!("{path}/credentials_file"),
                    "two ways to say who writes",
                    "keep `credentials_file`, or `username` and `password_file`",
                );
            }
        }
        for (index, protocol) in self.spec.prometheus.scrape_protocols.iter().enumerate() {
            if !PROTOCOLS.contains(&protocol.as_str()) {
                self.report(
                    &format!("prometheus/scrape_protocols/{index}"),
                    format!("`{protocol}` is no format of metrics"),
                    format!("allowed: {}", PROTOCOLS.join(", ")),
                );
            }
        }
    }

    pub(super) fn resources(&mut self) {
        let Resources {
            prometheus,
            alertmanager,
            grafana,
            node_exporter,
        } = &self.spec.resources;
        for (name, limits) in [
            ("prometheus", prometheus),
            ("alertmanager", alertmanager),
            ("grafana", grafana),
            ("node_exporter", node_exporter),
        ] {
            if let Some(memory) = &limits.memory
                && Limits::bytes(memory).is_none_or(|bytes| bytes < LEAST_MEMORY)
            {
                self.report(
                    &format!("resources/{name}/memory"),
                    format!("`{memory}` of memory"),
                    "a whole number with `k`, `m` or `g`, 32m or more, for example `512m`",
                );
            }
            if limits.cpus.is_some_and(|cpus| !(0.01..=1024.0).contains(&cpus)) {
                self.report(
                    &format!("resources/{name}/cpus"),
                    "`cpus` must be from 0.01 to 1024",
                    "cores, also parts of one: 0.5",
                );
            }
        }
    }
}

fn is_host(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.chars().all(plain)
}
