//! `alerts`: what fires when, and the proof of it.

mod explain;
mod list;
mod mutants;
mod promtool;
mod prove;

use anyhow::Result;

use crate::cli::Alerts;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace, command: &Alerts) -> Result<u8> {
    match command {
        Alerts::List => list::run(workspace),
        Alerts::Explain { alert, prometheus } => explain::run(workspace, alert, prometheus.as_deref()),
        Alerts::Test { alerts } => promtool::run(alerts),
        Alerts::Prove(prove) if prove.mutants => mutants::run(&prove.alerts),
        Alerts::Prove(prove) => prove::run(workspace, prove),
    }
}
