//! What a pool's handle, its leases and its background tasks share.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    CloseReason, Endpoint, EndpointId, EndpointSnapshot, Event, Explanation, Feedback, Observer, PoolId,
    PoolObserver, PoolSnapshot, Request, Source, TimeoutsInForce, Verdict, WallClock,
    admission::{Admission, Change, Effects, Panic},
    alarm::{Alarms, Sleeper},
    breaker::{BreakerState, Transition},
    budget::Budget,
    ceiling::Ceiling,
    chance::Chance,
    effort::Effort,
    foreign::Foreign,
    health::HealthStatus,
    knobs::Knobs,
    latencies::Latencies,
    leak::{Leak, Leaks},
    member::Stored,
    reconfigure::Departed,
    setup::Setup,
    turns::Turns,
};

pub(crate) struct Core<E: Endpoint> {
    pub(crate) id: PoolId,
    pub(crate) setup: ArcSwap<Setup<E>>,
    pub(crate) admission: Admission<Box<Stored<E>>>,
    pub(crate) alarms: Alarms<Sleeper>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) pool_observer: Option<Arc<dyn PoolObserver>>,
    pub(crate) chance: Arc<Chance>,
    /// Wakes the task that lets time pass, when the next change by time has moved.
    pub(crate) rearm: Arc<Notify>,
    /// By which the days of quotas begin.
    pub(crate) clock: WallClock,
    /// Told at each change of health and at each returned slot while closing.
    pub(crate) changed: Notify,
    pub(crate) closed: AtomicBool,
    pub(crate) shutdown: watch::Sender<bool>,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) ceiling: Arc<Ceiling>,
    /// One reconfiguration at a time.
    pub(crate) departed: Mutex<Departed>,
    /// When the pool was built.
    pub(crate) epoch: Instant,
    /// Told at each reconfiguration.
    pub(crate) reconfigured: Notify,
    /// Health checks take turns.
    pub(crate) check_turns: Turns,
    pub(crate) budget: Budget,
    pub(crate) effort: Effort,
    pub(crate) latencies: Latencies,
    pub(crate) leaks: Leaks,
    /// Whether the balancer wants to hear what becomes of slots.
    pub(crate) observed: AtomicBool,
    /// How often idle connections were cleared away because no more are to be kept.
    pub(crate) clearances: AtomicU64,
    pub(crate) balancers_bugs: Foreign,
    pub(crate) observers_bugs: Foreign,
    pub(crate) endpoints_bugs: Foreign,
}

impl<E: Endpoint> Core<E> {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Does what a change under the admission lock has left to do; mostly nothing.
    #[inline]
    pub(crate) fn apply(&self, effects: Effects) {
        if self.is_closed() {
            self.apply_some(effects);
        } else if let Err(more) = effects.wake_one() {
            self.apply_some(more);
        }
    }

    /// Ends the background work: nobody holds the pool any more, or it is closed.
    pub(crate) fn shut_down(&self) {
        self.shutdown.send_replace(true);
        let setup = self.setup.load();
        setup.all().for_each(|member| member.shut_down());
        self.clearances.fetch_add(1, Ordering::Release);
        drop(self.admission.end_stash());
        let now = Instant::now();
        setup
            .all()
            .for_each(|member| member.purge_idle(now, CloseReason::Shutdown));
    }

    #[cold]
    fn apply_some(&self, effects: Effects) {
        let rearm = effects.rearm;
        let (changes, panic) = effects.wake_all();
        if rearm {
            self.rearm.notify_one();
        }
        for (key, change) in changes {
            self.publish(key, change);
        }
        if let Some(panic) = panic {
            self.publish_panic(panic);
        }
        if self.is_closed() {
            // a connection that was handed on and came back unused lies in the storage again
            let now = Instant::now();
            let setup = self.setup.load();
            setup
                .all()
                .for_each(|member| member.purge_idle(now, CloseReason::Shutdown));
            self.changed.notify_waiters();
        }
    }

    fn publish(&self, key: u32, change: Change) {
        let setup = self.setup.load();
        let Some(member) = setup.member(key) else {
            return;
        };
        let endpoint = member.id.clone();
        let pool = &self.id;
        let event = match change {
            Change::Breaker(Transition { from, to }) => {
                if matches!(to, BreakerState::Open { .. }) {
                    self.purge_idle(key, member);
                    tracing::warn!(%pool, %endpoint, "circuit breaker opened");
                } else {
                    tracing::info!(%pool, %endpoint, ?to, "circuit breaker changed");
                }
                Event::Breaker { endpoint, from, to }
            }
            Change::Health { from, to, reason } => {
                self.changed.notify_waiters();
                match &reason {
                    Some(reason) if to != HealthStatus::Healthy => {
                        self.purge_idle(key, member);
                        tracing::warn!(%pool, %endpoint, %reason, "endpoint is unhealthy");
                    }
                    _ => tracing::info!(%pool, %endpoint, "endpoint is healthy"),
                }
                Event::Health {
                    endpoint,
                    from,
                    to,
                    reason,
                }
            }
            Change::Throttled { wait, cause } => {
                if cause.is_quota() {
                    tracing::debug!(%pool, %endpoint, ?wait, %cause, "endpoint is throttled");
                } else {
                    tracing::info!(%pool, %endpoint, ?wait, %cause, "endpoint is throttled");
                }
                Event::Throttled {
                    endpoint,
                    wait,
                    cause,
                }
            }
            Change::Ejected { wait, why } => {
                tracing::warn!(%pool, %endpoint, ?wait, %why, "endpoint is left out");
                Event::Ejected { endpoint, wait, why }
            }
            Change::Readmitted => {
                tracing::info!(%pool, %endpoint, "endpoint takes part again");
                Event::Readmitted { endpoint }
            }
        };
        self.tell(&event);
    }

    /// The endpoint at this place asked for a pause; if it spoke for its provider, all endpoints of that rest.
    pub(crate) fn cool_down(&self, key: u32, verdict: &Verdict) {
        if let Some(wait) = verdict.throttle.filter(|_| verdict.throttles_provider) {
            self.cool_down_provider(key, wait);
        }
    }

    /// Its provider asked for a pause.
    #[cold]
    pub(crate) fn cool_down_provider(&self, key: u32, wait: Duration) {
        let setup = self.setup.load();
        let provider = setup.toll(key).and_then(|toll| toll.provider.as_ref());
        if let Some(provider) = provider.filter(|provider| provider.shares_cool_down()) {
            provider.cool_down(wait);
        }
    }

    /// A slot on the endpoint at this place, which is still held, was not used: what was paid for it goes back.
    #[inline]
    pub(crate) fn refund(&self, key: u32, paid: u32) {
        if paid > 0 {
            self.give_units_back(key, paid);
        }
    }

    #[cold]
    fn give_units_back(&self, key: u32, paid: u32) {
        let now = Instant::now();
        let setup = self.setup.load();
        let provider = setup.toll(key).and_then(|toll| toll.provider.as_ref());
        // what is spent may be there sooner than the others have planned to look
        let wake = provider.filter(|provider| provider.meter().spent_until(now).is_some());
        self.apply(self.admission.refund(key, paid, now));
        if let Some(provider) = wake {
            provider.wake_pools();
        }
    }

    fn publish_panic(
        &self,
        Panic {
            began,
            usable,
            endpoints,
        }: Panic,
    ) {
        let pool = &self.id;
        self.tell(&if began {
            tracing::warn!(%pool, usable, endpoints, "too few endpoints are usable, so those with a poor record are used too");
            Event::PanicBegan { usable, endpoints }
        } else {
            tracing::info!(%pool, usable, endpoints, "only usable endpoints are used again");
            Event::PanicEnded { usable, endpoints }
        });
    }

    /// Tells the balancer what became of a slot.
    #[inline]
    pub(crate) fn feed(&self, key: u32, what: Feedback) {
        if self.observed.load(Ordering::Relaxed) {
            self.tell_balancer(key, what);
        }
    }

    fn tell_balancer(&self, key: u32, what: Feedback) {
        let setup = self.setup.load();
        let observe = || setup.balancer.observe(key as usize, &what);
        self.balancers_bugs.call(&self.id, observe);
    }

    fn endpoint_id(&self, key: u32) -> Option<EndpointId> {
        self.setup.load().member(key).map(|member| member.id.clone())
    }

    /// Tells of leases that are held too long.
    pub(crate) fn look_for_leaks(&self, now: Instant) {
        for Leak { key, held, location } in self.leaks.look(now) {
            let Some(endpoint) = self.endpoint_id(key) else {
                continue;
            };
            tracing::warn!(pool = %self.id, %endpoint, ?held, %location, "a lease is held for too long");
            self.tell(&Event::Leak {
                endpoint,
                held,
                location,
            });
        }
    }

    /// Tells that one of them came back.
    pub(crate) fn leak_returned(&self, leak: Leak) {
        let Leak { key, held, location } = leak;
        let Some(endpoint) = self.endpoint_id(key) else {
            return;
        };
        tracing::info!(pool = %self.id, %endpoint, ?held, %location, "a lease that was held for too long came back");
        self.tell(&Event::LeakReturned {
            endpoint,
            held,
            location,
        });
    }

    pub(crate) fn tell(&self, event: &Event) {
        if let Some(observer) = &self.observer {
            self.observers_bugs
                .call(&self.id, || observer.event(&self.id, event));
        }
    }
}

impl<E: Endpoint> Source for Core<E> {
    fn snapshot(&self) -> PoolSnapshot {
        let now = Instant::now();
        let setup = self.setup.load();
        let mut endpoints = Vec::with_capacity(setup.seats.len());
        let totals = self.admission.read(now, |key, gate| {
            let stats = &gate.stats;
            let limits = setup.seats.get(key).and_then(|seat| seat.as_ref());
            let connections_max = limits.map_or(0, |seat| seat.member.limits.max_connections());
            let (active, idle) = stats.connections();
            // errors before requests, so that they never exceed them
            let errors = stats.errors();
            let closed = stats.connections_destroyed();
            let breaker_moves = stats.breaker_moves();
            let (throttle, toll) = (gate.throttle(now), gate.toll.as_deref());
            let quota = toll.and_then(|toll| toll.read(now));
            endpoints.push(EndpointSnapshot {
                id: stats.id.clone(),
                connections_active: active,
                connections_idle: idle,
                connections_max: connections_max.into(),
                connections_created: stats.connections_created(),
                connections_destroyed: closed.iter().sum(),
                connections_closed: closed,
                slots_active: gate.taken.into(),
                slots_max: gate.slots.into(),
                concurrency_limit: gate.limit.into(),
                requests: stats.requests(),
                errors,
                latency_sum: Duration::from_micros(stats.latency.took()),
                health_check_failures: stats.check_failures(),
                health: gate.health.status(),
                health_reason: gate.health.reason().map(ToString::to_string),
                breaker: gate.breaker.state(),
                breaker_opened: breaker_moves[1],
                breaker_moves,
                throttled_until: throttle.map(|(until, _)| until),
                throttled_by: throttle.map(|(_, cause)| cause),
                throttles: stats.throttles(),
                provider: toll.and_then(|toll| Some(toll.provider.as_ref()?.id().clone())),
                quota_left: quota.map(|quota| quota.left),
                quota_limit: quota.map(|quota| quota.limit),
                ejected_until: gate.ejected.map(|ejected| ejected.until),
                ejections: stats.ejections(),
                weight: if gate.eligible(now) {
                    stats.weight(now)
                } else {
                    0.0
                },
                position: gate.position.map(|(position, _)| position),
                lag: stats.lag(),
                head_age: gate.head_age(now),
            });
        });
        let (hedges, hedges_won, hedges_lost) = self.effort.hedges();
        let (budget_exhausted, hedges_refused) = self.effort.budget_exhausted();
        let (updates, updates_refused) = self.effort.updates();
        let config = &setup.config;
        let fresh_since = config.health.fresh_since(now);
        PoolSnapshot {
            head_age: self.admission.reference_age(None, fresh_since, now),
            id: self.id.clone(),
            taken_at: now,
            queue_size: totals.queue_size as u64,
            queue_limit: totals.queue_limit as u64,
            queue_timeouts: totals.timeouts,
            queue_rejections: totals.rejections,
            slots_usable: totals.usable,
            slots_free: totals.free,
            endpoints,
            retries: self.effort.retries(),
            hedges,
            hedges_won,
            hedges_lost,
            hedges_refused,
            budget_exhausted,
            rejections: self.effort.rejections(),
            updates,
            updates_refused,
            leaks: self.leaks.found(),
            panicking: totals.panic,
            closed: self.is_closed(),
            timeouts: Some(TimeoutsInForce::new(
                config.acquire_timeout,
                config.connect_timeout,
                config.health.timeout,
            )),
        }
    }

    fn explain(&self) -> Vec<Explanation> {
        Self::explain(self, &Request::new())
    }
}
