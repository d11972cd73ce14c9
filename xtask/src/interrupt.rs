//! Ctrl-C and SIGTERM as a flag that every wait looks at, so that a command that is cut short can still clean up.

use std::fmt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::process::Identity;

/// The exit code of a command that a signal has cut short, as shells count it for Ctrl-C.
pub(crate) const EXIT_CODE: u8 = 130;
/// Ctrl-C in a terminal reaches the programs that we run as well: they have so long to end by themselves.
const CHILD_ENDS_WITHIN: Duration = Duration::from_secs(1);
/// After a signal of ours they have so long to clean up.
const CHILD_CLEANS_UP_WITHIN: Duration = Duration::from_secs(10);

/// A signal has come.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Remembers that the user (or the system) asked this process to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP for the rest of this process.
    pub(crate) fn install() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("can't watch for Ctrl-C")?;
        }
        Ok(Self(flag))
    }

    /// True once a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// An error once a signal has come.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_set() {
            return Err(Interrupted.into());
        }
        Ok(())
    }

    /// Sleeps; an error as soon as a signal has come.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        self.check()?;
        std::thread::sleep(time);
        self.check()
    }

    /// Runs a program to its end. When a signal comes, it is asked to end, killed when it doesn't, and the answer is
    /// an error.
    pub(crate) fn status(&self, command: &mut Command) -> Result<ExitStatus> {
        self.check()?;
        let mut child = command.spawn()?;
        let identity = Identity::of(child.id());
        let mut since: Option<Instant> = None;
        let mut asked = false;
        loop {
            if let Some(status) = child.try_wait()? {
                self.check()?;
                return Ok(status);
            }
            if self.is_set() {
                let waited = since.get_or_insert_with(Instant::now).elapsed();
                if waited > CHILD_ENDS_WITHIN + CHILD_CLEANS_UP_WITHIN {
                    let _ = child.kill();
                } else if waited > CHILD_ENDS_WITHIN && !asked {
                    asked = true;
                    identity.iter().for_each(|child| child.signal(Signal::TERM));
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
