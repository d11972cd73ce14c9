//! Where the servers' programs are.

use std::path::{Path, PathBuf};

/// Names a folder with `initdb`, `postgres` and `pg_basebackup`.
const POSTGRES_BIN_DIR: &str = "POSTGRES_BIN_DIR";
/// Names `redis-server`.
const REDIS_SERVER: &str = "REDIS_SERVER";

/// The folder of PostgreSQL's programs.
pub(crate) fn postgres() -> Result<PathBuf, String> {
    let named = std::env::var_os(POSTGRES_BIN_DIR).map(PathBuf::from);
    let folders = named.map_or_else(
        || path().into_iter().chain(debian()).collect(),
        |folder| vec![folder],
    );
    let has_all = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_basebackup"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    folders.into_iter().find(has_all).ok_or_else(|| {
        format!(
            "no PostgreSQL server in PATH, /usr/lib/postgresql or the folder that {POSTGRES_BIN_DIR} names"
        )
    })
}

/// `redis-server`.
pub(crate) fn redis() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(REDIS_SERVER) {
        return Ok(named.into());
    }
    path()
        .into_iter()
        .map(|folder| folder.join("redis-server"))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("no redis-server in PATH, and {REDIS_SERVER} names none"))
}

fn path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// Debian keeps the servers of several versions side by side, out of PATH. The newest comes first.
fn debian() -> Vec<PathBuf> {
    let Ok(versions) = Path::new("/usr/lib/postgresql").read_dir() else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, folder)| folder).collect()
}
