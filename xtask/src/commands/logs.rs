//! `monitoring-logs`: the end of one log or of all, and what comes after.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, bail};
use signal_hook::consts::SIGPIPE;

use crate::cli::Logs;
use crate::compose::Compose;
use crate::failure::BadInput;
use crate::interrupt::Interrupt;
use crate::logs::{Follower, path, tail};
use crate::output::{self, Out};
use crate::stack::NOTIFICATION_LOG;
use crate::state::Stack;
use crate::supervisor::LOG;
use crate::workspace::Workspace;

/// What a user calls the notification log's output.
const NOTIFICATIONS: &str = "notifications";

pub(super) fn run(workspace: &Workspace, options: &Logs) -> Result<u8> {
    let state_dir = &workspace.state_dir;
    let containers: Vec<String> = Stack::read(state_dir)
        .map(|stack| {
            stack
                .components
                .into_iter()
                .filter(|one| one.container)
                .map(|one| one.name)
                .collect()
        })
        .unwrap_or_default();
    match &options.service {
        None => show_all(workspace, options, &containers),
        Some(name) if containers.contains(name) => container(workspace, options, name),
        Some(name) => {
            let name = if name == NOTIFICATIONS {
                NOTIFICATION_LOG
            } else {
                name
            };
            let file = path(state_dir, name);
            if !is_plain(name) || !file.is_file() {
                return Err(BadInput(unknown(name, state_dir, &containers)).into());
            }
            show(&file, options.lines)?;
            if options.follow {
                follow(&mut [Follower::from_end(file)])?;
            }
            Ok(0)
        }
    }
}

/// The folder of the run's compose file, whichever spec it was started with.
fn compose_root(workspace: &Workspace) -> PathBuf {
    Stack::read(&workspace.state_dir).map_or_else(|| workspace.stack_root.clone(), |stack| stack.root)
}

/// A name, not a path that leads elsewhere.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn unknown(name: &str, state_dir: &Path, containers: &[String]) -> String {
    let mut known = files(state_dir);
    known.extend(containers.iter().cloned());
    if known.is_empty() {
        return "there are no logs yet; start the stack with `cargo xtask monitoring-up`".to_owned();
    }
    format!("there is no log of `{name}`; there are: {}", known.join(", "))
}

fn files(state_dir: &Path) -> Vec<String> {
    let folder = std::fs::read_dir(state_dir.join("logs"));
    let mut names: Vec<String> = folder
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".log")
                .map(str::to_owned)
        })
        .collect();
    names.sort_by_key(|name| (name == LOG, name.clone()));
    names
}

fn show_all(workspace: &Workspace, options: &Logs, containers: &[String]) -> Result<u8> {
    let names = files(&workspace.state_dir);
    if names.is_empty() && containers.is_empty() {
        return Err(BadInput(unknown("", &workspace.state_dir, containers)).into());
    }
    let paths: Vec<PathBuf> = names
        .iter()
        .map(|name| path(&workspace.state_dir, name))
        .collect();
    for (name, file) in names.iter().zip(&paths) {
        outln!("== {name}");
        show(file, options.lines)?;
    }
    if !containers.is_empty() {
        let compose = Compose::find(&compose_root(workspace), &workspace.state_dir)?;
        let lines = options.lines.to_string();
        let status = compose.command(&["logs", "--tail", &lines]).status()?;
        if !status.success() && !reader_left(status) {
            bail!("`docker compose logs` failed: {status}");
        }
    }
    if options.follow {
        let mut followers: Vec<Follower> = paths.into_iter().map(Follower::from_end).collect();
        follow(&mut followers)?;
    }
    Ok(0)
}

fn container(workspace: &Workspace, options: &Logs, name: &str) -> Result<u8> {
    let lines = options.lines.to_string();
    let mut arguments = vec!["logs", "--tail", &lines];
    if options.follow {
        arguments.push("--follow");
    }
    arguments.push(name);
    let status = Compose::find(&compose_root(workspace), &workspace.state_dir)?
        .command(&arguments)
        .status()?;
    // Ctrl-C ends a follow; that is no failure.
    Ok(u8::from(
        !status.success() && !options.follow && !reader_left(status),
    ))
}

/// True when a program was ended by the pipe that it wrote to: `| head -1`.
fn reader_left(status: ExitStatus) -> bool {
    status.signal() == Some(SIGPIPE) || status.code() == Some(128 + SIGPIPE)
}

fn show(file: &Path, lines: usize) -> Result<()> {
    let mut out = Out;
    for line in tail(file, lines) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn follow(followers: &mut [Follower]) -> Result<()> {
    let interrupt = Interrupt::install()?;
    let mut out = Out;
    while !interrupt.is_set() && !output::nobody_reads() {
        let mut quiet = true;
        for follower in followers.iter_mut() {
            quiet &= !follower.copy_new(&mut out)?;
        }
        if quiet {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}
