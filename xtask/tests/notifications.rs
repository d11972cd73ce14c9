//! The notification log as Alertmanager meets it.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use common::{Place, eventually};

struct Receiver {
    child: Child,
    url: String,
}

impl Receiver {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["notification-log", "--listen", "127.0.0.1:0", "--file"])
            .arg(place.path("kept.jsonl"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        // Keeps reading, so that the receiver never blocks on a full pipe.
        std::thread::spawn(move || out.lines().for_each(drop));
        Self { child, url }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

#[test]
fn a_posted_notification_is_kept_as_one_line() {
    let place = Place::new();
    let receiver = Receiver::start(&place);
    let agent = agent();
    assert_eq!(
        agent
            .get(format!("{}/healthz", receiver.url))
            .call()
            .unwrap()
            .status(),
        200
    );

    let payload = serde_json::json!({
        "version": "4", "status": "firing", "receiver": "notification-log",
        "alerts": [{"status": "firing", "labels": {"alertname": "CircuitBreakerOpen", "pool": "ethereum"}, "annotations": {}}]
    });
    for _ in 0..2 {
        assert_eq!(
            agent.post(&receiver.url).send_json(&payload).unwrap().status(),
            200
        );
    }
    let kept = eventually("the file", || {
        std::fs::read_to_string(place.path("kept.jsonl")).ok()
    });
    let lines: Vec<serde_json::Value> = kept
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, [payload.clone(), payload]);
}

#[test]
fn what_is_no_notification_is_refused_and_not_kept() {
    let place = Place::new();
    let receiver = Receiver::start(&place);
    let agent = agent();
    assert_eq!(agent.post(&receiver.url).send("not json").unwrap().status(), 400);
    assert_eq!(
        agent
            .post(&receiver.url)
            .send("{\"alerts\": 3}")
            .unwrap()
            .status(),
        400
    );
    assert_eq!(agent.get(&receiver.url).call().unwrap().status(), 405);
    assert_eq!(
        agent
            .get(format!("{}/else", receiver.url))
            .call()
            .unwrap()
            .status(),
        404
    );
    assert_eq!(std::fs::read_to_string(place.path("kept.jsonl")).unwrap(), "");
}
