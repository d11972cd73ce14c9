//! The sides: ours, and the usual crates, each with its handles resolved ahead.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use pool_core::{EndpointId, EndpointSnapshot, Observer, PoolId, PoolSnapshot, Source};
use pool_metrics::{
    PrometheusBridge,
    catalogue::{Kind, METRICS, Metric, REQUEST_DURATION_BUCKETS_MS},
};
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

use super::Failure;

/// All recording for one request of one endpoint, which took so long.
pub(crate) type Record = Box<dyn Fn(Duration) + Send + Sync>;

/// As those who use the other crates write it.
fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

/// Does nothing: what the measuring itself costs.
pub(crate) fn nothing() -> Record {
    Box::new(|_| {})
}

/// A counter as the pool has it, and a bound histogram with nothing of ours around it: what is opentelemetry's own.
pub(crate) fn opentelemetry_alone() -> Result<Record, Failure> {
    let bridge = PrometheusBridge::new()?;
    let histogram = bridge
        .meter_provider()
        .meter("bench")
        .f64_histogram("alone_ms")
        .with_boundaries(REQUEST_DURATION_BUCKETS_MS.to_vec())
        .build();
    let labels = [
        KeyValue::new("endpoint", "endpoint-0"),
        KeyValue::new("pool", "pool-0"),
    ];
    let (requests, durations) = (AtomicU64::new(0), histogram.bind(&labels));
    Ok(Box::new(move |elapsed| {
        let _kept = &bridge;
        requests.fetch_add(1, Relaxed);
        durations.record(milliseconds(elapsed));
    }))
}

/// Endpoints of one pool.
const IN_A_POOL: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    PrometheusClient,
    Prometheus,
    MetricsExporter,
}

impl Side {
    pub(crate) const ALL: [Self; 4] = [
        Self::Ours,
        Self::PrometheusClient,
        Self::Prometheus,
        Self::MetricsExporter,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "pool-metrics",
            Self::PrometheusClient => "prometheus-client",
            Self::Prometheus => "prometheus",
            Self::MetricsExporter => "metrics-exporter-prometheus",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        let found = Self::ALL.into_iter().find(|side| side.name() == name);
        found.ok_or_else(|| format!("there is no {name}").into())
    }

    /// The recording of so many endpoints; what was there before is forgotten.
    pub(crate) fn records(self, endpoints: usize) -> Result<Vec<Record>, Failure> {
        match self {
            Self::Ours => ours(endpoints),
            Self::PrometheusClient => Ok(prometheus_client(endpoints)),
            Self::Prometheus => prometheus(endpoints),
            Self::MetricsExporter => metrics_exporter(endpoints),
        }
    }

    /// What a scrape shows.
    pub(crate) fn scrape(self) -> Result<String, Failure> {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        match self {
            Self::Ours => {
                let (bridge, _) = held.ours.as_ref().ok_or("nothing was recorded")?;
                text = encoded(bridge.registry())?;
            }
            Self::PrometheusClient => {
                let registry = held.prometheus_client.as_ref().ok_or("nothing was recorded")?;
                prometheus_client::encoding::text::encode(&mut text, registry)?;
            }
            Self::Prometheus => text = encoded(held.prometheus.as_ref().ok_or("nothing was recorded")?)?,
            Self::MetricsExporter => {
                let recorder = held.metrics_exporter.as_ref().ok_or("nothing was recorded")?;
                text = recorder.handle().render();
            }
        }
        Ok(text)
    }
}

/// What is scraped.
#[derive(Default)]
struct Held {
    ours: Option<(PrometheusBridge, Vec<Arc<Numbers>>)>,
    prometheus_client: Option<Registry>,
    prometheus: Option<prometheus::Registry>,
    metrics_exporter: Option<PrometheusRecorder>,
}

static HELD: LazyLock<Mutex<Held>> = LazyLock::new(Mutex::default);

fn hold(change: impl FnOnce(&mut Held)) {
    change(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner));
}

fn encoded(registry: &prometheus::Registry) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut bytes)?;
    Ok(String::from_utf8(bytes)?)
}

/// The pool of each endpoint, and the endpoint.
fn names(endpoints: usize) -> impl Iterator<Item = (String, String)> {
    (0..endpoints).map(|number| {
        (
            format!("pool-{}", number / IN_A_POOL),
            format!("endpoint-{number}"),
        )
    })
}

/// A pool that is only numbers.
struct Numbers(PoolSnapshot);

impl Source for Numbers {
    fn snapshot(&self) -> PoolSnapshot {
        self.0.clone()
    }
}

/// The pool itself counts requests, in an atomic of the endpoint; the observer hears of the latency.
fn ours(endpoints: usize) -> Result<Vec<Record>, Failure> {
    let bridge = PrometheusBridge::new()?;
    let mut records: Vec<Record> = Vec::new();
    let mut pools: Vec<PoolSnapshot> = Vec::new();
    for (pool, endpoint) in names(endpoints) {
        let (pool, endpoint) = (PoolId::new(&pool)?, EndpointId::new(&endpoint)?);
        let observer = bridge.metrics().endpoint(&pool, &endpoint);
        let requests = AtomicU64::new(0);
        records.push(Box::new(move |elapsed| {
            requests.fetch_add(1, Relaxed);
            observer.attempt_ended(elapsed, None);
        }));
        if pools.last().is_none_or(|last| last.id != pool) {
            pools.push(PoolSnapshot::new(pool, Instant::now()));
        }
        if let Some(last) = pools.last_mut() {
            last.endpoints.push(EndpointSnapshot::new(endpoint));
        }
    }
    let sources: Vec<_> = pools.into_iter().map(|pool| Arc::new(Numbers(pool))).collect();
    for source in &sources {
        let weak: Arc<dyn Source> = Arc::clone(source) as _;
        bridge.metrics().attached(&source.0.id, Arc::downgrade(&weak));
    }
    hold(|held| held.ours = Some((bridge, sources)));
    Ok(records)
}

/// As many series of the same kinds as the catalogue has for an endpoint.
fn of_endpoints() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.has_label("endpoint"))
}

/// The values of a closed label; one, without a name, where there is none.
fn closed(metric: &Metric) -> (&'static str, &'static [&'static str]) {
    let label = metric.labels.iter().find(|label| !label.values.is_empty());
    label.map_or(("", &[""]), |label| (label.name, label.values))
}

type Labels = Vec<(String, String)>;

fn labels(pool: &str, endpoint: &str, (name, value): (&str, &str)) -> Labels {
    let mut labels = vec![
        ("pool".to_owned(), pool.to_owned()),
        ("endpoint".to_owned(), endpoint.to_owned()),
    ];
    if !name.is_empty() {
        labels.push((name.to_owned(), value.to_owned()));
    }
    labels
}

fn prometheus_client(endpoints: usize) -> Vec<Record> {
    let mut registry = Registry::default();
    let mut records = Vec::new();
    let (mut requests, mut durations) = (Vec::new(), Vec::new());
    for metric in of_endpoints() {
        let name = metric.name.trim_end_matches("_total");
        if metric.kind == Kind::Histogram {
            let buckets = metric.buckets;
            let family = Family::<Labels, Histogram, _>::new_with_constructor(move || {
                Histogram::new(buckets.iter().copied())
            });
            for (pool, endpoint) in names(endpoints) {
                let labels = labels(&pool, &endpoint, ("", ""));
                let handle = family.get_or_create(&labels).clone();
                if metric.short_name == "request_duration_ms" {
                    durations.push(handle);
                }
            }
            registry.register(name, metric.help, family);
        } else {
            let family = Family::<Labels, Counter>::default();
            for (pool, endpoint) in names(endpoints) {
                let (label, values) = closed(metric);
                for value in values {
                    let labels = labels(&pool, &endpoint, (label, value));
                    let handle = family.get_or_create(&labels).clone();
                    if metric.short_name == "requests_total" {
                        requests.push(handle);
                    }
                }
            }
            registry.register(name, metric.help, family);
        }
    }
    for (requests, durations) in requests.into_iter().zip(durations) {
        let record: Record = Box::new(move |elapsed| {
            requests.inc();
            durations.observe(milliseconds(elapsed));
        });
        records.push(record);
    }
    hold(|held| held.prometheus_client = Some(registry));
    records
}

fn prometheus(endpoints: usize) -> Result<Vec<Record>, Failure> {
    let registry = prometheus::Registry::new();
    let (mut requests, mut durations) = (Vec::new(), Vec::new());
    for metric in of_endpoints() {
        let (label, values) = closed(metric);
        let names_of_labels: Vec<_> = ["pool", "endpoint", label]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        if metric.kind == Kind::Histogram {
            let options = HistogramOpts::new(metric.name, metric.help).buckets(metric.buckets.to_vec());
            let family = HistogramVec::new(options, &names_of_labels)?;
            registry.register(Box::new(family.clone()))?;
            for (pool, endpoint) in names(endpoints) {
                let handle = family.with_label_values(&[&pool, &endpoint]);
                if metric.short_name == "request_duration_ms" {
                    durations.push(handle);
                }
            }
            continue;
        }
        let family = IntCounterVec::new(Opts::new(metric.name, metric.help), &names_of_labels)?;
        registry.register(Box::new(family.clone()))?;
        for (pool, endpoint) in names(endpoints) {
            for value in values {
                let all = [pool.as_str(), endpoint.as_str(), value];
                let handle = family.with_label_values(&all[..names_of_labels.len()]);
                if metric.short_name == "requests_total" {
                    requests.push(handle);
                }
            }
        }
    }
    hold(|held| held.prometheus = Some(registry));
    let pairs = requests.into_iter().zip(durations);
    let records = pairs.map(|(requests, durations)| -> Record {
        Box::new(move |elapsed| {
            requests.inc();
            durations.observe(milliseconds(elapsed));
        })
    });
    Ok(records.collect())
}

fn metrics_exporter(endpoints: usize) -> Result<Vec<Record>, Failure> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(REQUEST_DURATION_BUCKETS_MS)?
        .build_recorder();
    let metadata = Metadata::new(module_path!(), Level::INFO, None);
    let (mut requests, mut durations) = (Vec::new(), Vec::new());
    for metric in of_endpoints() {
        let (label, values) = closed(metric);
        for (pool, endpoint) in names(endpoints) {
            for value in values {
                let labels = labels(&pool, &endpoint, (label, value));
                let labels: Vec<_> = labels
                    .into_iter()
                    .map(|(name, value)| Label::new(name, value))
                    .collect();
                let key = Key::from_parts(metric.name, labels);
                if metric.kind == Kind::Histogram {
                    let handle = recorder.register_histogram(&key, &metadata);
                    // shown only once it has a value
                    handle.record(1.0);
                    if metric.short_name == "request_duration_ms" {
                        durations.push(handle);
                    }
                } else {
                    let handle = recorder.register_counter(&key, &metadata);
                    if metric.short_name == "requests_total" {
                        requests.push(handle);
                    }
                }
            }
        }
    }
    hold(|held| held.metrics_exporter = Some(recorder));
    let pairs = requests.into_iter().zip(durations);
    let records = pairs.map(|(requests, durations)| -> Record {
        Box::new(move |elapsed| {
            requests.increment(1);
            durations.record(milliseconds(elapsed));
        })
    });
    Ok(records.collect())
}
