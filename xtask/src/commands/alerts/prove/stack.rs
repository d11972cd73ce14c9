//! A Prometheus with its Alertmanager, on ports of their own, configured as `monitoring-up` would.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use monitoring_provisioning::proof::{self, Timing};
use monitoring_provisioning::{AlertName, AlertOverride, PromDuration, Runtime as Rendering, Spec, generate};
use rustix::process::Signal;

use super::running::{Program, Running, free_port, now, write};
use super::watch::Watch;
use crate::cli::{Optional, RuntimeChoice, Up};
use crate::failure::BadInput;
use crate::interrupt::Interrupt;
use crate::plan::ServicePlan;
use crate::probe::Probe;
use crate::prometheus_api;
use crate::stack::{Inputs, Programs, native_services};
use crate::workspace::Workspace;

/// A server starts within a second or two; on a machine that compiles beside it, within some more.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How many times faster the objectives' Prometheus runs: their shortest alerts look at minutes, the longest at days.
pub(super) const OBJECTIVES_FASTER: f64 = 36.0;

/// Which Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has every rule, and scrapes everything.
    Main,
    /// It has the alerts about the objectives, and scrapes the relayer with their pools.
    Objectives,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Objectives => "objectives",
        }
    }
}

/// Who is told of which severity, as the last part of the webhook's path.
pub(super) const RECEIVERS: [(&str, &str); 3] = [
    ("critical", "pager"),
    ("warning", "chat"),
    ("heartbeat", "outside"),
];

/// Where the parts of a stack are.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Of the relayers' pages.
    pub(super) relayers: Vec<u16>,
    pub(super) node_exporter: u16,
    pub(super) inbox: u16,
}

/// A running stack.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) kind: Kind,
    pub(super) spec: Spec,
    pub(super) timings: Vec<Timing>,
    pub(super) prometheus: Program,
    pub(super) watch: Watch,
    /// When it was ready, in seconds since 1970.
    pub(super) began: f64,
    url: String,
    config: PathBuf,
    relayers: Vec<u16>,
    process: Mutex<Option<Running>>,
    alertmanager: Mutex<Option<Running>>,
    /// Version of Prometheus and of Alertmanager.
    pub(super) versions: [String; 2],
}

impl Stack {
    /// Starts Alertmanager, then Prometheus, and waits until every target has been scraped.
    pub(super) fn start(
        kind: Kind,
        spec: Spec,
        workspace: &Workspace,
        folder: &Path,
        addresses: &Addresses,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let folder = folder.join(kind.name());
        let config = folder.join("config");
        let files = generate(&spec, Rendering::Native { root: &config })?;
        for file in &files {
            write(&config.join(&file.path), &file.contents)?;
        }
        let timings = proof::timings(&spec)?;
        let [alertmanager, prometheus] = services(&spec, workspace, &folder, &config, &files)?;
        let versions = [&prometheus, &alertmanager].map(|plan| plan.version.clone().unwrap_or_default());
        let program = |plan: ServicePlan| Program {
            name: plan.name,
            argv: plan.argv,
            env: plan.env,
            folder: folder.clone(),
        };
        let url = format!("http://127.0.0.1:{}", spec.ports.prometheus);
        let probe = Probe::new(Duration::from_secs(2));
        let mut server = program(alertmanager).start()?;
        let alertmanager_url = format!("http://127.0.0.1:{}/-/ready", spec.ports.alertmanager);
        server.until("is ready", READY_WITHIN, interrupt, |_| {
            probe.ready(&alertmanager_url).ok()
        })?;
        let prometheus = program(prometheus);
        let evaluation = longest_evaluation(&timings).as_secs_f64();
        let mut stack = Self {
            kind,
            // a break is more than two evaluations that were late
            watch: Watch::begin(url.clone(), evaluation * 2.5 + 0.2),
            config: config.join("monitoring/prometheus/prometheus.yml"),
            relayers: addresses.relayers.clone(),
            process: Mutex::new(None),
            alertmanager: Mutex::new(Some(server)),
            url,
            spec,
            began: f64::MAX,
            timings,
            prometheus,
            versions,
        };
        stack.start_prometheus(interrupt)?;
        stack.began = now();
        Ok(stack)
    }

    /// Starts Prometheus, and waits until every target has been scraped.
    pub(super) fn start_prometheus(&self, interrupt: &Interrupt) -> Result<()> {
        let probe = Probe::new(Duration::from_secs(2));
        let mut server = self.prometheus.start()?;
        // once is enough: on a busy machine a scrape may fail now and then
        let mut seen = BTreeSet::new();
        let scraped = |_: &Running| {
            let targets = prometheus_api::targets(&probe, &self.url).ok()?;
            let up = targets.iter().filter(|target| target.health == "up");
            seen.extend(up.map(|target| (target.job.clone(), target.instance.clone())));
            (!targets.is_empty() && seen.len() == targets.len()).then_some(())
        };
        server.until("has scraped every target", READY_WITHIN, interrupt, scraped)?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Kills Prometheus; Alertmanager goes on.
    pub(super) fn kill_prometheus(&self) -> Result<()> {
        let running = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.context("Prometheus runs")?.kill();
        Ok(())
    }

    /// Takes the relayers out of the configuration and has it read again.
    pub(super) fn lose_relayers(&self) -> Result<()> {
        let text = std::fs::read_to_string(&self.config).context("Prometheus' configuration")?;
        let lost = |line: &&str| {
            let target = line.trim_start().strip_prefix("- ").unwrap_or_default();
            self.relayers
                .iter()
                .any(|port| target == format!("127.0.0.1:{port}"))
        };
        let (out, left): (Vec<&str>, Vec<&str>) = text.lines().partition(lost);
        if out.is_empty() {
            bail!("{} names no relayer", self.config.display());
        }
        self.reload(&format!("{}\n", left.join("\n")))
    }

    /// Puts the configuration back.
    pub(super) fn find_relayers(&self) -> Result<()> {
        let root = self
            .config
            .ancestors()
            .nth(3)
            .context("the configuration's folder")?;
        let files = generate(&self.spec, Rendering::Native { root })?;
        let file = files
            .iter()
            .find(|file| self.config.ends_with(&file.path))
            .context("Prometheus' configuration")?;
        self.reload(&file.contents)
    }

    fn reload(&self, text: &str) -> Result<()> {
        write(&self.config, text)?;
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().context("Prometheus runs")?.signal(Signal::HUP);
        Ok(())
    }

    /// The times of one of its alerts; `None` where it has none.
    pub(super) fn timing(&self, alert: AlertName) -> Option<&Timing> {
        self.timings.iter().find(|timing| timing.alert == alert)
    }

    /// The receiver of a severity, as the inbox knows it.
    pub(super) fn receiver(&self, severity: &str) -> String {
        let found = RECEIVERS.iter().find(|(known, _)| *known == severity);
        format!(
            "{}/{}",
            self.kind.name(),
            found.map_or("nobody", |(_, name)| name)
        )
    }

    pub(super) fn stop(&self) {
        for process in [&self.process, &self.alertmanager] {
            drop(process.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

fn longest_evaluation(timings: &[Timing]) -> PromDuration {
    timings
        .iter()
        .map(|timing| timing.evaluation_interval)
        .max()
        .unwrap_or_default()
}

/// The spec of a stack: the operator's alerts, thresholds and waits; ports, targets and receivers of the laboratory.
pub(super) fn spec(kind: Kind, operators: &Spec, scale: f64, addresses: &Addresses) -> Result<Spec> {
    let targets: Vec<String> = addresses
        .relayers
        .iter()
        .map(|port| format!("\"127.0.0.1:{port}\""))
        .collect();
    let mut text = format!(
        "relayers: [{}]\nports: {{ prometheus: {}, alertmanager: {}, node_exporter: {} }}\nnotification_log: false\n",
        targets.join(", "),
        free_port()?,
        free_port()?,
        addresses.node_exporter
    );
    text.push_str("receivers:\n  webhook:\n");
    for (_, name) in RECEIVERS {
        text.push_str(&format!(
            "    {name}: {{ url: \"http://127.0.0.1:{}/{}/{name}\" }}\n",
            addresses.inbox,
            kind.name()
        ));
    }
    text.push_str("notifications:\n");
    for (severity, name) in RECEIVERS {
        text.push_str(&format!("  {severity}: {{ receivers: [{name}] }}\n"));
    }
    let mut spec = Spec::parse(&text, Path::new("the laboratory's spec"))?;
    spec.alerts = operators.alerts.clone();
    spec.slo = operators.slo.clone();
    spec.links = operators.links.clone();
    spec.prometheus = operators.prometheus.clone();
    let waits = [
        (
            &mut spec.notifications.critical,
            &operators.notifications.critical,
        ),
        (&mut spec.notifications.warning, &operators.notifications.warning),
        (
            &mut spec.notifications.heartbeat,
            &operators.notifications.heartbeat,
        ),
    ];
    for (ours, theirs) in waits {
        ours.group_wait = theirs.group_wait;
        ours.group_interval = theirs.group_interval;
        ours.repeat_interval = theirs.repeat_interval;
    }
    spec.time_scale = scale;
    if kind == Kind::Objectives {
        spec.time_scale = scale * OBJECTIVES_FASTER;
        // five of them fit into the rates' five minutes
        spec.prometheus.scrape_interval = PromDuration::from_secs(60);
        spec.prometheus.scrape_timeout = PromDuration::from_secs(55);
        spec.prometheus.evaluation_interval = PromDuration::from_secs(60);
        for name in AlertName::ALL.into_iter().filter(|name| !name.is_burn_rate()) {
            spec.alerts.insert(
                name,
                AlertOverride {
                    enabled: Some(false),
                    ..AlertOverride::default()
                },
            );
        }
    }
    four_scrapes(&spec)?;
    Ok(spec)
}

/// A window of fewer would make one failed scrape an alert, or hide one.
fn four_scrapes(spec: &Spec) -> Result<()> {
    let scrapes = spec.scaled(spec.prometheus.scrape_interval).times(4);
    match proof::shortest_window(spec)? {
        // a millisecond more for the rounding of scaled durations
        Some(window) if window.plus(PromDuration::from_millis(1)) < scrapes => Err(BadInput(format!(
            "a window of {window} holds fewer than four scrapes ({scrapes}); choose another --time-scale, or a shorter \
             `prometheus.scrape_interval` in the spec"
        ))
        .into()),
        _ => Ok(()),
    }
}

/// Alertmanager and Prometheus as `monitoring-up` would start them.
fn services(
    spec: &Spec,
    workspace: &Workspace,
    folder: &Path,
    config: &Path,
    files: &[monitoring_provisioning::GeneratedFile],
) -> Result<[ServicePlan; 2]> {
    use crate::binaries::Program::{Alertmanager, Prometheus};
    let workspace = workspace.with_state_dir(folder.to_path_buf());
    let up = Up {
        runtime: RuntimeChoice::Native,
        demo: false,
        relayer_config: None,
        without: vec![Optional::Grafana, Optional::NodeExporter],
        yes: false,
        timeout: READY_WITHIN,
        relayer_bin: None,
    };
    let inputs = Inputs {
        workspace: &workspace,
        spec,
        up: &up,
        relayer: None,
        gateway: None,
    };
    let programs = Programs::find(&[Prometheus, Alertmanager]);
    let plans = native_services(&inputs, &programs, config, files)?;
    let find = |name: &str| {
        let found = plans.iter().find(|plan| plan.name == name).cloned();
        found.with_context(|| format!("{name} is not planned"))
    };
    Ok([find("alertmanager")?, find("prometheus")?])
}
