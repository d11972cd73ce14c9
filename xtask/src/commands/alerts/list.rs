//! `alerts list`: what fires when, with the limits in force.

use anyhow::Result;
use monitoring_provisioning::alert_list;

use crate::table;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace) -> Result<u8> {
    let spec = workspace.load_spec()?;
    let rows: Vec<Vec<String>> = alert_list(&spec)
        .into_iter()
        .map(|alert| {
            let state = if alert.is_enabled { "" } else { " (off)" };
            vec![
                format!("{}{state}", alert.name),
                alert.severity,
                alert.about,
                alert.condition,
                alert.for_.to_string(),
            ]
        })
        .collect();
    crate::output::out(format_args!(
        "{}",
        table::render(&["ALERT", "SEVERITY", "ABOUT", "FIRES WHEN", "FOR"], &rows)
    ));
    Ok(0)
}
