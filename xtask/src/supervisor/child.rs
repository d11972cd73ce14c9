//! One supervised process: started when due, started again with growing pauses when it ends by itself.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::say;
use crate::logs;
use crate::plan::ServicePlan;
use crate::process::Identity;
use crate::state::ServiceState;

/// Pause before the first restart; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A service that ran this long was well: the next pause is the first one again.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How long a start waits for the services before it.
const WAIT_FOR_AT_MOST: Duration = Duration::from_secs(4);

/// How long to wait before the next start after `failures` ends in a row (at least one).
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST_PAUSE)
}

/// A process and what is known about it.
#[derive(Debug)]
pub(super) struct Supervised {
    pub(super) plan: ServicePlan,
    running: Option<Running>,
    start_at: Instant,
    wanted_since: Instant,
    failures: u32,
    restarts: u32,
    last_exit: Option<String>,
    /// Its next end was asked for, so it is no crash.
    expected_end: bool,
}

#[derive(Debug)]
struct Running {
    child: Child,
    identity: Option<Identity>,
    since: Instant,
}

impl Supervised {
    pub(super) fn new(plan: ServicePlan) -> Self {
        let now = Instant::now();
        Self {
            plan,
            running: None,
            start_at: now,
            wanted_since: now,
            failures: 0,
            restarts: 0,
            last_exit: None,
            expected_end: false,
        }
    }

    pub(super) fn process(&self) -> Option<Identity> {
        self.running.as_ref().and_then(|running| running.identity.clone())
    }

    pub(super) fn state(&self) -> ServiceState {
        ServiceState {
            name: self.plan.name.clone(),
            process: self.process(),
            restarts: self.restarts,
            last_exit: self.last_exit.clone(),
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = self.process() {
            process.signal(signal);
        }
    }

    /// The caller stops the process; its end then isn't a crash, and it is started anew at once.
    pub(super) fn restart_when_stopped(&mut self) {
        self.expected_end = self.running.is_some();
        self.failures = 0;
        self.start_at = Instant::now();
        self.wanted_since = self.start_at;
    }

    /// Collects the exit status after a stop.
    pub(super) fn reap(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.wait();
        }
    }

    /// Notices an end; starts the process when that is due.
    pub(super) fn tick(&mut self, state_dir: &Path, now: Instant) {
        if let Some(running) = &mut self.running {
            match running.child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) => {
                    let lived = running.since.elapsed();
                    self.running = None;
                    self.ended(status, lived, now);
                }
                Err(error) => {
                    say(&format!("{}: can't be watched: {error}", self.plan.name));
                    return;
                }
            }
        }
        if now >= self.start_at && self.may_start(now) {
            self.start(state_dir, now);
        }
    }

    fn ended(&mut self, status: ExitStatus, lived: Duration, now: Instant) {
        if std::mem::take(&mut self.expected_end) {
            return;
        }
        if lived >= WELL_AFTER {
            self.failures = 0;
        }
        self.failed(status.to_string(), now);
    }

    fn failed(&mut self, why: String, now: Instant) {
        self.failures += 1;
        let pause = pause(self.failures);
        say(&format!(
            "{}: ended ({why}); next start in {} s",
            self.plan.name,
            pause.as_secs()
        ));
        self.last_exit = Some(why);
        self.start_at = now + pause;
        self.restarts += 1;
    }

    fn may_start(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.wanted_since) >= WAIT_FOR_AT_MOST
            || self.plan.wait_for.iter().all(|address| accepts(*address))
    }

    fn start(&mut self, state_dir: &Path, now: Instant) {
        match launch(&self.plan, state_dir) {
            Ok(child) => {
                let identity = Identity::of(child.id());
                say(&format!("{}: started as pid {}", self.plan.name, child.id()));
                self.running = Some(Running {
                    child,
                    identity,
                    since: now,
                });
            }
            Err(error) => self.failed(format!("can't be started: {error:#}"), now),
        }
    }
}

fn launch(plan: &ServicePlan, state_dir: &Path) -> anyhow::Result<Child> {
    let Some((program, arguments)) = plan.argv.split_first() else {
        anyhow::bail!("no program is named")
    };
    let log = logs::open(state_dir, &plan.name)?;
    Ok(Command::new(program)
        .args(arguments)
        .envs(&plan.env)
        .current_dir(&plan.cwd)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: a stop reaches what the service itself has started as well.
        .process_group(0)
        .spawn()?)
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(50)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let seconds: Vec<u64> = (1..=8).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
