//! What Prometheus's own linter says of what is exposed: every promtool that is found judges; where there is none the
//! trial is reported as ignored, and the reason is printed.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

#[path = "export/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the export")]
mod support;
mod tools;

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use pool_metrics::PrometheusBridge;
use prometheus::TextEncoder;

use support::FakePool;

/// The complaints that the promised names force. Each is a price paid on purpose, and nothing may join them.
const KNOWN: &[&str] = &[
    r#"fusion_connection_pool_connections_total non-counter metrics should not have "_total" suffix"#,
    "fusion_connection_pool_request_duration_ms metric names should not contain abbreviated units",
];

fn main() {
    tools::run(
        "promtool",
        "complaints_are_exactly_the_known_ones",
        complaints_are_exactly_the_known_ones,
    );
}

fn complaints_are_exactly_the_known_ones(promtool: &Path) {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["alchemy"]);
    pool.register(bridge.metrics());
    let text = TextEncoder::new()
        .encode_to_string(&bridge.registry().gather())
        .unwrap();

    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // dropped at the end of the statement: promtool reads to the end of the input
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    let complaints: BTreeSet<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(complaints, KNOWN.iter().copied().collect());
}
