//! A pool that can be set, a parser that knows nothing of the code under test, and captured logs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use pool_core::{EndpointId, EndpointObserver, EndpointSnapshot, Observer, PoolId, PoolSnapshot, Source};
use pool_metrics::{PoolMetrics, PrometheusBridge, catalogue};
use prometheus::{Registry, TextEncoder};
use tokio::time::Instant;

/// A pool whose numbers the test sets.
pub(crate) struct FakePool(Mutex<PoolSnapshot>);

impl Source for FakePool {
    fn snapshot(&self) -> PoolSnapshot {
        self.0.lock().unwrap().clone()
    }
}

impl FakePool {
    pub(crate) fn new(id: &str, endpoints: &[&str]) -> Arc<Self> {
        let mut pool = PoolSnapshot::new(PoolId::new(id).unwrap(), Instant::now());
        let endpoint = |id: &&str| EndpointSnapshot::new(EndpointId::new(id).unwrap());
        pool.endpoints = endpoints.iter().map(endpoint).collect();
        Arc::new(Self(Mutex::new(pool)))
    }

    /// Endpoints join before the pool is attached, as in a real pool.
    pub(crate) fn register(self: &Arc<Self>, metrics: &PoolMetrics) -> Vec<Arc<dyn EndpointObserver>> {
        let now = self.snapshot();
        let _waits = metrics.pool(&now.id);
        let observers = now
            .endpoints
            .iter()
            .map(|endpoint| metrics.endpoint(&now.id, &endpoint.id))
            .collect();
        let source: Arc<dyn Source> = Arc::clone(self) as _;
        metrics.attached(&now.id, Arc::downgrade(&source));
        observers
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut PoolSnapshot)) {
        change(&mut self.0.lock().unwrap());
    }
}

/// One line of values.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Everything under one `# TYPE`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

/// A parsed exposition.
#[derive(Debug, Default)]
pub(crate) struct Exposition(pub(crate) BTreeMap<String, Family>);

impl Exposition {
    pub(crate) fn of(bridge: &PrometheusBridge) -> Self {
        Self::gather(bridge.registry())
    }

    pub(crate) fn gather(registry: &Registry) -> Self {
        Self::parse(&TextEncoder::new().encode_to_string(&registry.gather()).unwrap())
    }

    /// Parses the text format, strictly: each sample stands under its own TYPE, no series comes twice.
    pub(crate) fn parse(text: &str) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut helps = BTreeMap::new();
        let mut current = String::new();
        let mut seen = std::collections::HashSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                helps.insert(name.to_owned(), help.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                let help = helps.remove(name).unwrap_or_default();
                let family = Family {
                    kind: kind.to_owned(),
                    help,
                    samples: Vec::new(),
                };
                assert!(
                    families.insert(name.to_owned(), family).is_none(),
                    "{name} comes twice"
                );
                name.clone_into(&mut current);
            } else {
                let (series, value) = line.rsplit_once(' ').expect(line);
                assert!(seen.insert(series.to_owned()), "series {series} comes twice");
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let sample = Sample {
                    name: name.to_owned(),
                    labels: parse_labels(labels.strip_suffix('}').expect(line)),
                    value: value.parse().expect(line),
                };
                let suffix = name
                    .strip_prefix(&current)
                    .unwrap_or_else(|| panic!("{name} under {current}"));
                assert!(
                    matches!(suffix, "" | "_bucket" | "_sum" | "_count"),
                    "{name} under {current}"
                );
                families.get_mut(&current).expect(line).samples.push(sample);
            }
        }
        Self(families)
    }

    /// The value of one series by its full name and labels in the form `a=b,c=d`.
    pub(crate) fn value(&self, name: &str, labels: &str) -> Option<f64> {
        let wanted: BTreeMap<_, _> = labels
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut samples = self.0.values().flat_map(|family| &family.samples);
        samples
            .find(|sample| sample.name == name && sample.labels == wanted)
            .map(|sample| sample.value)
    }

    /// What there is of pools: all but what is of the process.
    pub(crate) fn of_pools(&self) -> usize {
        let samples = self.0.values().flat_map(|family| &family.samples);
        samples
            .filter(|sample| sample.labels.contains_key("pool"))
            .count()
    }

    /// How many series of the pool there are, in all families.
    pub(crate) fn series_of(&self, pool: &str) -> usize {
        let samples = self.0.values().flat_map(|family| &family.samples);
        samples
            .filter(|sample| sample.labels.get("pool").is_some_and(|value| value == pool))
            .count()
    }
}

/// Ids hold no characters that need escapes, so a quote ends a value.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').expect(text);
            let value = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .expect(text);
            assert!(!value.contains(['"', '\\']), "{text}");
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// How many series a metric has for so many pools and endpoints.
pub(crate) fn series(metric: &catalogue::Metric, pools: usize, endpoints: usize) -> usize {
    let chosen = if metric.has_label("endpoint") {
        endpoints
    } else if metric.has_label("pool") {
        pools
    } else {
        1
    };
    let closed = metric.labels.iter().map(|label| label.values.len().max(1));
    chosen * closed.product::<usize>()
}

/// Runs `during` and returns what it logged on this thread.
pub(crate) fn logged(during: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, during);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
