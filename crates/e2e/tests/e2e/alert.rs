//! A node dies, the alert arrives; the node is back, the alert resolves.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use crate::stack::{KEY, Stack};

/// The frozen ones; there are more.
pub(crate) const RULES: [&str; 10] = [
    "CircuitBreakerOpen",
    "ConnectionPoolExhausted",
    "ConnectionPoolHighChurn",
    "ConnectionPoolHighErrorRate",
    "ConnectionPoolHighLatency",
    "ConnectionPoolHighUtilization",
    "ConnectionPoolQueueGrowing",
    "ConnectionPoolQueueTimeouts",
    "EndpointUnhealthy",
    "NoHealthyEndpoints",
];

pub(crate) fn arrives_and_resolves(binaries: Option<&Path>) -> Result<()> {
    let mut stack = Stack::new(binaries)?;
    let relayer = stack.start_relayer()?;
    stack.up(&["--runtime", "native", "--without", "grafana"])?;
    stack.both_jobs_are_up()?;
    let rules = stack.rules()?;
    ensure!(
        RULES.iter().all(|name| rules.iter().any(|rule| rule == name)),
        "the rules loaded are {rules:?}"
    );
    ensure!(
        stack.delivered().is_empty(),
        "healthy, yet delivered: {:#?}",
        stack.delivered()
    );

    stack.kill_node(0)?;
    let firing = stack.alert("CircuitBreakerOpen", "firing", "first", Duration::from_secs(30))?;
    let labels = &firing["labels"];
    ensure!(
        labels["pool"] == "ethereum" && labels["severity"] == "critical",
        "labels are {labels:#}"
    );
    let others: Vec<_> = stack
        .delivered()
        .into_iter()
        .filter(|alert| alert["labels"]["endpoint"] == "second")
        .collect();
    ensure!(
        others.is_empty(),
        "the other node is well, yet delivered: {others:#?}"
    );

    stack.start_node(0)?;
    stack.alert("CircuitBreakerOpen", "resolved", "first", Duration::from_secs(60))?;

    stack.down(&["--purge"])?;
    let log = relayer.log();
    ensure!(
        relayer.terminate(Duration::from_secs(5))?.success(),
        "the relayer did not end well: {log}"
    );
    ensure!(!log.contains(KEY), "the relayer's log shows the key");
    Ok(())
}
