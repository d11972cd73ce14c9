//! What was run, and what came of it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use crate::{
    cell::{Cell, Row},
    wire::Wire,
};

#[derive(Debug, Default)]
struct Line {
    order: usize,
    seen: String,
    cells: usize,
    failed: usize,
    calls: u64,
    successes: u64,
    /// Attempts that the nodes with the fault failed.
    failures: u64,
    wires: BTreeMap<Wire, (u64, u64)>,
}

#[derive(Debug)]
pub(crate) struct Table(Mutex<BTreeMap<String, Line>>);

impl Table {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(crate) fn add(&self, cell: &Cell, row: Option<&Row>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(cell.fault().to_owned()).or_default();
        line.order = cell.order;
        line.seen = cell.seen();
        line.cells += 1;
        let Some(row) = row else {
            line.failed += 1;
            return;
        };
        line.calls += row.calls;
        line.successes += row.successes;
        line.failures += row.failures;
        let wire = line.wires.entry(cell.wire).or_default();
        *wire = (wire.0 + row.calls, wire.1 + row.successes);
    }
}

fn share((calls, successes): (u64, u64)) -> String {
    match calls {
        0 => "-".to_owned(),
        _ => format!("{:.2} %", 100.0 * successes as f64 / calls as f64),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = lines.iter().collect();
        lines.sort_by_key(|(_, line)| line.order);
        write!(f, "{:44} {:>5} {:>6} {:>7}", "fault", "cells", "calls", "errors")?;
        for wire in Wire::ALL {
            write!(f, " {:>12}", wire.name())?;
        }
        writeln!(f, "  first sight")?;
        let (mut cells, mut calls, mut successes) = (0, 0, 0);
        for (name, line) in lines {
            cells += line.cells;
            calls += line.calls;
            successes += line.successes;
            write!(
                f,
                "{name:44.44} {:>5} {:>6} {:>7}",
                line.cells, line.calls, line.failures
            )?;
            for wire in Wire::ALL {
                write!(
                    f,
                    " {:>12}",
                    share(line.wires.get(&wire).copied().unwrap_or_default())
                )?;
            }
            write!(f, "  {}", line.seen)?;
            if line.failed > 0 {
                write!(f, "  {} CELLS FAILED", line.failed)?;
            }
            writeln!(f)?;
        }
        write!(
            f,
            "{cells} cells, {calls} calls, {} succeeded, none with a wrong answer",
            share((calls, successes))
        )
    }
}
