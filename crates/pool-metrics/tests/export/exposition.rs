//! The exposition against the catalogue, both ways.

use std::collections::BTreeSet;

use pool_core::breaker::BreakerState;
use pool_metrics::{
    PrometheusBridge,
    catalogue::{self, Kind},
};
use tokio::time::Instant;

use crate::support::{Exposition, FakePool, series};

fn one_pool() -> (PrometheusBridge, std::sync::Arc<FakePool>) {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["alchemy", "infura"]);
    pool.register(bridge.metrics());
    (bridge, pool)
}

#[test]
fn names_are_exactly_those_of_the_catalogue() {
    let (bridge, _pool) = one_pool();
    let exposed = Exposition::of(&bridge);
    let names: BTreeSet<_> = exposed.0.keys().map(String::as_str).collect();
    let expected: BTreeSet<_> = catalogue::METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names, expected);
}

/// The names are a promise to users, so they stand here once more, as text.
#[test]
fn frozen_names_and_types_are_exposed() {
    let (bridge, _pool) = one_pool();
    let exposed = Exposition::of(&bridge);
    let frozen = [
        ("connections_total", "gauge", "endpoint,pool"),
        ("connections_active", "gauge", "endpoint,pool"),
        ("connections_idle", "gauge", "endpoint,pool"),
        ("requests_total", "counter", "endpoint,pool"),
        ("request_duration_ms", "histogram", "endpoint,pool"),
        ("queue_size", "gauge", "pool"),
        ("queue_timeouts_total", "counter", "pool"),
        ("health_status", "gauge", "endpoint,pool"),
        ("circuit_breaker_status", "gauge", "endpoint,pool"),
        ("endpoint_weight", "gauge", "endpoint,pool"),
        ("errors_total", "counter", "endpoint,error_type,pool"),
        ("health_check_failures_total", "counter", "endpoint,pool"),
        ("connections_created_total", "counter", "endpoint,pool"),
        ("connections_destroyed_total", "counter", "endpoint,pool"),
        ("connections_max", "gauge", "endpoint,pool"),
        ("slots_active", "gauge", "endpoint,pool"),
        ("slots_max", "gauge", "endpoint,pool"),
        ("slots_usable", "gauge", "pool"),
        ("slots_free", "gauge", "pool"),
    ];
    for (name, kind, labels) in frozen {
        let family = exposed
            .0
            .get(&format!("fusion_connection_pool_{name}"))
            .unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(family.kind, kind, "{name}");
        for sample in &family.samples {
            let mut have: BTreeSet<_> = sample.labels.keys().map(String::as_str).collect();
            have.remove("le");
            assert_eq!(
                have.into_iter().collect::<Vec<_>>().join(","),
                labels,
                "{}",
                sample.name
            );
        }
    }
}

#[test]
fn types_helps_and_labels_are_those_of_the_catalogue() {
    let (bridge, _pool) = one_pool();
    let exposed = Exposition::of(&bridge);
    for metric in catalogue::METRICS {
        let family = &exposed.0[metric.name];
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        assert_eq!(family.kind, kind, "{}", metric.name);
        assert_eq!(family.help, metric.help, "{}", metric.name);
        for sample in &family.samples {
            let mut expected: BTreeSet<_> = metric.labels.iter().map(|label| label.name).collect();
            if sample.name.ends_with("_bucket") {
                expected.insert("le");
            }
            let labels: BTreeSet<_> = sample.labels.keys().map(String::as_str).collect();
            assert_eq!(labels, expected, "{}", sample.name);
        }
    }
}

#[test]
fn closed_labels_have_all_their_values_and_no_other() {
    let (bridge, _pool) = one_pool();
    let exposed = Exposition::of(&bridge);
    let mut sets = 0;
    for metric in catalogue::METRICS {
        let samples = &exposed.0[metric.name].samples;
        for label in metric.labels.iter().filter(|label| !label.values.is_empty()) {
            sets += 1;
            let expected: BTreeSet<_> = label.values.iter().copied().collect();
            let values = samples.iter().map(|sample| sample.labels[label.name].as_str());
            assert_eq!(values.collect::<BTreeSet<_>>(), expected, "{}", metric.name);
            assert_eq!(samples.len(), series(metric, 1, 2), "{}", metric.name);
        }
    }
    assert!(sets >= 7, "{sets}");
}

#[test]
fn of_a_state_set_exactly_one_is_1() {
    let (bridge, pool) = one_pool();
    pool.set(|pool| {
        pool.endpoints[0].breaker = BreakerState::Open {
            until: Instant::now(),
        };
        pool.endpoints[1].breaker = BreakerState::HalfOpen;
    });
    let exposed = Exposition::of(&bridge);
    for (endpoint, state) in [("alchemy", "open"), ("infura", "half_open")] {
        let samples = exposed.0[catalogue::CIRCUIT_BREAKER_STATE.name].samples.iter();
        let on = samples.filter(|sample| sample.labels["endpoint"] == endpoint && sample.value == 1.0);
        let on: Vec<_> = on.map(|sample| sample.labels["state"].as_str()).collect();
        assert_eq!(on, [state], "{endpoint}");
    }
}

#[test]
fn counters_and_histograms_stand_at_0_from_registration() {
    let (bridge, _pool) = one_pool();
    let exposed = Exposition::of(&bridge);
    for metric in catalogue::METRICS
        .iter()
        .filter(|metric| metric.kind != Kind::Gauge)
    {
        let series = series(metric, 1, 2);
        // each bucket, the one to infinity, sum and count
        let lines = if metric.kind == Kind::Histogram {
            metric.buckets.len() + 3
        } else {
            1
        };
        let samples = &exposed.0[metric.name].samples;
        assert_eq!(samples.len(), series * lines, "{}", metric.name);
        assert!(
            samples.iter().all(|sample| sample.value == 0.0),
            "{}",
            metric.name
        );
    }
}

#[test]
fn buckets_are_those_of_the_catalogue() {
    let (bridge, _pool) = one_pool();
    let exposed = Exposition::of(&bridge);
    for metric in catalogue::METRICS
        .iter()
        .filter(|metric| metric.kind == Kind::Histogram)
    {
        let samples = &exposed.0[metric.name].samples;
        let of_one = samples.iter().filter(|sample| {
            let endpoint = sample.labels.get("endpoint");
            endpoint.is_none_or(|endpoint| endpoint == "alchemy")
        });
        let bounds: Vec<f64> = of_one
            .filter_map(|sample| sample.labels.get("le"))
            .map(|le| le.parse().unwrap())
            .collect();
        let expected: Vec<_> = metric.buckets.iter().copied().chain([f64::INFINITY]).collect();
        assert_eq!(bounds, expected, "{}", metric.name);
    }
}
