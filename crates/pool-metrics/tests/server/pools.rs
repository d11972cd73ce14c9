//! `/pools` and the status page.

use std::{collections::BTreeSet, time::Duration};

use pool_core::{
    NotUsable, ProviderId, ThrottleCause,
    breaker::BreakerState,
    health::{HealthReason, HealthStatus},
};
use pool_metrics::{PrometheusBridge, RoutesBuilder};
use serde_json::{Value, json};

use crate::support::{SetPool, ask, serve};

const DOCUMENTED: &str = include_str!("../../src/server/pools.example.json");

#[tokio::test]
async fn the_documented_example_is_what_comes() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = SetPool::attach(bridge.metrics(), "ethereum", &["alchemy"]);
    pool.set(|pool, explained| {
        (pool.slots_usable, pool.slots_free, pool.queue_limit, pool.retries) = (20, 17, 1000, 4);
        let endpoint = &mut pool.endpoints[0];
        endpoint.breaker = BreakerState::Open {
            until: pool.taken_at + Duration::from_secs(3),
        };
        (endpoint.breaker_opened, endpoint.weight, endpoint.position) = (1, 0.0, Some(23_456_789));
        endpoint.head_age = Some(Duration::from_secs(12));
        pool.head_age = Some(Duration::from_millis(9_500));
        (endpoint.slots_active, endpoint.concurrency_limit) = (3, 8);
        endpoint.provider = Some(ProviderId::new("alchemy").unwrap());
        (endpoint.quota_left, endpoint.quota_limit) = (Some(460), Some(500));
        (
            endpoint.connections_active,
            endpoint.connections_idle,
            endpoint.connections_max,
        ) = (3, 2, 10);
        (endpoint.connections_created, endpoint.connections_destroyed) = (9, 4);
        (endpoint.requests, endpoint.errors[1]) = (1204, 7);
        explained[0].latency = Duration::from_micros(31_250);
        explained[0].not_usable = Some(NotUsable::BreakerOpen {
            wait: Some(Duration::from_secs(3)),
        });
    });
    let running = serve(&bridge).await;
    let reply = ask(running.addrs[0], "GET", "/pools").await;
    assert_eq!(
        (reply.status(), reply.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let mut documented: Value = serde_json::from_str(DOCUMENTED).unwrap();
    // what it was lately is another test's
    documented["pools"][0]["endpoints"][0]["latency"]["mean_ms"] = json!([]);
    let mut got: Value = serde_json::from_str(reply.text()).unwrap();
    got["pools"][0]["endpoints"][0]["latency"]["mean_ms"] = json!([]);
    assert_eq!(got, documented);
}

#[tokio::test]
async fn states_are_told_apart() {
    let ids = ["a", "b", "c", "d", "e", "f"];
    let bridge = PrometheusBridge::new().unwrap();
    let pool = SetPool::attach(bridge.metrics(), "eth", &ids);
    let wait = Duration::from_secs(2);
    pool.set(|_, explained| {
        explained[0].next = true;
        explained[1].not_usable = Some(NotUsable::Unhealthy {
            reason: Some(HealthReason::NotChecked),
        });
        explained[2].not_usable = Some(NotUsable::Unhealthy { reason: None });
        explained[3].not_usable = Some(NotUsable::Throttled {
            wait,
            cause: ThrottleCause::CoolDown,
        });
        explained[4].not_usable = Some(NotUsable::Full { slots: 10 });
        explained[5].not_usable = Some(NotUsable::Behind {
            position: None,
            needed: 7,
        });
        // the pool was changed between the two looks
        explained.reverse();
    });
    let running = serve(&bridge).await;
    let reply = ask(running.addrs[0], "GET", "/pools").await;
    let got: Value = serde_json::from_str(reply.text()).unwrap();
    let states: Vec<_> = got["pools"][0]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| {
            (
                endpoint["id"].as_str().unwrap(),
                endpoint["state"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = ["usable", "not_checked", "unhealthy", "throttled", "full", "other"];
    assert_eq!(states, ids.into_iter().zip(expected).collect::<Vec<_>>());

    // a source that explains nothing is read from its numbers
    pool.set(|pool, explained| {
        explained.clear();
        pool.endpoints[0].health = HealthStatus::Unknown;
        pool.endpoints[1].health = HealthStatus::Unhealthy;
        pool.endpoints[2].breaker = BreakerState::HalfOpen;
        pool.endpoints[3].throttled_until = Some(pool.taken_at + wait);
        pool.endpoints[4].slots_active = 10;
    });
    let reply = ask(running.addrs[0], "GET", "/pools").await;
    let got: Value = serde_json::from_str(reply.text()).unwrap();
    for (at, state) in [
        "not_checked",
        "unhealthy",
        "breaker_open",
        "throttled",
        "full",
        "usable",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(got["pools"][0]["endpoints"][at]["state"], *state);
    }
    assert_eq!(got["pools"][0]["endpoints"][3]["throttled_for_ms"], 2000);
}

#[tokio::test]
async fn latencies_are_sampled_while_it_serves() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = SetPool::attach(bridge.metrics(), "eth", &["a"]);
    let routes = RoutesBuilder::from(&bridge)
        .sample_every(Duration::from_millis(10))
        .build();
    let running = serve(routes).await;
    let means = async || {
        let reply = ask(running.addrs[0], "GET", "/pools").await;
        let got: Value = serde_json::from_str(reply.text()).unwrap();
        got["pools"][0]["endpoints"][0]["latency"]["mean_ms"]
            .as_array()
            .unwrap()
            .clone()
    };
    while means().await.is_empty() {}
    pool.set(|pool, _| {
        pool.endpoints[0].requests += 4;
        pool.endpoints[0].latency_sum += Duration::from_millis(100);
    });
    let known = loop {
        let known: Vec<_> = means().await.into_iter().filter(|mean| !mean.is_null()).collect();
        if !known.is_empty() {
            break known;
        }
    };
    assert_eq!(known, [json!(25.0)]);
}

#[tokio::test]
async fn the_page_holds_everything_and_nothing_that_it_should_not() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = SetPool::attach(bridge.metrics(), "eth", &["alchemy", "infura"]);
    let nasty = "</td><script>alert(1)</script> at https://user:KEY@KEY.rpc/v2/KEY?k=KEY";
    pool.set(|pool, explained| {
        (pool.queue_size, pool.queue_limit) = (12, 345);
        pool.head_age = Some(Duration::from_secs(125));
        (pool.endpoints[0].position, pool.endpoints[0].head_age) =
            (Some(1_234), Some(Duration::from_millis(4_900)));
        pool.endpoints[1].head_age = Some(Duration::from_millis(800));
        pool.endpoints[1].health = HealthStatus::Unhealthy;
        pool.endpoints[1].health_reason = Some(nasty.to_owned());
        explained[1].not_usable = Some(NotUsable::Unhealthy {
            reason: Some(HealthReason::CheckFailed(nasty.to_owned())),
        });
    });
    let running = serve(&bridge).await;
    let page = ask(running.addrs[0], "GET", "/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (name, value) in [
        ("x-frame-options", "deny"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    for part in [
        "alchemy",
        "infura",
        "1 of 1 pools ready",
        "12 of 345",
        "<dt>head age</dt><dd>2 min</dd>",
        "<small>block 1,234</small><small>head 4 s old</small>",
        "<small>head 800 ms old</small>",
        "<noscript><meta http-equiv=\"refresh\"",
    ] {
        assert!(page.text().contains(part), "{part}");
    }
    // nothing from elsewhere
    for forbidden in ["src=", "@import", "<link rel=\"stylesheet\""] {
        assert!(!page.text().contains(forbidden), "{forbidden}");
    }
    let fragment = ask(running.addrs[0], "GET", "/pools?format=html").await;
    assert!(
        fragment
            .text()
            .starts_with("<header data-title=\"1 of 1 pools ready\">")
    );
    assert!(
        page.text().contains(fragment.text()),
        "the page holds what refreshes it"
    );
    let json = ask(running.addrs[0], "GET", "/pools").await;
    for reply in [&page, &fragment, &json] {
        assert!(!reply.text().contains("KEY"), "{}", reply.text());
    }
    for reply in [&page, &fragment] {
        assert!(!reply.text().contains("<script>alert"), "{}", reply.text());
        assert!(
            reply
                .text()
                .contains("&lt;script&gt;alert(1)&lt;/script&gt; at https://…")
        );
    }
}

#[tokio::test]
async fn many_endpoints_are_all_there() {
    let bridge = PrometheusBridge::new().unwrap();
    let ids: Vec<_> = (0..100).map(|at| format!("e{at}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let pools: Vec<_> = (0..50)
        .map(|at| SetPool::attach(bridge.metrics(), &format!("p{at}"), &ids))
        .collect();
    let running = serve(&bridge).await;
    let reply = ask(running.addrs[0], "GET", "/pools").await;
    let got: Value = serde_json::from_str(reply.text()).unwrap();
    let pairs: BTreeSet<_> = got["pools"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|pool| {
            let endpoints = pool["endpoints"].as_array().unwrap();
            endpoints
                .iter()
                .map(|endpoint| (pool["id"].to_string(), endpoint["id"].to_string()))
        })
        .collect();
    assert_eq!(pairs.len(), 5_000);
    let page = ask(running.addrs[0], "GET", "/").await;
    assert_eq!(page.text().matches("<tr class=").count(), 5_000);
    drop(pools);
    let reply = ask(running.addrs[0], "GET", "/pools").await;
    assert_eq!(
        serde_json::from_str::<Value>(reply.text()).unwrap()["pools"],
        json!([])
    );
}
