//! Where things are: the workspace's programs, free ports, the servers' binaries.

use std::{
    collections::HashSet,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};

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
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .context("looking for a free port")?
            .local_addr()?
            .port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return Ok(port);
        }
    }
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
