//! The project's command line. `cargo xtask help` lists the commands.
//!
//! Exit codes, the same for every command: 0 done, 1 failed, 2 bad input (flags, the spec), 130 interrupted. `monitoring-status`
//! adds 3: nothing runs.

#[macro_use]
mod output;

mod anvil;
mod atomic;
mod binaries;
mod browser;
mod cli;
mod commands;
mod compose;
mod databases;
mod engine;
mod failure;
mod grafana_api;
mod interrupt;
mod logs;
mod notifications;
mod own_programs;
mod packages;
mod plan;
mod ports;
mod probe;
mod process;
mod prometheus_api;
mod readiness;
mod report;
mod stack;
mod state;
mod supervisor;
mod table;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failure::report(&error),
    }
}
