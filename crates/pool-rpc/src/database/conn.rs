//! A manager's object as transport and connection of the pool.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use deadpool::managed::{Manager, Metrics};
use tokio::time::Instant;

/// A connection that a [`Manager`] made; it derefs to the manager's own type.
///
/// When it is dropped, for whatever reason, the manager is told by [`Manager::detach`].
pub struct DeadpoolConn<M: Manager> {
    pub(super) inner: M::Type,
    pub(super) metrics: Metrics,
    manager: Arc<M>,
    /// Shared with the transport, which closes with it.
    open: Arc<AtomicBool>,
}

impl<M: Manager> DeadpoolConn<M> {
    pub(super) fn new(inner: M::Type, manager: Arc<M>) -> Self {
        let metrics = Metrics {
            created: Instant::now().into_std(),
            recycled: None,
            recycle_count: 0,
        };
        Self {
            inner,
            metrics,
            manager,
            open: Arc::new(AtomicBool::new(true)),
        }
    }

    /// What deadpool's pool would count, and what manager and hooks are shown. A connection that is handed on because it
    /// is clean is not recycled, and so not counted here.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl<M: Manager> Deref for DeadpoolConn<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        &self.inner
    }
}

impl<M: Manager> DerefMut for DeadpoolConn<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        &mut self.inner
    }
}

impl<M: Manager> Drop for DeadpoolConn<M> {
    fn drop(&mut self) {
        self.open.store(false, Ordering::Release);
        self.manager.detach(&mut self.inner);
    }
}

impl<M: Manager> fmt::Debug for DeadpoolConn<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadpoolConn")
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// A manager's connection as the pool counts it. It is exclusive: the one lane on it is the connection itself, taken out
/// when the lane is opened.
pub struct DeadpoolTransport<M: Manager> {
    slot: Mutex<Option<DeadpoolConn<M>>>,
    open: Arc<AtomicBool>,
}

impl<M: Manager> DeadpoolTransport<M> {
    pub(super) fn new(conn: DeadpoolConn<M>) -> Self {
        Self {
            open: Arc::clone(&conn.open),
            slot: Mutex::new(Some(conn)),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<DeadpoolConn<M>>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the connection lives, and, while nobody has taken it, looks open.
    pub(super) fn is_open(&self, looks_open: impl FnOnce(&M::Type) -> bool) -> bool {
        self.open.load(Ordering::Acquire) && self.slot().as_ref().is_none_or(|conn| looks_open(&conn.inner))
    }

    pub(super) fn take(&self) -> Option<DeadpoolConn<M>> {
        self.slot().take()
    }
}

impl<M: Manager> fmt::Debug for DeadpoolTransport<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadpoolTransport")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
