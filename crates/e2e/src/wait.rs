//! Waiting for the outside world, with an end.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Asks every 50 ms until `probe` has an answer, for at most `within`. When time runs out, `describe` tells what was
/// there instead.
///
/// # Errors
/// Names what was waited for, for how long, and what was seen last.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> Option<T>,
    describe: impl FnOnce() -> String,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            println!("  {what}: after {:.1?}", begun.elapsed());
            return Ok(found);
        }
        if begun.elapsed() >= within {
            bail!("{what}: not within {within:?}; {}", describe());
        }
        thread::sleep(Duration::from_millis(50));
    }
}
