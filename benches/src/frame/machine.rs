//! What the figures were measured on, and with which versions.

use std::{fmt, fs, path::Path, process::Command, time::SystemTime};

use serde::Serialize;

/// Packages whose versions stand beside the figures.
const VERSIONS: [&str; 3] = ["pool-core", "tokio", "tower"];

/// A machine, its compiler, the versions of the packages that were compared, and the day.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor as the system names it.
    pub processor: String,
    /// Threads that run at once.
    pub threads: usize,
    /// Operating system and its release.
    pub system: String,
    /// The compiler.
    pub rustc: String,
    /// Name and version of what was compared.
    pub versions: Vec<String>,
    /// Year, month and day, by UTC.
    pub date: String,
}

impl Machine {
    /// This one. What can't be found out is called "unknown".
    pub fn here(root: &Path) -> Self {
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
        let past = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            system: said_by("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            rustc: said_by("rustc", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
            versions: VERSIONS.iter().filter_map(|name| version(&lock, name)).collect(),
            date: date(past.as_secs() / 86_400),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, versions) = (self.threads, self.versions.join(", "));
        write!(
            f,
            "{}: {}, {threads} threads, {}; {}; {versions}",
            self.date, self.processor, self.system, self.rustc
        )
    }
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok();
    let named = info.as_deref().and_then(|info| {
        let line = info.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    named.or_else(|| said_by("sysctl", &["-n", "machdep.cpu.brand_string"]))
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Names and versions of these packages, for what a suite compares. Those that the lock file lacks are left out.
pub fn versions(root: &Path, names: &[&str]) -> Vec<String> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    names.iter().filter_map(|name| version(&lock, name)).collect()
}

/// The newest version of a package that the lock file holds.
fn version(lock: &str, name: &str) -> Option<String> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let found = lock.rsplit_once(&entry)?.1;
    Some(format!("{name} {}", found.split('"').next()?))
}

/// A day since 1970 as a date. The days of a civil year, by Howard Hinnant's `civil_from_days`.
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{}-{month:02}-{day:02}", year + era * 400 + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_454), "2026-01-01");
    }

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"tower\"\nversion = \"0.4.0\"\n\n[[package]]\nname = \"tower\"\nversion = \"0.5.3\"\n";
        assert_eq!(version(lock, "tower").as_deref(), Some("tower 0.5.3"));
        assert_eq!(version(lock, "bb8"), None);
    }
}
