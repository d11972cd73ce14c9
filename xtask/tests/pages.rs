//! How many notifications an incident is, on a real Alertmanager with the generated configuration.
//!
//! The alerts come when Prometheus would send them: each when its `for` is over. So a silence that comes too late shows as a
//! notification too many. Runs with MONITORING_E2E=1 (as `cargo xtask test` sets it), for each Alertmanager on this machine; is
//! reported as ignored, with the reason, otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(clippy::disallowed_macros, reason = "a test prints for its own runner")]

mod alertmanager;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use alertmanager::{Fires, Server, alerts_of, free_port, ready, start};
use libtest_mimic::Failed;
use monitoring_provisioning::{Spec, alert_list};
use serde_json::Value;

/// Thirty times as fast: `for: 5m` takes ten seconds, a critical group waits for a third of one.
const SPEC: &str = "time_scale: 30
notification_log: false
receivers: { webhook: { log: { url: 'http://127.0.0.1:PORT/' } } }
mute_times: { always: [{ years: ['1970:2999'] }] }
alerts:
  RelayerDown: { labels: { team: platform } }
  ConnectionPoolHighChurn: { labels: { team: sleepers } }
notifications:
  critical: { receivers: [log] }
  warning: { receivers: [log] }
  heartbeat: { receivers: [log] }
  teams:
    platform: { critical: { receivers: [log] } }
    sleepers: { warning: { receivers: [log], mute_times: [always] } }
";
/// After the last alert, longer than a warning's group waits and than a critical group takes to look again.
const SETTLES_WITHIN: Duration = Duration::from_secs(4);

/// Four relayers, each with an incident of its own.
const FIRES: [Fires; 25] = [
    // Every node of a pool dies, and one of another pool.
    ("CircuitBreakerOpen", "a", "ethereum", 3),
    ("NoHealthyEndpoints", "a", "ethereum", 0),
    ("EndpointUnhealthy", "a", "ethereum", 3),
    ("EndpointBlockLag", "a", "ethereum", 3),
    ("EndpointThrottled", "a", "ethereum", 3),
    ("ConnectionPoolQueueGrowing", "a", "ethereum", 0),
    ("ConnectionPoolHighUtilization", "a", "ethereum", 0),
    ("EndpointUnhealthy", "a", "base", 1),
    // A relayer dies, while its pools were in trouble.
    ("RelayerDown", "b", "", 0),
    ("ConnectionPoolExhausted", "b", "ethereum", 0),
    ("NoHealthyEndpoints", "b", "base", 0),
    ("EndpointUnhealthy", "b", "base", 2),
    ("EndpointBlockLag", "b", "ethereum", 2),
    ("ConnectionPoolHighUtilization", "b", "ethereum", 0),
    ("ConnectionPoolQueueGrowing", "b", "ethereum", 0),
    ("EndpointThrottled", "b", "ethereum", 2),
    // Twelve nodes of a pool fail; the warnings that follow from their breakers say nothing new.
    ("CircuitBreakerOpen", "c", "ethereum", 12),
    ("ConnectionPoolHighErrorRate", "c", "ethereum", 12),
    ("EndpointUnhealthy", "c", "ethereum", 12),
    // Nothing silences these: a full pool, a lone sick node, a muted team, the dead man's switch.
    ("ConnectionPoolExhausted", "d", "ethereum", 0),
    ("ConnectionPoolHighUtilization", "d", "ethereum", 0),
    ("ConnectionPoolHighErrorRate", "d", "ethereum", 5),
    ("ConnectionPoolHighChurn", "d", "ethereum", 1),
    ("EndpointUnhealthy", "d", "base", 1),
    ("DeadMansSwitch", "", "", 0),
];

/// What is told of, each once and with so many alerts in it: by Alertmanager's receiver, alert, instance and pool.
const TOLD: [(&str, &str, &str, &str, usize); 9] = [
    ("critical", "CircuitBreakerOpen", "a", "ethereum", 3),
    ("critical", "NoHealthyEndpoints", "a", "ethereum", 1),
    ("warning", "EndpointUnhealthy", "a", "base", 1),
    ("critical-platform", "RelayerDown", "b", "", 1),
    ("critical", "CircuitBreakerOpen", "c", "ethereum", 12),
    ("critical", "ConnectionPoolExhausted", "d", "ethereum", 1),
    ("warning", "ConnectionPoolHighErrorRate", "d", "ethereum", 5),
    ("warning", "EndpointUnhealthy", "d", "base", 1),
    ("heartbeat", "DeadMansSwitch", "", "", 1),
];

fn main() -> ExitCode {
    alertmanager::run(&[
        ("an_incident_is_one_page", an_incident_is_one_page),
        ("without_inhibitions_it_is_many", without_inhibitions_it_is_many),
    ])
}

/// How often each was told of, and how many alerts were in it.
type Told = BTreeMap<(String, String, String, String), Vec<usize>>;

fn an_incident_is_one_page(alertmanager: &Path) -> Result<(), Failed> {
    let mut told = play(alertmanager, |config| config)?;
    // Repeated for as long as it fires: that is what it is for.
    for heartbeats in told.iter_mut().filter(|(key, _)| key.0 == "heartbeat") {
        heartbeats.1.dedup();
    }
    let expected: Told = TOLD
        .iter()
        .map(|(receiver, alert, instance, pool, alerts)| {
            let key = [receiver, alert, instance, pool].map(|text| (*text).to_owned());
            (key.into(), vec![*alerts])
        })
        .collect();
    if told == expected {
        Ok(())
    } else {
        Err(format!("told of:\n{told:#?}\nexpected:\n{expected:#?}").into())
    }
}

/// What the silence is worth, and that this test would notice its loss.
fn without_inhibitions_it_is_many(alertmanager: &Path) -> Result<(), Failed> {
    let told = play(alertmanager, |config| {
        let (before, rest) = config.split_once("inhibit_rules:\n").unwrap();
        let (_, after) = rest.split_once("receivers:\n").unwrap();
        let intervals = rest
            .split_once("time_intervals:\n")
            .map_or("", |(_, rest)| rest.split_once("receivers:\n").unwrap().0);
        format!("{before}time_intervals:\n{intervals}receivers:\n{after}")
    })?;
    for (alert, instance, pool) in [
        ("EndpointUnhealthy", "a", "ethereum"),
        ("ConnectionPoolExhausted", "b", "ethereum"),
        ("NoHealthyEndpoints", "b", "base"),
        ("EndpointUnhealthy", "c", "ethereum"),
        ("ConnectionPoolHighUtilization", "d", "ethereum"),
    ] {
        let found = told.keys().any(|(_, name, of, about)| {
            (name.as_str(), of.as_str(), about.as_str()) == (alert, instance, pool)
        });
        if !found {
            return Err(
                format!("{alert} of {instance} stayed silent without an inhibition:\n{told:#?}").into(),
            );
        }
    }
    Ok(())
}

/// Lets all alerts fire, each when its `for` is over, and collects who was told of what.
fn play(alertmanager: &Path, change: fn(String) -> String) -> Result<Told, Failed> {
    let folder = tempfile::tempdir()?;
    let (log_port, port) = (free_port(), free_port());
    let text = SPEC.replace("PORT", &log_port.to_string());
    let spec = Spec::parse(&text, &folder.path().join("monitoring.yaml"))?;
    let kept = folder.path().join("kept.jsonl");
    let _log = Server(
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args([
                "notification-log",
                "--listen",
                &format!("127.0.0.1:{log_port}"),
                "--file",
            ])
            .arg(&kept)
            .stdout(Stdio::null())
            .spawn()?,
    );
    let _alertmanager = start(alertmanager, folder.path(), &spec, port, change)?;
    let url = format!("http://127.0.0.1:{port}");
    ready(&format!("http://127.0.0.1:{log_port}/healthz"), folder.path())?;
    fire(&spec, &format!("{url}/api/v2/alerts"))?;
    std::thread::sleep(SETTLES_WITHIN);
    told(&kept)
}

/// Sends each alert when its `for` is over. As Prometheus does, those of one moment go in one message, and what goes on firing is
/// sent again.
fn fire(spec: &Spec, url: &str) -> Result<(), Failed> {
    let known = alert_list(spec);
    let mut moments: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for fires in FIRES {
        let summary = known.iter().find(|alert| alert.name == fires.0).unwrap();
        let alerts = moments.entry(summary.for_.as_millis()).or_default();
        alerts.extend(alerts_of(fires, &summary.severity, team(fires.0)));
    }
    let begun = Instant::now();
    let mut firing = Vec::new();
    for (millis, alerts) in moments {
        firing.extend(alerts);
        std::thread::sleep((begun + Duration::from_millis(millis)).saturating_duration_since(Instant::now()));
        ureq::post(url).send_json(&firing)?;
    }
    Ok(())
}

/// As the spec gives the teams.
fn team(alert: &str) -> &'static str {
    match alert {
        "RelayerDown" => "platform",
        "ConnectionPoolHighChurn" => "sleepers",
        _ => "relayer",
    }
}

fn told(kept: &Path) -> Result<Told, Failed> {
    let mut told = Told::new();
    for line in std::fs::read_to_string(kept)?.lines() {
        let payload: Value = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = &payload["commonLabels"];
        let key = (
            text(&payload["receiver"]),
            text(&labels["alertname"]),
            text(&labels["instance"]),
            text(&labels["pool"]),
        );
        let alerts = payload["alerts"].as_array().map_or(0, Vec::len);
        told.entry(key).or_default().push(alerts);
    }
    Ok(told)
}
