//! A process of the laboratory: started with a log of its own, never left behind.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::interrupt::Interrupt;
use crate::logs;
use crate::process::Identity;

/// How often something is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is started, and again after it was killed.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// Below it are the logs.
    pub(super) folder: PathBuf,
}

/// A running process; killed with its group when dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    identity: Option<Identity>,
    log: PathBuf,
    name: String,
    /// Where in the log its own lines begin.
    begin: usize,
}

impl Program {
    pub(super) fn start(&self) -> Result<Running> {
        let (program, arguments) = self.argv.split_first().context("no program is named")?;
        let log = logs::open(&self.folder, &self.name)?;
        let begin = log.metadata().map_or(0, |meta| meta.len());
        let child = Command::new(program)
            .args(arguments)
            .envs(&self.env)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in a terminal is ours to handle: they end when we have told what was found.
            .process_group(0)
            .spawn()
            .with_context(|| format!("can't start {program}"))?;
        Ok(Running {
            identity: Identity::of(child.id()),
            child,
            log: logs::path(&self.folder, &self.name),
            name: self.name.clone(),
            begin: usize::try_from(begin).unwrap_or(usize::MAX),
        })
    }
}

impl Running {
    /// What it has written since it was started.
    pub(super) fn output(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.begin..).unwrap_or_default()).into_owned()
    }

    /// Waits until `look` finds something; an error that shows the end of its log when that takes too long or it ends.
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        interrupt: &Interrupt,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + within;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() >= end {
                let why = ended.map_or_else(
                    || format!("not within {} s", within.as_secs()),
                    |status| format!("it ended: {status}"),
                );
                bail!(
                    "{}: {what}: {why}\n  {}",
                    self.name,
                    logs::tail(&self.log, 10).join("\n  ")
                );
            }
            interrupt.sleep(LOOK_EVERY)?;
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(identity) = &self.identity {
            identity.signal(signal);
        }
    }

    /// Kills it, as a machine that loses its power does.
    pub(super) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(identity) = &self.identity {
            identity.signal_group(Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits until `look` finds something; `None` when the time is over.
pub(super) fn until<T>(
    end: f64,
    interrupt: &Interrupt,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if now() >= end {
            return Ok(None);
        }
        interrupt.sleep(LOOK_EVERY)?;
    }
}

/// Seconds since 1970, as Prometheus stamps its samples.
pub(super) fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// A port that is free now, on loopback.
///
/// It lies below those that systems give to whoever asks for any (from 32768 on Linux): else a connection of another program may
/// have it before its own server starts. Each process begins elsewhere.
pub(super) fn free_port() -> Result<u16> {
    const FIRST: u32 = 10_240;
    const COUNT: u32 = 22_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let turn = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + std::process::id().wrapping_mul(64).wrapping_add(turn) % COUNT;
        let port = u16::try_from(port)?;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of loopback is free from {FIRST} on")
}

/// Writes a file, and the folders above it.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}
