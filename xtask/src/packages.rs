//! Missing programs from the system's package manager.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries::{self, Program, output_within};

/// Debian's package of the browser, the only one here that starts no service.
const CHROMIUM: &str = "chromium";

/// The package managers that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// macOS, Linux with Homebrew.
    Brew,
}

impl Manager {
    fn of_this_system() -> Option<Self> {
        let has = |name: &str| {
            binaries::search_path()
                .iter()
                .any(|folder| folder.join(name).is_file())
        };
        if has("apt-get") {
            Some(Self::Apt)
        } else {
            has("brew").then_some(Self::Brew)
        }
    }

    /// The package that brings a program; `None` when it has none.
    fn package(self, program: Program) -> Option<&'static str> {
        match (self, program) {
            (_, Program::Prometheus | Program::Promtool) => Some("prometheus"),
            (Self::Apt, Program::Alertmanager | Program::Amtool) => Some("prometheus-alertmanager"),
            (Self::Apt, Program::NodeExporter) => Some("prometheus-node-exporter"),
            (Self::Brew, Program::Alertmanager | Program::Amtool) => Some("alertmanager"),
            (Self::Brew, Program::NodeExporter) => Some("node_exporter"),
            (Self::Brew, Program::Grafana) => Some("grafana"),
            (Self::Apt, Program::Initdb) => Some("postgresql"),
            (Self::Brew, Program::Initdb) => Some("postgresql@17"),
            (Self::Apt, Program::Redis) => Some("redis-server"),
            (Self::Brew, Program::Redis) => Some("redis"),
            (Self::Apt, Program::Chromium) => Some(CHROMIUM),
            // Debian has no Grafana; its own repository must be added first, which is the user's to decide. Homebrew puts no
            // browser on PATH.
            (Self::Apt, Program::Grafana) | (Self::Brew, Program::Chromium) | (_, Program::DockerCompose) => {
                None
            }
        }
    }

    fn packages(self, programs: &[Program]) -> Vec<&'static str> {
        let mut packages: Vec<_> = programs
            .iter()
            .filter_map(|program| self.package(*program))
            .collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// The commands to run one after another; `sudo` in front where it is needed.
    fn commands(self, packages: &[&str], sudo: bool) -> Vec<Vec<String>> {
        let words = |line: &[&str]| -> Vec<String> {
            let front: &[&str] = if sudo && self == Self::Apt { &["sudo"] } else { &[] };
            front.iter().chain(line).map(|word| (*word).to_owned()).collect()
        };
        match self {
            Self::Apt => {
                let mut install = words(&["apt-get", "install", "-y", "--no-install-recommends"]);
                install.extend(packages.iter().map(|package| (*package).to_owned()));
                vec![words(&["apt-get", "update"]), install]
            }
            Self::Brew => {
                let mut install = words(&["brew", "install"]);
                install.extend(packages.iter().map(|package| (*package).to_owned()));
                vec![install]
            }
        }
    }
}

/// Whether this system's package manager has a package for the program.
pub(crate) fn can_bring(program: Program) -> bool {
    Manager::of_this_system().is_some_and(|manager| manager.package(program).is_some())
}

/// Makes sure that `programs` are there: those that are missing are installed when `yes` or the user agrees.
///
/// # Errors
/// When some are still missing; the message holds the exact command that brings them.
pub(crate) fn obtain(programs: &[Program], yes: bool) -> Result<()> {
    let missing: Vec<Program> = programs
        .iter()
        .copied()
        .filter(|program| program.find().is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.names()[0]).collect();
    let names = names.join(", ");
    let elsewhere = format!("or put them in a folder and name it in ${}", binaries::BIN_DIR);
    let Some(manager) = Manager::of_this_system() else {
        bail!(
            "missing: {names}; no package manager known here (apt-get, brew): install them yourself, {elsewhere}"
        );
    };
    let packages = manager.packages(&missing);
    let root = rustix::process::geteuid().is_root();
    let commands = manager.commands(&packages, !root);
    let shown: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
    let shown = shown.join(" && ");
    if !yes && !asked(&format!("Missing: {names}. Run `{shown}`?"))? {
        bail!(
            "missing: {names}; install them with `{shown}`, or add --yes to let this command do it, {elsewhere}"
        );
    }
    install(manager, &packages, &commands)?;
    let still: Vec<&str> = missing
        .iter()
        .filter(|program| program.find().is_none())
        .map(|program| program.names()[0])
        .collect();
    if !still.is_empty() {
        bail!(
            "`{shown}` succeeded, but {} can't be found in PATH",
            still.join(", ")
        );
    }
    Ok(())
}

/// False without a terminal to ask on.
fn asked(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    crate::output::out(format_args!("{question} [y/N] "));
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn install(manager: Manager, packages: &[&str], commands: &[Vec<String>]) -> Result<()> {
    let new: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| *package != CHROMIUM && !is_installed(manager, package))
        .collect();
    for words in commands {
        outln!("  running   {}", words.join(" "));
        let (program, arguments) = words.split_first().context("an empty command")?;
        let status = Command::new(program)
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Keeps init scripts from starting the services on systems without systemd.
            .env("RUNLEVEL", "1")
            .status()
            .with_context(|| format!("can't run {program}"))?;
        // An update fails as a whole when one of many sources is away; the install then tells.
        let only_update = words.last().is_some_and(|word| word == "update");
        if !status.success() && !only_update {
            bail!("`{}` failed: {status}", words.join(" "));
        }
    }
    if manager == Manager::Apt && Path::new("/run/systemd/system").is_dir() {
        disable_units(&new);
    }
    Ok(())
}

fn is_installed(manager: Manager, package: &str) -> bool {
    if manager != Manager::Apt {
        return false;
    }
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}", package]);
    output_within(&mut query, Duration::from_secs(10)).is_some_and(|found| found.stdout.trim() == "installed")
}

/// Debian starts a package's service right after the installation, on the very ports that we need. Only those that
/// this run brought are stopped: a service that was there before is somebody's.
fn disable_units(new: &[&str]) {
    for package in new {
        let sudo: &[&str] = if rustix::process::geteuid().is_root() {
            &[]
        } else {
            &["sudo"]
        };
        let words: Vec<&str> = sudo
            .iter()
            .chain(&["systemctl", "disable", "--now"])
            .copied()
            .chain([*package])
            .collect();
        let done = Command::new(words[0])
            .args(&words[1..])
            .status()
            .is_ok_and(|status| status.success());
        if done {
            outln!(
                "  disabled  the system's {package} service, which the package had started (`{}`)",
                words.join(" ")
            );
        } else {
            outln!(
                "  notice    `{}` failed; the system's {package} may hold our port",
                words.join(" ")
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manager_has_its_own_names_and_each_package_is_named_once() {
        let all = [
            Program::Prometheus,
            Program::Promtool,
            Program::Alertmanager,
            Program::Amtool,
            Program::NodeExporter,
        ];
        assert_eq!(
            Manager::Apt.packages(&all),
            [
                "prometheus",
                "prometheus-alertmanager",
                "prometheus-node-exporter"
            ]
        );
        assert_eq!(
            Manager::Brew.packages(&all),
            ["alertmanager", "node_exporter", "prometheus"]
        );
        assert_eq!(Manager::Apt.packages(&[Program::Chromium]), ["chromium"]);
        assert!(Manager::Brew.packages(&[Program::Chromium]).is_empty());
    }

    #[test]
    fn only_apt_needs_root() {
        let apt = Manager::Apt.commands(&["prometheus"], true);
        assert_eq!(apt[0].join(" "), "sudo apt-get update");
        assert_eq!(
            apt[1].join(" "),
            "sudo apt-get install -y --no-install-recommends prometheus"
        );
        assert_eq!(
            Manager::Brew.commands(&["prometheus"], true),
            [["brew", "install", "prometheus"]]
        );
    }
}
