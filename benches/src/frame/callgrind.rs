//! Instructions, counted by callgrind: they repeat to within a per cent whatever else the machine does.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

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
/// difference, so that coming up and going down do not count.
///
/// # Errors
/// When valgrind does not start, or the case fails in it.
pub fn instructions(suite: &str, case: &str, (few, many): (u64, u64)) -> Result<f64> {
    let collected = |operations: u64| -> Result<u64> {
        let told = run(&["--callgrind-out-file=/dev/null"], suite, case, operations)?;
        let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.with_context(|| format!("valgrind told no count for {case}: {told}"))
    };
    Ok((collected(many)? as f64 - collected(few)? as f64) / (many - few) as f64)
}

/// Instructions for each operation within a function (a pattern of callgrind's), for each time that the case calls it, in
/// order; each call does so many `operations`.
///
/// # Errors
/// When valgrind does not start, or the case fails in it.
pub fn calls(suite: &str, case: &str, operations: u64, function: &str) -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let arguments = [
        format!("--callgrind-out-file={}", file.display()),
        format!("--toggle-collect={function}"),
        format!("--dump-after={function}"),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&arguments, suite, case, operations)?;
    let mut counts = Vec::new();
    // one file for each time that the function was left, counted from 1; the last one, of the end, is called "out"
    for number in 1.. {
        let Ok(dump) = fs::read_to_string(folder.path().join(format!("out.{number}"))) else {
            break;
        };
        let line = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        let count: u64 = line
            .and_then(|count| count.trim().parse().ok())
            .with_context(|| format!("callgrind's dump {number} of {case} has no total"))?;
        counts.push(count as f64 / operations as f64);
    }
    Ok(counts)
}

/// Runs the case under callgrind. Returns what valgrind said.
fn run(arguments: &[&str], suite: &str, case: &str, operations: u64) -> Result<String> {
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .args(arguments)
        .arg(std::env::current_exe()?)
        .args(["--only", suite, "--case", case])
        .args(["--operations", &operations.to_string()])
        .output()
        .context("valgrind did not start; install it")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{case} failed under valgrind: {told}");
    Ok(told)
}
