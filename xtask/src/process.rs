//! Processes of others: is it still the one we started, and how to stop it.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// A process by pid *and* start time: pids are reused, also across a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The process id.
    pub(crate) pid: u32,
    /// When it was started, in the system's own notation (Linux: boot id and clock ticks since boot).
    pub(crate) started: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)
    }
}

impl Identity {
    /// The identity of a live process; `None` when there is none with this pid (a zombie counts as none).
    pub(crate) fn of(pid: u32) -> Option<Self> {
        start_time(pid).map(|started| Self { pid, started })
    }

    /// True while exactly this process lives.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now == *self)
    }

    /// Sends a signal to this process alone, if it still lives.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = raw(self.pid)
        {
            // It may have ended meanwhile; that is what the caller wants to reach anyway.
            let _ = kill_process(pid, signal);
        }
    }

    /// Sends a signal to its process group: services are started as leaders of their own.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = raw(self.pid)
        {
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// Waits until all are gone; those that are left after `time` are returned.
pub(crate) fn wait_gone(mut all: Vec<Identity>, time: Duration) -> Vec<Identity> {
    let end = Instant::now() + time;
    loop {
        all.retain(Identity::is_alive);
        if all.is_empty() || Instant::now() >= end {
            return all;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Stops processes by SIGTERM to their groups, and by SIGKILL those that are left after `grace`.
/// Returns the ones that even then did not go.
pub(crate) fn stop_groups(all: Vec<Identity>, grace: Duration) -> Vec<Identity> {
    for process in &all {
        process.signal_group(Signal::TERM);
    }
    let left = wait_gone(all, grace);
    for process in &left {
        process.signal_group(Signal::KILL);
    }
    wait_gone(left, Duration::from_millis(500))
}

fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, ticks) = parse_stat(&stat)?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{}:{ticks}", boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn start_time(pid: u32) -> Option<String> {
    rustix::process::test_kill_process(raw(pid)?).ok()?;
    let output = std::process::Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, started) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// State and start time of `/proc/<pid>/stat`; the command name in front may hold blanks and brackets.
#[cfg(target_os = "linux")]
fn parse_stat(stat: &str) -> Option<(&str, &str)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?, fields.nth(18)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn knows_itself_and_refuses_a_reused_pid() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let other = Identity {
            started: "another boot:1".into(),
            ..me
        };
        assert!(!other.is_alive());
    }

    #[test]
    fn a_process_that_ignores_term_is_killed() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; while :; do sleep 0.1; done"])
            .process_group(0)
            .spawn()
            .unwrap();
        let identity = Identity::of(child.id()).unwrap();
        // Let the shell set its trap; before, TERM would end it, and the test would show nothing.
        std::thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        let left = stop_groups(vec![identity], Duration::from_millis(300));
        assert!(left.is_empty());
        assert!(
            begun.elapsed() >= Duration::from_millis(300),
            "it ended by TERM: the trap did not hold"
        );
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn command_names_with_brackets_do_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 10";
        assert_eq!(parse_stat(stat), Some(("S", "123456")));
    }
}
