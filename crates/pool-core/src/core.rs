//! What a pool's handle, its leases and its background tasks share.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Cost, Endpoint, EndpointId, EndpointSnapshot, Event, Feedback, Observer, PoolId, PoolSnapshot, Source,
    Verdict, WallClock,
    admission::{Admission, Change, Effects},
    breaker::{BreakerState, Transition},
    budget::Budget,
    ceiling::Ceiling,
    chance::Chance,
    effort::Effort,
    health::HealthStatus,
    knobs::Knobs,
    latencies::Latencies,
    leak::{Leak, Leaks},
    member::Stored,
    reconfigure::Departed,
    setup::Setup,
};

pub(crate) struct Core<E: Endpoint> {
    pub(crate) id: PoolId,
    pub(crate) setup: ArcSwap<Setup<E>>,
    pub(crate) admission: Admission<Stored<E>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
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
    pub(crate) budget: Budget,
    pub(crate) effort: Effort,
    pub(crate) latencies: Latencies,
    pub(crate) leaks: Leaks,
}

impl<E: Endpoint> Core<E> {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Does what a change under the admission lock has left to do; mostly nothing.
    #[inline]
    pub(crate) fn apply(&self, effects: Effects) {
        if !effects.is_empty() || self.is_closed() {
            self.apply_some(effects);
        }
    }

    /// Ends the background work: nobody holds the pool any more, or it is closed.
    pub(crate) fn shut_down(&self) {
        self.shutdown.send_replace(true);
        let now = Instant::now();
        for member in self.setup.load().all() {
            member.shut_down(now);
        }
    }

    #[cold]
    fn apply_some(&self, effects: Effects) {
        for waker in effects.wakers {
            waker.wake();
        }
        if effects.rearm {
            self.rearm.notify_one();
        }
        for (key, change) in effects.changes {
            self.publish(key, change);
        }
        if self.is_closed() {
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
                    member.purge_idle(Instant::now());
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
                        member.purge_idle(Instant::now());
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
    #[cold]
    pub(crate) fn refund(&self, key: u32, cost: &Cost) {
        let toll = self.setup.load().toll(key).cloned();
        let Some(toll) = toll.filter(|toll| !toll.is_none()) else {
            return;
        };
        let now = Instant::now();
        // what is spent may be there sooner than the others have planned to look
        let wake = toll
            .provider
            .filter(|provider| provider.meter().spent_until(now).is_some());
        self.apply(self.admission.refund(key, cost, now));
        if let Some(provider) = wake {
            provider.wake_pools();
        }
    }

    /// Tells the balancer what became of a slot. A bug in it must not lose the slot or the caller's result.
    pub(crate) fn feed(&self, key: u32, what: Feedback) {
        let setup = self.setup.load();
        let told = catch_unwind(AssertUnwindSafe(|| setup.balancer.observe(key as usize, &what)));
        if told.is_err() {
            tracing::error!(pool = %self.id, "the balancer panicked");
        }
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
            // a bug in an observer must not end the task that lets time pass, or everybody would wait for ever
            let told = catch_unwind(AssertUnwindSafe(|| observer.event(&self.id, event)));
            if told.is_err() {
                tracing::error!(pool = %self.id, "the observer panicked");
            }
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
            let quota = gate.toll.read(now);
            endpoints.push(EndpointSnapshot {
                id: stats.id.clone(),
                connections_active: active,
                connections_idle: idle,
                connections_max: connections_max.into(),
                connections_created: stats.connections_created(),
                connections_destroyed: stats.connections_destroyed(),
                slots_active: gate.taken.into(),
                slots_max: gate.slots.into(),
                requests: stats.requests(),
                errors,
                health_check_failures: stats.check_failures(),
                health: gate.health.status(),
                health_reason: gate.health.reason().map(ToString::to_string),
                breaker: gate.breaker.state(),
                breaker_opened: gate.breaker_opened,
                throttled_until: gate.throttled(now),
                provider: gate.toll.provider.as_ref().map(|provider| provider.id().clone()),
                quota_left: quota.map(|quota| quota.left),
                quota_limit: quota.map(|quota| quota.limit),
                quota_spent: gate.spent.times,
                weight: if gate.eligible(now) {
                    stats.weight(now)
                } else {
                    0.0
                },
                position: gate.position.map(|(position, _)| position),
            });
        });
        let (hedges, hedges_won) = self.effort.hedges();
        PoolSnapshot {
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
            budget_exhausted: self.effort.budget_exhausted(),
            leaks: self.leaks.found(),
        }
    }
}
