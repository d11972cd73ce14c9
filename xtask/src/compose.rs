//! The Docker runtime: an engine, compose, and the containers of our project.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries::{Program, output_within};

/// Compose's project name: containers, network and volumes carry it.
pub(crate) const PROJECT: &str = "fusion-monitoring";
/// Where the host is on Docker's default bridge unless it was configured otherwise.
const USUAL_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const LABEL: &str = "com.docker.compose.project=fusion-monitoring";

/// A Docker engine that answers, and a way to call compose.
#[derive(Debug, Clone)]
pub(crate) struct Compose {
    /// `docker compose`, or the path of a `docker-compose`.
    command: Vec<PathBuf>,
    file: PathBuf,
    /// The host's address as containers see it.
    pub(crate) gateway: Ipv4Addr,
}

/// A container of our project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// `running`, `exited`, …
    pub(crate) state: String,
    /// The process on the host; `None` when it doesn't run or the engine is elsewhere.
    pub(crate) pid: Option<u32>,
    /// How often the engine started it again.
    pub(crate) restarts: u32,
    /// The image's tag.
    pub(crate) version: Option<String>,
}

impl Compose {
    /// Finds engine and compose; the error says which is missing.
    pub(crate) fn find(root: &Path) -> Result<Self> {
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
            gateway: gateway(),
        })
    }

    /// A compose command of our project.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(["-p", PROJECT, "-f"])
            .arg(&self.file)
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
pub(crate) fn obtain_image(image: &str) -> Result<()> {
    let here = output_within(
        Command::new("docker").args(["image", "inspect", image]),
        ENGINE_ANSWERS_WITHIN,
    );
    if here.is_some_and(|answer| answer.success) {
        return Ok(());
    }
    println!("  pulling   {image}");
    let status = Command::new("docker")
        .args(["pull", image])
        .stdin(Stdio::null())
        .status()
        .context("can't run docker")?;
    if !status.success() {
        bail!("the image {image} is not on this machine and can't be pulled");
    }
    Ok(())
}

/// Our containers by service, running or not; empty when no engine answers.
pub(crate) fn containers() -> BTreeMap<String, Container> {
    let mut list = Command::new("docker");
    list.args(["ps", "-aq", "--filter", &format!("label={LABEL}")]);
    let ids = output_within(&mut list, ENGINE_ANSWERS_WITHIN)
        .map(|answer| answer.stdout)
        .unwrap_or_default();
    if ids.trim().is_empty() {
        return BTreeMap::new();
    }
    let mut inspect = Command::new("docker");
    let format = "{{index .Config.Labels \"com.docker.compose.service\"}}\t{{.State.Status}}\t{{.State.Pid}}\t{{.RestartCount}}\t{{.Config.Image}}";
    inspect
        .args(["inspect", "--format", format])
        .args(ids.split_whitespace());
    let answer = output_within(&mut inspect, ENGINE_ANSWERS_WITHIN)
        .map(|answer| answer.stdout)
        .unwrap_or_default();
    answer.lines().filter_map(parse_container).collect()
}

fn parse_container(line: &str) -> Option<(String, Container)> {
    let mut fields = line.split('\t');
    let service = fields.next()?.to_owned();
    let state = fields.next()?.to_owned();
    let pid = fields.next()?.parse().ok().filter(|pid| *pid != 0);
    let restarts = fields.next()?.parse().ok()?;
    let version = fields.next()?.rsplit_once(':').map(|(_, tag)| tag.to_owned());
    Some((
        service,
        Container {
            state,
            pid,
            restarts,
            version,
        },
    ))
}

/// Removes every container and network of our project; with `purge` the volumes, too. Says what it removed.
///
/// Needs no compose file: it works after the file has changed or gone.
pub(crate) fn remove(root: &Path, purge: bool) -> Result<Vec<String>> {
    let names: Vec<String> = containers().into_keys().collect();
    if names.is_empty() && !purge {
        return Ok(names);
    }
    let compose = match Compose::find(root) {
        Ok(compose) => compose,
        // Without an engine there is nothing of ours, volumes included.
        Err(_) if names.is_empty() => return Ok(names),
        Err(error) => return Err(error),
    };
    let mut arguments = vec!["down", "--remove-orphans", "--timeout", "2"];
    if purge {
        arguments.push("--volumes");
    }
    let output = compose
        .command(&arguments)
        .output()
        .context("can't run compose")?;
    if !output.status.success() {
        bail!(
            "`docker compose down` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_from_the_engines_answer() {
        let (name, container) =
            parse_container("prometheus\trunning\t4711\t2\tprom/prometheus:v3.5.3").unwrap();
        assert_eq!(name, "prometheus");
        let expected = Container {
            state: "running".into(),
            pid: Some(4711),
            restarts: 2,
            version: Some("v3.5.3".into()),
        };
        assert_eq!(container, expected);
        assert_eq!(
            parse_container("grafana\texited\t0\t0\tgrafana").unwrap().1.pid,
            None
        );
        assert_eq!(parse_container("half a line"), None);
    }
}
