//! The Docker runtime: an engine, compose, and the containers of our project.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries::{Program, output_within};
use crate::engine;
use crate::interrupt::Interrupt;

/// Compose's project name: containers, network and volumes carry it.
pub(crate) const PROJECT: &str = "fusion-monitoring";
/// Where the host is on Docker's default bridge unless it was configured otherwise.
const USUAL_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A Docker engine that answers, and a way to call compose.
#[derive(Debug, Clone)]
pub(crate) struct Compose {
    /// `docker compose`, or the path of a `docker-compose`.
    command: Vec<PathBuf>,
    file: PathBuf,
    /// Labels the containers with their owner, once it is written.
    owner: PathBuf,
    /// The host's address as containers see it.
    pub(crate) gateway: Ipv4Addr,
}

impl Compose {
    /// Finds engine and compose; the error says which is missing.
    pub(crate) fn find(root: &Path, state_dir: &Path) -> Result<Self> {
        let info = output_within(Command::new("docker").arg("info"), ENGINE_ANSWERS_WITHIN);
        if !info.is_some_and(|answer| answer.success) {
            bail!("no Docker engine answers (`docker info`)");
        }
        let plugin = output_within(
            Command::new("docker").args(["compose", "version"]),
            ENGINE_ANSWERS_WITHIN,
        );
        let command = if plugin.is_some_and(|answer| answer.success) {
            vec![PathBuf::from("docker"), PathBuf::from("compose")]
        } else if let Some(program) = Program::DockerCompose.find() {
            vec![program]
        } else {
            bail!("a Docker engine answers, but there is neither `docker compose` nor `docker-compose`");
        };
        Ok(Self {
            command,
            file: root.join("docker-compose.monitoring.yml"),
            owner: engine::owner_file(state_dir),
            gateway: gateway(),
        })
    }

    /// A compose command of our project.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(["-p", PROJECT, "-f"])
            .arg(&self.file);
        if self.owner.is_file() {
            command.arg("-f").arg(&self.owner);
        }
        command
            .args(arguments)
            .env("FUSION_HOST_GATEWAY", self.gateway.to_string())
            .env("COMPOSE_IGNORE_ORPHANS", "true")
            .stdin(Stdio::null());
        command
    }

    /// Runs a compose command whose output the user sees.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        let status = self.command(arguments).status().context("can't run compose")?;
        if !status.success() {
            bail!("`docker compose {}` failed: {status}", arguments.join(" "));
        }
        Ok(())
    }

    /// Like [`Self::run`], but ends early, with an error, when a signal has come.
    pub(crate) fn run_unless_interrupted(&self, arguments: &[&str], interrupt: &Interrupt) -> Result<()> {
        let status = interrupt
            .status(&mut self.command(arguments))
            .context("can't run compose")?;
        if !status.success() {
            bail!("`docker compose {}` failed: {status}", arguments.join(" "));
        }
        Ok(())
    }

    /// The last lines of a container's log.
    pub(crate) fn log(&self, service: &str, lines: usize) -> Vec<String> {
        let tail = lines.to_string();
        let mut command = self.command(&["logs", "--no-color", "--tail", &tail, service]);
        let Some(output) = output_within(&mut command, ENGINE_ANSWERS_WITHIN) else {
            return Vec::new();
        };
        output.stdout.lines().map(str::to_owned).collect()
    }

    /// True when the host itself has the gateway's address, so that our own processes can listen on it. It has not
    /// where the engine runs in a virtual machine; there `host.docker.internal` leads to the loopback address.
    pub(crate) fn host_has_gateway(&self) -> bool {
        TcpListener::bind((IpAddr::V4(self.gateway), 0)).is_ok()
    }
}

fn gateway() -> Ipv4Addr {
    let mut command = Command::new("docker");
    command.args([
        "network",
        "inspect",
        "bridge",
        "--format",
        "{{range .IPAM.Config}}{{.Gateway}} {{end}}",
    ]);
    output_within(&mut command, ENGINE_ANSWERS_WITHIN)
        .and_then(|answer| {
            answer
                .stdout
                .split_whitespace()
                .find_map(|word| word.parse().ok())
        })
        .unwrap_or(USUAL_GATEWAY)
}

/// Makes sure that an image is here.
pub(crate) fn obtain_image(image: &str, interrupt: &Interrupt) -> Result<()> {
    let here = output_within(
        Command::new("docker").args(["image", "inspect", image]),
        ENGINE_ANSWERS_WITHIN,
    );
    if here.is_some_and(|answer| answer.success) {
        return Ok(());
    }
    outln!("  pulling   {image}");
    let mut pull = Command::new("docker");
    pull.args(["pull", image]).stdin(Stdio::null());
    let status = interrupt.status(&mut pull).context("can't run docker")?;
    if !status.success() {
        bail!("the image {image} is not on this machine and can't be pulled");
    }
    Ok(())
}
