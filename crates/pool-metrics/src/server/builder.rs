//! How the routes are put together.

use std::{fmt, sync::Arc, time::Duration};

use prometheus::Registry;

use crate::{PoolMetrics, PrometheusBridge};

use super::{Auth, Readiness, Routes};

/// Time between two samples of latencies.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// Whether the process may be given work; the reason if not.
pub(super) type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Builds [`Routes`].
#[derive(Clone)]
#[must_use]
pub struct RoutesBuilder {
    pub(super) registry: Registry,
    pub(super) pools: Option<PoolMetrics>,
    pub(super) readiness: Readiness,
    pub(super) ready: Option<Ready>,
    pub(super) auth: Option<Auth>,
    pub(super) sample_every: Duration,
}

impl RoutesBuilder {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            pools: None,
            readiness: Readiness::All,
            ready: None,
            auth: None,
            sample_every: SAMPLE_EVERY,
        }
    }

    /// Shows the pools that these metrics follow in `/pools` and on the status page, and lets them decide readiness.
    /// Without, both are empty and the process counts as ready.
    pub fn pools(mut self, metrics: &PoolMetrics) -> Self {
        self.pools = Some(metrics.clone());
        self
    }

    /// Which pools must be ready. By default all.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// A further condition for `/readyz`: 200 only for `Ok`, else 503 with the reason. Called for each request on an
    /// async worker, so it must not block; put no secrets into the reason.
    pub fn ready_when(mut self, ready: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.ready = Some(Arc::new(ready));
        self
    }

    /// Asks for credentials everywhere but for the two probes. By default nobody is asked: listen on loopback then.
    ///
    /// They travel as they are, so use TLS unless it is loopback.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Time between two samples of latencies, of which the status page shows 120. By default 5 s, so it shows ten minutes.
    /// At least 10 ms.
    pub fn sample_every(mut self, period: Duration) -> Self {
        self.sample_every = period.max(Duration::from_millis(10));
        self
    }

    /// The routes.
    pub fn build(self) -> Routes {
        Routes::from(self)
    }
}

/// The bridge's registry and the pools that it follows.
impl From<&PrometheusBridge> for RoutesBuilder {
    fn from(bridge: &PrometheusBridge) -> Self {
        Routes::builder(bridge.registry().clone()).pools(bridge.metrics())
    }
}

impl fmt::Debug for RoutesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutesBuilder")
            .field("readiness", &self.readiness)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}
