//! Values against what was put in.

use std::time::Duration;

use pool_core::{ErrorType, breaker::BreakerState, health::HealthStatus};
use pool_metrics::PrometheusBridge;
use tokio::time::Instant;

use crate::support::{Exposition, FakePool};

fn full(name: &str) -> String {
    format!("fusion_connection_pool_{name}")
}

#[test]
fn every_number_of_the_snapshot_comes_out_under_its_name() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a", "b"]);
    pool.register(bridge.metrics());
    pool.set(|pool| {
        pool.queue_size = 11;
        pool.queue_limit = 12;
        pool.queue_timeouts = 13;
        pool.queue_rejections = 14;
        pool.slots_usable = 15;
        pool.slots_free = 16;
        pool.retries = 17;
        pool.hedges = 18;
        pool.hedges_won = 19;
        pool.budget_exhausted = 20;
        pool.leaks = 10;
        let b = &mut pool.endpoints[1];
        b.connections_active = 21;
        b.connections_idle = 22;
        b.connections_max = 23;
        b.connections_created = 24;
        b.connections_destroyed = 25;
        b.slots_active = 26;
        b.slots_max = 27;
        b.requests = 28;
        b.health_check_failures = 29;
        b.health = HealthStatus::Healthy;
        b.breaker = BreakerState::Open {
            until: Instant::now(),
        };
        b.breaker_opened = 30;
        b.weight = 0.25;
        b.position = Some(21_000_000);
        for (index, count) in b.errors.iter_mut().enumerate() {
            *count = 100 + index as u64;
        }
    });
    let exposed = Exposition::of(&bridge);
    for (name, value) in [
        ("queue_size", 11.0),
        ("queue_limit", 12.0),
        ("queue_timeouts_total", 13.0),
        ("queue_rejections_total", 14.0),
        ("slots_usable", 15.0),
        ("slots_free", 16.0),
        ("retries_total", 17.0),
        ("hedges_total", 18.0),
        ("hedges_won_total", 19.0),
        ("retry_budget_exhausted_total", 20.0),
        ("lease_leaks_total", 10.0),
    ] {
        assert_eq!(exposed.value(&full(name), "pool=eth"), Some(value), "{name}");
    }
    for (name, a, b) in [
        ("connections_total", 0.0, 43.0),
        ("connections_active", 0.0, 21.0),
        ("connections_idle", 0.0, 22.0),
        ("connections_max", 0.0, 23.0),
        ("connections_created_total", 0.0, 24.0),
        ("connections_destroyed_total", 0.0, 25.0),
        ("slots_active", 0.0, 26.0),
        ("slots_max", 0.0, 27.0),
        ("requests_total", 0.0, 28.0),
        ("health_check_failures_total", 0.0, 29.0),
        ("health_status", 1.0, 0.0),
        ("circuit_breaker_status", 0.0, 1.0),
        ("circuit_breaker_opened_total", 0.0, 30.0),
        ("endpoint_weight", 1.0, 0.25),
        ("block_height", 0.0, 21_000_000.0),
    ] {
        assert_eq!(
            exposed.value(&full(name), "pool=eth,endpoint=a"),
            Some(a),
            "{name} of a"
        );
        assert_eq!(
            exposed.value(&full(name), "pool=eth,endpoint=b"),
            Some(b),
            "{name} of b"
        );
    }
    for class in ErrorType::ALL {
        let labels = format!("pool=eth,endpoint=b,error_type={}", class.as_str());
        let expected = 100.0 + class.index() as f64;
        assert_eq!(
            exposed.value(&full("errors_total"), &labels),
            Some(expected),
            "{class:?}"
        );
    }
}

#[test]
fn only_healthy_is_0_and_only_closed_is_0() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a"]);
    pool.register(bridge.metrics());
    let flags = |health, breaker| {
        pool.set(|pool| {
            pool.endpoints[0].health = health;
            pool.endpoints[0].breaker = breaker;
        });
        let exposed = Exposition::of(&bridge);
        let flag = |name| exposed.value(&full(name), "pool=eth,endpoint=a").unwrap();
        (flag("health_status"), flag("circuit_breaker_status"))
    };
    let open = BreakerState::Open {
        until: Instant::now(),
    };
    assert_eq!(flags(HealthStatus::Unknown, BreakerState::Closed), (1.0, 0.0));
    assert_eq!(flags(HealthStatus::Healthy, BreakerState::HalfOpen), (0.0, 1.0));
    assert_eq!(flags(HealthStatus::Unhealthy, open), (1.0, 1.0));
}

#[test]
fn latencies_fall_into_the_right_buckets_of_the_right_endpoint() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a", "b"]);
    let observers = pool.register(bridge.metrics());
    for (micros, error) in [
        (500, None),
        (1_000, None), // a bound belongs to its bucket
        (1_001, Some(ErrorType::Reverted)),
        (999_000, None),
        (30_000_000, Some(ErrorType::Timeout)),
        (500_000_000, Some(ErrorType::Timeout)),
    ] {
        observers[1].attempt_ended(Duration::from_micros(micros), error);
    }
    let exposed = Exposition::of(&bridge);
    let bucket = |endpoint: &str, le: &str| {
        let labels = format!("pool=eth,endpoint={endpoint},le={le}");
        exposed
            .value(&full("request_duration_ms_bucket"), &labels)
            .unwrap()
    };
    assert_eq!(bucket("b", "1"), 2.0);
    assert_eq!(bucket("b", "2.5"), 3.0);
    assert_eq!(bucket("b", "500"), 3.0);
    assert_eq!(bucket("b", "1000"), 4.0);
    assert_eq!(bucket("b", "30000"), 5.0);
    assert_eq!(bucket("b", "120000"), 5.0);
    assert_eq!(bucket("b", "+Inf"), 6.0);
    assert_eq!(bucket("a", "+Inf"), 0.0);
    let sum = exposed
        .value(&full("request_duration_ms_sum"), "pool=eth,endpoint=b")
        .unwrap();
    assert!((sum - 531_001.501).abs() < 1e-6, "{sum}");
    assert_eq!(
        exposed.value(&full("request_duration_ms_count"), "pool=eth,endpoint=b"),
        Some(6.0)
    );
}
