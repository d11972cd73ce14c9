//! Values against what was put in.

use std::time::Duration;

use pool_core::{
    CloseReason, ErrorType, Observer, PoolId, TimeoutsInForce, breaker::BreakerState, health::HealthStatus,
};
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
        pool.rejections = [140, 141, 142, 143, 144, 145];
        pool.hedges_lost = 31;
        pool.hedges_refused = 32;
        pool.updates = 33;
        pool.updates_refused = 34;
        pool.panicking = true;
        pool.slots_usable = 15;
        pool.slots_free = 16;
        pool.retries = 17;
        pool.hedges = 18;
        pool.hedges_won = 19;
        pool.budget_exhausted = 20;
        pool.leaks = 10;
        pool.head_age = Some(Duration::from_millis(46_500));
        let s = Duration::from_secs;
        pool.timeouts = Some(TimeoutsInForce::new(s(121), s(120), s(500)));
        let b = &mut pool.endpoints[1];
        b.connections_active = 21;
        b.connections_idle = 22;
        b.connections_max = 23;
        b.connections_created = 24;
        b.connections_destroyed = 25;
        b.slots_active = 26;
        b.slots_max = 27;
        b.concurrency_limit = 46;
        b.requests = 28;
        b.health_check_failures = 29;
        b.health = HealthStatus::Healthy;
        b.breaker = BreakerState::Open {
            until: Instant::now(),
        };
        b.breaker_opened = 30;
        b.weight = 0.25;
        b.breaker_moves = [35, 36, 37];
        b.ejections = 38;
        b.ejected_until = Some(Instant::now());
        b.throttled_until = Some(Instant::now());
        b.position = Some(21_000_000);
        b.lag = Some(39);
        b.head_age = Some(Duration::from_millis(47_250));
        b.throttles = [40, 41, 42, 43];
        b.quota_left = Some(44);
        b.quota_limit = Some(45);
        b.connections_closed = std::array::from_fn(|index| 200 + index as u64);
        for (index, count) in b.errors.iter_mut().enumerate() {
            *count = 100 + index as u64;
        }
    });
    let exposed = Exposition::of(&bridge);
    for (name, value) in [
        ("queue_size", 11.0),
        ("queue_limit", 12.0),
        ("queue_timeouts_total", 13.0),
        ("hedges_lost_total", 31.0),
        ("hedge_budget_exhausted_total", 32.0),
        ("panic_threshold_active", 1.0),
        ("slots_usable", 15.0),
        ("slots_free", 16.0),
        ("retries_total", 17.0),
        ("hedges_total", 18.0),
        ("hedges_won_total", 19.0),
        ("retry_budget_exhausted_total", 20.0),
        ("lease_leaks_total", 10.0),
        ("reference_head_age_seconds", 46.5),
        ("timeouts_beyond_buckets", 2.0),
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
        ("concurrency_limit", 0.0, 46.0),
        ("requests_total", 0.0, 28.0),
        ("health_check_failures_total", 0.0, 29.0),
        ("health_status", 1.0, 0.0),
        ("circuit_breaker_status", 0.0, 1.0),
        ("circuit_breaker_opened_total", 0.0, 30.0),
        ("endpoint_weight", 1.0, 0.25),
        ("block_height", 0.0, 21_000_000.0),
        ("block_lag", 0.0, 39.0),
        ("head_age_seconds", 0.0, 47.25),
        ("quota_left", 0.0, 44.0),
        ("quota_limit", 0.0, 45.0),
        ("ejections_total", 0.0, 38.0),
        ("ejection_status", 0.0, 1.0),
        ("throttle_status", 0.0, 1.0),
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
    for (name, label, values) in [
        (
            "rejections_total",
            "reason",
            vec![
                ("queue_full", 140.0),
                ("queue_timeout", 141.0),
                ("no_endpoint", 142.0),
                ("connect", 143.0),
                ("deadline", 144.0),
                ("closed", 145.0),
            ],
        ),
        (
            "reconfigurations_total",
            "result",
            vec![("applied", 33.0), ("refused", 34.0)],
        ),
    ] {
        for (value, count) in values {
            let labels = format!("pool=eth,{label}={value}");
            assert_eq!(exposed.value(&full(name), &labels), Some(count), "{name} {value}");
        }
    }
    for (state, count) in [("closed", 35.0), ("open", 36.0), ("half_open", 37.0)] {
        let labels = format!("pool=eth,endpoint=b,state={state}");
        let name = full("circuit_breaker_transitions_total");
        assert_eq!(exposed.value(&name, &labels), Some(count), "{state}");
    }
    for (cause, count) in [
        ("cool_down", 40.0),
        ("provider_cool_down", 41.0),
        ("quota", 42.0),
        ("provider_quota", 43.0),
    ] {
        let labels = format!("pool=eth,endpoint=b,cause={cause}");
        assert_eq!(
            exposed.value(&full("throttles_total"), &labels),
            Some(count),
            "{cause}"
        );
    }
    for reason in CloseReason::ALL {
        let labels = format!("pool=eth,endpoint=b,reason={}", reason.as_str());
        let expected = 200.0 + reason.index() as f64;
        assert_eq!(
            exposed.value(&full("connections_closed_total"), &labels),
            Some(expected)
        );
    }
    let version = concat!("version=", env!("CARGO_PKG_VERSION"));
    assert_eq!(exposed.value(&full("build_info"), version), Some(1.0));
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

#[test]
fn waits_connects_and_checks_have_histograms_of_their_own() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a"]);
    let observers = pool.register(bridge.metrics());
    let waits = bridge.metrics().pool(&PoolId::new("eth").unwrap());
    // of a pool that is built a second time under the same id nothing is recorded
    waits.unwrap().waited(Duration::from_secs(1));
    observers[0].connect_ended(Duration::from_millis(30), true);
    observers[0].connect_ended(Duration::from_secs(5), false);
    observers[0].check_ended(Duration::from_millis(2), true);
    let exposed = Exposition::of(&bridge);
    let of = |name: &str, labels: &str| exposed.value(&full(name), labels).unwrap();
    assert_eq!(of("queue_wait_seconds_count", "pool=eth"), 0.0);
    assert_eq!(of("connect_duration_seconds_count", "pool=eth,endpoint=a"), 2.0);
    assert_eq!(of("connect_duration_seconds_sum", "pool=eth,endpoint=a"), 5.03);
    assert_eq!(
        of("connect_duration_seconds_bucket", "pool=eth,endpoint=a,le=0.025"),
        0.0
    );
    assert_eq!(
        of("connect_duration_seconds_bucket", "pool=eth,endpoint=a,le=0.05"),
        1.0
    );
    assert_eq!(
        of("health_check_duration_seconds_count", "pool=eth,endpoint=a"),
        1.0
    );
    assert_eq!(of("request_duration_ms_count", "pool=eth,endpoint=a"), 0.0);
}
