//! Where things are: the workspace's programs, free ports, the servers' binaries.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail, ensure};

/// A program of this workspace, beside the running test.
///
/// # Errors
/// When it has not been built; `cargo xtask test` builds it.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("where am I?")?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("a test lies in target/<profile>/deps")?;
    let program = folder.join(name);
    ensure!(
        program.is_file(),
        "{} is not built; run `cargo xtask test`",
        program.display()
    );
    Ok(program)
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A port of loopback that is free, and that no other test of this run was given.
///
/// It lies below those that systems give to whoever asks for any (from 32768 on Linux): else a connection or another server may
/// have it before its own server starts. Each process begins elsewhere.
///
/// # Errors
/// When none is free.
pub fn free_port() -> Result<u16> {
    const FIRST: u32 = 10_240;
    const COUNT: u32 = 22_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let turn = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + std::process::id().wrapping_mul(64).wrapping_add(turn) % COUNT;
        let port = u16::try_from(port)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of loopback is free from {FIRST} on")
}

/// A program on PATH.
pub fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|candidate| candidate.is_file())
}
