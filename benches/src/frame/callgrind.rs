//! Instructions, counted by callgrind: they repeat to within a per cent whatever else the machine does.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Whether valgrind is here. Where it isn't, a suite says that it could not count.
pub fn is_here() -> bool {
    let told = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    told.is_ok_and(|status| status.success())
}

/// Instructions for each operation of a [`Suite::case`](super::Suite::case): those of `many` less those of `few`, by their
/// difference, so that coming up and going down do not count. With `only`, those within functions of this pattern.
///
/// # Errors
/// When valgrind does not start, or the case fails in it.
pub fn instructions(suite: &str, case: &str, (few, many): (u64, u64), only: Option<&str>) -> Result<f64> {
    let collected = |operations: u64| -> Result<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .args(only.map(|function| format!("--toggle-collect={function}")))
            .arg(std::env::current_exe()?)
            .args([
                "--only",
                suite,
                "--case",
                case,
                "--operations",
                &operations.to_string(),
            ])
            .output()
            .context("valgrind did not start; install it")?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.with_context(|| format!("valgrind told no count for {case}: {told}"))
    };
    Ok((collected(many)? as f64 - collected(few)? as f64) / (many - few) as f64)
}
