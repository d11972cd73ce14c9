//! The observer that turns pools into OpenTelemetry metrics.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, Histogram, MeterProvider},
};
use pool_core::{EndpointId, EndpointObserver, ErrorType, Observer, PoolId, Source};

use crate::{
    collection::{Collector, text},
    instruments,
    registrations::{Gate, Registrations},
};

/// Name of the OpenTelemetry instrumentation scope.
const SCOPE: &str = "fusion_connection_pool";

/// Follows any number of pools and feeds their numbers to OpenTelemetry.
///
/// Give a clone to the builder of each pool. Pools are held weakly: the series of a dropped pool go with it. Each
/// pool of a process needs its own id; of two with the same id only the older is exposed, and an error is logged.
///
/// With the Prometheus bridge, use [`PrometheusBridge::metrics`](crate::PrometheusBridge::metrics). Any other
/// `MeterProvider` works too; give it [`views`](crate::views) for limits and buckets, and give each *reader* (one
/// scrape endpoint, one push) a provider of its own with [`also`](Self::also): on a shared one, the SDK mixes what
/// concurrent readers observe.
///
/// OpenTelemetry keeps a histogram series once it exists. The Prometheus bridge leaves out those of endpoints and
/// pools that are gone; over other exporters they stay, standing still, until the process ends.
#[derive(Clone)]
pub struct PoolMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    registrations: Arc<Registrations>,
    /// The latency histogram of each provider.
    durations: RwLock<Vec<Histogram<f64>>>,
}

impl PoolMetrics {
    /// Creates the instruments of the whole catalogue on the provider.
    pub fn new(provider: &dyn MeterProvider) -> Self {
        let shared = Shared {
            registrations: Arc::default(),
            durations: RwLock::default(),
        };
        let metrics = Self {
            shared: Arc::new(shared),
        };
        metrics.also(provider);
        metrics
    }

    /// Feeds a further provider. Call it before pools are built: latencies of endpoints that have already joined are
    /// not recorded there.
    pub fn also(&self, provider: &dyn MeterProvider) {
        let meter = provider.meter(SCOPE);
        let collector = Collector::new(Arc::clone(&self.shared.registrations));
        instruments::observe_all(&meter, &Arc::new(collector));
        let mut durations = self
            .shared
            .durations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        durations.push(instruments::duration(&meter));
    }
}

#[cfg(feature = "server")]
impl PoolMetrics {
    /// The pools that are exposed now.
    pub(crate) fn followed(&self) -> Vec<crate::registrations::Followed> {
        self.shared.registrations.followed()
    }
}

impl Observer for PoolMetrics {
    fn attached(&self, pool: &PoolId, source: Weak<dyn Source>) {
        self.shared.registrations.attach(pool, source);
    }

    fn endpoint(&self, pool: &PoolId, endpoint: &EndpointId) -> Arc<dyn EndpointObserver> {
        let gate = self.shared.registrations.gate(pool, endpoint);
        let labels = [
            KeyValue::new("pool", text(pool.as_str())),
            KeyValue::new("endpoint", text(endpoint.as_str())),
        ];
        let durations = self
            .shared
            .durations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let durations = durations
            .iter()
            .map(|histogram| histogram.bind(&labels))
            .collect();
        Arc::new(Recorder { gate, durations })
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics").finish_non_exhaustive()
    }
}

/// Records one endpoint's latencies. Errors and requests are counted by the pool itself and read from its snapshot.
struct Recorder {
    gate: Gate,
    /// One per provider, labels resolved.
    durations: Box<[BoundHistogram<f64>]>,
}

impl EndpointObserver for Recorder {
    fn attempt_ended(&self, elapsed: Duration, _error: Option<ErrorType>) {
        if !self.gate.is_open() {
            return;
        }
        let milliseconds = elapsed.as_secs_f64() * 1e3;
        for duration in &self.durations {
            duration.record(milliseconds);
        }
    }
}
