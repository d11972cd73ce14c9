//! What no type can say about a spec: ranges, formats, and settings that contradict each other.

mod alerts;
mod calendar;
mod expressions;
mod firing;
mod inhibition;
mod mute;
mod notify;
mod profile;
mod routes;
mod secret_files;
mod secrets;
mod stack;
mod target;

use std::{collections::BTreeMap, path::Path};

use super::{Spec, Surroundings};
use crate::{
    duration::PromDuration,
    problem::Problem,
    yaml::{Document, Place},
};

pub(super) use secrets::inline_secrets;

/// Most that time can be sped up: beyond it, scrapes would come closer together than a scrape takes.
const MAX_TIME_SCALE: f64 = 120.0;

/// Collects what is wrong, each problem at the place of a path in the document.
struct Checker<'a> {
    spec: &'a Spec,
    document: &'a Document,
    file: &'a Path,
    problems: &'a mut Vec<Problem>,
}

/// Checks a spec whose types are right.
pub(super) fn check(
    spec: &Spec,
    document: &Document,
    file: &Path,
    surroundings: Surroundings,
    problems: &mut Vec<Problem>,
) {
    let mut checker = Checker {
        spec,
        document,
        file,
        problems,
    };
    checker.time();
    checker.ports();
    checker.images();
    checker.target();
    checker.external_labels();
    checker.relayers();
    checker.discovery();
    checker.remote_write();
    checker.resources();
    checker.access();
    checker.links();
    checker.alerts();
    checker.expressions();
    checker.firing();
    checker.receivers();
    checker.routes();
    checker.mute_times(surroundings.year);
    checker.inhibitions();
    if surroundings.secret_files {
        checker.secret_files();
    }
    checker.slo();
    checker.profile();
}

impl Checker<'_> {
    fn report(&mut self, path: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let place = self.document.place(path);
        self.report_at(place, what, remedy);
    }

    fn report_at(&mut self, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(
            Problem::new(self.file, what)
                .at(place.line, place.column)
                .remedy(remedy),
        );
    }

    fn time(&mut self) {
        let scale = self.spec.time_scale;
        if !(1.0..=MAX_TIME_SCALE).contains(&scale) {
            self.report(
                "time_scale",
                format!("`time_scale` is {scale}"),
                format!("allowed: 1 to {MAX_TIME_SCALE}"),
            );
        }
        let prometheus = &self.spec.prometheus;
        for (key, value) in [
            ("scrape_interval", prometheus.scrape_interval),
            ("scrape_timeout", prometheus.scrape_timeout),
            ("evaluation_interval", prometheus.evaluation_interval),
            ("retention", prometheus.retention),
        ] {
            if value == PromDuration::ZERO {
                self.report(
                    &format!("prometheus/{key}"),
                    format!("`{key}` is zero"),
                    "allowed: any time above 0",
                );
            }
        }
        if prometheus.scrape_timeout > prometheus.scrape_interval {
            self.report(
                "prometheus/scrape_timeout",
                format!(
                    "`scrape_timeout` ({}) is longer than `scrape_interval` ({})",
                    prometheus.scrape_timeout, prometheus.scrape_interval
                ),
                "a scrape must end before the next one begins",
            );
        }
    }

    fn ports(&mut self) {
        let ports = &self.spec.ports;
        let mut taken = BTreeMap::new();
        for (key, port) in [
            ("relayer", ports.relayer),
            ("prometheus", ports.prometheus),
            ("alertmanager", ports.alertmanager),
            ("grafana", ports.grafana),
            ("node_exporter", ports.node_exporter),
            ("notification_log", ports.notification_log),
        ] {
            let path = format!("ports/{key}");
            if port == 0 {
                self.report(&path, format!("port 0 for `{key}`"), "allowed: 1 to 65535");
            } else if let Some(other) = taken.insert(port, key) {
                // The one that is written down is the one to point at.
                let path = if self.document.find(&path).is_some() {
                    path
                } else {
                    format!("ports/{other}")
                };
                self.report(
                    &path,
                    format!("port {port} is given to both `{other}` and `{key}`"),
                    "give each its own",
                );
            }
        }
    }

    fn images(&mut self) {
        let images = &self.spec.images;
        for (key, image) in [
            ("prometheus", &images.prometheus),
            ("alertmanager", &images.alertmanager),
            ("node_exporter", &images.node_exporter),
            ("grafana", &images.grafana),
        ] {
            let path = format!("images/{key}");
            let last = image.rsplit('/').next().unwrap_or_default();
            let version = last
                .split_once('@')
                .map(|(_, digest)| digest)
                .or(last.split_once(':').map(|(_, tag)| tag));
            match version {
                None | Some("") => self.report(
                    &path,
                    format!("image `{image}` has no version"),
                    "pin one, for example `name:v1.2.3` or `name@sha256:...`",
                ),
                Some("latest") => self.report(
                    &path,
                    format!("image `{image}`: `latest` is not a version"),
                    "pin one, for example `name:v1.2.3`",
                ),
                Some(_) if image.contains(char::is_whitespace) => {
                    self.report(
                        &path,
                        "an image's name has no spaces",
                        "for example `prom/prometheus:v3.5.3`",
                    );
                }
                Some(_) => {}
            }
        }
    }

    fn external_labels(&mut self) {
        for name in self.spec.prometheus.external_labels.keys() {
            self.label_name(
                &format!("prometheus/external_labels/{name}"),
                name,
                &["severity", "team"],
            );
        }
    }

    /// A label that is added must have a valid name and must not hide one that the alerts carry.
    fn label_name(&mut self, path: &str, name: &str, also_taken: &[&str]) {
        const TAKEN: [&str; 7] = [
            "alertname",
            "instance",
            "job",
            "pool",
            "endpoint",
            "error_type",
            "le",
        ];
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && !name.starts_with("__")
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            self.report(
                path,
                format!("`{name}` is not a label's name"),
                "letters, digits and `_`, not beginning with a digit or `__`",
            );
        } else if TAKEN.contains(&name) || also_taken.contains(&name) {
            self.report(
                path,
                format!("the label `{name}` is taken"),
                "alerts already carry it; choose another name",
            );
        }
    }

    fn relayers(&mut self) {
        let relayers = &self.spec.relayers;
        for (index, target) in relayers.iter().enumerate() {
            if let Some(first) = relayers[..index]
                .iter()
                .position(|known| known.eq_ignore_ascii_case(target))
            {
                let first = self
                    .document
                    .line(self.document.place(&format!("relayers/{first}")));
                self.report(
                    &format!("relayers/{index}"),
                    "a relayer is listed twice",
                    format!("it already stands in line {first}; keep one"),
                );
            }
            if !is_host_port(target) {
                self.report(
                    &format!("relayers/{index}"),
                    "a relayer is given as `host:port`",
                    "without scheme and path, for example `10.0.0.5:9090`; `/metrics` is implied",
                );
            }
        }
    }

    fn access(&mut self) {
        let grafana = &self.spec.grafana;
        for (key, value) in [
            ("admin_user", &grafana.admin_user),
            ("admin_password", &grafana.admin_password),
        ] {
            if value.is_empty() {
                self.report(
                    &format!("grafana/{key}"),
                    format!("`{key}` is empty"),
                    "Grafana would not start; give one",
                );
            }
        }
        if grafana.admin_password_file.is_some()
            && grafana.admin_password != super::Grafana::default().admin_password
        {
            self.report(
                "grafana/admin_password",
                "`admin_password` has no effect beside `admin_password_file`",
                "keep the file",
            );
        }
        if !self.spec.bind_address.is_loopback() && grafana.is_well_known() {
            self.report(
                "bind_address",
                format!("Grafana would listen on {} with the well-known password", self.spec.bind_address),
                "set `grafana.admin_password_file`, or keep a loopback address and put a proxy with a login before it",
            );
        }
    }

    fn links(&mut self) {
        let links = &self.spec.links;
        if links.team.is_empty() {
            self.report("links/team", "`team` is empty", "name who is responsible");
        }
        for (key, url, may_be_empty) in [
            ("runbook_base_url", &links.runbook_base_url, false),
            ("grafana_base_url", &links.grafana_base_url, true),
            ("prometheus_base_url", &links.prometheus_base_url, true),
            ("alertmanager_base_url", &links.alertmanager_base_url, true),
        ] {
            if !(is_web(url) || may_be_empty && url.is_empty()) || url.contains(char::is_whitespace) {
                self.report(
                    &format!("links/{key}"),
                    format!("`{key}` is not a web address"),
                    "begin with `https://` or `http://`",
                );
            }
        }
    }
}

/// Whether a text begins as a web address does.
fn is_web(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// `host:port`, an IPv6 host in brackets.
fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let plain = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (plain || v6) && port.parse::<u16>().is_ok_and(|port| port > 0)
}
