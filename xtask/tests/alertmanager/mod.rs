//! A real Alertmanager with the generated configuration, for each one on this machine.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test programs, each of which uses a part"
)]
#![allow(missing_debug_implementations, reason = "only tests see it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use monitoring_provisioning::{Runtime, Spec, generate};
use serde_json::{Value, json};

/// Who fires: instance, pool, how many endpoints (0: the alert is the pool's, or the relayer's without a pool).
pub type Fires = (&'static str, &'static str, &'static str, usize);

/// A test with one Alertmanager.
pub type Test = fn(&Path) -> Result<(), Failed>;

/// Runs the tests with the Alertmanager of PATH and with the one in the folder that the environment names.
///
/// They run with MONITORING_E2E=1, as `cargo xtask test` sets it; else they are reported as ignored, with the reason.
pub fn run(tests: &[(&'static str, Test)]) -> ExitCode {
    let arguments = Arguments::from_args();
    let wanted = std::env::var_os("MONITORING_E2E").is_some_and(|value| value == "1");
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"];
    let bin_dir = named.into_iter().find_map(std::env::var_os).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |folders: Vec<PathBuf>| {
        let mut candidates = folders
            .iter()
            .flat_map(|folder| ["prometheus-alertmanager", "alertmanager"].map(|name| folder.join(name)));
        candidates.find(|candidate| candidate.is_file())
    };
    let mut trials = Vec::new();
    for (name, program, missing) in [
        (
            "path",
            find(std::env::split_paths(&path).collect()),
            "alertmanager is not in PATH",
        ),
        (
            "bin_dir",
            find(bin_dir.into_iter().collect()),
            "neither MONITORING_BIN_DIR nor MONITORING_NEWEST_BIN_DIR has alertmanager",
        ),
    ] {
        let reason = match (&program, wanted) {
            (_, false) => Some("MONITORING_E2E=1 is not set"),
            (None, true) => Some(missing),
            (Some(_), true) => None,
        };
        for &(test, run) in tests {
            let title = format!("{test}::{name}");
            if let Some(reason) = reason {
                println!("not run: {title}: {reason}");
            }
            let program = program.clone().unwrap_or_default();
            trials.push(Trial::test(title, move || run(&program)).with_ignored_flag(reason.is_some()));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A process that ends with the test.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody uses.
pub fn free_port() -> u16 {
    e2e::place::free_port().unwrap()
}

/// Alertmanager with the generated configuration, once it is ready.
pub fn start(
    alertmanager: &Path,
    folder: &Path,
    spec: &Spec,
    port: u16,
    change: impl Fn(String) -> String,
) -> Result<Server, Failed> {
    for file in generate(spec, Runtime::Native { root: folder })? {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap())?;
        let contents = if path.ends_with("alertmanager/config.yml") {
            change(file.contents)
        } else {
            file.contents
        };
        std::fs::write(path, contents)?;
    }
    let config = folder.join("monitoring/alertmanager/config.yml");
    let server = Server(
        Command::new(alertmanager)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("alertmanager.log"))?)
            .spawn()?,
    );
    ready(&format!("http://127.0.0.1:{port}/-/ready"), folder)?;
    Ok(server)
}

/// Waits until an address answers.
pub fn ready(url: &str, folder: &Path) -> Result<(), Failed> {
    let end = Instant::now() + Duration::from_secs(20);
    while ureq::get(url).call().is_err() {
        if Instant::now() > end {
            let log = std::fs::read_to_string(folder.join("alertmanager.log")).unwrap_or_default();
            return Err(format!("{url} does not answer\n{log}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Alerts as Prometheus would send them.
pub fn alerts_of((name, instance, pool, endpoints): Fires, severity: &str, team: &str) -> Vec<Value> {
    let mut labels = json!({ "alertname": name, "severity": severity, "team": team });
    for (label, value) in [("instance", instance), ("pool", pool)] {
        if !value.is_empty() {
            labels[label] = value.into();
        }
    }
    let annotations = json!({ "summary": name, "description": name });
    if endpoints == 0 {
        return vec![json!({ "labels": labels, "annotations": annotations })];
    }
    (0..endpoints)
        .map(|endpoint| {
            let mut labels = labels.clone();
            labels["endpoint"] = format!("e{endpoint}").into();
            json!({ "labels": labels, "annotations": annotations })
        })
        .collect()
}
