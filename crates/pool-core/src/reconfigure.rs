//! Applying an update: who joins, who stays, who leaves.
//!
//! One at a time, and all or nothing: everything that can be refused is refused before anything changes. The order is
//! that of what readers need: limits and settings first, then the published setup, then admission, which from there on
//! gives slots on those who joined and no more on those who leave. Once a second the background work takes those out on
//! which nothing is under way any more.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
};

use tokio::time::Instant;

use crate::{
    Applied, BuildError, Endpoint, EndpointConfig, EndpointId, EndpointObserver, Event, PoolConfig,
    PoolUpdate, Provider,
    admission::{Gate, GateId, Reconfiguration, Toll},
    assembly::{Assembly, Part},
    background,
    core::Core,
    member::Member,
    setup::{Seat, Setup},
    stats::Stats,
    tariff::Tariff,
};

/// Of so many endpoints that have left the counts are kept, for the case that they return.
const REMEMBERED: usize = 4096;

/// What was counted of the endpoints that have left.
pub(crate) type Departed = HashMap<EndpointId, Arc<Stats>>;

/// An endpoint that is to join.
struct Joiner<E> {
    id: EndpointId,
    endpoint: E,
    config: EndpointConfig,
    /// Of the one that it replaces, or that was here before.
    stats: Option<Arc<Stats>>,
    observer: Option<Arc<dyn EndpointObserver>>,
    toll: Toll,
}

/// What an update comes to, before anything has changed.
struct Draft<E: Endpoint> {
    seats: Vec<Option<Seat<E>>>,
    kept: Vec<(u32, u32)>,
    joining: Vec<Joiner<E>>,
    leaving: Vec<Arc<Member<E>>>,
    applied: Applied,
    /// Of those that stay.
    tolls: Vec<(u32, Toll)>,
}

/// The providers that are given, then those that the pool has.
fn all_providers<E: Endpoint>(given: Vec<Provider>, old: &Setup<E>) -> Vec<Provider> {
    let known = old.members().filter_map(|(_, seat)| seat.toll.provider.clone());
    given.into_iter().chain(known).collect()
}

impl<E: Endpoint> Core<E> {
    pub(crate) fn reconfigure(self: &Arc<Self>, update: PoolUpdate<E>) -> Result<Applied, BuildError> {
        update.validate(&self.id)?;
        tokio::runtime::Handle::try_current().map_err(|_missing| BuildError::NoRuntime)?;
        let mut departed = self.departed();
        if self.is_closed() {
            return Err(BuildError::Closed(self.id.clone()));
        }
        let old = self.setup.load_full();
        let PoolUpdate {
            config,
            endpoints,
            balancer,
            providers,
        } = update;
        let now = Instant::now();
        let tariff = Tariff {
            pool: &self.id,
            providers: &all_providers(providers, &old),
            clock: &self.clock,
            rearm: &self.rearm,
            now,
        };
        let mut draft = self.draft(&old, endpoints, &departed, &tariff)?;
        draft.applied.settings = old.config != config;
        draft.applied.balancer = balancer.is_some();
        // asked before anything changes, because it is foreign
        let observed = balancer.as_ref().map(|balancer| balancer.observes());

        // nothing is refused from here on
        self.configure(&config);
        for seat in draft.seats.iter().flatten().filter(|seat| !seat.leaving) {
            seat.member.configure(&seat.config, &config);
            seat.configure_quota(now);
        }
        let mut stats = old.stats.clone();
        let joined = self.put_together(draft.joining, &config, now);
        for (id, _, seat) in &joined {
            let key = id.key as usize;
            if key >= stats.len() {
                stats.push(Arc::clone(&seat.member.stats));
                draft.seats.push(None);
            }
            stats[key] = Arc::clone(&seat.member.stats);
            draft.seats[key] = Some(seat.clone());
        }
        let balancer = balancer.unwrap_or_else(|| Arc::clone(&old.plain));
        let new = Arc::new(Setup::new(config, draft.seats, stats, balancer));
        if let Some(observed) = observed {
            self.observed.store(observed, Ordering::Relaxed);
        }
        self.setup.store(Arc::clone(&new));
        let members: Vec<_> = joined
            .iter()
            .map(|(id, _, seat)| (*id, Arc::clone(&seat.member)))
            .collect();
        let plan = Reconfiguration {
            rules: new.rules(),
            health: &new.config.health,
            breaker: &new.config.breaker,
            view: &new.view,
            kept: draft.kept,
            joining: joined.into_iter().map(|(id, gate, _)| (id, gate)).collect(),
            tolls: draft.tolls,
        };
        let (effects, idle) = self.admission.reconfigure(plan, now);
        drop(idle);
        for member in &draft.leaving {
            if departed.len() < REMEMBERED {
                departed.insert(member.id.clone(), Arc::clone(&member.stats));
            }
        }
        drop(departed);
        self.apply(effects);
        draft.leaving.iter().for_each(|member| member.shut_down());
        self.clearances.fetch_add(1, Ordering::Release);
        draft.leaving.iter().for_each(|member| member.purge_idle(now));
        for (id, member) in members {
            background::check_endpoint(self, id, member);
        }
        self.trim(&new);
        self.reconfigured.notify_waiters();
        if self.is_closed() {
            // closed meanwhile, without those who have just joined
            self.shut_down();
        }
        tracing::info!(pool = %self.id, applied = ?draft.applied, "pool reconfigured");
        self.tell(&Event::Reconfigured(draft.applied.clone()));
        Ok(draft.applied)
    }

    /// Whoever holds it is the only one to change who belongs to the pool.
    fn departed(&self) -> MutexGuard<'_, Departed> {
        self.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sorts the endpoints into those who stay, join and leave. Observers are told of those who join before anything
    /// has changed: if they panic, nothing has.
    fn draft(
        &self,
        old: &Setup<E>,
        endpoints: Vec<(EndpointId, Option<E>, EndpointConfig)>,
        departed: &Departed,
        tariff: &Tariff<'_>,
    ) -> Result<Draft<E>, BuildError> {
        let mut seats = old.seats.clone();
        let mut stays = vec![false; seats.len()];
        let (mut kept, mut joining, mut applied) = (Vec::new(), Vec::new(), Applied::default());
        let mut tolls = Vec::new();
        let known: HashMap<_, _> = old
            .members()
            .map(|(key, seat)| (seat.member.id.clone(), (key, seat)))
            .collect();
        for (id, endpoint, config) in endpoints {
            let before = known.get(&id).map(|(_, seat)| &seat.toll);
            let toll = tariff.toll(&id, &config, before)?;
            match (endpoint, known.get(&id)) {
                (Some(endpoint), Some((_, seat))) => {
                    applied.replaced.push(id.clone());
                    joining.push(Joiner {
                        id,
                        endpoint,
                        config,
                        stats: Some(Arc::clone(&seat.member.stats)),
                        observer: seat.member.observer.clone(),
                        toll,
                    });
                }
                (Some(endpoint), None) => {
                    applied.added.push(id.clone());
                    joining.push(Joiner {
                        stats: departed.get(&id).map(Arc::clone),
                        observer: self
                            .observer
                            .as_ref()
                            .map(|observer| observer.endpoint(&self.id, &id)),
                        id,
                        endpoint,
                        config,
                        toll,
                    });
                }
                (None, Some((key, seat))) => {
                    if seat.config != config {
                        applied.changed.push(id);
                    }
                    stays[*key as usize] = true;
                    kept.push((*key, config.slots()));
                    tolls.push((*key, toll.clone()));
                    if let Some(seat) = &mut seats[*key as usize] {
                        (seat.config, seat.toll) = (config, toll);
                    }
                }
                (None, None) => {
                    let pool = self.id.clone();
                    return Err(BuildError::Unknown { pool, endpoint: id });
                }
            }
        }
        let mut leaving = Vec::new();
        for (seat, stays) in seats.iter_mut().zip(stays) {
            if let Some(seat) = seat.as_mut().filter(|seat| !stays && !seat.leaving) {
                seat.leaving = true;
                leaving.push(Arc::clone(&seat.member));
                if !applied.replaced.contains(&seat.member.id) {
                    applied.removed.push(seat.member.id.clone());
                }
            }
        }
        Ok(Draft {
            seats,
            kept,
            joining,
            leaving,
            applied,
            tolls,
        })
    }

    fn configure(&self, config: &PoolConfig) {
        self.knobs.configure(config);
        self.ceiling.set(config.max_connections);
        self.budget.configure(&config.budget);
        self.leaks.set_after(config.leak_after);
        self.check_turns.set(config.health.max_concurrent);
    }

    fn put_together(
        self: &Arc<Self>,
        joining: Vec<Joiner<E>>,
        config: &PoolConfig,
        now: Instant,
    ) -> Vec<(GateId, Gate, Seat<E>)> {
        let assembly = Assembly {
            core: Arc::downgrade(self),
            config,
            chance: Arc::clone(&self.chance),
            knobs: Arc::clone(&self.knobs),
            ceiling: Arc::clone(&self.ceiling),
            epoch: self.epoch,
        };
        let places = self.admission.places(joining.len());
        let put_together = |(joiner, gate): (Joiner<E>, GateId)| {
            if let Some(stats) = &joiner.stats {
                stats.latency.start_again(now);
            }
            let member = Arc::new(assembly.member(Part {
                id: joiner.id,
                endpoint: joiner.endpoint,
                settings: &joiner.config,
                gate,
                stats: joiner.stats,
                observer: joiner.observer,
            }));
            let entry = assembly.gate(&joiner.config, Arc::clone(&member.stats), &joiner.toll, now);
            let seat = Seat {
                member,
                config: joiner.config,
                leaving: false,
                toll: joiner.toll,
            };
            seat.configure_quota(now);
            (gate, entry, seat)
        };
        joining.into_iter().zip(places).map(put_together).collect()
    }

    /// Closes idle connections that are more than may be since a limit was lowered.
    pub(crate) fn trim(&self, setup: &Setup<E>) {
        for (key, seat) in setup.members() {
            let excess = self.ceiling.excess();
            if seat.member.excess(excess) > 0 {
                seat.member.keep_nothing();
                self.clearances.fetch_add(1, Ordering::Release);
                drop(self.admission.take_stash(key));
            }
            seat.member.trim(excess);
        }
    }

    /// Takes out the endpoints that have left and on which nothing is under way any more.
    pub(crate) fn sweep(&self) {
        let departed = self.departed();
        let keys = self.admission.vacate();
        if keys.is_empty() {
            return;
        }
        let old = self.setup.load_full();
        let mut seats = old.seats.clone();
        let gone: Vec<_> = keys
            .iter()
            .filter_map(|key| seats[*key as usize].take())
            .collect();
        let (config, stats, plain) = (old.config.clone(), old.stats.clone(), Arc::clone(&old.plain));
        self.setup
            .store(Arc::new(Setup::new(config, seats, stats, plain)));
        drop(departed);
        for seat in gone {
            let endpoint = seat.member.id.clone();
            tracing::info!(pool = %self.id, %endpoint, "endpoint has drained");
            self.tell(&Event::Drained { endpoint });
        }
    }

    /// Closes an idle connection of another endpoint, the one with the most of them. Returns whether there was one.
    pub(crate) fn make_room(&self, but: u32) -> bool {
        let setup = self.setup.load();
        let others = setup.members().filter(|(key, _)| *key != but);
        let mut others: Vec<_> = others
            .map(|(key, seat)| (seat.member.stats.connections().1, key, &seat.member))
            .filter(|(idle, ..)| *idle > 0)
            .collect();
        others.sort_unstable_by_key(|(idle, ..)| std::cmp::Reverse(*idle));
        others.iter().any(|(_, key, member)| {
            drop(self.admission.take_stash(*key));
            member.close_one_idle()
        })
    }
}
