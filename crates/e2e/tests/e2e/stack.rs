//! Two nodes, a relayer that works through them, and the monitoring stack around it, all on ports of their own.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use e2e::{
    http, place,
    process::{self, Running},
    wait,
};
use serde_json::Value;
use tempfile::TempDir;

/// A secret that must appear nowhere but in the environment.
pub(crate) const KEY: &str = "SECRETKEY-e2e";

/// Time runs so many times faster in the stack under test.
const TIME_SCALE: u32 = 20;

pub(crate) struct Ports {
    pub(crate) relayer: u16,
    pub(crate) prometheus: u16,
    pub(crate) alertmanager: u16,
    pub(crate) nodes: [u16; 2],
    /// Where the nodes are told what to do wrong.
    pub(crate) controls: [u16; 2],
}

/// The folder, files and processes of one test. Brings the stack down when dropped.
pub(crate) struct Stack {
    folder: TempDir,
    pub(crate) ports: Ports,
    binaries: Option<PathBuf>,
    nodes: [Option<Running>; 2],
    xtask: PathBuf,
    up: bool,
}

impl Stack {
    /// Writes the spec and the relayer's configuration; starts the nodes. `binaries` is a folder with the servers; what
    /// is on PATH otherwise.
    pub(crate) fn new(binaries: Option<&Path>) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        let ports = Ports {
            relayer: place::free_port()?,
            prometheus: place::free_port()?,
            alertmanager: place::free_port()?,
            nodes: [place::free_port()?, place::free_port()?],
            controls: [place::free_port()?, place::free_port()?],
        };
        std::fs::write(folder.path().join("monitoring.yaml"), spec(&ports)?)?;
        std::fs::write(folder.path().join("pools.yaml"), pools(&ports))?;
        let mut stack = Self {
            folder,
            ports,
            binaries: binaries.map(Path::to_owned),
            nodes: [None, None],
            xtask: place::program("xtask")?,
            up: false,
        };
        stack.start_node(0)?;
        stack.start_node(1)?;
        Ok(stack)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start_node(&mut self, which: usize) -> Result<()> {
        let listen = format!("127.0.0.1:{}", self.ports.nodes[which]);
        let control = format!("127.0.0.1:{}", self.ports.controls[which]);
        let args = [
            "--chain-id",
            "1",
            "--block-time",
            "500ms",
            "--seed",
            "7",
            "--listen",
            &listen,
            "--control",
            &control,
        ];
        let node = Running::start(
            &place::program("devnet")?,
            &args,
            &[],
            self.path(&format!("node-{which}.log")),
        )?;
        let ready = || node.log().contains("devnet ready").then_some(());
        wait::until("a node serves", Duration::from_secs(10), ready, || node.log())?;
        self.nodes[which] = Some(node);
        Ok(())
    }

    pub(crate) fn kill_node(&mut self, which: usize) -> Result<()> {
        self.nodes[which].take().context("the node runs")?.kill()
    }

    /// Tells a node what to do: a request to its control endpoint.
    pub(crate) fn tell_node(&self, which: usize, method: &str, path: &str, body: &Value) -> Result<()> {
        let url = format!("http://127.0.0.1:{}{path}", self.ports.controls[which]);
        http::send(method, &url, body)
    }

    /// Starts the relayer and waits until its pool is ready.
    pub(crate) fn start_relayer(&self) -> Result<Running> {
        let config = self.path("pools.yaml").display().to_string();
        let listen = format!("127.0.0.1:{}", self.ports.relayer);
        let args = ["--config", &config, "--listen", &listen];
        let relayer = Running::start(
            &place::program("relayer")?,
            &args,
            &[("NODE_KEY", KEY)],
            self.path("relayer.log"),
        )?;
        let url = format!("http://127.0.0.1:{}/readyz", self.ports.relayer);
        let log = || relayer.log();
        wait::until(
            "the relayer is ready",
            Duration::from_secs(20),
            || http::text(&url).ok(),
            log,
        )?;
        Ok(relayer)
    }

    /// Runs xtask on this stack's spec and state.
    pub(crate) fn xtask(&self, args: &[&str]) -> Result<Output> {
        let (spec, state, out) = (self.path("monitoring.yaml"), self.path("state"), self.path("out"));
        let mut all: Vec<&str> = args.to_vec();
        let text = |path: &Path| path.display().to_string();
        let (spec, state, out) = (text(&spec), text(&state), text(&out));
        all.extend(["--spec", &spec, "--state-dir", &state, "--out", &out]);
        let folder = self.binaries.as_deref().map(text);
        let mut env = vec![("NODE_KEY", KEY)];
        env.extend(folder.as_deref().map(|folder| ("MONITORING_BIN_DIR", folder)));
        let without: &[&str] = if folder.is_some() {
            &[]
        } else {
            &["MONITORING_BIN_DIR"]
        };
        process::run(&self.xtask, &all, &env, without)
    }

    /// `monitoring-up`, which must succeed.
    pub(crate) fn up(&mut self, args: &[&str]) -> Result<()> {
        self.up = true;
        let said = self.succeed("monitoring-up", args)?;
        println!("{said}");
        Ok(())
    }

    /// `monitoring-down`, which must succeed.
    pub(crate) fn down(&mut self, args: &[&str]) -> Result<()> {
        self.succeed("monitoring-down", args)?;
        self.up = false;
        Ok(())
    }

    fn succeed(&self, command: &str, args: &[&str]) -> Result<String> {
        let output = self.xtask(&[&[command], args].concat())?;
        ensure!(
            output.status.success(),
            "{command} failed: {}",
            process::said(&output)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Both frozen scrape jobs are UP, by Prometheus' own word.
    pub(crate) fn both_jobs_are_up(&self) -> Result<()> {
        let seen = || http::query(self.ports.prometheus, "up == 1").unwrap_or_default();
        let up = || {
            let results = seen();
            let is_up = |job: &str| results.iter().any(|result| result["metric"]["job"] == job);
            (is_up("fusion-relayer") && is_up("connection-pools")).then_some(())
        };
        wait::until("both scrape jobs are UP", Duration::from_secs(20), up, || {
            format!("{:?}", seen())
        })
    }

    /// The names of the rules that Prometheus has loaded.
    pub(crate) fn rules(&self) -> Result<Vec<String>> {
        let answer = http::json(&format!(
            "http://127.0.0.1:{}/api/v1/rules",
            self.ports.prometheus
        ))?;
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        Ok(rules
            .filter_map(|rule| rule["name"].as_str().map(str::to_owned))
            .collect())
    }

    /// Alerts that were delivered to the webhook, oldest first.
    pub(crate) fn delivered(&self) -> Vec<Value> {
        let lines = std::fs::read_to_string(self.path("state/notifications.jsonl")).unwrap_or_default();
        let payloads = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        payloads
            .flat_map(|payload| payload["alerts"].as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// Waits for an alert of that name and status on that endpoint.
    pub(crate) fn alert(&self, name: &str, status: &str, endpoint: &str, within: Duration) -> Result<Value> {
        let found = || {
            let matches = |alert: &Value| {
                alert["labels"]["alertname"] == name
                    && alert["status"] == status
                    && alert["labels"]["endpoint"] == endpoint
            };
            self.delivered().into_iter().rev().find(matches)
        };
        let what = format!("{name} {status} for {endpoint} is delivered");
        wait::until(&what, within, found, || {
            format!("delivered so far: {:#?}", self.delivered())
        })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.up {
            match self.xtask(&["monitoring-down", "--purge"]) {
                Ok(output) if output.status.success() => {}
                Ok(output) => eprintln!("monitoring-down failed: {}", process::said(&output)),
                Err(error) => eprintln!("monitoring-down failed: {error:?}"),
            }
        }
    }
}

fn spec(ports: &Ports) -> Result<String> {
    let (grafana, node, log) = (place::free_port()?, place::free_port()?, place::free_port()?);
    let Ports {
        relayer,
        prometheus,
        alertmanager,
        ..
    } = ports;
    Ok(format!(
        "time_scale: {TIME_SCALE}\n\
         ports:\n  relayer: {relayer}\n  prometheus: {prometheus}\n  alertmanager: {alertmanager}\n  grafana: {grafana}\n  \
         node_exporter: {node}\n  notification_log: {log}\n"
    ))
}

/// One pool over both nodes. The key stands where providers have it.
fn pools(ports: &Ports) -> String {
    let [first, second] = ports.nodes;
    format!(
        "pools:\n- id: ethereum\n  dialect: evm\n  chain_id: 1\n  endpoints:\n  \
         - id: first\n    url: http://127.0.0.1:{first}/v2/${{NODE_KEY}}\n  \
         - id: second\n    url: http://127.0.0.1:{second}/v2/${{NODE_KEY}}\n  \
         settings:\n    health: {{ interval: 500ms, timeout: 400ms }}\n  \
         follow: {{ poll_interval: 200ms, requests_per_second: 50 }}\n"
    )
}
