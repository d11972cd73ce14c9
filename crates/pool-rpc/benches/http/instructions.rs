//! Instructions for each call, counted by callgrind. They repeat to within a per cent whatever else the machine does.

use std::process::Command;

use crate::{
    Failure, GOALS_FROM, IN_FLIGHT,
    clients::{KINDS, Kind},
};

/// Calls of all callers together.
const FEW: u32 = 16 * 128;
const MANY: u32 = 4 * FEW;

/// Instructions for each call: those of many less those of few, by the difference.
fn instructions(kind: Kind, in_flight: u32) -> Result<f64, Failure> {
    let collected = |calls: u32| -> Result<u64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["--only", kind.name(), "--at", &in_flight.to_string()])
            .args(["--calls", &(calls / in_flight).to_string()])
            .output()
            .map_err(|error| format!("valgrind did not start ({error}); install it"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| format!("valgrind told no count: {told}").into())
    };
    Ok((collected(MANY)? as f64 - collected(FEW)? as f64) / f64::from(MANY - FEW))
}

/// Holds each kind against bare hyper, with one client thread.
pub(crate) fn compare(at: Option<u32>) -> Result<(), Failure> {
    println!(
        "{:>9} {:<22} {:>12} {:>6}",
        "in flight", "", "instructions", "ratio"
    );
    let wanted = |in_flight: &u32| *in_flight >= GOALS_FROM && at.is_none_or(|at| at == *in_flight);
    for in_flight in IN_FLIGHT.into_iter().filter(wanted) {
        let mut floor = f64::NAN;
        for kind in KINDS {
            let count = instructions(kind, in_flight)?;
            if kind == kind.floor() {
                floor = count;
            }
            println!(
                "{in_flight:>9} {:<22} {count:>12.0} {:>6.2}",
                kind.name(),
                count / floor
            );
        }
    }
    Ok(())
}
