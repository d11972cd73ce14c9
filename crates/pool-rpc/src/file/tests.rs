//! What a file says. What is refused of it, with the exact messages, is in the tests of the relayer.

use std::time::Duration;

use super::*;
use crate::{HttpVersion, ProxySetting};

fn parse(text: &str, folder: &Path) -> Result<PoolsFile, ConfigProblem> {
    let env = |name: &str| (name == "KEY").then(|| "SECRETKEY".to_owned());
    PoolsFile::parse::<NoSection>(text, &folder.join("pools.yaml"), env)
}

const FILE: &str = "
defaults:
  balancer: p2c
  settings:
    max_waiters: 7
    acquire_timeout: 2s
    hedge: {quantile: 0.9}
    breaker: {consecutive_failures: 3, open_min: 2s}
  timeouts: {dns: 1s, response: 20s}
  endpoint: {max_connections: 4, weight: 2, min_idle: 1}
pools:
  - id: plain
    dialect: evm
    chain_id: 1
    endpoints:
      - {id: a, url: 'http://127.0.0.1:1/${KEY}'}
  - id: own
    dialect: cometbft
    chain_id: cosmoshub-4
    balancer: random
    settings:
      acquire_timeout: 9s
      hedge: null
      breaker: {open_min: 3s}
    timeouts: {response: 30s, tls: 2s}
    endpoints:
      - {id: a, url: 'http://127.0.0.1:1/', weight: 1, max_connections: 8, max_requests: 80, min_idle: 0, tier: 1}
      - {id: b, url: 'http://127.0.0.1:2/', timeouts: {response: 1m}}
";

#[test]
fn defaults_hold_where_nothing_else_is_said() {
    let file = parse(FILE, Path::new("")).unwrap_or_else(|problem| panic!("{problem}"));
    let [plain, own] = &file.pools[..] else {
        panic!("two pools")
    };
    assert_eq!(
        (plain.balancer, own.balancer),
        (BalancerKind::P2c, BalancerKind::Random)
    );
    let seconds = Duration::from_secs;
    let of = |pool: &PoolPlan| {
        let settings = &pool.settings;
        let breaker = &settings.breaker;
        (
            (
                settings.max_waiters,
                settings.acquire_timeout,
                settings.hedge.is_some(),
            ),
            (breaker.consecutive_failures, breaker.open_min, breaker.open_max),
        )
    };
    assert_eq!(of(plain), ((7, seconds(2), true), (3, seconds(2), seconds(60))));
    assert_eq!(of(own), ((7, seconds(9), false), (3, seconds(3), seconds(60))));

    let shared = EndpointConfig::default()
        .max_connections(4)
        .weight(2.0)
        .min_idle(1);
    assert_eq!(plain.endpoints[0].config, shared);
    assert_eq!(own.endpoints[1].config, shared);
    let first = EndpointConfig::default()
        .max_connections(8)
        .max_requests(80)
        .tier(1);
    assert_eq!(own.endpoints[0].config, first);

    let times = |endpoint: &EndpointPlan| {
        let times = endpoint.rpc.timeouts;
        (
            times.dns.as_secs(),
            times.connect.as_secs(),
            times.tls.as_secs(),
            times.response.as_secs(),
        )
    };
    assert_eq!(times(&plain.endpoints[0]), (1, 5, 5, 20));
    assert_eq!(times(&own.endpoints[0]), (1, 5, 2, 30));
    assert_eq!(times(&own.endpoints[1]), (1, 5, 2, 60));
}

#[test]
fn endpoints_may_allow_and_deny_methods() {
    let text = |methods: &str| {
        FILE.replace(
            "url: 'http://127.0.0.1:2/'",
            &format!("url: 'http://127.0.0.1:2/', {methods}"),
        )
    };
    let file = parse(&text("methods: {allow: ['eth_*'], deny: [logs]}"), Path::new("")).unwrap();
    let rules = |index: usize| &file.pools[1].endpoints[index].rpc.methods;
    assert!(rules(0).offer("trace_block") && rules(0).offer("eth_getLogs"));
    assert!(rules(1).offer("eth_call") && !rules(1).offer("eth_getLogs") && !rules(1).offer("trace_block"));
    let problem = parse(&text("methods: {deny: ['eth_*Logs']}"), Path::new("")).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "pools.yaml:28: pools[1].endpoints[1].methods.deny: \"eth_*Logs\" is no pattern of methods; write a name \
         (eth_getLogs), a beginning (trace_*) or a group (archive, debug, logs, trace)"
    );
}

#[test]
fn secrets_come_from_files_beside_it_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "SECRETKEY-of-file\r\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let text = |name: &str| {
        format!(
            "pools:
  - id: a
    dialect: evm
    chain_id: 1
    endpoints:
      - id: one
        url: http://h/${{file:{name}}}/${{KEY}}
        headers: {{x-key: '${{file:{name}}}'}}
"
        )
    };
    let absolute = folder.path().join("key");
    for name in ["key", absolute.to_str().unwrap()] {
        let file = parse(&text(name), folder.path()).unwrap();
        let rpc = &file.pools[0].endpoints[0].rpc;
        assert_eq!(rpc.headers["x-key"], "SECRETKEY-of-file");
        assert_eq!(rpc.url.path_and_query(), "/SECRETKEY-of-file/SECRETKEY");
        let shown = format!("{file:?}");
        assert!(!shown.contains("SECRETKEY"), "{shown}");
    }
    let problem = parse(&text("empty"), folder.path()).unwrap_err().to_string();
    assert!(
        problem.ends_with("pools.yaml:7: pools[0].endpoints[0].url: the file empty is empty"),
        "{problem}"
    );
}

#[test]
fn only_an_application_that_has_a_section_may_have_one() {
    let text = FILE.replace(
        "    timeouts: {response: 30s",
        "    follow: {}\n    timeouts: {response: 30s",
    );
    let problem = parse(&text, Path::new("")).unwrap_err().to_string();
    assert_eq!(
        problem,
        "pools.yaml:25: pools[1]: unknown field `follow`, expected one of `id`, `dialect`, `chain_id`, `balancer`, \
         `endpoints`, `settings`, `timeouts`"
    );
}

/// A pool of one endpoint with these keys, and these defaults for it.
fn one(defaults: &str, keys: &str) -> Result<RpcConfig, ConfigProblem> {
    let text = format!(
        "defaults: {{endpoint: {{{defaults}}}}}
pools:
  - id: a
    dialect: evm
    chain_id: 1
    endpoints:
      - {{id: one, url: 'https://node.example/', {keys}}}
"
    );
    let mut file = parse(&text, Path::new(""))?;
    Ok(file.pools.remove(0).endpoints.remove(0).rpc)
}

#[test]
fn the_way_to_a_node_is_its_own_or_that_of_all() {
    let plain = one("", "").unwrap();
    let environment = ProxySetting::from_lookup(|_| None);
    assert_eq!(
        (plain.http_version, plain.gzip, &plain.proxy),
        (HttpVersion::Auto, true, &environment)
    );
    let all = "http: http1, gzip: false, proxy: 'http://${KEY}@proxy:3128'";
    let proxy = ProxySetting::explicit("http://SECRETKEY@proxy:3128".parse().unwrap());
    let shared = one(all, "").unwrap();
    assert_eq!(
        (shared.http_version, shared.gzip, &shared.proxy),
        (HttpVersion::Http1, false, &proxy)
    );
    let own = one(all, "http: http2_prior_knowledge, gzip: true, proxy: none").unwrap();
    assert_eq!(
        (own.http_version, own.gzip, own.proxy),
        (HttpVersion::Http2PriorKnowledge, true, ProxySetting::none())
    );
    assert_eq!(one(all, "proxy: environment").unwrap().proxy, environment);
}

#[test]
fn a_way_that_cannot_be_is_refused() {
    let message = |defaults: &str, keys: &str| one(defaults, keys).unwrap_err().to_string();
    assert_eq!(
        message("", "proxy: 'socks5://SECRETKEY@proxy'"),
        "pools.yaml:7: pools[0].endpoints[0].proxy: the URL's scheme must be http or https; \
         allowed: environment, none, or the URL of an HTTP proxy"
    );
    let shared = message("proxy: nowhere", "");
    assert!(
        shared.starts_with("pools.yaml:1: defaults.endpoint.proxy: "),
        "{shared}"
    );
    let version = message("", "http: h3");
    assert!(
        version.contains("allowed: auto, http1, http2_prior_knowledge"),
        "{version}"
    );
}

#[test]
fn http2_is_set_key_by_key() {
    let text = "
defaults:
  endpoint: {http2: {max_streams: 7, ping_interval: 1m}}
pools:
  - id: one
    dialect: evm
    chain_id: 1
    endpoints:
      - {id: a, url: 'http://127.0.0.1:1/'}
      - {id: b, url: 'http://127.0.0.1:2/', http2: {ping_interval: null, ping_timeout: 2s}}
";
    let file = parse(text, Path::new("")).unwrap_or_else(|problem| panic!("{problem}"));
    let [a, b] = &file.pools[0].endpoints[..] else {
        panic!("two endpoints")
    };
    let defaults = crate::Http2Config::default();
    let shared = crate::Http2Config {
        max_streams: 7,
        ping_interval: Some(Duration::from_secs(60)),
        ..defaults
    };
    assert_eq!(a.rpc.http2, shared);
    let own = crate::Http2Config {
        ping_interval: None,
        ping_timeout: Duration::from_secs(2),
        ..shared
    };
    assert_eq!(b.rpc.http2, own);
}
