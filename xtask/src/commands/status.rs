//! `monitoring-status`: services, targets, rules.

use std::time::Duration;

use anyhow::Result;

use crate::probe::Probe;
use crate::report::{self, Report};
use crate::state::Stack;
use crate::table;
use crate::workspace::Workspace;

/// Nothing runs.
const NOTHING: u8 = 3;

pub(super) fn run(workspace: &Workspace, json: bool) -> Result<u8> {
    let report = match Stack::read(&workspace.state_dir) {
        Some(stack) => report::look(&stack, &workspace.state_dir, &Probe::new(Duration::from_secs(2))),
        None => Report::nothing(),
    };
    if json {
        outln!("{}", serde_json::to_string_pretty(&report)?);
    } else if report.nothing_runs() {
        outln!("nothing runs; start it with `cargo xtask monitoring-up`");
    } else {
        crate::output::out(format_args!("{}", render(&report)));
        for (name, reason) in report.missing() {
            outln!("  not well  {name}: {reason}");
        }
    }
    Ok(if report.nothing_runs() {
        NOTHING
    } else {
        u8::from(!report.is_well())
    })
}

/// The report as tables.
pub(super) fn render(report: &Report) -> String {
    let dash = || "-".to_owned();
    let services: Vec<Vec<String>> = report
        .services
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.url.clone(),
                one.state.word().to_owned(),
                one.pid.map_or_else(dash, |pid| pid.to_string()),
                one.restarts.to_string(),
                one.version.clone().unwrap_or_else(dash),
            ]
        })
        .collect();
    let targets: Vec<Vec<String>> = report
        .targets
        .iter()
        .map(|one| {
            vec![
                one.job.clone(),
                one.instance.clone(),
                one.health.to_uppercase(),
                one.last_error.clone(),
            ]
        })
        .collect();
    let mut out = format!(
        "\n{}",
        table::render(
            &["SERVICE", "URL", "STATE", "PID", "RESTARTS", "VERSION"],
            &services
        )
    );
    if !targets.is_empty() {
        out.push('\n');
        out.push_str(&table::render(&["TARGET", "INSTANCE", "HEALTH", ""], &targets));
    }
    if let Some(rules) = report.rules {
        out.push_str(&format!(
            "\n  rules: {} of {} loaded, {} firing",
            rules.loaded, rules.expected, rules.firing
        ));
        out.push_str(&format!("; notifications kept: {}\n", report.notifications));
    }
    out
}
