//! The observer that turns pools into OpenTelemetry metrics.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{self, BoundHistogram, Meter, MeterProvider},
};
use pool_core::{EndpointId, EndpointObserver, ErrorType, Event, Observer, PoolId, PoolObserver, Source};

use crate::{
    catalogue,
    collection::{Collector, text},
    histogram::Histogram,
    instruments,
    latencies::{Latencies, OfEndpoint, Which},
    reach,
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
/// Where there are more endpoints than the limits have room for, the SDK folds what is beyond into one series with the
/// attribute `otel.metric.overflow`. Over OTLP that is what tells; the Prometheus bridge, where it can happen to histograms
/// only, leaves them out, logs an error and counts the metrics that lack series in `metrics_overflow`.
///
/// OpenTelemetry keeps a histogram series once it exists. The Prometheus bridge shows those of endpoints and
/// pools that are there; over other exporters they stay, standing still, until the process ends.
#[derive(Clone)]
pub struct PoolMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    registrations: Arc<Registrations>,
    /// Those of the bridge, where there is one.
    latencies: Option<Arc<Latencies>>,
    /// The histograms of each provider.
    histograms: RwLock<Vec<Histograms>>,
}

/// The histograms of one provider.
struct Histograms {
    attempts: metrics::Histogram<f64>,
    waits: metrics::Histogram<f64>,
    connects: metrics::Histogram<f64>,
    checks: metrics::Histogram<f64>,
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
        let metrics = Self::into(None);
        metrics.also(provider);
        metrics
    }

    /// Creates no instruments: for who reads these, and the rest from the [registrations](Self::registrations).
    pub(crate) fn recording(latencies: Arc<Latencies>) -> Self {
        Self::into(Some(latencies))
    }

    fn into(latencies: Option<Arc<Latencies>>) -> Self {
        let shared = Shared {
            registrations: Arc::default(),
            latencies,
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
        let mut histograms = self
            .shared
            .histograms
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        histograms.push(Histograms::new(&meter));
    }

    /// Tells what the callers of a pool give a request in all. No attempt takes longer, so where it lies beyond the last bucket of
    /// `request_duration_ms` (120 s), that is logged, and counted in `timeouts_beyond_buckets` like the time-outs that the
    /// pool itself knows. The pool need not be built yet. The last one that was told counts; without any,
    /// nothing is assumed.
    pub fn request_timeout(&self, pool: &PoolId, timeout: Duration) {
        self.shared.registrations.set_request_timeout(pool, timeout);
        self.tell_changed(pool);
    }

    /// Logs what is beyond the buckets, if the time-outs have changed.
    fn tell_changed(&self, pool: &PoolId) {
        if let Some(timeouts) = self.shared.registrations.changed_timeouts(pool) {
            reach::tell(pool, Some(&timeouts));
        }
    }

    /// The histograms of all providers with these labels resolved; nothing if there is no provider.
    fn bind<T>(&self, bind: impl Fn(&Histograms) -> T) -> Option<Box<[T]>> {
        let histograms = self
            .shared
            .histograms
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let bound: Box<[T]> = histograms.iter().map(bind).collect();
        (!bound.is_empty()).then_some(bound)
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
        let timeouts = self.shared.registrations.timeouts(pool, &source);
        reach::tell(pool, timeouts.as_ref());
        self.shared.registrations.attach(pool, source, timeouts);
    }

    fn endpoint(&self, pool: &PoolId, endpoint: &EndpointId) -> Arc<dyn EndpointObserver> {
        let gate = self.shared.registrations.gate(pool, endpoint);
        let labels = [
            KeyValue::new("endpoint", text(endpoint.as_str())),
            KeyValue::new("pool", text(pool.as_str())),
        ];
        let bind = |all: &Histograms| BoundEndpoint {
            attempts: all.attempts.bind(&labels),
            connects: all.connects.bind(&labels),
            checks: all.checks.bind(&labels),
        };
        let own = self.shared.latencies.as_ref();
        Arc::new(Recorder {
            gate,
            own: own.and_then(|own| own.of_endpoint(pool, endpoint)),
            others: self.bind(bind),
        })
    }

    fn pool(&self, pool: &PoolId) -> Option<Arc<dyn PoolObserver>> {
        let gate = self.shared.registrations.pool_gate(pool);
        let labels = [KeyValue::new("pool", text(pool.as_str()))];
        let own = self.shared.latencies.as_ref();
        Some(Arc::new(PoolRecorder {
            gate,
            own: own.and_then(|own| own.of_pool(pool)),
            others: self.bind(|all| all.waits.bind(&labels)),
        }))
    }

    fn event(&self, pool: &PoolId, event: &Event) {
        if let Event::Reconfigured(applied) = event
            && applied.settings
        {
            self.tell_changed(pool);
        }
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics").finish_non_exhaustive()
    }
}

/// One endpoint's histograms of one provider.
struct BoundEndpoint {
    attempts: BoundHistogram<f64>,
    connects: BoundHistogram<f64>,
    checks: BoundHistogram<f64>,
}

/// Records one endpoint's latencies. Errors and requests are counted by the pool itself and read from its snapshot.
struct Recorder {
    gate: Gate,
    own: Option<Arc<OfEndpoint>>,
    others: Option<Box<[BoundEndpoint]>>,
}

impl Recorder {
    #[inline]
    fn record(
        &self,
        elapsed: Duration,
        own: Which,
        other: fn(&BoundEndpoint) -> &BoundHistogram<f64>,
        unit: fn(Duration) -> f64,
    ) {
        if !self.gate.is_open() {
            return;
        }
        if let Some(histograms) = &self.own {
            own(histograms).record(elapsed);
        }
        if let Some(others) = &self.others {
            for bound in others {
                other(bound).record(unit(elapsed));
            }
        }
    }
}

impl EndpointObserver for Recorder {
    fn attempt_ended(&self, elapsed: Duration, _error: Option<ErrorType>) {
        self.record(
            elapsed,
            |own| &own.attempts,
            |other| &other.attempts,
            milliseconds,
        );
    }

    fn connect_ended(&self, elapsed: Duration, _opened: bool) {
        self.record(elapsed, |own| &own.connects, |other| &other.connects, seconds);
    }

    fn check_ended(&self, elapsed: Duration, _passed: bool) {
        self.record(elapsed, |own| &own.checks, |other| &other.checks, seconds);
    }
}

/// Records what concerns a pool as a whole.
struct PoolRecorder {
    gate: Gate,
    own: Option<Arc<Histogram>>,
    others: Option<Box<[BoundHistogram<f64>]>>,
}

impl PoolObserver for PoolRecorder {
    fn waited(&self, elapsed: Duration) {
        if !self.gate.is_open() {
            return;
        }
        if let Some(own) = &self.own {
            own.record(elapsed);
        }
        for other in self.others.iter().flatten() {
            other.record(seconds(elapsed));
        }
    }
}

/// As [`Duration::as_secs_f64`] times 1000, rounded once only: for three centuries a signed number of nanoseconds is
/// enough.
fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as i64 as f64 / 1e6
}

fn seconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64()
}
