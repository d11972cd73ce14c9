//! Processes that end with the test that started them.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::wait;

/// A running program whose output goes to a file. Killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program.
    ///
    /// # Errors
    /// When it can't be started or its log can't be written.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        args: &[S],
        env: &[(&str, &str)],
        log: PathBuf,
    ) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context("opening a log")?;
        let child = Command::new(program)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it without warning, as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("killing a process")?;
        self.child.wait().context("waiting for a killed process")?;
        Ok(())
    }

    /// Asks it to end, as an operator would, and waits.
    ///
    /// # Errors
    /// When it doesn't end in time.
    pub fn terminate(mut self, within: Duration) -> Result<ExitStatus> {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .context("sending SIGTERM")?;
        let child = &mut self.child;
        wait::until(
            "a process ends on SIGTERM",
            within,
            || child.try_wait().ok().flatten(),
            String::new,
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it can't be started.
pub fn run<S: AsRef<OsStr>>(
    program: &Path,
    args: &[S],
    env: &[(&str, &str)],
    without: &[&str],
) -> Result<Output> {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied()).stdin(Stdio::null());
    for name in without {
        command.env_remove(name);
    }
    command
        .output()
        .with_context(|| format!("running {}", program.display()))
}

/// A process's two outputs, for a failure's message.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}
