//! Every fault of a node, with every kind of call, over every kind of connection.
//!
//! Three nodes of one chain, one or two of them with a fault: while a healthy one is left, 999 of 1000 calls must succeed
//! within their deadline, and no answer may be wrong, each held against what the chain really has. The first sight of each
//! fault is judged alone: whose fault, held against the node or not, tried elsewhere or not.
//!
//! `cargo test -p pool-rpc --test matrix` runs all of it and prints a table; what follows `--` picks cells by name
//! (`-- "hang / read"`). Chance is seeded, and the seed stands above the table; `MATRIX_SEED` sets it.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod calls;
mod cases;
mod cell;
mod expect;
mod first;
mod judge;
mod lies;
mod stage;
mod table;
mod tour;
mod wire;
mod work;

use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Runtime};

use crate::{cell::Cell, table::Table};

/// Cells that run at once. Most of their time they wait.
const AT_ONCE: usize = 14;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    // the table says more than a thousand lines of "ok"
    arguments.quiet |= arguments.filter.is_none();
    let seed = std::env::var("MATRIX_SEED").map_or(1, |seed| seed.parse().unwrap());
    let runtime = Arc::new(Builder::new_multi_thread().enable_all().build().unwrap());
    let table = Arc::new(Table::new());
    let mut trials = vec![Trial::test("every fault has its place", || {
        cases::all_are_there().map_err(Failed::from)
    })];
    for cell in Cell::all(seed) {
        trials.push(trial(cell, &runtime, &table));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        println!("seed {seed}\n{table}");
    }
    if let Ok(runtime) = Arc::try_unwrap(runtime) {
        runtime.shutdown_background();
    }
    conclusion.exit();
}

fn trial(cell: Cell, runtime: &Arc<Runtime>, table: &Arc<Table>) -> Trial {
    let (runtime, table) = (Arc::clone(runtime), Arc::clone(table));
    Trial::test(cell.name(), move || {
        let row = runtime.block_on(cell.run());
        table.add(&cell, row.as_ref().ok());
        row.map(drop).map_err(Failed::from)
    })
}
