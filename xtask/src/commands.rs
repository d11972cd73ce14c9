//! The commands, one file each.

mod alerts;
mod bench;
mod dashboard;
mod down;
mod generate;
mod logs;
mod status;
mod test;
mod up;
mod validate;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::workspace::Workspace;
use crate::{notifications, supervisor};

/// Runs a command; the number is the exit code.
pub(crate) fn run(cli: Cli) -> Result<u8> {
    // The two background processes know their folders and need no workspace around them.
    match &cli.command {
        Command::NotificationLog { listen, file } => return notifications::serve(listen, file).map(|()| 0),
        Command::Supervise { folder } => return supervisor::run(folder).map(|()| 0),
        _ => {}
    }
    let workspace = Workspace::locate(&cli.global)?;
    match cli.command {
        Command::Generate { check } => generate::run(&workspace, check),
        Command::Validate { require_tools } => validate::run(&workspace, require_tools),
        Command::Alerts(command) => alerts::run(&workspace, &command),
        Command::Dashboard(command) => dashboard::run(&workspace, &command),
        Command::MonitoringUp(up) => up::run(&workspace, &up),
        Command::MonitoringDown { purge } => down::run(&workspace, purge),
        Command::MonitoringStatus { json } => status::run(&workspace, json),
        Command::MonitoringLogs(logs) => logs::run(&workspace, &logs),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Test {
            no_install,
            cargo_args,
        } => test::run(&workspace, no_install, &cargo_args),
        Command::Supervise { .. } | Command::NotificationLog { .. } => Ok(0),
    }
}
