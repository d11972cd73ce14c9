//! How many files this process may have open: every connection is two of them, since both of its ends are here.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a run needs at its worst moment, with room to spare.
const NEEDED: u64 = 12_000;

/// Allows as many as the system lets this process have.
///
/// # Errors
/// When these are too few: callers would fail by it, and it would look as if the contestants had.
pub(super) fn allow() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if most < NEEDED {
        bail!("the suite needs {NEEDED} open files, and the system allows {most}: raise `ulimit -Hn`");
    }
    if limit.current.is_some_and(|current| current < NEEDED) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(NEEDED),
                maximum: limit.maximum,
            },
        )?;
    }
    Ok(())
}
