//! How an endpoint of a pool is put together, at the beginning or when it joins later.

use std::sync::{Arc, Weak};

use deadpool::managed::{self, QueueMode};
use tokio::{sync::watch, time::Instant};

use crate::{
    Endpoint, EndpointConfig, EndpointId, EndpointObserver, PoolConfig,
    admission::{Gate, GateId, Toll},
    ceiling::Ceiling,
    chance::Chance,
    connect::{Connects, Hooks},
    connection::Connector,
    core::Core,
    knobs::{Knobs, Limits},
    member::Member,
    stats::Stats,
};

/// What all endpoints of a pool share.
pub(crate) struct Assembly<'a, E: Endpoint> {
    pub(crate) core: Weak<Core<E>>,
    pub(crate) config: &'a PoolConfig,
    pub(crate) chance: Arc<Chance>,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) ceiling: Arc<Ceiling>,
    /// When the pool was built: the beginning of all clocks of its endpoints.
    pub(crate) epoch: Instant,
}

/// One endpoint.
pub(crate) struct Part<'a, E> {
    pub(crate) id: EndpointId,
    pub(crate) endpoint: E,
    pub(crate) settings: &'a EndpointConfig,
    pub(crate) gate: GateId,
    /// What was counted of it before, if it was here before.
    pub(crate) stats: Option<Arc<Stats>>,
    pub(crate) observer: Option<Arc<dyn EndpointObserver>>,
}

impl<E: Endpoint> Assembly<'_, E> {
    /// Its gate in admission.
    pub(crate) fn gate(
        &self,
        settings: &EndpointConfig,
        stats: Arc<Stats>,
        toll: &Toll,
        now: Instant,
    ) -> Gate {
        let breaker = self.config.breaker.clone();
        let mut gate = Gate::new(stats, settings.slots(), &self.config.health, breaker, now);
        gate.toll = toll.clone().boxed();
        gate
    }

    pub(crate) fn member(&self, part: Part<'_, E>) -> Member<E> {
        let settings = part.settings;
        let stats = part.stats.unwrap_or_else(|| {
            let stats = Stats::new(part.id.clone(), settings.weight, settings.slots());
            Arc::new(stats.starting_at(self.epoch))
        });
        stats.configure(settings, self.config.slow_start);
        let endpoint = Arc::new(part.endpoint);
        let limits = Arc::new(Limits::new(settings));
        let (shutdown, ended) = watch::channel(false);
        let shared = (
            Arc::clone(&self.knobs),
            Arc::clone(&limits),
            Arc::clone(&self.ceiling),
        );
        let connects = Arc::new(Connects::new(
            Arc::clone(&endpoint),
            Arc::clone(&stats),
            shared,
            Arc::clone(&self.chance),
            hooks(&self.core, part.gate, part.id.clone(), part.observer.clone()),
            ended,
        ));
        // last in, first out: what is not needed stays idle and is closed in time
        let storage = managed::Pool::builder(Connector::new(connects))
            .max_size(settings.slots() as usize)
            .queue_mode(QueueMode::Lifo)
            .build();
        let Ok(storage) = storage else {
            unreachable!("deadpool refuses only time-outs without a runtime")
        };
        Member {
            id: part.id,
            endpoint,
            stats,
            limits,
            storage,
            observer: part.observer,
            shutdown,
            keeps_nothing: false.into(),
        }
    }
}

fn hooks<E: Endpoint>(
    core: &Weak<Core<E>>,
    gate: GateId,
    id: EndpointId,
    observer: Option<Arc<dyn EndpointObserver>>,
) -> Hooks {
    let [told, asked, observed] = std::array::from_fn(|_| Weak::clone(core));
    Hooks {
        unasked_failure: Arc::new(move || {
            if let Some(core) = told.upgrade() {
                core.apply(core.admission.failed_unasked(gate, Instant::now()));
            }
        }),
        make_room: Box::new(move || asked.upgrade().is_some_and(|core| core.make_room(gate.key))),
        connect_ended: Box::new(move |elapsed, opened| {
            let Some(core) = observed.upgrade() else { return };
            tracing::debug!(pool = %core.id, endpoint = %id, ?elapsed, opened, "connect ended");
            if let Some(observer) = &observer {
                let tell = || observer.connect_ended(elapsed, opened);
                core.observers_bugs.call(&core.id, tell);
            }
        }),
    }
}
