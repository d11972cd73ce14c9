//! The fault endpoint of the real binary: each fault is seen where an operator sees it, and ends.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::time::Duration;

use common::{PATIENCE, Running, get, relayer, run, write_config};
use devnet::{Chain, ChainConfig, Node, NodeConfig};

const LEAKS: &str = "fusion_connection_pool_lease_leaks_total";
const ACTIVE: &str = "fusion_connection_pool_slots_active";
const REFUSED: &str = "fusion_connection_pool_reconfigurations_total";

/// A relayer with two pools on one node, which leaves them alone.
struct Drill {
    _runtime: tokio::runtime::Runtime,
    _node: Node,
    _folder: tempfile::TempDir,
    running: Running,
    metrics: String,
    faults: String,
}

impl Drill {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let chain = ChainConfig::evm(1, Duration::from_secs(1));
        let node = runtime.block_on(async {
            Node::start(Chain::new(chain).unwrap().into(), NodeConfig::default())
                .await
                .unwrap()
        });
        let folder = tempfile::tempdir().unwrap();
        let pool = |id: &str| {
            format!(
                "- id: {id}\n  dialect: evm\n  chain_id: 1\n  endpoints: [{{ id: a, url: '{}', max_connections: 3 }}]\n  \
                 settings: {{ leak_after: 10ms, acquire_timeout: 500ms, health: {{ interval: 50ms }} }}\n  \
                 follow: {{ poll_interval: 1h, requests_per_second: 0 }}\n",
                node.url()
            )
        };
        let config = format!("pools:\n{}{}", pool("one"), pool("other"));
        let mut command = relayer();
        command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--fault-endpoint",
                "127.0.0.1:0",
                "--config",
            ])
            .arg(write_config(folder.path(), &config));
        let mut running = Running::start(command);
        let base = running.base_url();
        let faults = running.until("the line with the fault endpoint", |running| {
            let text = running.stdout.text();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("taking faults on "))?;
            line.strip_suffix("/faults").map(str::to_owned)
        });
        running.until("readiness", |_| {
            (get(&format!("{base}/readyz")).0 == 200).then_some(())
        });
        Self {
            _runtime: runtime,
            _node: node,
            _folder: folder,
            running,
            metrics: format!("{base}/metrics"),
            faults,
        }
    }

    fn send(&self, method: &str, path: &str, kind: Option<&str>, body: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.faults));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let mut answer = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_to_string().unwrap(),
        )
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.send(method, path, Some("application/json"), body)
    }

    /// Waits until a series has a value.
    fn shows(&mut self, series: &str, expected: &str) {
        let url = self.metrics.clone();
        let what = format!("{series} {expected}");
        self.running.until(&what, |_| {
            let page = get(&url).1;
            let line = page.lines().find_map(|line| line.strip_prefix(series))?;
            (line.trim() == expected).then_some(())
        });
    }
}

#[test]
fn leaks_refusals_and_hidden_series_are_seen_and_end() {
    let mut drill = Drill::start();
    let none = (200, "{\"hide_pools\":false,\"leaks\":{}}\n".to_owned());
    assert_eq!(drill.ask("GET", "/faults", ""), none);

    let two = (200, "{\"hide_pools\":false,\"leaks\":{\"one\":2}}\n".to_owned());
    assert_eq!(drill.ask("PATCH", "/faults", r#"{"leaks":{"one":2}}"#), two);
    drill.shows(&format!("{ACTIVE}{{endpoint=\"a\",pool=\"one\"}}"), "2");
    drill.shows(&format!("{LEAKS}{{pool=\"one\"}}"), "2");
    drill.shows(&format!("{LEAKS}{{pool=\"other\"}}"), "0");
    // more than there are: as many as there are are held, and the answer says so
    let (status, why) = drill.ask("PATCH", "/faults", r#"{"leaks":{"one":4}}"#);
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("gave 3 of 4 connections"), "{why}");
    assert_eq!(drill.ask("PATCH", "/faults", r#"{"leaks":{"one":0}}"#), none);
    drill.shows(&format!("{ACTIVE}{{endpoint=\"a\",pool=\"one\"}}"), "0");

    assert_eq!(drill.ask("POST", "/refused-update", r#"{"pool":"other"}"#), none);
    drill.shows(&format!("{REFUSED}{{pool=\"other\",result=\"refused\"}}"), "1");
    drill.shows(&format!("{REFUSED}{{pool=\"one\",result=\"refused\"}}"), "0");

    let (status, _) = drill.ask("PATCH", "/faults", r#"{"hide_pools":true,"leaks":{"other":1}}"#);
    assert_eq!(status, 200);
    let (status, page) = get(&drill.metrics);
    assert_eq!(status, 200);
    assert!(!page.contains("fusion_connection_pool_"), "{page}");
    assert_eq!(drill.ask("DELETE", "/faults", ""), none);
    drill.shows(&format!("{ACTIVE}{{endpoint=\"a\",pool=\"other\"}}"), "0");

    // held connections don't hold up the end
    drill.ask("PATCH", "/faults", r#"{"leaks":{"one":3}}"#);
    drill.running.signal("TERM");
    assert_eq!(drill.running.wait(Duration::from_secs(5)), Some(0));
    let log = drill.running.stderr.text();
    assert!(!log.contains("did not end"), "{log}");
}

#[test]
fn what_can_not_be_done_is_refused_and_changes_nothing() {
    let drill = Drill::start();
    for (method, path, body, status, why) in [
        (
            "PATCH",
            "/faults",
            r#"{"leaks":{"none":1}}"#,
            404,
            "there is no pool `none`",
        ),
        (
            "PATCH",
            "/faults",
            r#"{"leaks":{"one":1001}}"#,
            400,
            "allowed: 0 to 1000",
        ),
        (
            "PATCH",
            "/faults",
            r#"{"hide":true}"#,
            400,
            "unknown field `hide`",
        ),
        (
            "POST",
            "/refused-update",
            r#"{"pool":"none"}"#,
            404,
            "there is no pool `none`",
        ),
        ("POST", "/faults", "{}", 405, "use GET, PATCH, DELETE"),
        ("GET", "/refused-update", "", 405, "use POST"),
        ("GET", "/", "", 404, "there are /faults and /refused-update"),
    ] {
        let (got, said) = drill.ask(method, path, body);
        assert_eq!(got, status, "{method} {path} {body}: {said}");
        assert!(said.contains(why), "{said}");
    }
    // what a web page can send without asking
    let (status, said) = drill.send("PATCH", "/faults", Some("text/plain"), r#"{"hide_pools":true}"#);
    assert_eq!(status, 415, "{said}");
    assert_eq!(
        drill.ask("GET", "/faults", "").1,
        "{\"hide_pools\":false,\"leaks\":{}}\n"
    );
}

#[test]
fn only_loopback_is_taken() {
    for (address, why) in [
        ("0.0.0.0:0", "--fault-endpoint 0.0.0.0:0: not a loopback address"),
        ("[::]:0", "--fault-endpoint [::]:0: not a loopback address"),
        ("9090", "not an address; write IP:PORT"),
    ] {
        let mut command = relayer();
        command.args(["--devnet", "--listen", "127.0.0.1:0", "--fault-endpoint", address]);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert!(!ended.stdout.contains("listening"), "{}", ended.stdout);
    }
}
