//! What each kind of receiver is sent, by a real Alertmanager with the generated configuration.
//!
//! What amtool makes of the templates is shown elsewhere; here they are called as the configuration calls them. E-mail isn't among
//! them. Runs with MONITORING_E2E=1 (as `cargo xtask test` sets it), for each Alertmanager on this machine; is reported as ignored,
//! with the reason, otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(clippy::disallowed_macros, reason = "a test prints for its own runner")]

mod alertmanager;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alertmanager::{alerts_of, free_port, start};
use libtest_mimic::Failed;
use monitoring_provisioning::Spec;

fn main() -> ExitCode {
    alertmanager::run(&[("every_receiver_gets_its_text", every_receiver_gets_its_text)])
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

/// What each service is sent has the title and a line for each alert.
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
