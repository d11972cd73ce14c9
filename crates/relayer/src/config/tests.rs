//! What is taken from a file, and what is refused. The exact messages are in the tests of the binary.

use std::{path::Path, time::Duration};

use pool_core::{EndpointConfig, PoolConfig};

use super::*;

const EXAMPLE: &str = include_str!("../../pools.example.yaml");

fn env(name: &str) -> Option<String> {
    match name {
        "UNSET" => None,
        name => Some(format!("SECRETKEY-{name}")),
    }
}

fn parse(text: &str) -> Result<Config, ConfigProblem> {
    super::parse(text, Path::new("pools.yaml"), env)
}

#[test]
fn the_example_is_valid_and_says_what_it_claims() {
    let config = parse(EXAMPLE).unwrap_or_else(|problem| panic!("{problem}"));
    let [ethereum, cosmos] = &config.pools[..] else {
        panic!("two pools")
    };
    assert_eq!(ethereum.chain, Chain::Evm { chain_id: 1 });
    assert_eq!(
        cosmos.chain,
        Chain::CometBft {
            network: "cosmoshub-4".to_owned()
        }
    );
    let ids: Vec<_> = ethereum
        .endpoints
        .iter()
        .map(|endpoint| endpoint.id.as_str())
        .collect();
    assert_eq!(ids, ["provider-a", "provider-b", "own-node"]);
    assert_eq!(ethereum.endpoints[0].config.weight, 2.0);
    let name = |id| pool_core::ProviderId::new(id).unwrap();
    let second = EndpointConfig::default()
        .provider(name("provider-b"))
        .quota(pool_core::QuotaConfig::per_second(25.0));
    assert_eq!(ethereum.endpoints[1].config, second);
    assert_eq!(ethereum.providers, cosmos.providers);
    let [first, other] = &ethereum.providers[..] else {
        panic!("two providers")
    };
    assert_eq!((&first.id, &other.id), (&name("provider-a"), &name("provider-b")));
    let quota = pool_core::QuotaConfig::per_second(300.0)
        .burst(600)
        .daily(10_000_000);
    assert_eq!(first.config.quota, Some(quota));
    assert_eq!(other.config, pool_core::ProviderConfig::default());
    assert_eq!(first.prices.of("debug_traceCall"), 100);
    assert_eq!(cosmos.endpoints[0].config.provider, Some(first.id.clone()));
    assert!(matches!(&ethereum.plan.escrow, Some(Escrow::Evm { topics, .. }) if topics.len() == 2));
    assert_eq!(
        cosmos.plan.escrow,
        Some(Escrow::CometBft {
            events: vec!["escrow".to_owned()]
        })
    );

    // "these are the defaults, except max_lag"
    let mut defaults = PoolConfig::default();
    defaults.health.max_lag = Some(5);
    assert_eq!(ethereum.settings, defaults);
    assert_eq!(cosmos.settings, PoolConfig::default());
    let FollowPlan { escrow: _, .. } = &ethereum.plan;
    assert_eq!(
        FollowPlan {
            escrow: None,
            ..ethereum.plan.clone()
        },
        FollowPlan {
            escrow: None,
            ..cosmos.plan.clone()
        },
    );
}

#[test]
fn the_example_shows_every_setting_of_the_pool() {
    let written: serde_yaml::Value = serde_yaml::from_str(EXAMPLE).unwrap();
    let all = serde_yaml::to_value(PoolConfig::default()).unwrap();
    fn keys(value: &serde_yaml::Value) -> Vec<String> {
        let Some(mapping) = value.as_mapping() else {
            return vec![];
        };
        let mut keys: Vec<String> = mapping
            .iter()
            .flat_map(|(key, value)| {
                let key = key.as_str().unwrap().to_owned();
                let inner = keys(value).into_iter().map({
                    let key = key.clone();
                    move |inner| format!("{key}.{inner}")
                });
                std::iter::once(key).chain(inner).collect::<Vec<_>>()
            })
            .collect();
        keys.sort();
        keys
    }
    assert_eq!(keys(&written["pools"][0]["settings"]), keys(&all));
}

#[test]
fn no_secret_is_shown_in_debug_output() {
    let shown = format!("{:?}", parse(EXAMPLE).unwrap());
    assert!(!shown.contains("SECRETKEY"), "{shown}");
}

#[test]
fn every_balancer_has_a_name_and_a_wrong_one_is_told_the_others() {
    let text = |name: &str| {
        format!(
            "pools:
  - id: a
    dialect: evm
    chain_id: 1
    balancer: {name}
    endpoints: [{{id: one, url: 'http://127.0.0.1:8545'}}]
"
        )
    };
    for kind in BalancerKind::ALL {
        assert_eq!(parse(&text(kind.as_str())).unwrap().pools[0].balancer, kind);
    }
    let error = parse(&text("fastest")).unwrap_err().to_string();
    assert!(
        error.contains(":5: pools[0].balancer: `fastest` is not a balancer; allowed: least_requests,"),
        "{error}"
    );
}

#[test]
fn short_intervals_for_tests_can_be_set() {
    let text = "
pools:
  - id: a
    dialect: evm
    chain_id: 31337
    balancer: round_robin
    endpoints:
      - {id: one, url: 'http://127.0.0.1:8545', max_connections: 2}
      - {id: two, url: 'http://127.0.0.1:8546'}
    settings:
      health: {interval: 200ms, timeout: 150ms, rise: 1, fall: 1, max_lag: 3}
      breaker: {consecutive_failures: 2, open_min: 100ms, open_max: 1s, close_after: 1}
    follow: {poll_interval: 100ms, requests_per_second: 200.5}
";
    let config = parse(text).unwrap();
    let pool = &config.pools[0];
    assert_eq!(pool.settings.health.interval, Duration::from_millis(200));
    assert_eq!(pool.settings.health.max_lag, Some(3));
    assert_eq!(pool.settings.breaker.consecutive_failures, 2);
    assert_eq!(pool.balancer, BalancerKind::RoundRobin);
    assert_eq!(pool.endpoints[0].config.max_connections, 2);
    assert_eq!(pool.plan.requests_per_second, 200.5);
}

#[test]
fn the_longest_answer_still_falls_into_a_bucket() {
    let longest = humantime::parse_duration(pool_rpc::file::LONGEST_RESPONSE).unwrap();
    let buckets = pool_metrics::catalogue::REQUEST_DURATION_MS.buckets;
    assert_eq!(buckets.last(), Some(&(longest.as_secs_f64() * 1000.0)));
}
