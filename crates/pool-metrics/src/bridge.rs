//! From OpenTelemetry to Prometheus, with exactly the catalogue's names.

use std::{collections::HashMap, fmt, sync::Arc};

use opentelemetry_sdk::{error::OTelSdkError, metrics::SdkMeterProvider};
use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::{
    Limits, PoolMetrics,
    catalogue::{METRICS, Metric},
    exposition,
    filter::Filter,
    latencies::Latencies,
    registrations::Registrations,
};

/// Why the bridge can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The registry has a bridge already, or metrics of the same names. Use one bridge for all pools, rename the
    /// other metrics or give the bridge its own registry.
    #[error(
        "the registry already holds {}; use one bridge for all pools, rename the other metrics or give the bridge \
         a registry of its own", named(.names)
    )]
    Clash {
        /// The names that clash, as far as they show in a gathering; a bridge without pools shows none.
        names: Vec<String>,
        /// What the registry said.
        source: prometheus::Error,
    },
    /// The exporter or a metric's description was refused. This is a fault of this crate: please report it.
    #[error("the Prometheus exporter could not be set up")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn named(names: &[String]) -> String {
    if names.is_empty() {
        "metrics of a connection pool".to_owned()
    } else {
        names.join(", ")
    }
}

/// A provider with a Prometheus exporter that exposes exactly the catalogue: no unit suffix, no scope label, no
/// `target_info`, and no series of anything that is gone.
///
/// Instruments of your own come from the exporter; what the pools count is read straight from their snapshots, one for each
/// pool and scrape, and latencies from histograms of the bridge's own, which cost a request a fraction. The provider
/// therefore holds no instruments of the catalogue: to feed another exporter, give its provider to [`PoolMetrics::also`].
///
/// The exporter sits behind a collector in the registry, so whoever gathers that registry (this crate's server, your
/// own) sees the same. It belongs to the registry: dropping the bridge ends nothing.
pub struct PrometheusBridge {
    metrics: PoolMetrics,
    provider: SdkMeterProvider,
    registry: Registry,
}

impl PrometheusBridge {
    /// A bridge with its own registry and the default limits.
    ///
    /// # Errors
    /// [`BridgeError::Exporter`], which is a fault of this crate.
    pub fn new() -> Result<Self, BridgeError> {
        Self::builder().build()
    }

    /// A bridge with your registry or limits.
    pub fn builder() -> PrometheusBridgeBuilder {
        PrometheusBridgeBuilder::default()
    }

    /// The observer: give a clone to the builder of each pool.
    pub const fn metrics(&self) -> &PoolMetrics {
        &self.metrics
    }

    /// Where everything is gathered.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The provider, for instruments of your own beside the pool's. They come out under the names that you declare,
    /// without suffixes.
    pub const fn meter_provider(&self) -> &SdkMeterProvider {
        &self.provider
    }
}

impl fmt::Debug for PrometheusBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusBridge").finish_non_exhaustive()
    }
}

/// Builds a [`PrometheusBridge`].
#[derive(Debug, Default)]
#[must_use]
pub struct PrometheusBridgeBuilder {
    registry: Option<Registry>,
    limits: Limits,
}

impl PrometheusBridgeBuilder {
    /// Joins your registry instead of making a new one.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// How many endpoints must fit.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Builds the bridge. On an error nothing has been added to the registry.
    ///
    /// # Errors
    /// [`BridgeError::Clash`] if the registry holds metrics of these names already.
    pub fn build(self) -> Result<PrometheusBridge, BridgeError> {
        let private = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(private.clone())
            .without_units()
            .without_counter_suffixes()
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(|error: OTelSdkError| BridgeError::Exporter(error.into()))?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let latencies = Arc::new(Latencies::new(self.limits));
        let metrics = PoolMetrics::recording(Arc::clone(&latencies));

        let descriptions: Result<Vec<_>, _> = METRICS.iter().map(describe).collect();
        let gate = Exposed {
            registrations: metrics.registrations(),
            latencies,
            private,
            _provider: provider.clone(),
            filter: Filter::default(),
            descriptions: descriptions.map_err(|error| BridgeError::Exporter(error.into()))?,
        };
        let registry = self.registry.unwrap_or_default();
        registry.register(Box::new(gate)).map_err(|source| {
            let names = registry
                .gather()
                .into_iter()
                .map(|family| family.name().to_owned());
            BridgeError::Clash {
                names: names.filter(|name| is_ours(name)).collect(),
                source,
            }
        })?;
        Ok(PrometheusBridge {
            metrics,
            provider,
            registry,
        })
    }
}

fn is_ours(name: &str) -> bool {
    METRICS.iter().any(|metric| metric.name == name)
}

fn describe(metric: &Metric) -> Result<Desc, prometheus::Error> {
    let labels = metric.labels.iter().map(|label| label.name.to_owned()).collect();
    Desc::new(
        metric.name.to_owned(),
        metric.help.to_owned(),
        labels,
        HashMap::new(),
    )
}

/// The door between the exporter's registry and the one that is gathered.
struct Exposed {
    registrations: Arc<Registrations>,
    latencies: Arc<Latencies>,
    private: Registry,
    /// Without it the exporter would have nothing to read once the bridge is dropped.
    _provider: SdkMeterProvider,
    filter: Filter,
    /// Reserve the names, so that a clash is an error at start rather than a mixture later.
    descriptions: Vec<Desc>,
}

impl Collector for Exposed {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.private.gather();
        Filter::apply(&mut families);
        let pools = self.registrations.snapshots();
        families.extend(exposition::families(&pools));
        // after the counters: what these have, the histograms have, too, but for what is ending right now
        families.extend(exposition::histograms(&pools, &self.latencies));
        families.push(self.filter.overflow(self.latencies.kept().refused()));
        families
    }
}
