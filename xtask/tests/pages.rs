//! How many notifications an incident is, on a real Alertmanager with the generated configuration.
//!
//! The alerts come when Prometheus would send them: each when its `for` is over. So a silence that comes too late shows as a
//! notification too many. Runs with MONITORING_E2E=1 (as `cargo xtask test` sets it), for each Alertmanager on this machine; is
//! reported as ignored, with the reason, otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(clippy::disallowed_macros, reason = "a test prints for its own runner")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use monitoring_provisioning::{Runtime, Spec, alert_list, generate};
use serde_json::{Value, json};

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

/// Who fires: instance, pool, how many endpoints (0: the alert is the pool's, or the relayer's without a pool).
type Fires = (&'static str, &'static str, &'static str, usize);

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
    let arguments = Arguments::from_args();
    let wanted = std::env::var_os("MONITORING_E2E").is_some_and(|value| value == "1");
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"];
    let bin_dir = named.into_iter().find_map(std::env::var_os).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |folders: Vec<PathBuf>| {
        let mut candidates = folders
            .iter()
            .flat_map(|folder| ["prometheus-alertmanager", "alertmanager"].map(|name| folder.join(name)));
        candidates.find(|candidate| candidate.is_file())
    };
    let mut trials = Vec::new();
    for (name, program, missing) in [
        (
            "path",
            find(std::env::split_paths(&path).collect()),
            "alertmanager is not in PATH",
        ),
        (
            "bin_dir",
            find(bin_dir.into_iter().collect()),
            "neither MONITORING_BIN_DIR nor MONITORING_NEWEST_BIN_DIR has alertmanager",
        ),
    ] {
        let reason = match (&program, wanted) {
            (_, false) => Some("MONITORING_E2E=1 is not set"),
            (None, true) => Some(missing),
            (Some(_), true) => None,
        };
        let tests: [(&str, Test); 3] = [
            ("an_incident_is_one_page", an_incident_is_one_page),
            ("without_inhibitions_it_is_many", without_inhibitions_it_is_many),
            ("every_receiver_gets_its_text", every_receiver_gets_its_text),
        ];
        for (test, run) in tests {
            let title = format!("{test}::{name}");
            if let Some(reason) = reason {
                println!("not run: {title}: {reason}");
            }
            let program = program.clone().unwrap_or_default();
            trials.push(Trial::test(title, move || run(&program)).with_ignored_flag(reason.is_some()));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Test = fn(&Path) -> Result<(), Failed>;
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

/// Every kind that posts over HTTP, to an address of this test; the services' own addresses are exchanged in the configuration.
const CHATS: &str = "target: { alertmanager: VERSION }
images: { alertmanager: 'a@sha256:00' }
time_scale: 60
notification_log: false
receivers:
  slack: { a: { channel: x, api_url_file: slack } }
  pagerduty: { b: { routing_key_file: key } }
  opsgenie: { c: { api_key_file: key, region: eu, teams: [chain] } }
NEWER
notifications: { critical: { receivers: [a, b, c MORE] } }
";
const NEWER: &str = "  discord: { d: { webhook_url_file: discord } }
  msteams: { e: { webhook_url_file: teams } }
  telegram: { f: { bot_token_file: key, chat_id: -1, message_thread_id: 3 } }";

/// What each service is sent has the title and the text, as its own markup has it. What amtool makes of the templates is shown
/// elsewhere; here they are called as the configuration calls them.
fn every_receiver_gets_its_text(alertmanager: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let is_new = version(alertmanager)? >= (0, 28);
    let service = Posts::listen();
    let url = format!("http://127.0.0.1:{}", service.port);
    for (name, contents) in [
        ("slack", format!("{url}/slack")),
        ("discord", format!("{url}/discord")),
        ("teams", format!("{url}/teams")),
        ("key", "123:abc".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), contents)?;
    }
    let text = CHATS
        .replace("VERSION", if is_new { "0.28" } else { "0.25" })
        .replace("NEWER", if is_new { NEWER } else { "" })
        .replace("MORE", if is_new { ", d, e, f" } else { "" });
    let spec = Spec::parse(&text, &folder.path().join("monitoring.yaml"))?;
    let redirect = |config: String| {
        config
            .replace("https://api.eu.opsgenie.com/", &format!("{url}/opsgenie/"))
            .replace(
                "- routing_key_file:",
                &format!("- url: {url}/pagerduty\n    routing_key_file:"),
            )
            .replace(
                "- bot_token_file:",
                &format!("- api_url: {url}/telegram\n    bot_token_file:"),
            )
    };
    let port = free_port();
    let _server = start(alertmanager, folder.path(), &spec, port, redirect)?;
    let alerts = alerts_of(("CircuitBreakerOpen", "a", "ethereum", 2), "critical", "relayer");
    ureq::post(&format!("http://127.0.0.1:{port}/api/v2/alerts")).send_json(&alerts)?;

    let title = "CRITICAL: CircuitBreakerOpen, ethereum (2 firing)";
    let line = "ethereum/e1 on a";
    let old = ["/slack", "/pagerduty", "/opsgenie/"].as_slice();
    let new = ["/discord", "/teams", "/telegram/bot123:abc/sendMessage"].as_slice();
    for path in old.iter().chain(if is_new { new } else { &[] }) {
        let body = service.posted(path)?;
        for said in [title, line] {
            if !body.contains(said) {
                return Err(format!("{path} was not told {said:?}: {body}").into());
            }
        }
        if body.contains("template") || body.contains("no value") {
            return Err(format!("{path} was told of a template: {body}").into());
        }
    }
    Ok(())
}

fn version(alertmanager: &Path) -> Result<(u16, u16), Failed> {
    let output = Command::new(alertmanager).arg("--version").output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let (_, version) = text.split_once("version ").ok_or("no version")?;
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(format!("no version in {text}").into()),
    }
}

/// A service that takes everything, and keeps it.
struct Posts {
    port: u16,
    kept: Arc<Mutex<Vec<(String, String)>>>,
}

impl Posts {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let keeper = Arc::clone(&kept);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeper = Arc::clone(&keeper);
                std::thread::spawn(move || {
                    if let Some(post) = take(stream) {
                        keeper.lock().unwrap().push(post);
                    }
                });
            }
        });
        Self { port, kept }
    }

    /// What was posted to a path that begins so.
    fn posted(&self, path: &str) -> Result<String, Failed> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let kept = self.kept.lock().unwrap().clone();
            if let Some((_, body)) = kept.iter().find(|(to, _)| to.starts_with(path)) {
                return Ok(body.clone());
            }
            if Instant::now() > end {
                let paths: Vec<_> = kept.iter().map(|(to, _)| to).collect();
                return Err(format!("nothing came to {path}, only to {paths:?}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One request: its path and, since the services are sent JSON or forms, its body without their escapes.
fn take(mut stream: TcpStream) -> Option<(String, String)> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
            });
            if bytes.len() >= head + 4 + length.unwrap_or(0) {
                let path = text.split(' ').nth(1)?.to_owned();
                let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
                let answer =
                    r#"{"ok":true,"result":{"message_id":1,"date":0,"chat":{"id":1,"type":"private"}}}"#;
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                )
                .ok()?;
                return Some((path, body));
            }
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}

/// A process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
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

/// Alertmanager with the generated configuration, once it is ready.
fn start(
    alertmanager: &Path,
    folder: &Path,
    spec: &Spec,
    port: u16,
    change: impl Fn(String) -> String,
) -> Result<Server, Failed> {
    for file in generate(spec, Runtime::Native { root: folder })? {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap())?;
        let contents = if path.ends_with("alertmanager/config.yml") {
            change(file.contents)
        } else {
            file.contents
        };
        std::fs::write(path, contents)?;
    }
    let config = folder.join("monitoring/alertmanager/config.yml");
    let server = Server(
        Command::new(alertmanager)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("alertmanager.log"))?)
            .spawn()?,
    );
    ready(&format!("http://127.0.0.1:{port}/-/ready"), folder)?;
    Ok(server)
}

fn ready(url: &str, folder: &Path) -> Result<(), Failed> {
    let end = Instant::now() + Duration::from_secs(20);
    while ureq::get(url).call().is_err() {
        if Instant::now() > end {
            let log = std::fs::read_to_string(folder.join("alertmanager.log")).unwrap_or_default();
            return Err(format!("{url} does not answer\n{log}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
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

fn alerts_of((name, instance, pool, endpoints): Fires, severity: &str, team: &str) -> Vec<Value> {
    let mut labels = json!({ "alertname": name, "severity": severity, "team": team });
    for (label, value) in [("instance", instance), ("pool", pool)] {
        if !value.is_empty() {
            labels[label] = value.into();
        }
    }
    let annotations = json!({ "summary": name, "description": name });
    if endpoints == 0 {
        return vec![json!({ "labels": labels, "annotations": annotations })];
    }
    (0..endpoints)
        .map(|endpoint| {
            let mut labels = labels.clone();
            labels["endpoint"] = format!("e{endpoint}").into();
            json!({ "labels": labels, "annotations": annotations })
        })
        .collect()
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
