//! The laboratory: nodes, relayers, two monitoring stacks and an inbox, in a folder and on ports of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use monitoring_provisioning::{AlertName, Spec};

use super::inbox::Inbox;
use super::plan::{Fault, Place, Prelude, Site, Trial, Which};
use super::pools::{self, Setup};
use super::running::{Program, Running, free_port, write};
use super::stack::{self, Addresses, Kind, Stack};
use super::watch::Labels;
use crate::binaries;
use crate::interrupt::Interrupt;
use crate::own_programs;
use crate::probe::Probe;
use crate::workspace::Workspace;

const READY_WITHIN: Duration = Duration::from_secs(30);
/// A fault that is caused answers when it is in force; leaks wait for connections.
const CAUSED_WITHIN: Duration = Duration::from_secs(10);

/// What the command line decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) scale: f64,
    pub(super) seed: u64,
}

#[derive(Debug)]
pub(super) struct Lab {
    pub(super) options: Options,
    pub(super) interrupt: Interrupt,
    pub(super) inbox: Inbox,
    pub(super) main: Stack,
    /// Where one of the trials is about an objective.
    pub(super) objectives: Option<Stack>,
    probe: Probe,
    /// The nodes' control endpoints, by pool.
    controls: BTreeMap<&'static str, Vec<String>>,
    nodes: Mutex<Option<Running>>,
    relayers: BTreeMap<Site, Relayer>,
    exporter: Service,
    exporter_port: u16,
}

#[derive(Debug)]
struct Relayer {
    service: Service,
    port: u16,
    faults: String,
}

/// A process that may be killed and started again.
#[derive(Debug)]
struct Service {
    program: Program,
    process: Mutex<Option<Running>>,
}

impl Lab {
    /// Brings everything up, for these trials.
    pub(super) fn start(
        workspace: &Workspace,
        operators: &Spec,
        trials: &[&Trial],
        options: Options,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let programs = own_programs::build(&workspace.root, &["devnet", "relayer"], interrupt)?;
        let exporter_program = binaries::Program::NodeExporter;
        let Some(exporter_path) = exporter_program.find() else {
            bail!("Node Exporter was not found; install it, or name its folder in MONITORING_BIN_DIR");
        };
        for needed in [binaries::Program::Prometheus, binaries::Program::Alertmanager] {
            if needed.find().is_none() {
                bail!(
                    "{} was not found; install it, or name its folder in MONITORING_BIN_DIR",
                    needed.names()[0]
                );
            }
        }
        let sites = pools_by_site(trials);
        let probe = Probe::new(CAUSED_WITHIN);
        let all: Vec<Setup> = sites.values().flatten().copied().collect();
        let (nodes, urls, controls) = start_nodes(&programs[0], &all, options.seed, folder, interrupt)?;
        let mut relayers = BTreeMap::new();
        for (site, setups) in sites {
            let with_nodes: Vec<(Setup, Vec<String>)> = setups
                .iter()
                .map(|setup| (*setup, urls[setup.id].clone()))
                .collect();
            let config = pools::file(&with_nodes, options.scale)?;
            let relayer = start_relayer(&programs[1], site, &config, options.seed, folder, interrupt)?;
            relayers.insert(site, relayer);
        }
        let exporter_port = free_port()?;
        let exporter = Service::start(exporter(&exporter_path, exporter_port, folder))?;
        let inbox = Inbox::open()?;
        let addresses = |sites: &[Site]| Addresses {
            relayers: sites
                .iter()
                .filter_map(|site| relayers.get(site))
                .map(|relayer| relayer.port)
                .collect(),
            node_exporter: exporter_port,
            inbox: inbox.port,
        };
        let stack = |kind, sites: &[Site]| {
            let addresses = addresses(sites);
            let spec = stack::spec(kind, operators, options.scale, &addresses)?;
            Stack::start(kind, spec, workspace, folder, &addresses, interrupt)
        };
        let objectives = relayers
            .contains_key(&Site::Objectives)
            .then(|| stack(Kind::Objectives, &[Site::Objectives]))
            .transpose()?;
        Ok(Self {
            options,
            interrupt: interrupt.clone(),
            main: stack(Kind::Main, &Site::ALL)?,
            objectives,
            inbox,
            probe,
            controls,
            nodes: Mutex::new(Some(nodes)),
            relayers,
            exporter,
            exporter_port,
        })
    }

    /// The stack that tells of an alert.
    pub(super) fn stack(&self, alert: AlertName) -> &Stack {
        self.objectives
            .as_ref()
            .filter(|_| alert.is_burn_rate())
            .unwrap_or(&self.main)
    }

    pub(super) fn stacks(&self) -> impl Iterator<Item = &Stack> {
        std::iter::once(&self.main).chain(&self.objectives)
    }

    /// What a relayer is called in the label `instance`.
    pub(super) fn instance(&self, site: Site) -> Option<String> {
        let relayer = self.relayers.get(&site)?;
        Some(format!("127.0.0.1:{}", relayer.port))
    }

    /// The labels by which a trial's alert says what it is about.
    pub(super) fn subject(&self, trial: &Trial) -> Labels {
        let about = |label: &str| match (label, trial.place) {
            ("instance", Place::Target) => Some(format!("127.0.0.1:{}", self.exporter_port)),
            ("instance", _) => trial.site().and_then(|site| self.instance(site)),
            ("pool", Place::Pool(setup)) => Some(setup.id.to_owned()),
            ("endpoint", _) => Some(pools::ENDPOINTS[0].to_owned()),
            ("job", _) => Some("node".to_owned()),
            _ => None,
        };
        let timing = self.stack(trial.alert).timing(trial.alert);
        let subject = timing.map(|timing| timing.subject).unwrap_or_default();
        let own = subject
            .iter()
            .filter_map(|label| Some(((*label).to_owned(), about(label)?)));
        let more = trial
            .more_labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        own.chain(more).collect()
    }

    /// Causes what comes before a trial's fault; with no faults at all, ends it.
    pub(super) fn before(&self, prelude: &Prelude, faults: Option<&str>) -> Result<()> {
        let controls = self.controls.get(prelude.pool).context("the pool's nodes run")?;
        let url = format!("{}/faults", controls[0]);
        self.probe
            .send(if faults.is_some() { "PATCH" } else { "DELETE" }, &url, faults)
    }

    /// Causes a trial's fault.
    pub(super) fn inject(&self, trial: &Trial) -> Result<()> {
        match trial.fault {
            Fault::Nodes(which, faults) => self.each_node(trial, which, |control| {
                self.probe
                    .send("PATCH", &format!("{control}/faults"), Some(faults))
            }),
            Fault::NodeGone => self.each_node(trial, Which::First, |control| {
                self.probe.send("POST", &format!("{control}/stop"), None)
            }),
            Fault::Leaks(count) => self.relayer_fault(trial, "PATCH", "faults", |pool| {
                format!(r#"{{"leaks":{{"{pool}":{count}}}}}"#)
            }),
            Fault::RefusedUpdate => self.relayer_fault(trial, "POST", "refused-update", |pool| {
                format!(r#"{{"pool":"{pool}"}}"#)
            }),
            Fault::HiddenPools => {
                self.relayer_fault(trial, "PATCH", "faults", |_| r#"{"hide_pools":true}"#.to_owned())
            }
            Fault::RelayerKilled => self.relayer(trial)?.service.kill(),
            Fault::ExporterKilled => self.exporter.kill(),
            Fault::NoTargets => self.main.lose_relayers(),
            Fault::PrometheusKilled => self.main.kill_prometheus(),
        }
    }

    /// Puts an end to it.
    pub(super) fn clear(&self, trial: &Trial) -> Result<()> {
        match trial.fault {
            Fault::Nodes(which, _) => self.each_node(trial, which, |control| {
                self.probe.send("DELETE", &format!("{control}/faults"), None)
            }),
            Fault::NodeGone => self.each_node(trial, Which::First, |control| {
                self.probe.send("POST", &format!("{control}/start"), None)
            }),
            Fault::Leaks(_) => self.relayer_fault(trial, "PATCH", "faults", |pool| {
                format!(r#"{{"leaks":{{"{pool}":0}}}}"#)
            }),
            // it was one event
            Fault::RefusedUpdate => Ok(()),
            Fault::HiddenPools => {
                self.relayer_fault(trial, "PATCH", "faults", |_| r#"{"hide_pools":false}"#.to_owned())
            }
            Fault::RelayerKilled => self.relayer(trial)?.service.restart(),
            Fault::ExporterKilled => self.exporter.restart(),
            Fault::NoTargets => self.main.find_relayers(),
            Fault::PrometheusKilled => self.main.start_prometheus(&self.interrupt),
        }
    }

    fn each_node(&self, trial: &Trial, which: Which, act: impl Fn(&str) -> Result<()>) -> Result<()> {
        let pool = trial.pool().context("the fault is of a pool's nodes")?;
        let controls = &self.controls[pool.id];
        let count = if which == Which::First { 1 } else { controls.len() };
        controls[..count].iter().try_for_each(|control| act(control))
    }

    fn relayer_fault(
        &self,
        trial: &Trial,
        method: &str,
        path: &str,
        body: impl Fn(&str) -> String,
    ) -> Result<()> {
        let relayer = self.relayer(trial)?;
        let body = body(trial.pool().map_or("", |pool| pool.id));
        self.probe
            .send(method, &format!("{}/{path}", relayer.faults), Some(&body))
    }

    fn relayer(&self, trial: &Trial) -> Result<&Relayer> {
        let site = trial.site().context("the fault is of a relayer")?;
        self.relayers.get(&site).context("the relayer runs")
    }

    /// Kills everything.
    pub(super) fn stop(&self) {
        self.stacks().for_each(Stack::stop);
        let relayers = self.relayers.values().map(|relayer| &relayer.service);
        for service in relayers.chain([&self.exporter]) {
            service.end();
        }
        drop(self.nodes.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Service {
    fn start(program: Program) -> Result<Self> {
        let process = Mutex::new(Some(program.start()?));
        Ok(Self { program, process })
    }

    fn kill(&self) -> Result<()> {
        let running = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        running
            .with_context(|| format!("{} runs", self.program.name))?
            .kill();
        Ok(())
    }

    fn restart(&self) -> Result<()> {
        let started = self.program.start()?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(())
    }

    fn end(&self) {
        drop(self.process.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Which pools each relayer serves. One with a bystander always runs.
fn pools_by_site(trials: &[&Trial]) -> BTreeMap<Site, Vec<Setup>> {
    let mut sites = BTreeMap::from([(Site::Pools, vec![pools::BYSTANDER])]);
    for trial in trials {
        let Some(site) = trial.site() else { continue };
        let setup = match site {
            Site::Gone => Some(pools::GONE),
            Site::Hidden => Some(pools::HIDDEN),
            Site::Pools | Site::Objectives => trial.pool().copied(),
        };
        sites.entry(site).or_default().extend(setup);
    }
    sites
}

type Nodes = BTreeMap<&'static str, Vec<String>>;

/// One process with all nodes of all pools; returns their addresses and those of their control endpoints.
fn start_nodes(
    devnet: &Path,
    pools: &[Setup],
    seed: u64,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<(Running, Nodes, Nodes)> {
    let count: usize = pools.iter().map(Setup::nodes).sum();
    let program = Program {
        name: "devnet".to_owned(),
        argv: [
            &devnet.display().to_string(),
            "--chain-id",
            "1",
            "--block-time",
            "500ms",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
            "--nodes",
            &count.to_string(),
            "--seed",
            &seed.to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
        env: quiet(),
        folder: folder.to_path_buf(),
    };
    let mut running = program.start()?;
    let output = running.until("serves", READY_WITHIN, interrupt, |running| {
        let output = running.output();
        output.contains("devnet ready").then_some(output)
    })?;
    let of = |key: &str| -> Vec<String> {
        let lines = output.lines().filter(|line| line.starts_with("devnet node="));
        let words = lines.flat_map(str::split_whitespace);
        words
            .filter_map(|word| word.strip_prefix(key))
            .map(str::to_owned)
            .collect()
    };
    let (urls, controls) = (of("url="), of("control="));
    if urls.len() != count || controls.len() != count {
        bail!("devnet tells of {} nodes:\n{output}", urls.len());
    }
    let by_pool = |addresses: &[String]| -> Nodes {
        let mut addresses = addresses.iter().cloned();
        pools
            .iter()
            .map(|pool| (pool.id, addresses.by_ref().take(pool.nodes()).collect()))
            .collect()
    };
    let (urls, controls) = (by_pool(&urls), by_pool(&controls));
    Ok((running, urls, controls))
}

fn start_relayer(
    program: &Path,
    site: Site,
    config: &str,
    seed: u64,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<Relayer> {
    let file = folder.join(format!("{}.yaml", site.name()));
    write(&file, config)?;
    let port = free_port()?;
    let program = Program {
        name: site.name().to_owned(),
        argv: [
            &program.display().to_string(),
            "--config",
            &file.display().to_string(),
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--fault-endpoint",
            "127.0.0.1:0",
            "--seed",
            &seed.to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
        env: quiet(),
        folder: folder.to_path_buf(),
    };
    let mut running = program.start()?;
    let faults = running.until("takes faults", READY_WITHIN, interrupt, |running| {
        let output = running.output();
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix("taking faults on "))?;
        line.strip_suffix("/faults").map(str::to_owned)
    })?;
    let probe = Probe::new(Duration::from_secs(2));
    let ready = format!("http://127.0.0.1:{port}/readyz");
    running.until("is ready", READY_WITHIN, interrupt, |_| probe.ready(&ready).ok())?;
    let process = Mutex::new(Some(running));
    Ok(Relayer {
        service: Service { program, process },
        port,
        faults,
    })
}

fn exporter(program: &Path, port: u16, folder: &Path) -> Program {
    Program {
        name: "node-exporter".to_owned(),
        argv: vec![
            program.display().to_string(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            // all that is asked of it is to be there
            "--collector.disable-defaults".to_owned(),
            "--collector.loadavg".to_owned(),
        ],
        env: BTreeMap::new(),
        folder: PathBuf::from(folder),
    }
}

/// Thousands of failures are on purpose.
fn quiet() -> BTreeMap<String, String> {
    BTreeMap::from([("RUST_LOG".to_owned(), "warn".to_owned())])
}
