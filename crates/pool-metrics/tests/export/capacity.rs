//! Many endpoints, and more than there is room for.

use std::time::Duration;

use pool_metrics::{
    Limits, PrometheusBridge,
    catalogue::{self, Kind, METRICS},
};

use crate::support::{Exposition, FakePool, logged, series};

#[test]
fn five_thousand_endpoints_over_fifty_pools_are_all_there() {
    let bridge = PrometheusBridge::new().unwrap();
    let ids: Vec<_> = (0..100).map(|i| format!("endpoint-{i}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let pools: Vec<_> = (0..50)
        .map(|i| FakePool::new(&format!("pool-{i}"), &ids))
        .collect();
    for pool in &pools {
        pool.set(|pool| {
            for (number, endpoint) in pool.endpoints.iter_mut().enumerate() {
                endpoint.requests = number as u64;
            }
        });
        for observer in pool.register(bridge.metrics()) {
            observer.attempt_ended(Duration::from_millis(1), None);
        }
    }
    let exposed = Exposition::of(&bridge);
    for metric in catalogue::METRICS {
        let series = series(metric, 50, 5_000);
        let lines = if metric.buckets.is_empty() {
            1
        } else {
            metric.buckets.len() + 3
        };
        assert_eq!(
            exposed.0[metric.name].samples.len(),
            series * lines,
            "{}",
            metric.name
        );
    }
    assert_eq!(exposed.value(catalogue::METRICS_OVERFLOW.name, ""), Some(0.0));
    let requests: f64 = exposed.0[catalogue::REQUESTS_TOTAL.name]
        .samples
        .iter()
        .map(|sample| sample.value)
        .sum();
    assert_eq!(requests, f64::from(50 * (99 * 100 / 2)));
}

#[test]
fn the_limit_itself_still_fits() {
    let bridge = PrometheusBridge::builder()
        .limits(Limits::for_endpoints(3))
        .build()
        .unwrap();
    let pool = FakePool::new("eth", &["a", "b", "c"]);
    pool.register(bridge.metrics());
    let mut exposed = Exposition::default();
    let log = logged(|| exposed = Exposition::of(&bridge));
    assert_eq!(log, "");
    assert_eq!(exposed.0[catalogue::HEALTH_STATUS.name].samples.len(), 3);
    assert_eq!(
        exposed.0[catalogue::ERRORS_TOTAL.name].samples.len(),
        3 * catalogue::ERROR_TYPES.len()
    );
}

#[test]
fn beyond_the_limit_an_error_is_logged_once_and_nothing_misleading_shown() {
    let bridge = PrometheusBridge::builder()
        .limits(Limits::for_endpoints(3))
        .build()
        .unwrap();
    let pool = FakePool::new("eth", &["a", "b", "c", "d", "e"]);
    for observer in pool.register(bridge.metrics()) {
        observer.attempt_ended(Duration::from_millis(1), None);
    }
    let mut exposed = Exposition::default();
    let log = logged(|| {
        exposed = Exposition::of(&bridge);
        Exposition::of(&bridge);
    });
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(log.contains("Limits::for_endpoints"), "{log}");
    let samples = exposed.0.values().flat_map(|family| &family.samples);
    for sample in samples {
        assert!(!sample.labels.contains_key("otel_metric_overflow"), "{sample:?}");
    }
    // it shows where a person looks, too: all histograms per endpoint have lost two
    let overflowed = METRICS
        .iter()
        .filter(|metric| metric.kind == Kind::Histogram && metric.has_label("endpoint"))
        .count();
    assert_eq!(
        exposed.value(catalogue::METRICS_OVERFLOW.name, ""),
        Some(overflowed as f64)
    );
    // what does not go through the SDK has no limit
    assert_eq!(exposed.0[catalogue::HEALTH_STATUS.name].samples.len(), 5);
    // those that fit are whole
    let count = "fusion_connection_pool_request_duration_ms_count";
    assert_eq!(exposed.value(count, "pool=eth,endpoint=a"), Some(1.0));
}
