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

/// Instructions of each call of a function, in order, with all that it calls. The function is the one whose name has these
/// parts in this order.
///
/// # Errors
/// When valgrind does not start, or the case fails in it.
pub fn calls(suite: &str, case: &str, operations: u64, function: &[&str]) -> Result<Vec<u64>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let arguments = [
        format!("--callgrind-out-file={}", file.display()),
        // collecting within a function only is no help: it is still counted in all that is around it
        format!("--dump-after=*{}*", function.join("*")),
        "--compress-strings=no".to_owned(),
        "--compress-pos=no".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&arguments, suite, case, operations)?;
    let mut counts = Vec::new();
    // one file for each time that the function was left, counted from 1; the last one, of the end, is called "out"
    for number in 1.. {
        let Ok(dump) = fs::read_to_string(folder.path().join(format!("out.{number}"))) else {
            break;
        };
        let count = inclusive(&dump, function)
            .with_context(|| format!("callgrind's dump {number} of {case} has no call of {function:?}"))?;
        counts.push(count);
    }
    Ok(counts)
}

/// The cost of a call in a dump, with all that is called from there: what stands below the name of the called.
fn inclusive(dump: &str, function: &[&str]) -> Option<u64> {
    let mut lines = dump.lines();
    lines.find(|line| line.strip_prefix("cfn=").is_some_and(|name| has(name, function)))?;
    let calls = lines.find(|line| line.starts_with("calls="))?;
    // of more than one call nobody could tell which cost what
    calls.starts_with("calls=1 ").then_some(())?;
    lines.next()?.split(' ').nth(1)?.parse().ok()
}

fn has(name: &str, parts: &[&str]) -> bool {
    let mut rest = Some(name);
    for part in parts {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_call_is_that_of_all_below_it() {
        let dump = "events: Ir\n\nfn=main\n0 7\ncfn=<Again<B> as Balancer>::peek\ncalls=1 0 \n0 55\n\
                    cfn=<Again<B> as Balancer>::pick\ncalls=1 0 \n0 245\n\nfn=<Again<B> as Balancer>::pick\n0 200\n";
        assert_eq!(inclusive(dump, &["Again", "pick"]), Some(245));
        assert_eq!(inclusive(dump, &["pick", "Again"]), None);
        assert_eq!(
            inclusive(&dump.replace("calls=1", "calls=2"), &["Again", "pick"]),
            None
        );
    }
}
