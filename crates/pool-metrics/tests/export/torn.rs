//! Numbers that belong together come from one moment, whoever scrapes and whatever changes meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use pool_core::{EndpointId, EndpointSnapshot, Observer, PoolId, PoolSnapshot, Source};
use pool_metrics::{PrometheusBridge, catalogue, views};
use prometheus::Registry;
use tokio::time::Instant;

use crate::support::{Exposition, FakePool};

/// Scrapes of each scraper.
const SCRAPES: usize = 150;

/// A pool whose every snapshot differs from the one before in all numbers, and which counts its snapshots.
#[derive(Default)]
struct Restless {
    step: AtomicU64,
    snapshots: AtomicU64,
}

impl Source for Restless {
    fn snapshot(&self) -> PoolSnapshot {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        let step = self.step.fetch_add(1, Ordering::Relaxed);
        let mut pool = PoolSnapshot::new(PoolId::new("eth").unwrap(), Instant::now());
        for id in ["a", "b", "c"] {
            let mut endpoint = EndpointSnapshot::new(EndpointId::new(id).unwrap());
            endpoint.connections_active = step % 97;
            endpoint.connections_idle = step % 89;
            endpoint.requests = step;
            endpoint.slots_max = step;
            pool.endpoints.push(endpoint);
        }
        pool
    }
}

/// What one scraper saw last, to find counters that go back.
fn check(exposed: &Exposition, last: &mut BTreeMap<String, f64>) {
    for id in ["a", "b", "c"] {
        let value = |name: &str| {
            let name = format!("fusion_connection_pool_{name}");
            exposed
                .value(&name, &format!("pool=eth,endpoint={id}"))
                .expect("no series may flap")
        };
        let step = value("requests_total");
        assert_eq!(value("slots_max"), step);
        assert_eq!(value("connections_active"), step % 97.0);
        assert_eq!(value("connections_idle"), step % 89.0);
        assert_eq!(
            value("connections_total"),
            value("connections_active") + value("connections_idle")
        );
        let before = last.insert(id.to_owned(), step).unwrap_or(-1.0);
        assert!(step >= before, "{id} went back from {before} to {step}");
    }
}

fn scrape_concurrently(registries: &[Registry], pool: &Restless) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let changer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                pool.step.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let scraper = |registry: &Registry| {
            let mut last = BTreeMap::new();
            for _ in 0..SCRAPES {
                check(&Exposition::gather(registry), &mut last);
            }
        };
        let scrapers: Vec<_> = registries
            .iter()
            .map(|registry| scope.spawn(move || scraper(registry)))
            .collect();
        let ended: Vec<_> = scrapers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        changer.join().unwrap();
        for scraper in ended {
            if let Err(panic) = scraper {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn attach(metrics: &impl Observer) -> Arc<Restless> {
    let pool = Arc::new(Restless::default());
    let source: Arc<dyn Source> = Arc::clone(&pool) as _;
    metrics.attached(&PoolId::new("eth").unwrap(), Arc::downgrade(&source));
    // one is for its time-outs
    assert_eq!(pool.snapshots.swap(0, Ordering::Relaxed), 1);
    pool
}

#[test]
fn two_scrapers_of_one_registry() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = attach(bridge.metrics());
    scrape_concurrently(&[bridge.registry().clone(), bridge.registry().clone()], &pool);
    // one for each collection, not one for each of the instruments
    assert_eq!(pool.snapshots.load(Ordering::Relaxed), 2 * SCRAPES as u64);
}

/// Buckets, count and sum of a histogram are of the same records in every scrape, while threads record and tallies overflow.
#[test]
fn histograms_under_two_scrapers() {
    const NAME: &str = "fusion_connection_pool_request_duration_ms";
    const LABELS: &str = "pool=eth,endpoint=a";
    /// Shared by two buckets; the longer one fills a tally every 1,400 records.
    const TOOK_MS: [u64; 2] = [1, 100_000];
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a"]);
    let observers = pool.register(bridge.metrics());
    let done = AtomicBool::new(false);
    let scrape = || {
        let (mut last, mut recorded) = (BTreeMap::new(), 0.0);
        for _ in 0..SCRAPES {
            let exposed = Exposition::of(&bridge);
            let buckets: Vec<_> = exposed.0[NAME]
                .samples
                .iter()
                .filter_map(|sample| Some((sample.labels.get("le")?.clone(), sample.value)))
                .collect();
            let below = |bound: &str| buckets.iter().find(|(le, _)| le == bound).unwrap().1;
            let of = |part: &str| exposed.value(&format!("{NAME}{part}"), LABELS).unwrap();
            assert_eq!(below("+Inf"), of("_count"));
            let (short, long) = (below("1"), of("_count") - below("60000"));
            assert_eq!(short + long, of("_count"));
            assert_eq!(of("_sum"), short * TOOK_MS[0] as f64 + long * TOOK_MS[1] as f64);
            for (bound, now) in buckets {
                let before = last.insert(bound.clone(), now).unwrap_or(0.0);
                assert!(now >= before, "{bound} went back from {before} to {now}");
            }
            recorded = of("_count");
        }
        recorded
    };
    thread::scope(|scope| {
        let record = || {
            let mut records = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let took = Duration::from_millis(TOOK_MS[(records % 2) as usize]);
                observers[0].attempt_ended(took, None);
                records += 1;
            }
            records
        };
        let recorders = [scope.spawn(record), scope.spawn(record)];
        let scrapers = [scope.spawn(scrape), scope.spawn(scrape)];
        let seen = scrapers.map(thread::ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        let recorded: u64 = recorders.map(|thread| thread.join().unwrap()).iter().sum();
        for seen in seen {
            let seen = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            assert!(seen > 0.0 && seen <= recorded as f64);
        }
        let count = Exposition::of(&bridge).value(&format!("{NAME}_count"), LABELS);
        assert_eq!(count, Some(recorded as f64));
    });
}

#[test]
fn two_readers_each_with_its_provider() {
    let bridge = PrometheusBridge::new().unwrap();
    let other = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(other.clone())
        .without_units()
        .without_counter_suffixes()
        .scope_info_enabled(false)
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(views(Default::default()))
        .build();
    bridge.metrics().also(&provider);
    let pool = attach(bridge.metrics());
    scrape_concurrently(&[bridge.registry().clone(), other], &pool);
    assert_eq!(pool.snapshots.load(Ordering::Relaxed), 2 * SCRAPES as u64);
}

#[test]
fn a_view_that_drops_the_first_instruments_tears_nothing() {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_units()
        .without_counter_suffixes()
        .scope_info_enabled(false)
        .build()
        .unwrap();
    let dropped = [catalogue::CONNECTIONS_TOTAL.name, catalogue::BLOCK_HEIGHT.name];
    let drop_some = move |instrument: &opentelemetry_sdk::metrics::Instrument| {
        let stream = opentelemetry_sdk::metrics::Stream::builder()
            .with_aggregation(opentelemetry_sdk::metrics::Aggregation::Drop);
        dropped
            .contains(&instrument.name())
            .then(|| stream.build().unwrap())
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(drop_some)
        .build();
    let metrics = pool_metrics::PoolMetrics::new(&provider);
    let pool = attach(&metrics);
    for scrape in 1..=3 {
        let exposed = Exposition::gather(&registry);
        let value =
            |name: &str| exposed.value(&format!("fusion_connection_pool_{name}"), "pool=eth,endpoint=a");
        assert_eq!(value("connections_total"), None);
        assert_eq!(value("requests_total"), value("slots_max"));
        assert_eq!(pool.snapshots.load(Ordering::Relaxed), scrape);
    }
}
