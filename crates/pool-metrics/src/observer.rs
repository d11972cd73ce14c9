//! The observer that turns pools into OpenTelemetry metrics.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, Histogram, Meter, MeterProvider},
};
use pool_core::{EndpointId, EndpointObserver, ErrorType, Event, Observer, PoolId, PoolObserver, Source};

use crate::{
    catalogue,
    collection::{Collector, text},
    instruments, reach,
    registrations::{self, Gate, Registrations},
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
/// Where there are more endpoints than the limits have room for, the SDK folds what is beyond into one series with the
/// attribute `otel.metric.overflow`. Over OTLP that is what tells; the Prometheus bridge, where it can happen to histograms
/// only, leaves it out, logs an error and counts it in `metrics_overflow`.
///
/// OpenTelemetry keeps a histogram series once it exists. The Prometheus bridge leaves out those of endpoints and
/// pools that are gone; over other exporters they stay, standing still, until the process ends.
#[derive(Clone)]
pub struct PoolMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    registrations: Arc<Registrations>,
    /// The histograms of each provider.
    histograms: RwLock<Vec<Histograms>>,
}

/// The histograms of one provider.
struct Histograms {
    attempts: Histogram<f64>,
    waits: Histogram<f64>,
    connects: Histogram<f64>,
    checks: Histogram<f64>,
}

impl Histograms {
    fn new(meter: &Meter) -> Self {
        let histogram = |metric| instruments::histogram(meter, metric);
        Self {
            attempts: histogram(&catalogue::REQUEST_DURATION_MS),
            waits: histogram(&catalogue::QUEUE_WAIT_SECONDS),
            connects: histogram(&catalogue::CONNECT_DURATION_SECONDS),
            checks: histogram(&catalogue::HEALTH_CHECK_DURATION_SECONDS),
        }
    }
}

impl PoolMetrics {
    /// Creates the instruments of the whole catalogue on the provider.
    pub fn new(provider: &dyn MeterProvider) -> Self {
        let metrics = Self::unfed();
        metrics.also(provider);
        metrics
    }

    /// Creates only the histograms on the provider, for who reads the rest from the [registrations](Self::registrations).
    pub(crate) fn recording(provider: &dyn MeterProvider) -> Self {
        let metrics = Self::unfed();
        metrics.record_into(&provider.meter(SCOPE));
        metrics
    }

    fn unfed() -> Self {
        let shared = Shared {
            registrations: Arc::default(),
            histograms: RwLock::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The pools that are followed.
    pub(crate) fn registrations(&self) -> Arc<Registrations> {
        Arc::clone(&self.shared.registrations)
    }

    /// Feeds a further provider. Call it before pools are built: latencies of endpoints that have already joined are
    /// not recorded there.
    pub fn also(&self, provider: &dyn MeterProvider) {
        let meter = provider.meter(SCOPE);
        let collector = Collector::new(Arc::clone(&self.shared.registrations));
        instruments::observe_all(&meter, &Arc::new(collector));
        self.record_into(&meter);
    }

    fn record_into(&self, meter: &Meter) {
        let mut histograms = self
            .shared
            .histograms
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        histograms.push(Histograms::new(meter));
    }

    /// The histograms of all providers with these labels resolved.
    fn bind(&self, which: fn(&Histograms) -> &Histogram<f64>, labels: &[KeyValue]) -> Bound {
        let histograms = self
            .shared
            .histograms
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut bound = histograms.iter().map(|all| which(all).bind(labels));
        Bound {
            first: bound.next(),
            more: bound.collect(),
        }
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
        let timeouts = registrations::timeouts(pool, &source);
        reach::tell(pool, timeouts.as_ref());
        self.shared.registrations.attach(pool, source, timeouts);
    }

    fn endpoint(&self, pool: &PoolId, endpoint: &EndpointId) -> Arc<dyn EndpointObserver> {
        let gate = self.shared.registrations.gate(pool, endpoint);
        let labels = [
            KeyValue::new("endpoint", text(endpoint.as_str())),
            KeyValue::new("pool", text(pool.as_str())),
        ];
        Arc::new(Recorder {
            gate,
            attempts: self.bind(|all| &all.attempts, &labels),
            connects: self.bind(|all| &all.connects, &labels),
            checks: self.bind(|all| &all.checks, &labels),
        })
    }

    fn pool(&self, pool: &PoolId) -> Option<Arc<dyn PoolObserver>> {
        let gate = self.shared.registrations.pool_gate(pool);
        let labels = [KeyValue::new("pool", text(pool.as_str()))];
        let waits = self.bind(|all| &all.waits, &labels);
        Some(Arc::new(PoolRecorder { gate, waits }))
    }

    fn event(&self, pool: &PoolId, event: &Event) {
        if let Event::Reconfigured(applied) = event
            && applied.settings
            && let Some(timeouts) = self.shared.registrations.changed_timeouts(pool)
        {
            reach::tell(pool, Some(&timeouts));
        }
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics").finish_non_exhaustive()
    }
}

/// One histogram of each provider, labels resolved. The first stands apart, since mostly it is the only one: no loop on the
/// way of each request.
struct Bound {
    first: Option<BoundHistogram<f64>>,
    more: Box<[BoundHistogram<f64>]>,
}

impl Bound {
    #[inline]
    fn record(&self, gate: &Gate, value: f64) {
        if !gate.is_open() {
            return;
        }
        if !self.more.is_empty() {
            return self.record_all(value);
        }
        if let Some(first) = &self.first {
            first.record(value);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_all(&self, value: f64) {
        for histogram in self.first.iter().chain(&self.more) {
            histogram.record(value);
        }
    }
}

/// As [`Duration::as_secs_f64`] times 1000, in a third of the instructions: for three centuries a signed number of nanoseconds
/// is enough, and one division rounds less.
#[inline]
fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as i64 as f64 / 1e6
}

/// Records one endpoint's latencies. Errors and requests are counted by the pool itself and read from its snapshot.
struct Recorder {
    gate: Gate,
    attempts: Bound,
    connects: Bound,
    checks: Bound,
}

impl EndpointObserver for Recorder {
    fn attempt_ended(&self, elapsed: Duration, _error: Option<ErrorType>) {
        self.attempts.record(&self.gate, milliseconds(elapsed));
    }

    fn connect_ended(&self, elapsed: Duration, _opened: bool) {
        self.connects.record(&self.gate, elapsed.as_secs_f64());
    }

    fn check_ended(&self, elapsed: Duration, _passed: bool) {
        self.checks.record(&self.gate, elapsed.as_secs_f64());
    }
}

/// Records what concerns a pool as a whole.
struct PoolRecorder {
    gate: Gate,
    waits: Bound,
}

impl PoolObserver for PoolRecorder {
    fn waited(&self, elapsed: Duration) {
        self.waits.record(&self.gate, elapsed.as_secs_f64());
    }
}
