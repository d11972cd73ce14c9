//! How the stack is, at one look: services, targets, rules.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::engine::{self, Container};
use crate::probe::Probe;
use crate::prometheus_api::{self, Rules, Target};
use crate::stack::RELAYER_JOBS;
use crate::state::{Component, Stack, State};

/// The stack at one moment; `monitoring-status --json` prints it. Fields are only ever added.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// `docker`, `native`, or null when nothing was brought up.
    pub(crate) runtime: Option<&'static str>,
    /// All services of the run.
    pub(crate) services: Vec<Service>,
    /// All scrape targets that Prometheus knows; empty while it doesn't answer.
    pub(crate) targets: Vec<Target>,
    /// Null while Prometheus doesn't answer.
    pub(crate) rules: Option<Rules>,
    /// How many notifications the notification log has kept since the last purge.
    pub(crate) notifications: usize,
    /// What else is wrong, in words.
    pub(crate) notices: Vec<String>,
    /// Jobs whose targets must be up.
    #[serde(skip)]
    pub(crate) jobs: Vec<String>,
    /// Of the relayers' jobs only the targets at these addresses must be up; all when empty.
    #[serde(skip)]
    pub(crate) own_relayer: Vec<String>,
    /// An earlier scrape of a relayer tells about the one that ran before.
    #[serde(skip)]
    pub(crate) relayer_since: Option<f64>,
}

/// One service.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// Whether it works.
    pub(crate) state: ServiceStatus,
    /// What a person opens.
    pub(crate) url: String,
    /// Its process on this machine.
    pub(crate) pid: Option<u32>,
    /// How often it was started again after it ended by itself.
    pub(crate) restarts: u32,
    /// Its version, where known.
    pub(crate) version: Option<String>,
    /// Why it isn't up; null when it is.
    pub(crate) reason: Option<String>,
}

/// Whether a service works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceStatus {
    /// It says that it is ready.
    Up,
    /// It runs, but isn't ready.
    Starting,
    /// It doesn't run.
    Down,
}

impl ServiceStatus {
    /// As it is shown.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Starting => "starting",
            Self::Down => "down",
        }
    }
}

impl Report {
    /// Nothing was brought up.
    pub(crate) fn nothing() -> Self {
        Self {
            runtime: None,
            services: Vec::new(),
            targets: Vec::new(),
            rules: None,
            notifications: 0,
            notices: Vec::new(),
            jobs: Vec::new(),
            own_relayer: Vec::new(),
            relayer_since: None,
        }
    }

    /// True when no service runs at all.
    pub(crate) fn nothing_runs(&self) -> bool {
        self.services
            .iter()
            .all(|service| service.state == ServiceStatus::Down)
    }

    /// What is not as it must be, by name; empty when all is well.
    pub(crate) fn missing(&self) -> BTreeMap<String, String> {
        let mut missing = BTreeMap::new();
        for service in self
            .services
            .iter()
            .filter(|service| service.state != ServiceStatus::Up)
        {
            let reason = service
                .reason
                .clone()
                .unwrap_or_else(|| service.state.word().to_owned());
            missing.insert(service.name.clone(), reason);
        }
        for job in &self.jobs {
            let of_relayer = RELAYER_JOBS.contains(&job.as_str());
            let asked = |target: &&Target| {
                let own = self.own_relayer.is_empty() || self.own_relayer.contains(&target.instance);
                target.job == *job && (own || !of_relayer)
            };
            let of_job: Vec<&Target> = self.targets.iter().filter(asked).collect();
            let since = self.relayer_since.filter(|_| of_relayer);
            let down = of_job.iter().find(|target| {
                target.health != "up" || since.is_some_and(|since| !target.scraped_after(since))
            });
            if let Some(target) = down {
                let why = if target.last_error.is_empty() || target.health == "up" {
                    "not scraped yet"
                } else {
                    &target.last_error
                };
                missing.insert(format!("target {job}"), format!("{}: {why}", target.instance));
            } else if of_job.is_empty() {
                missing.insert(
                    format!("target {job}"),
                    "Prometheus doesn't know it yet".to_owned(),
                );
            }
        }
        match &self.rules {
            None => {
                missing.insert("rules".to_owned(), "Prometheus doesn't answer yet".to_owned());
            }
            Some(rules) if rules.loaded != rules.expected => {
                missing.insert(
                    "rules".to_owned(),
                    format!("{} of {} loaded", rules.loaded, rules.expected),
                );
            }
            Some(_) => {}
        }
        missing.extend(
            self.notices
                .iter()
                .map(|notice| ("notice".to_owned(), notice.clone())),
        );
        missing
    }

    /// True when everything that was asked for works.
    pub(crate) fn is_well(&self) -> bool {
        self.missing().is_empty()
    }
}

#[derive(Debug, Deserialize)]
struct RuntimeInfo {
    data: Option<RuntimeInfoData>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeInfoData {
    #[serde(default = "yes")]
    reload_config_success: bool,
}

fn yes() -> bool {
    true
}

/// Looks at everything once.
pub(crate) fn look(stack: &Stack, state_dir: &Path, probe: &Probe) -> Report {
    let state = State::read(state_dir);
    let containers = if stack.has_containers() {
        engine::containers(state_dir)
    } else {
        BTreeMap::new()
    };
    let mut services: Vec<Service> = stack
        .components
        .iter()
        .map(|one| service(one, state.as_ref(), &containers))
        .collect();
    for (service, component) in services.iter_mut().zip(&stack.components) {
        if service.state != ServiceStatus::Down {
            match probe.ready(&component.ready_url) {
                Ok(()) => service.state = ServiceStatus::Up,
                Err(error) => service.reason = Some(error.to_string()),
            }
        }
    }
    let mut report = Report {
        runtime: Some(stack.runtime.name()),
        services,
        jobs: stack.jobs.clone(),
        own_relayer: stack.own_relayer.clone(),
        ..Report::nothing()
    };
    if report
        .services
        .iter()
        .any(|service| service.name == "prometheus" && service.state == ServiceStatus::Up)
    {
        report.targets = prometheus_api::targets(probe, &stack.prometheus_url).unwrap_or_default();
        report.rules = prometheus_api::rules(probe, &stack.prometheus_url, stack.rules_expected).ok();
        let info: Result<RuntimeInfo> =
            probe.json(&format!("{}/api/v1/status/runtimeinfo", stack.prometheus_url));
        if info.is_ok_and(|info| info.data.is_some_and(|data| !data.reload_config_success)) {
            report
                .notices
                .push("Prometheus refused its new configuration and goes on with the old one".to_owned());
        }
    }
    if state
        .as_ref()
        .is_some_and(|state| !state.supervisor.is_alive() && !state.alive().is_empty())
    {
        report.notices.push(
            "the supervisor is gone, its services run on unwatched: run monitoring-up again".to_owned(),
        );
    }
    report.notifications = count_notifications(state_dir);
    report
}

fn service(
    component: &Component,
    state: Option<&State>,
    containers: &BTreeMap<String, Container>,
) -> Service {
    let mut service = Service {
        name: component.name.clone(),
        state: ServiceStatus::Down,
        url: component.url.clone(),
        pid: None,
        restarts: 0,
        version: component.version.clone(),
        reason: None,
    };
    if component.container {
        match containers.get(&component.name) {
            None => service.reason = Some("its container is gone".to_owned()),
            Some(container) => {
                service.pid = container.pid;
                service.restarts = container.restarts;
                service.version.clone_from(&container.version);
                if container.state == "running" {
                    service.state = ServiceStatus::Starting;
                } else {
                    service.reason = Some(format!("its container is {}", container.state));
                }
            }
        }
        return service;
    }
    let Some(known) = state.and_then(|state| state.service(&component.name)) else {
        service.reason = Some("not started".to_owned());
        return service;
    };
    service.restarts = known.restarts;
    match known.process.as_ref().filter(|process| process.is_alive()) {
        Some(process) => {
            service.pid = Some(process.pid);
            service.state = ServiceStatus::Starting;
        }
        None => {
            let why = known
                .last_exit
                .as_ref()
                .map(|exit| format!("ended ({exit}), waits for its next start"));
            service.reason = Some(why.unwrap_or_else(|| "waits for the others".to_owned()));
        }
    }
    service
}

fn count_notifications(state_dir: &Path) -> usize {
    std::fs::read(crate::notifications::path(state_dir))
        .map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(job: &str, health: &str) -> Target {
        Target {
            job: job.into(),
            instance: "here".into(),
            health: health.into(),
            last_error: String::new(),
            last_scrape: "2026-01-02T03:04:05Z".into(),
        }
    }

    fn well() -> Report {
        Report {
            runtime: Some("native"),
            services: vec![Service {
                name: "prometheus".into(),
                state: ServiceStatus::Up,
                url: String::new(),
                pid: Some(1),
                restarts: 0,
                version: None,
                reason: None,
            }],
            targets: vec![target("node", "up"), target("fusion-relayer", "down")],
            rules: Some(Rules {
                loaded: 10,
                expected: 10,
                firing: 0,
            }),
            jobs: vec!["node".into()],
            ..Report::nothing()
        }
    }

    #[test]
    fn a_target_nobody_asked_for_may_be_down() {
        assert!(well().is_well());
    }

    #[test]
    fn of_the_relayers_only_our_own_must_be_up_and_scraped_since_its_start() {
        let mut report = well();
        report.jobs.push("fusion-relayer".into());
        report.targets[1].instance = "elsewhere:9090".into();
        let mut own = target("fusion-relayer", "up");
        own.instance = "localhost:9090".into();
        report.targets.push(own);
        assert!(!report.is_well(), "without an address of ours all must be up");
        report.own_relayer = vec!["127.0.0.1:9090".into(), "localhost:9090".into()];
        assert!(report.is_well(), "{:?}", report.missing());
        // 2026-01-02T03:04:05Z is when it was scraped.
        report.relayer_since = Some(1_767_323_044.5);
        assert!(report.is_well(), "{:?}", report.missing());
        report.relayer_since = Some(1_767_323_045.5);
        assert_eq!(
            report.missing()["target fusion-relayer"],
            "localhost:9090: not scraped yet"
        );
    }

    #[test]
    fn each_part_that_lacks_is_named() {
        let mut service = well();
        service.services[0].state = ServiceStatus::Starting;
        assert_eq!(service.missing().into_keys().collect::<Vec<_>>(), ["prometheus"]);
        let mut target_down = well();
        target_down.targets[0].health = "unknown".into();
        assert_eq!(target_down.missing()["target node"], "here: not scraped yet");
        let mut target_absent = well();
        target_absent.targets.remove(0);
        assert!(target_absent.missing().contains_key("target node"));
        let mut rules = well();
        rules.rules = Some(Rules {
            loaded: 0,
            expected: 10,
            firing: 0,
        });
        assert_eq!(rules.missing()["rules"], "0 of 10 loaded");
        let mut silent = well();
        silent.rules = None;
        assert!(!silent.is_well());
        let mut notice = well();
        notice.notices.push("refused".into());
        assert!(!notice.is_well());
    }
}
