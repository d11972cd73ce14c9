//! One endpoint of a pool, with everything the pool keeps about it.

use std::{sync::Arc, time::Duration};

use deadpool::managed::{self, Object, PoolError, Timeouts};
use tokio::time::Instant;

use crate::{
    Endpoint, EndpointConfig, EndpointId, EndpointObserver,
    connect::ConnectFailure,
    connection::{Connector, Pooled},
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
    pub(crate) config: EndpointConfig,
    pub(crate) stats: Arc<Stats>,
    pub(crate) storage: managed::Pool<Connector<E>>,
    pub(crate) observer: Option<Arc<dyn EndpointObserver>>,
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
        let mut surplus = match self.config.min_idle {
            0 => u64::MAX,
            least => self.stats.connections().1.saturating_sub(least.into()),
        };
        let gone = self.storage.retain(|pooled, _| {
            let rested = now.saturating_duration_since(pooled.returned_at);
            let keep = connector.usable(pooled, now) && (rested < idle_timeout || surplus == 0);
            surplus = surplus.saturating_sub(u64::from(!keep));
            keep
        });
        drop(gone);
        connector.connects.drop_spares(false, now);
    }

    /// The endpoint has failed: what is idle is probably dead.
    pub(crate) fn purge_idle(&self, now: Instant) {
        self.storage.manager().distrust_idle(now);
        let gone: Vec<Box<Pooled<E>>> = self.storage.retain(|_, _| false).removed;
        drop(gone);
    }
}
