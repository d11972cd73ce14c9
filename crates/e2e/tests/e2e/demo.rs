//! The demonstration: one command, and every metric is there and moves.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{http, place, wait};

use crate::stack::Stack;

/// The fourteen frozen metrics and the five of capacity, without prefix.
const METRICS: [(&str, &str); 19] = [
    ("connections_total", "gauge"),
    ("connections_active", "gauge"),
    ("connections_idle", "gauge"),
    ("requests_total", "counter"),
    ("request_duration_ms", "histogram"),
    ("queue_size", "gauge"),
    ("queue_timeouts_total", "counter"),
    ("health_status", "gauge"),
    ("circuit_breaker_status", "gauge"),
    ("endpoint_weight", "gauge"),
    ("errors_total", "counter"),
    ("health_check_failures_total", "counter"),
    ("connections_created_total", "counter"),
    ("connections_destroyed_total", "counter"),
    ("connections_max", "gauge"),
    ("slots_active", "gauge"),
    ("slots_max", "gauge"),
    ("slots_usable", "gauge"),
    ("slots_free", "gauge"),
];

pub(crate) fn shows_every_metric() -> Result<()> {
    let mut stack = Stack::new(None)?;
    let relayer = place::program("relayer")?.display().to_string();
    let begun = Instant::now();
    stack.up(&[
        "--runtime",
        "native",
        "--without",
        "grafana",
        "--demo",
        "--relayer-bin",
        &relayer,
    ])?;
    println!("  monitoring-up --demo: {:.1?}", begun.elapsed());
    stack.both_jobs_are_up()?;

    let exposed = http::text(&format!("http://127.0.0.1:{}/metrics", stack.ports.relayer))?;
    for (name, kind) in METRICS {
        let line = format!("# TYPE fusion_connection_pool_{name} {kind}\n");
        ensure!(exposed.contains(&line), "/metrics has no line `{}`", line.trim());
    }
    let moves = "sum by (pool) (rate(fusion_connection_pool_requests_total[10s])) > 0";
    let seen = || http::query(stack.ports.prometheus, moves).unwrap_or_default();
    let pools = || (seen().len() >= 2).then_some(());
    wait::until(
        "requests of at least two pools move",
        Duration::from_secs(30),
        pools,
        || format!("{:?}", seen()),
    )?;
    let split = "count by (job) ({__name__=~\"fusion_connection_pool_.*\"})";
    let jobs = http::query(stack.ports.prometheus, split)?;
    ensure!(
        jobs.len() == 1 && jobs[0]["metric"]["job"] == "connection-pools",
        "the pool's series must come from one job only, but come from {jobs:?}"
    );

    let begun = Instant::now();
    stack.down(&["--purge"])?;
    println!("  monitoring-down: {:.1?}", begun.elapsed());
    ensure!(
        http::text(&format!("http://127.0.0.1:{}/metrics", stack.ports.relayer)).is_err(),
        "the relayer still runs"
    );
    Ok(())
}
