//! The short way against the long one: the same text, byte for byte.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use pool_core::{EndpointId, Observer, PoolId, Source, breaker::BreakerState, health::HealthStatus};
use prometheus::{Registry, TextEncoder};
use tokio::time::Instant;

use super::*;
use crate::{PoolMetrics, PrometheusBridge, catalogue, views};

/// A pool that looks as it was made.
struct Made(PoolSnapshot);

impl Source for Made {
    fn snapshot(&self) -> PoolSnapshot {
        self.0.clone()
    }
}

/// A pool in which no two numbers are the same, its endpoints neither sorted nor of one pool only.
fn pool(id: &str, endpoints: &[&str], first: u64) -> PoolSnapshot {
    let mut number = first;
    let mut next = || {
        number += 7;
        number
    };
    let mut pool = PoolSnapshot::new(PoolId::new(id).unwrap(), Instant::now());
    pool.queue_size = next();
    pool.queue_timeouts = next();
    pool.rejections = std::array::from_fn(|_| next());
    (pool.updates, pool.updates_refused) = (next(), next());
    for id in endpoints {
        let mut endpoint = EndpointSnapshot::new(EndpointId::new(id).unwrap());
        endpoint.connections_active = next();
        endpoint.connections_idle = next();
        endpoint.requests = u64::MAX - next();
        endpoint.errors = std::array::from_fn(|_| next());
        endpoint.throttles = std::array::from_fn(|_| next());
        endpoint.breaker_moves = std::array::from_fn(|_| next());
        endpoint.connections_closed = std::array::from_fn(|_| next());
        endpoint.weight = 1.0 / next() as f64;
        endpoint.health = HealthStatus::Healthy;
        endpoint.breaker = BreakerState::Open {
            until: Instant::now(),
        };
        pool.endpoints.push(endpoint);
    }
    pool
}

fn text(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

/// What the bridge shows, and what the SDK and its exporter make of the observable instruments.
fn both(pools: Vec<PoolSnapshot>) -> (String, String) {
    let long = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(long.clone())
        .without_units()
        .without_counter_suffixes()
        .without_target_info()
        .scope_info_enabled(false)
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(views(crate::Limits::default()))
        .build();
    let bridge = PrometheusBridge::new().unwrap();
    let metrics = PoolMetrics::new(&provider);
    let made: Vec<_> = pools.into_iter().map(|pool| Arc::new(Made(pool))).collect();
    for pool in &made {
        let weak: Arc<dyn Source> = Arc::clone(pool) as _;
        let weak: Weak<dyn Source> = Arc::downgrade(&weak);
        for metrics in [bridge.metrics(), &metrics] {
            let waits = metrics.pool(&pool.0.id).unwrap();
            waits.waited(Duration::from_millis(40));
            for (at, endpoint) in pool.0.endpoints.iter().enumerate() {
                let observer = metrics.endpoint(&pool.0.id, &endpoint.id);
                observer.connect_ended(Duration::from_millis(3), true);
                observer.check_ended(Duration::from_secs(300), false);
                // whole and half milliseconds, which floating-point sums hold exactly, in and between all buckets
                for step in 0..1500 * (at as u64 + 1) {
                    observer.attempt_ended(Duration::from_micros(step * step * 500 / 4 * 4), None);
                }
            }
            metrics.attached(&pool.0.id, weak.clone());
        }
    }
    let overflow = catalogue::METRICS_OVERFLOW;
    let none = vec![series(overflow.kind, Vec::new(), 0.0)];
    let mut families = long.gather();
    families.push(family(&overflow, none));
    families.sort_by(|a, b| a.name().cmp(b.name()));
    let long = TextEncoder::new().encode_to_string(&families).unwrap();
    (text(bridge.registry()), long)
}

#[test]
fn the_same_text_as_by_way_of_the_sdk() {
    let (short, long) = both(vec![
        pool("solana", &["quick", "alchemy", "b"], 1000),
        pool("eth", &["infura", "alchemy", "Z", "a-1"], 2000),
        pool("empty", &[], 3000),
    ]);
    assert!(short.lines().count() > 500, "{short}");
    assert!(short == long, "by the bridge:\n{short}\nby the SDK:\n{long}");
}

#[test]
fn the_same_text_without_pools() {
    let (short, long) = both(Vec::new());
    assert!(short == long, "by the bridge:\n{short}\nby the SDK:\n{long}");
}

/// A pool must not list an endpoint twice; if one does, the scrape is not lost for it.
#[test]
fn of_an_endpoint_that_comes_twice_the_last_counts() {
    let mut twice = pool("eth", &["b", "a", "b"], 1);
    twice.endpoints[0].connections_max = 1;
    twice.endpoints[2].connections_max = 2;
    let rows = Rows::new(std::slice::from_ref(&twice));
    let series = rows.series(
        &catalogue::CONNECTIONS_MAX,
        Read::Endpoint(|endpoint| endpoint.connections_max),
    );
    let labels = |series: &proto::Metric| series.get_label()[0].value().to_owned();
    assert_eq!(series.iter().map(labels).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(series[1].get_gauge().get_value() as u64, 2);
}

/// The registry need not sort what is sorted already.
#[test]
fn series_come_in_the_order_of_their_labels() {
    let pools = [pool("solana", &["c", "a"], 1), pool("eth", &["d", "b"], 1)];
    for family in families(&pools) {
        let values: Vec<Vec<&str>> = family
            .get_metric()
            .iter()
            .map(|series| series.get_label().iter().map(LabelPair::value).collect())
            .collect();
        assert!(!values.is_empty(), "{}", family.name());
        assert!(values.is_sorted(), "{}: {values:?}", family.name());
    }
}
