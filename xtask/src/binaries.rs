//! The machine's own programs: where they are, and which version.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A folder that is searched before PATH.
pub(crate) const BIN_DIR: &str = "MONITORING_BIN_DIR";

/// A program under each name that it is shipped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The server.
    Prometheus,
    /// The server.
    Alertmanager,
    /// The exporter.
    NodeExporter,
    /// The server.
    Grafana,
    /// Checks Prometheus' configuration and rules.
    Promtool,
    /// Checks Alertmanager's configuration.
    Amtool,
    /// Compose as a program of its own (1.29, or v2 outside docker's plug-in folders).
    DockerCompose,
    /// What makes a PostgreSQL server's data; the server is beside it.
    Initdb,
    /// The server.
    Redis,
    /// The browser.
    Chromium,
}

impl Program {
    /// Its names, the most telling first: `prometheus-alertmanager` is Debian's.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Prometheus => &["prometheus"],
            Self::Alertmanager => &["prometheus-alertmanager", "alertmanager"],
            Self::NodeExporter => &["prometheus-node-exporter", "node_exporter"],
            Self::Grafana => &["grafana", "grafana-server"],
            Self::Promtool => &["promtool"],
            Self::Amtool => &["amtool"],
            Self::DockerCompose => &["docker-compose"],
            Self::Initdb => &["initdb"],
            Self::Redis => &["redis-server"],
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome"],
        }
    }

    /// Its path: `$MONITORING_BIN_DIR` first, then PATH, and for PostgreSQL where packages hide it.
    pub(crate) fn find(self) -> Option<PathBuf> {
        let mut folders = search_path();
        if self == Self::Initdb {
            folders.extend(postgres_folders(Path::new("/usr/lib/postgresql")));
        }
        find_in(self.names(), &folders)
    }
}

/// Debian keeps the servers of several versions side by side, out of PATH (newest first here); Homebrew links none.
fn postgres_folders(debian: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = debian
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    versions.sort_unstable();
    let brew = ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"]
        .map(|prefix| Path::new(prefix).join("opt/postgresql@17/bin"));
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(brew)
        .collect()
}

/// The folders that are searched, in order.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let own = std::env::var_os(BIN_DIR)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    // Daemons are often kept where only root's PATH looks.
    let more = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    own.into_iter()
        .chain(std::env::split_paths(&path))
        .chain(more)
        .collect()
}

fn find_in(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| is_program(path))
        .map(|path| std::path::absolute(&path).unwrap_or(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// `2.42.0` of a program that answers `--version` as Prometheus and its family do.
pub(crate) fn version(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version");
    let output = output_within(&mut command, Duration::from_secs(5))?;
    parse_version(&format!("{}{}", output.stdout, output.stderr))
}

fn parse_version(text: &str) -> Option<String> {
    let after = text.split("ersion ").nth(1)?;
    let version: String = after
        .trim_start_matches('v')
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    (!version.is_empty()).then_some(version)
}

/// What a short command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Captured {
    /// Exit status 0.
    pub(crate) success: bool,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs a command that must answer soon; `None` when it can't be started or takes longer (it is killed then).
pub(crate) fn output_within(command: &mut Command, time: Duration) -> Option<Captured> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let end = Instant::now() + time;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    Some(Captured {
        success: status.success(),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

/// Reads beside the wait, so that a long answer doesn't fill the pipe.
fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_whole_family() {
        let known = [
            (
                "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2)",
                "2.42.0",
            ),
            ("alertmanager, version 0.33.1 (branch: HEAD)", "0.33.1"),
            ("Version 11.2.0 (commit: abc)", "11.2.0"),
            ("grafana version 13.2.3", "13.2.3"),
            ("Docker Compose version v2.39.4", "2.39.4"),
        ];
        for (text, version) in known {
            assert_eq!(parse_version(text).as_deref(), Some(version));
        }
        assert_eq!(parse_version("no idea"), None);
    }

    #[test]
    fn the_first_folder_wins_and_plain_files_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        for folder in [&one, &two] {
            std::fs::create_dir(folder).unwrap();
        }
        let make = |path: PathBuf, mode| {
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        make(one.join("prometheus-alertmanager"), 0o644);
        make(one.join("alertmanager"), 0o755);
        make(two.join("prometheus-alertmanager"), 0o755);
        let names = Program::Alertmanager.names();
        assert_eq!(
            find_in(names, &[one.clone(), two.clone()]),
            Some(one.join("alertmanager"))
        );
        assert_eq!(
            find_in(names, &[two.clone(), one]),
            Some(two.join("prometheus-alertmanager"))
        );
    }

    #[test]
    fn the_newest_postgres_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9", "15", "16", "lib"] {
            std::fs::create_dir(dir.path().join(version)).unwrap();
        }
        let found = postgres_folders(dir.path());
        let expected = ["16/bin", "15/bin", "9/bin"].map(|folder| dir.path().join(folder));
        assert_eq!(found[..3], expected);
        assert!(found[3..].iter().all(|folder| !folder.starts_with(dir.path())));
    }

    #[test]
    fn a_command_that_hangs_is_given_up() {
        let begun = Instant::now();
        assert_eq!(
            output_within(Command::new("sleep").arg("30"), Duration::from_millis(100)),
            None
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
        let quick = output_within(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Duration::from_secs(10),
        );
        assert_eq!(
            quick,
            Some(Captured {
                success: false,
                stdout: "out\n".into(),
                stderr: "err\n".into()
            })
        );
    }
}
