//! One endpoint of a pool, with everything the pool keeps about it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{self, Object, PoolError, Timeouts};
use tokio::{sync::watch, time::Instant};

use crate::{
    Endpoint, EndpointConfig, EndpointId, EndpointObserver, PoolConfig,
    connect::ConnectFailure,
    connection::{Connector, Pooled},
    knobs::Limits,
    stats::Stats,
};

/// A connection in deadpool's hands.
pub(crate) type Stored<E> = Object<Connector<E>>;

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
    /// A connection: an idle one that still works, or a new one. Whoever asks holds a slot, so the storage has room.
    ///
    /// Cancel-safe: a connect that was begun goes on and serves the next caller.
    pub(crate) async fn connection(&self) -> Result<Stored<E>, ConnectFailure<E::Error>> {
        let mut looks = 0_u32;
        loop {
            match self.storage.timeout_get(&AT_ONCE).await {
                Ok(mut stored) => {
                    stored.lane.set_busy(true);
                    return Ok(stored);
                }
                Err(PoolError::Backend(ConnectFailure::AtLimit) | PoolError::Timeout(_)) => {
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

    /// Drops idle connections that are too old or distrusted, and those too long idle that are more than `min_idle`.
    pub(crate) fn prune(&self, idle_timeout: Duration, now: Instant) {
        let connector = self.storage.manager();
        let mut surplus = match self.limits.min_idle() {
            0 => u64::MAX,
            least => self.stats.connections().1.saturating_sub(least.into()),
        };
        let mut keep = |pooled: &Pooled<E>| {
            let rested = now.saturating_duration_since(pooled.returned_at);
            let keep = connector.usable(pooled, now) && (rested < idle_timeout || surplus == 0);
            surplus = surplus.saturating_sub(u64::from(!keep));
            keep
        };
        let gone = self.storage.retain(|pooled, _| keep(pooled));
        drop(gone);
        connector.proven.close_if(|pooled| !keep(pooled));
        connector.connects.drop_spares(false, now);
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

    /// Takes no more requests: the pool is closed, or the endpoint has left.
    pub(crate) fn shut_down(&self, now: Instant) {
        self.keeps_nothing.store(true, Ordering::Release);
        self.shutdown.send_replace(true);
        self.purge_idle(now);
    }

    /// Whether what comes back is closed and not kept.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.keeps_nothing.load(Ordering::Acquire)
    }

    /// Closes what has become too much on its way into the storage.
    #[cold]
    pub(crate) fn tidy(&self, now: Instant) {
        if *self.shutdown.borrow() {
            self.purge_idle(now);
        } else {
            self.trim(0);
        }
    }

    /// Closes idle connections until no more are open than may be; until then what comes back is closed too. deadpool's
    /// own limit is never lowered: its `resize` loses count of what is idle.
    pub(crate) fn trim(&self, excess_of_pool: u32) {
        let excess = self.limits.open().saturating_sub(self.limits.max_connections());
        let mut excess = excess.max(excess_of_pool);
        while excess > 0 && self.close_one_idle() {
            excess -= 1;
        }
        if !*self.shutdown.borrow() {
            self.keeps_nothing.store(excess > 0, Ordering::Release);
        }
    }

    /// Closes an idle connection, if there is any.
    pub(crate) fn close_one_idle(&self) -> bool {
        if self.storage.manager().connects.drop_one_spare() {
            return true;
        }
        let mut found = false;
        let gone = self.storage.retain(|pooled, _| {
            // a lane whose connection carries others would close nothing
            let take = !found && !pooled.lane.transport().is_busy();
            found |= take;
            !take
        });
        drop(gone);
        found || self.storage.manager().proven.take().is_some()
    }

    /// The endpoint has failed: what is idle is probably dead.
    pub(crate) fn purge_idle(&self, now: Instant) {
        self.storage.manager().distrust_idle(now);
        let gone: Vec<Box<Pooled<E>>> = self.storage.retain(|_, _| false).removed;
        drop(gone);
        self.storage.manager().proven.close_if(|_| true);
    }
}
