//! What the tests of the real binary share: a folder of their own, free ports, bounded waits.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test programs, each of which uses a part"
)]
#![allow(missing_debug_implementations, reason = "only tests see it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A place where nothing of the workspace is touched.
pub struct Place {
    folder: tempfile::TempDir,
    /// Searched for programs before PATH, when set.
    pub bin_dir: Option<PathBuf>,
}

impl Place {
    /// An empty place; the spec is all defaults.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::write(folder.path().join("spec.yaml"), "").unwrap();
        Self {
            folder,
            bin_dir: None,
        }
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts the runbooks that are written beside the generated files; without them skeletons are generated, and `validate`
    /// asks for their text.
    pub fn with_runbooks(self) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring/runbooks");
        let to = self.path("out/monitoring/runbooks");
        std::fs::create_dir_all(&to).unwrap();
        for page in std::fs::read_dir(from).unwrap() {
            let page = page.unwrap();
            std::fs::copy(page.path(), to.join(page.file_name())).unwrap();
        }
        self
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes the spec.
    pub fn spec(&self, text: &str) {
        std::fs::write(self.path("spec.yaml"), text).unwrap();
    }

    /// A spec whose ports nobody uses, and the port of Prometheus.
    pub fn spec_with_free_ports(&self, more: &str) -> u16 {
        let ports = [(); 6].map(|()| e2e::place::free_port().unwrap());
        self.spec(&format!(
            "ports: {{relayer: {}, prometheus: {}, alertmanager: {}, grafana: {}, node_exporter: {}, notification_log: {}}}\n{more}",
            ports[0], ports[1], ports[2], ports[3], ports[4], ports[5]
        ));
        ports[1]
    }

    /// The binary with this place's folders.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--spec")
            .arg(self.path("spec.yaml"))
            .arg("--out")
            .arg(self.path("out"))
            .arg("--state-dir")
            .arg(self.state())
            .args(arguments)
            .stdin(Stdio::null());
        match &self.bin_dir {
            Some(folder) => command.env("MONITORING_BIN_DIR", folder),
            None => &mut command,
        };
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// Programs that do as `script` says, under the names of the real ones.
    pub fn stand_ins(&mut self, script: &str) {
        let folder = self.path("bin");
        std::fs::create_dir_all(&folder).unwrap();
        for name in [
            "prometheus",
            "prometheus-alertmanager",
            "prometheus-node-exporter",
        ] {
            executable(&folder.join(name), script);
        }
        self.bin_dir = Some(folder);
    }
}

impl Drop for Place {
    /// Whatever a failed assertion left running must not outlive the test.
    fn drop(&mut self) {
        if self.state().is_dir() {
            let _ = self.command(&["monitoring-down"]).output();
        }
    }
}

/// Writes a shell script.
pub fn executable(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// From the finished process.
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code; shows everything when it differs.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// Looks every 20 ms until `found` gives something; fails after ten seconds.
#[track_caller]
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// True while a process with this id runs (a zombie doesn't).
pub fn alive(pid: u64) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&output.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Sends a signal by name.
pub fn kill(signal: &str, pid: u64) {
    Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .unwrap();
}

/// A JSON file, once it is there and whole.
pub fn json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
