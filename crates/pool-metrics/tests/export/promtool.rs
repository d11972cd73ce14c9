//! What Prometheus's own linter says.

use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use pool_metrics::PrometheusBridge;
use prometheus::TextEncoder;

use crate::support::FakePool;

/// The complaints that the promised names force. Each is a price paid on purpose, and nothing may join them.
const KNOWN: &[&str] = &[
    r#"fusion_connection_pool_connections_total non-counter metrics should not have "_total" suffix"#,
    "fusion_connection_pool_request_duration_ms metric names should not contain abbreviated units",
];

fn find() -> Option<PathBuf> {
    let configured = std::env::var_os("MONITORING_BIN_DIR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = configured.into_iter().chain(std::env::split_paths(&path));
    folders
        .map(|folder| folder.join("promtool"))
        .find(|file| file.is_file())
}

#[test]
fn complaints_are_exactly_the_known_ones() {
    let Some(promtool) = find() else {
        eprintln!("NOT RUN: promtool is in neither $MONITORING_BIN_DIR nor PATH");
        return;
    };
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
