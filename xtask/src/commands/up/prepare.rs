//! Everything that can be done, and refused, before anything is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use monitoring_provisioning::{GeneratedFile, Runtime as Rendering, Spec, generate_keeping};

use crate::binaries::{Program, output_within};
use crate::cli::{Optional, RuntimeChoice, Up};
use crate::compose::{self, Compose};
use crate::failure::BadInput;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::ports::{self, Needed};
use crate::stack::{self, Inputs, Programs, RELAYER};
use crate::state::{Runtime, Stack, State};
use crate::workspace::Workspace;
use crate::{engine, own_programs, packages, state};

/// The relayer reads a file for it.
const CHECKS_WITHIN: Duration = Duration::from_secs(30);

/// A run that can be started.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What will run and must be ready.
    pub(super) stack: Stack,
    /// The processes of it.
    pub(super) plan: Plan,
    /// The containers' side, with the Docker runtime.
    pub(super) compose: Option<Compose>,
    /// What must be free.
    needed: Vec<Needed>,
    /// The native configuration, to be written below the state folder.
    pub(super) config: Vec<GeneratedFile>,
    /// What the user should know at the end.
    pub(super) notes: Vec<String>,
    /// Where a relayer that the user starts must listen to be scraped.
    pub(super) listen: Vec<SocketAddr>,
}

impl Prepared {
    /// True when a relayer of ours is among the processes.
    pub(super) fn relayer_runs(&self) -> bool {
        self.plan.services.iter().any(|service| service.name == RELAYER)
    }

    /// The services that run in containers.
    pub(super) fn containers(&self) -> Vec<&str> {
        self.stack
            .components
            .iter()
            .filter(|one| one.container)
            .map(|one| one.name.as_str())
            .collect()
    }
}

/// Where the native configuration stands.
pub(super) fn config_folder(workspace: &Workspace) -> PathBuf {
    workspace.state_dir.join("config")
}

pub(super) fn prepare(
    workspace: &Workspace,
    spec: &Spec,
    up: &Up,
    interrupt: &Interrupt,
) -> Result<Prepared> {
    let compose = choose(workspace, up.runtime)?;
    let wanted = if compose.is_some() {
        Runtime::Docker
    } else {
        Runtime::Native
    };
    super::refuse_other_runtime(workspace, wanted)?;
    if compose.is_some()
        && let Some(stranger) = engine::stranger(&workspace.state_dir)
    {
        bail!("nothing was started: {stranger}");
    }
    outln!("runtime: {}", wanted.name());
    if compose.is_none() {
        let mut programs = vec![Program::Prometheus, Program::Alertmanager];
        if !up.without.contains(&Optional::NodeExporter) {
            programs.push(Program::NodeExporter);
        }
        packages::obtain(&programs, up.yes)?;
    }
    interrupt.check()?;
    let relayer = relayer(workspace, up, interrupt)?;
    interrupt.check()?;
    let mut inputs = Inputs {
        workspace,
        spec,
        up,
        relayer,
        gateway: None,
    };
    match compose {
        Some(compose) => docker(&mut inputs, compose, interrupt),
        None => native(&inputs),
    }
}

/// The engine to use; `None` means native.
fn choose(workspace: &Workspace, choice: RuntimeChoice) -> Result<Option<Compose>> {
    let running = Stack::read(&workspace.state_dir).map(|stack| stack.runtime);
    match (choice, running) {
        (RuntimeChoice::Native, _) | (RuntimeChoice::Auto, Some(Runtime::Native)) => Ok(None),
        (RuntimeChoice::Docker, _) | (RuntimeChoice::Auto, Some(Runtime::Docker)) => {
            let explain = || "the Docker runtime can't be used; `--runtime native` needs no engine";
            Compose::find(&workspace.stack_root, &workspace.state_dir)
                .map(Some)
                .with_context(explain)
        }
        (RuntimeChoice::Auto, None) => match Compose::find(&workspace.stack_root, &workspace.state_dir) {
            Ok(compose) => Ok(Some(compose)),
            Err(why) => {
                outln!("{why}: using the native runtime");
                Ok(None)
            }
        },
    }
}

/// The relayer's program, when one is wanted, with a configuration that it accepts.
fn relayer(workspace: &Workspace, up: &Up, interrupt: &Interrupt) -> Result<Option<PathBuf>> {
    if !up.demo && up.relayer_config.is_none() {
        return Ok(None);
    }
    let program = match &up.relayer_bin {
        Some(program) => std::path::absolute(program)?,
        None => own_programs::build(&workspace.root, &["relayer"], interrupt)?.remove(0),
    };
    if let Some(file) = &up.relayer_config {
        check_config(workspace, &program, file)?;
    }
    Ok(Some(program))
}

/// The relayer itself says what it thinks of a configuration, before anything is started with it.
fn check_config(workspace: &Workspace, program: &Path, file: &Path) -> Result<()> {
    let mut check = Command::new(program);
    check
        .arg("--config")
        .arg(std::path::absolute(file)?)
        .arg("--check")
        .current_dir(&workspace.root);
    let answer = output_within(&mut check, CHECKS_WITHIN)
        .with_context(|| format!("{} can't check {}", program.display(), file.display()))?;
    if answer.success {
        return Ok(());
    }
    let said = answer.stderr.trim();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    Err(BadInput(format!(
        "{said}\nnothing was started: the relayer refuses --relayer-config"
    ))
    .into())
}

fn native(inputs: &Inputs<'_>) -> Result<Prepared> {
    let mut wanted = vec![Program::Prometheus, Program::Alertmanager, Program::NodeExporter];
    if inputs.wants(Optional::Grafana) {
        wanted.push(Program::Grafana);
    }
    let programs = Programs::find(&wanted);
    let grafana = programs.has(Program::Grafana);
    let mut notes = foreign_relayers(inputs);
    if !grafana && inputs.wants(Optional::Grafana) {
        notes.push(
            "Grafana is not installed, so there is no dashboard; get it from https://grafana.com/grafana/download (apt, brew, \
             archive), then run this again, or use --runtime docker"
                .to_owned(),
        );
    }
    let folder = config_folder(inputs.workspace);
    let spec = inputs.workspace.native_spec(inputs.spec)?;
    let config = generate_keeping(
        &spec,
        Rendering::Native { root: &folder },
        &inputs.workspace.kept()?,
    )?;
    let mut services = inputs.host_services()?;
    services.extend(stack::native_services(inputs, &programs, &folder, &config)?);
    let mut stack = stack_of(inputs, Runtime::Native, &config, grafana);
    for component in &mut stack.components {
        let planned = services.iter().find(|service| service.name == component.name);
        component.version = planned.and_then(|service| service.version.clone());
    }
    let needed = needed(inputs, &stack);
    Ok(Prepared {
        stack,
        plan: Plan { services },
        compose: None,
        needed,
        config,
        notes,
        listen: inputs.host_addresses(inputs.spec.ports.relayer),
    })
}

fn docker(inputs: &mut Inputs<'_>, compose: Compose, interrupt: &Interrupt) -> Result<Prepared> {
    inputs.gateway = compose.host_has_gateway().then_some(compose.gateway);
    let files = generate_keeping(inputs.spec, Rendering::Docker, &inputs.workspace.kept()?)?;
    let mut stack = stack_of(inputs, Runtime::Docker, &files, inputs.wants(Optional::Grafana));
    let images = &inputs.spec.images;
    for component in stack.components.iter().filter(|one| one.container) {
        let image = match component.name.as_str() {
            "prometheus" => &images.prometheus,
            "alertmanager" => &images.alertmanager,
            "grafana" => &images.grafana,
            _ => &images.node_exporter,
        };
        compose::obtain_image(image, interrupt).with_context(|| match component.name.as_str() {
            name @ ("grafana" | "node-exporter") => {
                format!("{name} can't run (`--without {name}` leaves it out)")
            }
            name => format!("{name} can't run"),
        })?;
    }
    let names = stack
        .components
        .iter()
        .filter(|one| one.container)
        .map(|one| one.name.clone());
    stack.container_configs = names
        .map(|name| (name.clone(), stack::config_of(&files, &name)))
        .collect();
    let plan = Plan {
        services: inputs.host_services()?,
    };
    let needed = needed(inputs, &stack);
    let mut notes = foreign_relayers(inputs);
    let inherited = engine::inherited_volumes(&inputs.workspace.state_dir);
    if !inherited.is_empty() {
        notes.push(format!(
            "the Docker volumes {} were there before; this run goes on with the data in them, and --purge removes them",
            inherited.join(", ")
        ));
    }
    Ok(Prepared {
        stack,
        plan,
        compose: Some(compose),
        needed,
        config: Vec::new(),
        notes,
        listen: inputs.host_addresses(inputs.spec.ports.relayer),
    })
}

/// What to say when Prometheus doesn't scrape the relayer that runs.
fn foreign_relayers(inputs: &Inputs<'_>) -> Vec<String> {
    if inputs.relayer.is_none() || inputs.relayer_is_scraped() {
        return Vec::new();
    }
    vec![format!(
        "`relayers` in {} names other relayers only, so the one that runs here isn't scraped; add {}",
        inputs.workspace.spec_path.display(),
        inputs.own_relayer()[0]
    )]
}

fn stack_of(inputs: &Inputs<'_>, runtime: Runtime, files: &[GeneratedFile], grafana: bool) -> Stack {
    Stack {
        runtime,
        components: inputs.components(runtime == Runtime::Docker, grafana),
        prometheus_url: format!("http://{}", inputs.reach(inputs.spec.ports.prometheus)),
        jobs: inputs.jobs(),
        own_relayer: inputs.own_relayer(),
        rules_expected: stack::count_rules(files),
        root: inputs.workspace.stack_root.clone(),
        container_configs: Vec::new(),
    }
}

fn needed(inputs: &Inputs<'_>, stack: &Stack) -> Vec<Needed> {
    let ports = &inputs.spec.ports;
    let mut needed = Vec::new();
    for component in &stack.components {
        let port = match component.name.as_str() {
            "prometheus" => ports.prometheus,
            "alertmanager" => ports.alertmanager,
            "grafana" => ports.grafana,
            "node-exporter" => ports.node_exporter,
            RELAYER => ports.relayer,
            _ => ports.notification_log,
        };
        // Node Exporter's container shares the host's network, so it needs the same addresses as our processes.
        let addresses = if component.container && component.name != "node-exporter" {
            vec![inputs.address(port)]
        } else {
            inputs.host_addresses(port)
        };
        needed.extend(addresses.into_iter().map(|address| Needed {
            service: component.name.clone(),
            address,
        }));
    }
    needed
}

/// Stops before anything is started when a port that is needed belongs to someone else.
pub(super) fn refuse_taken_ports(workspace: &Workspace, prepared: &Prepared) -> Result<()> {
    let (ours, free_of_check) = held_by_us(&workspace.state_dir, prepared);
    let needed: Vec<Needed> = prepared
        .needed
        .iter()
        .filter(|need| !free_of_check.contains(&need.service))
        .cloned()
        .collect();
    let taken = ports::taken(&needed, &ours);
    if taken.is_empty() {
        return Ok(());
    }
    for one in &taken {
        errln!("error: {one}");
    }
    bail!(
        "nothing was started; free the port{}, or choose others under `ports` in {}",
        if taken.len() == 1 { "" } else { "s" },
        workspace.spec_path.display()
    )
}

/// Our own processes, and the services whose running containers hold their ports.
fn held_by_us(state_dir: &Path, prepared: &Prepared) -> (Vec<u32>, Vec<String>) {
    let state = State::read(state_dir);
    let pids = state
        .iter()
        .flat_map(state::State::alive)
        .map(|process| process.pid)
        .collect();
    let containers = if prepared.compose.is_some() {
        engine::containers(state_dir)
    } else {
        Default::default()
    };
    let running = containers
        .into_iter()
        .filter(|(_, container)| container.state == "running")
        .map(|(name, _)| name);
    (pids, running.collect())
}
