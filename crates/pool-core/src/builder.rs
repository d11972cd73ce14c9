//! How a pool is built.

use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Balancer, BalancerKind, ConfigError, Endpoint, EndpointConfig, EndpointId, Observer, Pool, PoolConfig,
    PoolId, Provider, ProviderId, Source, WallClock,
    admission::{Admission, Toll},
    alarm::Alarms,
    assembly::{Assembly, Part},
    background,
    budget::Budget,
    ceiling::Ceiling,
    chance::Chance,
    core::Core,
    effort::Effort,
    foreign::Foreign,
    knobs::Knobs,
    latencies::Latencies,
    leak::Leaks,
    setup::{Seat, Setup},
    tariff::Tariff,
    turns::Turns,
    update,
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
    /// An update keeps an endpoint that the pool does not have. Give the update the endpoint itself.
    #[error("pool {pool} has no endpoint {endpoint} to keep")]
    Unknown {
        /// The pool.
        pool: PoolId,
        /// The id.
        endpoint: EndpointId,
    },
    /// An endpoint names a provider that the pool was not given, or not under this name. Give it to the builder or the
    /// update, or correct the name.
    #[error("pool {pool}, endpoint {endpoint}: provider {provider} was not given to the pool")]
    UnknownProvider {
        /// The pool.
        pool: PoolId,
        /// The endpoint.
        endpoint: EndpointId,
        /// The name.
        provider: ProviderId,
    },
    /// The pool is closed and cannot be changed. Build another.
    #[error("pool {0} is closed")]
    Closed(PoolId),
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
    providers: Vec<Provider>,
    clock: WallClock,
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
            balancer: BalancerKind::default().build(),
            observer: None,
            seed: None,
            providers: Vec::new(),
            clock: WallClock::system(),
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

    /// Takes a provider, for the endpoints that name it. Give the same one to several pools: what their endpoints use is
    /// counted together.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Takes the clock by which the days of the endpoints' own quotas begin; the machine's otherwise.
    pub fn wall_clock(mut self, clock: WallClock) -> Self {
        self.clock = clock;
        self
    }

    /// Takes a balancer; [`ShortestDelay`](crate::ShortestDelay) otherwise.
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
        let endpoints = self.endpoints.iter().map(|(id, _, config)| (id, config));
        update::validate(&self.id, &self.config, endpoints)
    }

    /// What requests on each endpoint pay.
    fn tolls(&self, rearm: &Arc<Notify>, now: Instant) -> Result<Vec<Toll>, BuildError> {
        let tariff = Tariff {
            pool: &self.id,
            providers: &self.providers,
            clock: &self.clock,
            rearm,
            now,
        };
        let endpoints = self.endpoints.iter();
        endpoints
            .map(|(id, _, config)| tariff.toll(id, config, None))
            .collect()
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
        let rearm = Arc::new(Notify::new());
        let tolls = self.tolls(&rearm, now)?;
        let (shutdown, _) = watch::channel(false);
        let observer = self.observer.clone();
        let (config, balancer) = (self.config, self.balancer);
        let (knobs, ceiling) = (
            Arc::new(Knobs::new(&config)),
            Arc::new(Ceiling::new(config.max_connections)),
        );
        let core = Arc::new_cyclic(|weak: &Weak<Core<E>>| {
            let assembly = Assembly {
                core: Weak::clone(weak),
                config: &config,
                chance: Arc::clone(&chance),
                knobs: Arc::clone(&knobs),
                ceiling: Arc::clone(&ceiling),
                epoch: now,
            };
            let pool_observer = observer.as_ref().and_then(|observer| observer.pool(&self.id));
            let seat =
                |(key, ((id, endpoint, settings), toll)): (u32, ((EndpointId, E, EndpointConfig), Toll))| {
                    let observer = observer.as_ref().map(|observer| observer.endpoint(&self.id, &id));
                    let member = assembly.member(Part {
                        id,
                        endpoint,
                        settings: &settings,
                        gate: key.into(),
                        stats: None,
                        observer,
                    });
                    Seat {
                        member: Arc::new(member),
                        config: settings,
                        leaving: false,
                        toll,
                    }
                };
            let endpoints = self.endpoints.into_iter().zip(tolls);
            let seats: Vec<_> = (0..).zip(endpoints).map(seat).collect();
            let stats: Vec<_> = seats.iter().map(|seat| Arc::clone(&seat.member.stats)).collect();
            let gates = seats
                .iter()
                .map(|seat| assembly.gate(&seat.config, Arc::clone(&seat.member.stats), &seat.toll, now))
                .collect();
            let (budget, leaks) = (Budget::new(&config.budget, now), Leaks::new(config.leak_after));
            let observed = balancer.observes().into();
            let check_turns = Turns::new(config.health.max_concurrent);
            let setup = Setup::new(
                config.clone(),
                seats.into_iter().map(Some).collect(),
                stats,
                balancer,
            );
            let admission = Admission::new(gates, setup.rules(), seed);
            admission.show(&setup.view);
            Core {
                id: self.id,
                admission,
                alarms: Alarms::default(),
                setup: ArcSwap::from_pointee(setup),
                observer: self.observer,
                pool_observer,
                chance,
                rearm,
                clock: self.clock,
                changed: Notify::new(),
                closed: false.into(),
                shutdown,
                budget,
                effort: Effort::default(),
                latencies: Latencies::new(now),
                leaks,
                observed,
                clearances: 0.into(),
                balancers_bugs: Foreign::new("balancer"),
                observers_bugs: Foreign::new("observer"),
                endpoints_bugs: Foreign::new("endpoint"),
                check_turns,
                knobs: Arc::clone(&knobs),
                ceiling: Arc::clone(&ceiling),
                departed: Mutex::default(),
                epoch: now,
                reconfigured: Notify::new(),
            }
        });
        if let Some(observer) = &observer {
            let source: Arc<dyn Source> = Arc::clone(&core) as _;
            observer.attached(&core.id, Arc::downgrade(&source));
        }
        background::spawn(&core);
        Ok(Pool::of(core))
    }
}
