//! Pools and endpoints that come and go, names that clash, registries that are shared.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use pool_core::{EndpointId, Observer, PoolId, PoolSnapshot, Source};
use pool_metrics::{BridgeError, PoolMetrics, PrometheusBridge, catalogue, views};
use prometheus::Registry;

use crate::support::{Exposition, FakePool, logged};

const COUNT: &str = "fusion_connection_pool_request_duration_ms_count";
const QUEUE: &str = "fusion_connection_pool_queue_size";

#[test]
fn a_dropped_pool_leaves_nothing() {
    let bridge = PrometheusBridge::new().unwrap();
    let (one, two) = (FakePool::new("one", &["a"]), FakePool::new("two", &["a"]));
    let observers = one.register(bridge.metrics());
    two.register(bridge.metrics());
    observers[0].attempt_ended(Duration::from_millis(5), None);
    assert_eq!(
        Exposition::of(&bridge).value(COUNT, "pool=one,endpoint=a"),
        Some(1.0)
    );

    drop(one);
    let exposed = Exposition::of(&bridge);
    assert_eq!(exposed.series_of("one"), 0);
    assert!(exposed.series_of("two") > 0);

    drop(two);
    assert_eq!(Exposition::of(&bridge).of_pools(), 0);
}

#[test]
fn a_removed_endpoint_leaves_nothing_and_resumes_its_histogram() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a", "b"]);
    let observers = pool.register(bridge.metrics());
    observers[1].attempt_ended(Duration::from_millis(5), None);
    let mut removed = None;
    pool.set(|pool| removed = pool.endpoints.pop());

    let exposed = Exposition::of(&bridge);
    let samples = exposed.0.values().flat_map(|family| &family.samples);
    let left = samples
        .filter(|sample| sample.labels.get("endpoint").is_some_and(|id| id == "b"))
        .count();
    assert_eq!(left, 0);
    assert_eq!(exposed.value(COUNT, "pool=eth,endpoint=a"), Some(0.0));

    // back again: the pool asks anew, lists it, and it goes on from where it was
    let again = bridge
        .metrics()
        .endpoint(&PoolId::new("eth").unwrap(), &EndpointId::new("b").unwrap());
    pool.set(|pool| pool.endpoints.extend(removed));
    again.attempt_ended(Duration::from_millis(5), None);
    assert_eq!(
        Exposition::of(&bridge).value(COUNT, "pool=eth,endpoint=b"),
        Some(2.0)
    );
}

#[test]
fn an_endpoint_is_not_shown_before_its_pool_is_attached() {
    let bridge = PrometheusBridge::new().unwrap();
    let _observer = bridge
        .metrics()
        .endpoint(&PoolId::new("eth").unwrap(), &EndpointId::new("a").unwrap());
    assert_eq!(Exposition::of(&bridge).of_pools(), 0);
}

#[test]
fn of_two_pools_with_one_id_only_the_older_counts_until_it_goes() {
    let bridge = PrometheusBridge::new().unwrap();
    let older = FakePool::new("eth", &["a"]);
    let newer = FakePool::new("eth", &["a"]);
    older.set(|pool| pool.queue_size = 1);
    newer.set(|pool| pool.queue_size = 2);
    let old_observers = older.register(bridge.metrics());
    let mut new_observers = Vec::new();
    let log = logged(|| new_observers = newer.register(bridge.metrics()));
    assert!(log.contains("ERROR") && log.contains("pool=eth"), "{log}");

    old_observers[0].attempt_ended(Duration::from_millis(1), None);
    new_observers[0].attempt_ended(Duration::from_millis(1), None);
    let exposed = Exposition::of(&bridge); // the parser refuses a series that comes twice
    assert_eq!(exposed.value(QUEUE, "pool=eth"), Some(1.0));
    assert_eq!(exposed.value(COUNT, "pool=eth,endpoint=a"), Some(1.0));

    drop(older);
    let exposed = Exposition::of(&bridge);
    assert_eq!(exposed.value(QUEUE, "pool=eth"), Some(2.0));
    new_observers[0].attempt_ended(Duration::from_millis(1), None);
    assert_eq!(
        Exposition::of(&bridge).value(COUNT, "pool=eth,endpoint=a"),
        Some(2.0)
    );
}

#[test]
fn a_pool_that_is_built_again_counts_at_once() {
    let bridge = PrometheusBridge::new().unwrap();
    drop(FakePool::new("eth", &["a"]).register(bridge.metrics()));
    let pool = FakePool::new("eth", &["a"]);
    let mut observers = Vec::new();
    let log = logged(|| observers = pool.register(bridge.metrics()));
    assert_eq!(log, "");
    observers[0].attempt_ended(Duration::from_millis(1), None);
    assert_eq!(
        Exposition::of(&bridge).value(COUNT, "pool=eth,endpoint=a"),
        Some(1.0)
    );
}

#[test]
fn a_pool_that_panics_does_not_take_the_others_with_it() {
    struct Broken;
    impl Source for Broken {
        fn snapshot(&self) -> PoolSnapshot {
            panic!("on purpose");
        }
    }
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a"]);
    pool.register(bridge.metrics());
    let broken: Arc<dyn Source> = Arc::new(Broken);
    bridge
        .metrics()
        .attached(&PoolId::new("broken").unwrap(), Arc::downgrade(&broken));
    for _ in 0..2 {
        let exposed = Exposition::of(&bridge);
        assert_eq!(exposed.value(QUEUE, "pool=eth"), Some(0.0));
        assert_eq!(exposed.series_of("broken"), 0);
    }
}

#[test]
fn a_users_registry_keeps_its_own_metrics_beside_ours() {
    let registry = Registry::new();
    let theirs = prometheus::IntCounter::new("relayer_swaps_total", "Swaps.").unwrap();
    registry.register(Box::new(theirs.clone())).unwrap();
    theirs.inc();
    let bridge = PrometheusBridge::builder()
        .registry(registry.clone())
        .build()
        .unwrap();
    let pool = FakePool::new("eth", &["a"]);
    pool.register(bridge.metrics());
    drop(bridge); // the exporter belongs to the registry
    let exposed = Exposition::gather(&registry);
    assert_eq!(exposed.value("relayer_swaps_total", ""), Some(1.0));
    assert_eq!(exposed.0.len(), catalogue::METRICS.len() + 1);
    drop(pool);
    let exposed = Exposition::gather(&registry);
    assert_eq!(exposed.value("relayer_swaps_total", ""), Some(1.0));
    assert_eq!(exposed.of_pools(), 0);
}

#[test]
fn a_clash_in_the_registry_is_an_error_that_names_it() {
    let registry = Registry::new();
    let theirs = prometheus::IntGauge::new("fusion_connection_pool_queue_size", "Ours first.").unwrap();
    registry.register(Box::new(theirs)).unwrap();
    let error = PrometheusBridge::builder()
        .registry(registry.clone())
        .build()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("already holds fusion_connection_pool_queue_size"),
        "{error}"
    );
    assert_eq!(Exposition::gather(&registry).0.len(), 1);

    let registry = Registry::new();
    let _first = PrometheusBridge::builder()
        .registry(registry.clone())
        .build()
        .unwrap();
    let second = PrometheusBridge::builder().registry(registry).build();
    assert!(matches!(second, Err(BridgeError::Clash { .. })));
}

#[test]
fn own_instruments_beside_the_pools_come_out_as_declared() {
    let bridge = PrometheusBridge::new().unwrap();
    let meter = opentelemetry::metrics::MeterProvider::meter(bridge.meter_provider(), "relayer");
    let swaps = meter.u64_counter("relayer_swaps_total").build();
    swaps.add(3, &[]);
    assert_eq!(
        Exposition::of(&bridge).value("relayer_swaps_total", ""),
        Some(3.0)
    );
}

/// The bridge's provider is for the user's own instruments: what of the catalogue goes through it is not shown twice.
#[test]
fn a_bridge_that_is_fed_by_way_of_its_own_provider_too_shows_everything_once() {
    let bridge = PrometheusBridge::new().unwrap();
    bridge.metrics().also(bridge.meter_provider());
    let pool = FakePool::new("eth", &["a"]);
    let observers = pool.register(bridge.metrics());
    pool.set(|pool| pool.queue_size = 7);
    observers[0].attempt_ended(Duration::from_millis(1), None);
    let exposed = Exposition::of(&bridge); // the parser refuses a series that comes twice
    assert_eq!(exposed.value(QUEUE, "pool=eth"), Some(7.0));
    assert_eq!(exposed.value(COUNT, "pool=eth,endpoint=a"), Some(1.0));
    assert_eq!(exposed.0.len(), catalogue::METRICS.len());
}

#[test]
fn any_provider_works_and_several_at_once() {
    let registries = [Registry::new(), Registry::new()];
    let providers = registries.clone().map(|registry| {
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry)
            .without_units()
            .without_counter_suffixes()
            .scope_info_enabled(false)
            .build()
            .unwrap();
        SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_view(views(Default::default()))
            .build()
    });
    let metrics = PoolMetrics::new(&providers[0]);
    metrics.also(&providers[1]);
    let pool = FakePool::new("eth", &["a"]);
    let observers = pool.register(&metrics);
    pool.set(|pool| pool.queue_size = 7);
    observers[0].attempt_ended(Duration::from_millis(1), None);
    for registry in &registries {
        let exposed = Exposition::gather(registry);
        assert_eq!(exposed.value(QUEUE, "pool=eth"), Some(7.0));
        assert_eq!(exposed.value(COUNT, "pool=eth,endpoint=a"), Some(1.0));
    }
}

#[test]
fn a_source_that_never_lived_is_no_pool() {
    let bridge = PrometheusBridge::new().unwrap();
    let dead: Weak<dyn Source> = Weak::<FakePool>::new();
    bridge.metrics().attached(&PoolId::new("eth").unwrap(), dead);
    assert_eq!(Exposition::of(&bridge).of_pools(), 0);
}
