//! The real binary from start to stop.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real processes live in real time"
)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{
    io::Read as _,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use common::{Running, get, relayer, write_config};
use devnet::{Faults, Node, NodeConfig, When};

/// What is promised to everybody: name, type, whether by endpoint.
const FROZEN: &[(&str, &str, bool)] = &[
    ("connections_total", "gauge", true),
    ("connections_active", "gauge", true),
    ("connections_idle", "gauge", true),
    ("requests_total", "counter", true),
    ("request_duration_ms", "histogram", true),
    ("queue_size", "gauge", false),
    ("queue_timeouts_total", "counter", false),
    ("health_status", "gauge", true),
    ("circuit_breaker_status", "gauge", true),
    ("endpoint_weight", "gauge", true),
    ("errors_total", "counter", true),
    ("health_check_failures_total", "counter", true),
    ("connections_created_total", "counter", true),
    ("connections_destroyed_total", "counter", true),
    ("connections_max", "gauge", true),
    ("slots_active", "gauge", true),
    ("slots_max", "gauge", true),
    ("slots_usable", "gauge", false),
    ("slots_free", "gauge", false),
];

/// Sum of a metric's series whose labels hold all of these.
fn value(exposition: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let series = exposition.lines().filter(|line| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with('{') && labels.iter().all(|label| rest.contains(label))
    });
    let values: Vec<f64> = series
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

fn devnet(args: &[&str]) -> (Running, String) {
    let mut command = relayer();
    command.args(["--devnet", "--listen", "127.0.0.1:0"]).args(args);
    let mut running = Running::start(command);
    let url = running.base_url();
    running.until("readiness", |_| {
        (get(&format!("{url}/readyz")).0 == 200).then_some(())
    });
    (running, url)
}

#[test]
fn a_devnet_works_shows_every_metric_and_stops_in_order() {
    let (mut running, url) = devnet(&["--calm", "--transactions"]);
    assert_eq!(get(&format!("{url}/healthz")), (200, "ok\n".to_owned()));
    let metrics = || get(&format!("{url}/metrics")).1;
    let pools = ["ethereum", "polygon", "cosmoshub"];
    let endpoints = ["near", "usual", "far"];

    let text = metrics();
    for (name, kind, per_endpoint) in FROZEN {
        let name = format!("fusion_connection_pool_{name}");
        let declared = format!("# TYPE {name} {kind}");
        assert!(text.lines().any(|line| line == declared), "{declared}");
        let name = if *kind == "histogram" {
            format!("{name}_count")
        } else {
            name
        };
        for pool in pools.map(|pool| format!("pool=\"{pool}\"")) {
            if !per_endpoint {
                assert!(value(&text, &name, &[&pool]).is_some(), "{name} {pool}");
                continue;
            }
            for endpoint in endpoints.map(|endpoint| format!("endpoint=\"{endpoint}\"")) {
                assert!(
                    value(&text, &name, &[&pool, &endpoint]).is_some(),
                    "{name} {pool} {endpoint}"
                );
            }
        }
    }

    // work is done, by all nodes of each pool, and nothing goes wrong on a calm day
    const REQUESTS: &str = "fusion_connection_pool_requests_total";
    for pool in pools.map(|pool| format!("pool=\"{pool}\"")) {
        let before = value(&text, REQUESTS, &[&pool]).unwrap();
        running.until("requests of every endpoint", |_| {
            let text = metrics();
            let all = endpoints.iter().all(|endpoint| {
                let endpoint = format!("endpoint=\"{endpoint}\"");
                value(&text, REQUESTS, &[&pool, &endpoint]).unwrap() >= 1.0
            });
            (all && value(&text, REQUESTS, &[&pool]).unwrap() >= before + 20.0).then_some(())
        });
        let text = metrics();
        assert_eq!(
            value(&text, "fusion_connection_pool_errors_total", &[&pool]),
            Some(0.0),
            "{text}"
        );
        assert_eq!(
            value(&text, "fusion_connection_pool_health_status", &[&pool]),
            Some(0.0)
        );
    }

    let asked = Instant::now();
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(5)), Some(0));
    println!("stopped within {:?}", asked.elapsed());
    let log = running.stderr.text();
    for pool in pools {
        assert!(log.contains(&format!("pool closed pool={pool}")), "{log}");
        assert!(
            log.contains(&format!("logs are complete up to this block pool={pool}")),
            "{log}"
        );
    }
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn the_scenario_moves_the_numbers_and_no_pool_is_lost() {
    let (mut running, url) = devnet(&["--speed", "40", "--seed", "3"]);
    let metrics = || get(&format!("{url}/metrics")).1;
    let mut worst = f64::MAX;
    running.until("errors and an episode", |running| {
        let text = metrics();
        for pool in ["ethereum", "polygon", "cosmoshub"] {
            let pool = format!("pool=\"{pool}\"");
            worst = worst.min(value(&text, "fusion_connection_pool_slots_usable", &[&pool]).unwrap());
        }
        let errors = value(&text, "fusion_connection_pool_errors_total", &[]).unwrap();
        (errors > 0.0 && running.stderr.text().contains("begins")).then_some(())
    });
    assert!(worst > 0.0, "a pool had no usable slot");
}

#[test]
fn secrets_stay_secret_when_everything_fails() {
    // a port that nobody listens on, and one that answers with what it was asked
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let parrot = TcpListener::bind("127.0.0.1:0").unwrap();
    let parrot_address = parrot.local_addr().unwrap();
    thread::spawn(move || {
        for stream in parrot.incoming() {
            thread::spawn(move || -> std::io::Result<()> {
                use std::io::Write as _;
                let (mut stream, mut request) = (stream?, [0; 2048]);
                let count = stream.read(&mut request)?;
                let said = String::from_utf8_lossy(&request[..count]).replace(['\r', '\n', '"', '\\'], " ");
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"no such key: {said}"}}}}"#
                );
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "
pools:
  - id: dark
    dialect: evm
    chain_id: 1
    settings: {{health: {{interval: 100ms, timeout: 100ms}}, acquire_timeout: 100ms}}
    follow: {{poll_interval: 50ms, requests_per_second: 50, request_timeout: 200ms}}
    endpoints:
      - id: closed
        url: http://user:${{RELAYER_TEST_KEY}}@{closed}/v2/${{RELAYER_TEST_KEY}}?key=${{RELAYER_TEST_KEY}}
      - id: literal
        url: http://{parrot_address}/v2/SECRETKEY-2?key=SECRETKEY-3
        headers: {{x-api-key: '${{RELAYER_TEST_KEY}}'}}
      - id: unresolved
        url: https://SECRETKEY-4@does-not-exist.invalid/SECRETKEY-5
"
    );
    let mut command = relayer();
    command
        .env("RELAYER_TEST_KEY", "SECRETKEY-1")
        .env("RUST_LOG", "trace");
    command
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(write_config(folder.path(), &config));
    let mut running = Running::start(command);
    let url = running.base_url();
    running.until("failed checks and reads", |running| {
        let text = get(&format!("{url}/metrics")).1;
        let failed = |endpoint: &str| {
            value(
                &text,
                "fusion_connection_pool_health_check_failures_total",
                &[endpoint],
            )
            .unwrap()
                >= 3.0
        };
        let seen = ["\"closed\"", "\"literal\"", "\"unresolved\""]
            .into_iter()
            .all(failed);
        (seen && running.stderr.text().contains("failed: ")).then_some(())
    });
    let (status, reason) = get(&format!("{url}/readyz"));
    assert_eq!(status, 503);
    assert!(reason.contains("pool dark has no usable endpoint"), "{reason}");
    let metrics = get(&format!("{url}/metrics")).1;
    running.signal("INT");
    assert_eq!(running.wait(Duration::from_secs(5)), Some(0));
    for shown in [reason, metrics, running.stdout.text(), running.stderr.text()] {
        let line = shown.lines().find(|line| line.contains("SECRETKEY"));
        assert_eq!(line, None);
    }
}

/// A relayer on one node that passes its health checks and never answers a read, once reads hang.
fn stuck() -> (tokio::runtime::Runtime, Node, Running, tempfile::TempDir) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let chain = devnet::ChainConfig::evm(1, Duration::from_secs(1));
    let faults = Faults {
        hang: Some(When::methods([
            "eth_getBalance",
            "eth_call",
            "eth_getTransactionCount",
            "eth_gasPrice",
            "eth_getBlockByNumber",
        ])),
        ..Faults::default()
    };
    let config = NodeConfig {
        faults,
        ..NodeConfig::default()
    };
    let node = runtime.block_on(async {
        Node::start(devnet::Chain::new(chain).unwrap().into(), config)
            .await
            .unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "
pools:
  - id: stuck
    dialect: evm
    chain_id: 1
    follow: {{requests_per_second: 50, concurrency: 3, request_timeout: 1m}}
    timeouts: {{response: 1m}}
    endpoints: [{{id: only, url: '{}'}}]
",
        node.url()
    );
    let mut command = relayer();
    command
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(write_config(folder.path(), &config));
    let mut running = Running::start(command);
    let url = running.base_url();
    running.until("requests that hang", |_| {
        let text = get(&format!("{url}/metrics")).1;
        (value(&text, "fusion_connection_pool_slots_active", &[]).unwrap() >= 3.0).then_some(())
    });
    (runtime, node, running, folder)
}

#[test]
fn requests_that_do_not_end_are_told_and_do_not_hold_the_stop_up() {
    let (_runtime, _node, mut running, _folder) = stuck();
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(5)), Some(0));
    let log = running.stderr.text();
    assert!(
        log.contains("did not end within 3s pool=stuck unfinished=3"),
        "{log}"
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    let (_runtime, _node, mut running, _folder) = stuck();
    running.signal("INT");
    running.until("the stop", |running| {
        running.stderr.text().contains("SIGINT: stopping").then_some(())
    });
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(1)), Some(130));
}

#[test]
fn a_hangup_reads_the_file_again_and_a_wrong_file_changes_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (chain, folder) = (
        devnet::ChainConfig::evm(1, Duration::from_secs(1)),
        tempfile::tempdir().unwrap(),
    );
    let chain = std::sync::Arc::new(devnet::Chain::new(chain).unwrap());
    let node = || {
        runtime
            .block_on(Node::start(std::sync::Arc::clone(&chain), NodeConfig::default()))
            .unwrap()
    };
    let (one, two) = (node(), node());
    let file = folder.path().join("pools.yaml");
    type Endpoints<'a> = &'a [(&'a str, &'a Node, u32)];
    let write = |pools: &[(&str, Endpoints<'_>)]| {
        let mut text = "defaults: {settings: {health: {interval: 100ms}}}\npools:\n".to_owned();
        for (pool, endpoints) in pools {
            text += &format!("  - {{id: {pool}, dialect: evm, chain_id: 1, endpoints: [");
            for (id, node, weight) in *endpoints {
                text += &format!("{{id: {id}, url: '{}', weight: {weight}}}, ", node.url());
            }
            // longer than the histogram of requests reaches
            let patience = if *pool == "a" { "2m" } else { "3m" };
            text += &format!("], follow: {{request_timeout: {patience}}}}}\n");
        }
        std::fs::write(&file, text).unwrap();
    };
    write(&[("a", &[("one", &one, 1)]), ("b", &[("one", &one, 1)])]);
    let mut command = relayer();
    command.args(["--listen", "127.0.0.1:0", "--config"]).arg(&file);
    let mut running = Running::start(command);
    let url = running.base_url();
    let weights = |running: &mut Running, wanted: &[(&str, &str, Option<f64>)]| {
        running.until("weights", |_| {
            let text = get(&format!("{url}/metrics")).1;
            let name = "fusion_connection_pool_endpoint_weight";
            let good = wanted.iter().all(|(pool, endpoint, weight)| {
                let labels = [format!("pool=\"{pool}\""), format!("endpoint=\"{endpoint}\"")];
                value(&text, name, &[&labels[0], &labels[1]]) == *weight
            });
            good.then_some(())
        });
    };
    weights(&mut running, &[("a", "one", Some(1.0)), ("b", "one", Some(1.0))]);
    let beyond = |pool: &str| {
        let text = get(&format!("{url}/metrics")).1;
        let label = format!("pool=\"{pool}\"");
        value(&text, "fusion_connection_pool_timeouts_beyond_buckets", &[&label])
    };
    assert_eq!((beyond("a"), beyond("b")), (Some(0.0), Some(1.0)));
    let requests = |url: &str| {
        let text = get(&format!("{url}/metrics")).1;
        value(
            &text,
            "fusion_connection_pool_requests_total",
            &["pool=\"a\"", "endpoint=\"one\""],
        )
        .unwrap()
    };
    running.until("work", |_| (requests(&url) > 0.0).then_some(()));
    let counted = requests(&url);

    // another weight, another endpoint, a pool that leaves and one that joins
    write(&[
        ("a", &[("one", &one, 3), ("two", &two, 2)]),
        ("c", &[("two", &two, 5)]),
    ]);
    running.signal("HUP");
    weights(
        &mut running,
        &[
            ("a", "one", Some(3.0)),
            ("a", "two", Some(2.0)),
            ("b", "one", None),
            ("c", "two", Some(5.0)),
        ],
    );
    assert!(requests(&url) >= counted, "counters go on");
    running.until("the time-out of the pool that joined", |_| {
        (beyond("c") == Some(1.0)).then_some(())
    });
    assert_eq!((beyond("a"), beyond("b")), (Some(0.0), None));
    let told = running.stderr.text().matches("request_timeout").count();
    assert_eq!(told, 2, "one for each pool: {}", running.stderr.text());
    let worked = |text: &str| value(text, "fusion_connection_pool_requests_total", &["pool=\"c\""]);
    running.until("work in the pool that joined", |_| {
        (worked(&get(&format!("{url}/metrics")).1) > Some(0.0)).then_some(())
    });

    std::fs::write(&file, "pools: []\n").unwrap();
    running.signal("HUP");
    running.until("the complaint", |running| {
        let text = running.stderr.text();
        text.contains("pools.yaml:1: pools: there are no pools")
            .then_some(())
    });
    weights(&mut running, &[("a", "one", Some(3.0)), ("c", "two", Some(5.0))]);
    running.signal("TERM");
    assert_eq!(running.wait(common::PATIENCE), Some(0));
}

#[test]
fn the_pools_show_to_those_who_have_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "SECRETKEY-9\n").unwrap();
    let (running, url) = devnet(&["--calm", "--bearer-token-file", token.to_str().unwrap()]);
    let known = |path: &str| {
        let request = ureq::get(format!("{url}{path}")).header("authorization", "Bearer SECRETKEY-9");
        request.call().unwrap().body_mut().read_to_string().unwrap()
    };
    for path in ["/", "/pools", "/metrics"] {
        assert_eq!(get(&format!("{url}{path}")).0, 401, "{path}");
    }
    let pools: serde_json::Value = serde_json::from_str(&known("/pools")).unwrap();
    let page = known("/");
    for pool in pools["pools"].as_array().unwrap() {
        let endpoints = pool["endpoints"].as_array().unwrap();
        assert_eq!((endpoints.len(), &pool["ready"]), (3, &true.into()), "{pool}");
        assert!(page.contains(pool["id"].as_str().unwrap()));
        for endpoint in endpoints {
            assert!(page.contains(endpoint["id"].as_str().unwrap()));
        }
    }
    assert_eq!(pools["pools"].as_array().unwrap().len(), 3);
    for shown in [page, pools.to_string(), running.stderr.text()] {
        assert!(
            !shown.contains("SECRETKEY") && !shown.contains("127.0.0.1"),
            "{shown}"
        );
    }
}

#[test]
fn over_tls_nothing_is_served_in_the_clear_and_a_renewed_certificate_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let renew = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("crt"), pair.cert.pem()).unwrap();
        std::fs::write(path("key"), pair.signing_key.serialize_pem()).unwrap();
    };
    renew();
    let mut command = relayer();
    command
        .args(["--devnet", "--calm", "--listen", "127.0.0.1:0", "--tls-cert"])
        .arg(path("crt"))
        .arg("--tls-key")
        .arg(path("key"));
    let mut running = Running::start(command);
    let url = running.base_url();
    let address = url.strip_prefix("https://").unwrap();
    assert!(ureq::get(format!("http://{address}/healthz")).call().is_err());
    for (wrong, said) in [
        (false, "SIGHUP: the renewed TLS certificate is in use"),
        (true, "SIGHUP: the TLS certificate stays as it was: "),
    ] {
        renew();
        if wrong {
            std::fs::write(path("key"), "nothing").unwrap();
        }
        running.signal("HUP");
        running.until(said, |running| running.stderr.text().contains(said).then_some(()));
    }
}
