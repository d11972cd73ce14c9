//! One endpoint of a pool, with everything the pool keeps about it.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{self, Object, PoolError, Timeouts};
use tokio::{sync::watch, time::Instant};

use crate::{
    CloseReason, Endpoint, EndpointConfig, EndpointId, EndpointObserver, PoolConfig,
    connect_failure::ConnectFailure,
    connection::{Connector, Pooled},
    foreign,
    knobs::Limits,
    lease::Trip,
    stats::Stats,
    transport::Transport,
};

/// A connection out of the storage, and the endpoint it leads to. Dropped, it goes back into the storage.
///
/// It lies in a box, which it keeps as long as it is not put back: it is moved often, from hand to hand and to where it
/// lies ready.
pub(crate) struct Stored<E: Endpoint> {
    object: Object<Connector<E>>,
    pub(crate) member: Arc<Member<E>>,
    /// Of the lease that it is out on.
    pub(crate) trip: Trip,
}

impl<E: Endpoint> Stored<E> {
    /// Closes it.
    pub(crate) fn close(self, why: CloseReason) {
        self.lane.transport().closing(why);
        foreign::close([Object::take(self.object)], &self.member.id);
    }

    /// For how long the provider asked to be left alone, although it answered well.
    #[inline]
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        self.member.endpoint.pause(&mut self.object.conn)
    }

    /// Whether it can be used as it is.
    #[inline]
    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        self.member.storage.manager().is_ready(self, now)
    }
}

impl<E: Endpoint> Deref for Stored<E> {
    type Target = Pooled<E>;

    #[inline]
    fn deref(&self) -> &Pooled<E> {
        &self.object
    }
}

impl<E: Endpoint> DerefMut for Stored<E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Pooled<E> {
        &mut self.object
    }
}

/// `get` never waits for a slot; connect and recycle have their own time-outs.
const AT_ONCE: Timeouts = Timeouts {
    wait: Some(Duration::ZERO),
    create: None,
    recycle: None,
};

pub(crate) struct Member<E: Endpoint> {
    pub(crate) id: EndpointId,
    pub(crate) endpoint: Arc<E>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) storage: managed::Pool<Connector<E>>,
    pub(crate) observer: Option<Arc<dyn EndpointObserver>>,
    /// Ends its tasks and connects.
    pub(crate) shutdown: watch::Sender<bool>,
    /// What comes back is closed: the pool is closed, the endpoint has left, or there are more than may be.
    pub(crate) keeps_nothing: AtomicBool,
}

impl<E: Endpoint> Member<E> {
    /// A connection: an idle one that still works, or a new one. Whoever asks holds a slot, so the storage has room;
    /// `ready` is what has come back meanwhile and lies ready outside of it.
    ///
    /// Cancel-safe: a connect that was begun goes on and serves the next caller.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        ready: impl Fn() -> Option<Box<Stored<E>>>,
    ) -> Result<Box<Stored<E>>, ConnectFailure<E::Error>> {
        let mut looks = 0_u32;
        loop {
            match self.storage.timeout_get(&AT_ONCE).await {
                Ok(object) => {
                    let member = Arc::clone(self);
                    let trip = Trip::none(object.returned_at);
                    let mut stored = Box::new(Stored { object, member, trip });
                    stored.lane.set_busy(true);
                    return Ok(stored);
                }
                Err(PoolError::Backend(ConnectFailure::AtLimit) | PoolError::Timeout(_)) => {
                    if ready().is_some() {
                        // dropped, it is in the storage, which judges whether it can be used
                        continue;
                    }
                    // somebody is between returning a connection and its being there; his turn
                    looks += 1;
                    if looks < 32 {
                        tokio::task::yield_now().await;
                    } else {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                Err(PoolError::Backend(failure)) => return Err(failure),
                Err(PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                    return Err(ConnectFailure::Closed);
                }
            }
        }
    }

    /// Drops idle connections that are too old, closed or distrusted, and those too long idle that are more than `min_idle`.
    pub(crate) fn prune(&self, idle_timeout: Duration, now: Instant) {
        let connector = self.storage.manager();
        let mut surplus = match self.limits.min_idle() {
            0 => u64::MAX,
            least => self.stats.connections().1.saturating_sub(least.into()),
        };
        let closed = self.closed();
        let is_closed = |transport: &Arc<Transport<E>>| closed.iter().any(|one| Arc::ptr_eq(one, transport));
        let mut keep = |pooled: &Pooled<E>| {
            let rested = now.saturating_duration_since(pooled.returned_at);
            let keep = connector.usable(pooled, now)
                && !is_closed(pooled.lane.transport())
                && (rested < idle_timeout || surplus == 0);
            surplus = surplus.saturating_sub(u64::from(!keep));
            if !keep {
                let transport = pooled.lane.transport();
                transport.closing_at(
                    now,
                    if is_closed(transport) {
                        CloseReason::Dead
                    } else if connector.is_stale(pooled) {
                        CloseReason::Distrusted
                    } else {
                        CloseReason::Idle
                    },
                );
            }
            keep
        };
        let gone = self.storage.retain(|pooled, _| keep(pooled));
        foreign::close(gone.removed, &self.id);
        connector.proven.close_if(|pooled| !keep(pooled));
        connector.connects.drop_unfit_spares(now);
    }

    /// The stored connections that the other side has closed, or that drain. Their endpoint is asked outside the storage's
    /// lock.
    fn closed(&self) -> Vec<Arc<Transport<E>>> {
        let mut stored = Vec::new();
        let gone = self.storage.retain(|pooled, _| {
            stored.push(Arc::clone(pooled.lane.transport()));
            true
        });
        drop(gone);
        stored.retain(|transport| self.endpoint.lanes(&transport.inner) == 0);
        stored
    }

    /// Takes other settings. The storage's own limit only ever grows.
    pub(crate) fn configure(&self, endpoint: &EndpointConfig, pool: &PoolConfig) {
        self.stats.configure(endpoint, pool.slow_start);
        self.limits.configure(endpoint);
        let slots = endpoint.slots() as usize;
        if slots > self.storage.status().max_size {
            self.storage.resize(slots);
        }
    }

    /// Takes no more requests: the pool is closed, or the endpoint has left. What is idle is to be closed next.
    pub(crate) fn shut_down(&self) {
        self.keep_nothing();
        self.shutdown.send_replace(true);
    }

    /// From now on what comes back is closed.
    pub(crate) fn keep_nothing(&self) {
        self.keeps_nothing.store(true, Ordering::Release);
    }

    /// Whether the pool is closed, or the endpoint has left.
    pub(crate) fn is_shut_down(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// Whether what comes back is closed and not kept.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.keeps_nothing.load(Ordering::Acquire)
    }

    /// Closes what has become too much on its way into the storage.
    #[cold]
    pub(crate) fn tidy(&self, now: Instant) {
        if *self.shutdown.borrow() {
            self.purge_idle(now, CloseReason::Shutdown);
        } else {
            self.trim(0);
        }
    }

    /// Closes idle connections until no more are open than may be; until then what comes back is closed too. deadpool's
    /// own limit is never lowered: its `resize` loses count of what is idle.
    pub(crate) fn trim(&self, excess_of_pool: u32) {
        let mut excess = self.excess(excess_of_pool);
        while excess > 0 && self.close_one_idle() {
            excess -= 1;
        }
        if !*self.shutdown.borrow() {
            self.keeps_nothing.store(excess > 0, Ordering::Release);
        }
    }

    /// So many connections more are open than may be.
    pub(crate) fn excess(&self, excess_of_pool: u32) -> u32 {
        let excess = self.limits.open().saturating_sub(self.limits.max_connections());
        excess.max(excess_of_pool)
    }

    /// Closes an idle connection of the storage, if there is any.
    pub(crate) fn close_one_idle(&self) -> bool {
        if self.storage.manager().connects.drop_one_spare() {
            return true;
        }
        let mut found = false;
        let gone = self.storage.retain(|pooled, _| {
            // a lane whose connection carries others would close nothing
            let take = !found && !pooled.lane.transport().is_busy();
            found |= take;
            if take {
                pooled.lane.transport().closing(CloseReason::Surplus);
            }
            !take
        });
        foreign::close(gone.removed, &self.id);
        found || {
            let proven = self.storage.manager().proven.take();
            proven.is_some_and(|proven| {
                proven.lane.transport().closing(CloseReason::Surplus);
                true
            })
        }
    }

    /// Closes what is idle in the storage: the endpoint has failed, so that it is probably dead, or is not needed any more.
    pub(crate) fn purge_idle(&self, now: Instant, why: CloseReason) {
        let note = |pooled: &Pooled<E>| pooled.lane.transport().closing(why);
        self.storage.manager().distrust_idle(now, why);
        let purged = self.storage.retain(|pooled, _| {
            note(pooled);
            false
        });
        foreign::close(purged.removed, &self.id);
        self.storage.manager().proven.close_if(|pooled| {
            note(pooled);
            true
        });
    }
}
