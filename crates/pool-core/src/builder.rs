//! How a pool is built.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use deadpool::managed::{self, QueueMode};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Balancer, ConfigError, Endpoint, EndpointConfig, EndpointId, LeastRequests, Observer, Pool, PoolConfig,
    PoolId, Source, Tiered,
    admission::{Admission, Gate},
    background,
    budget::Budget,
    chance::Chance,
    connect::Connects,
    connection::Connector,
    core::Core,
    effort::Effort,
    latencies::Latencies,
    leak::Leaks,
    member::Member,
    stats::Stats,
};

/// Why a pool was not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting of the pool cannot work. Correct it.
    #[error("pool {pool}: {error}")]
    Pool {
        /// The pool.
        pool: PoolId,
        /// The setting.
        error: ConfigError,
    },
    /// A setting of an endpoint cannot work. Correct it.
    #[error("pool {pool}, endpoint {endpoint}: {error}")]
    Endpoint {
        /// The pool.
        pool: PoolId,
        /// The endpoint.
        endpoint: EndpointId,
        /// The setting.
        error: ConfigError,
    },
    /// Two endpoints have the same id. Metrics could not tell them apart; rename one.
    #[error("pool {pool}: two endpoints are called {endpoint}")]
    Duplicate {
        /// The pool.
        pool: PoolId,
        /// The id.
        endpoint: EndpointId,
    },
    /// The pool has no endpoints. Add one.
    #[error("pool {0} has no endpoints")]
    Empty(PoolId),
    /// There is no tokio runtime. Build pools inside one: they start their health checks at once.
    #[error("a pool must be built inside a tokio runtime, because it starts its health checks at once")]
    NoRuntime,
}

/// Builds a [`Pool`].
#[must_use = "nothing is built before `build`"]
pub struct PoolBuilder<E: Endpoint> {
    id: PoolId,
    config: PoolConfig,
    endpoints: Vec<(EndpointId, E, EndpointConfig)>,
    balancer: Arc<dyn Balancer>,
    observer: Option<Arc<dyn Observer>>,
    seed: Option<u64>,
}

impl<E: Endpoint> fmt::Debug for PoolBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.endpoints.iter().map(|(id, _, _)| id).collect();
        f.debug_struct("PoolBuilder")
            .field("id", &self.id)
            .field("endpoints", &endpoints)
            .finish_non_exhaustive()
    }
}

impl<E: Endpoint> PoolBuilder<E> {
    pub(crate) fn new(id: PoolId) -> Self {
        Self {
            id,
            config: PoolConfig::default(),
            endpoints: Vec::new(),
            balancer: Arc::new(LeastRequests::new()),
            observer: None,
            seed: None,
        }
    }

    /// Takes the pool's settings.
    pub fn config(mut self, config: PoolConfig) -> Self {
        self.config = config;
        self
    }

    /// Adds an endpoint.
    pub fn endpoint(mut self, id: EndpointId, endpoint: E, config: EndpointConfig) -> Self {
        self.endpoints.push((id, endpoint, config));
        self
    }

    /// Takes a balancer; least requests otherwise.
    pub fn balancer(mut self, balancer: Arc<dyn Balancer>) -> Self {
        self.balancer = balancer;
        self
    }

    /// Takes an observer: metrics.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Fixes the seed of all jitter, for tests that must repeat.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    fn validate(&self) -> Result<(), BuildError> {
        let pool = || self.id.clone();
        self.config
            .validate()
            .map_err(|error| BuildError::Pool { pool: pool(), error })?;
        if self.endpoints.is_empty() {
            return Err(BuildError::Empty(pool()));
        }
        for (i, (id, _, config)) in self.endpoints.iter().enumerate() {
            let named = |error| BuildError::Endpoint {
                pool: pool(),
                endpoint: id.clone(),
                error,
            };
            config.validate().map_err(named)?;
            if self.endpoints[..i].iter().any(|(other, _, _)| other == id) {
                return Err(BuildError::Duplicate {
                    pool: pool(),
                    endpoint: id.clone(),
                });
            }
        }
        Ok(())
    }

    /// Builds the pool and starts its health checks.
    ///
    /// # Errors
    /// [`BuildError`] names what cannot work.
    pub fn build(self) -> Result<Pool<E>, BuildError> {
        self.validate()?;
        tokio::runtime::Handle::try_current().map_err(|_missing| BuildError::NoRuntime)?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let chance = Arc::new(Chance::new(seed));
        let now = Instant::now();
        let (shutdown, _) = watch::channel(false);
        let observer = self.observer.clone();
        let config = self.config.clone();
        let weights = self.endpoints.iter().map(|(_, _, endpoint)| endpoint.weight);
        let heaviest = weights.fold(0.0, f64::max);
        let balancer = tiered(self.balancer, &self.endpoints);
        let core = Arc::new_cyclic(|weak: &Weak<Core<E>>| {
            let gate = |endpoint: &EndpointConfig| {
                Gate::new(
                    endpoint.max_connections,
                    &config.health,
                    config.breaker.clone(),
                    now,
                )
            };
            let gates = self
                .endpoints
                .iter()
                .map(|(_, _, endpoint)| gate(endpoint))
                .collect();
            let members: Vec<_> = self
                .endpoints
                .into_iter()
                .enumerate()
                .map(|(key, (id, endpoint, settings))| {
                    let told = observer.as_ref().map(|observer| observer.endpoint(&self.id, &id));
                    let unasked = unasked_failure(Weak::clone(weak), key as u32);
                    let plan = Plan {
                        id,
                        endpoint,
                        settings,
                        pool: &config,
                        chance: Arc::clone(&chance),
                        shutdown: shutdown.subscribe(),
                        epoch: now,
                    };
                    Arc::new(plan.member(told, unasked))
                })
                .collect();
            let stats: Vec<_> = members.iter().map(|member| Arc::clone(&member.stats)).collect();
            Core {
                id: self.id,
                members,
                stats: stats.clone(),
                admission: Admission::new(
                    gates,
                    stats,
                    (config.max_waiters as usize, config.priority_ageing),
                    seed,
                ),
                balancer,
                observer: self.observer,
                chance,
                rearm: Notify::new(),
                changed: Notify::new(),
                closed: false.into(),
                shutdown,
                budget: Budget::new(&config.budget, now),
                effort: Effort::default(),
                latencies: Latencies::new(now),
                leaks: Leaks::new(config.leak_after),
                config,
                heaviest,
            }
        });
        if let Some(observer) = &observer {
            let source: Arc<dyn Source> = Arc::clone(&core) as _;
            observer.attached(&core.id, Arc::downgrade(&source));
        }
        background::spawn(&core, seed);
        Ok(Pool::of(core))
    }
}

/// The balancer itself, or over tiers if there are several.
fn tiered<E>(
    balancer: Arc<dyn Balancer>,
    endpoints: &[(EndpointId, E, EndpointConfig)],
) -> Arc<dyn Balancer> {
    let mut tiers = endpoints.iter().map(|(_, _, config)| config.tier);
    let first = tiers.next();
    if tiers.all(|tier| Some(tier) == first) {
        balancer
    } else {
        Arc::new(Tiered::new(balancer))
    }
}

/// What one endpoint is made of.
struct Plan<'a, E: Endpoint> {
    id: EndpointId,
    endpoint: E,
    settings: EndpointConfig,
    pool: &'a PoolConfig,
    chance: Arc<Chance>,
    shutdown: watch::Receiver<bool>,
    epoch: Instant,
}

impl<E: Endpoint> Plan<'_, E> {
    fn member(
        self,
        observer: Option<Arc<dyn crate::EndpointObserver>>,
        unasked_failure: Box<dyn Fn() + Send + Sync>,
    ) -> Member<E> {
        let (settings, pool) = (self.settings, self.pool);
        let stats = Stats::new(self.id.clone(), settings.weight, settings.max_connections);
        let stats = Arc::new(stats.tier(settings.tier).slow_start(pool.slow_start, self.epoch));
        let endpoint = Arc::new(self.endpoint);
        let connects = Arc::new(Connects::new(
            Arc::clone(&endpoint),
            Arc::clone(&stats),
            (pool.connect_timeout, pool.max_lifetime),
            settings.max_connections,
            self.chance,
            unasked_failure,
            self.shutdown,
        ));
        let connector = Connector::new(connects, pool.recycle_timeout, pool.validate_after_idle);
        // last in, first out: what is not needed stays idle and is closed in time
        let storage = managed::Pool::builder(connector)
            .max_size(settings.max_connections as usize)
            .queue_mode(QueueMode::Lifo)
            .build();
        let Ok(storage) = storage else {
            unreachable!("deadpool refuses only time-outs without a runtime")
        };
        Member {
            id: self.id,
            endpoint,
            config: settings,
            stats,
            storage,
            observer,
        }
    }
}

fn unasked_failure<E: Endpoint>(core: Weak<Core<E>>, key: u32) -> Box<dyn Fn() + Send + Sync> {
    Box::new(move || {
        if let Some(core) = core.upgrade() {
            core.apply(core.admission.failed_unasked(key, Instant::now()));
        }
    })
}
