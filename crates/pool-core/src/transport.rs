//! Physical connections and the lanes on them, counted.

use std::sync::{
    Arc,
    atomic::{
        AtomicU8, AtomicU32,
        Ordering::{AcqRel, Relaxed},
    },
};

use tokio::time::Instant;

use crate::{CloseReason, Endpoint, ceiling::Room, knobs::Limits, stats::Stats};

/// An open physical connection. Dropping the last handle closes it and counts it as closed.
pub(crate) struct Transport<E: Endpoint> {
    pub(crate) inner: Arc<E::Transport>,
    /// No lane is given out on it from this moment on.
    pub(crate) expires_at: Instant,
    pub(crate) opened_at: Instant,
    /// Lanes that exist, leased or idle.
    lanes: AtomicU32,
    /// Lanes that are leased.
    busy: AtomicU32,
    /// Why it will have been closed, if the last handle is dropped next: a [`CloseReason`] by its index.
    closing: AtomicU8,
    stats: Arc<Stats>,
    limits: Arc<Limits>,
    /// Given back when it is closed.
    _room: Room,
}

impl<E: Endpoint> Transport<E> {
    pub(crate) fn new(
        inner: E::Transport,
        (opened_at, expires_at): (Instant, Instant),
        room: Room,
        (stats, limits): (Arc<Stats>, Arc<Limits>),
    ) -> Self {
        stats.connection_opened();
        limits.opened();
        Self {
            inner: Arc::new(inner),
            expires_at,
            opened_at,
            lanes: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            closing: AtomicU8::new(CloseReason::Shutdown as u8),
            stats,
            limits,
            _room: room,
        }
    }

    /// Notes why a handle is about to be dropped. The connection may live on, because others have one: then what is noted
    /// when the last one goes is what counts. What nobody has noted anything on goes with the pool.
    pub(crate) fn closing(&self, why: CloseReason) {
        self.closing.store(why as u8, Relaxed);
    }

    /// Notes why a handle is dropped that cannot be used any more, and is not too old.
    pub(crate) fn closing_at(&self, now: Instant, unless_expired: CloseReason) {
        self.closing(if now >= self.expires_at {
            CloseReason::Expired
        } else {
            unless_expired
        });
    }

    /// Whether any of its lanes is leased.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed) > 0
    }

    /// Reserves a lane, if there is one to spare.
    pub(crate) fn reserve(self: &Arc<Self>, endpoint: &E) -> Option<Lane<E>> {
        let most = endpoint.lanes(&self.inner);
        let one_more = |lanes: u32| (lanes < most).then_some(lanes + 1);
        self.lanes.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Lane {
            transport: Arc::clone(self),
            busy: false,
        })
    }
}

impl<E: Endpoint> Drop for Transport<E> {
    fn drop(&mut self) {
        let why = CloseReason::ALL.get(usize::from(*self.closing.get_mut()));
        self.stats
            .connection_closed(why.copied().unwrap_or(CloseReason::Shutdown));
        self.limits.closed();
    }
}

/// A lane's reservation on its transport; given back on drop.
pub(crate) struct Lane<E: Endpoint> {
    transport: Arc<Transport<E>>,
    busy: bool,
}

impl<E: Endpoint> Lane<E> {
    pub(crate) const fn transport(&self) -> &Arc<Transport<E>> {
        &self.transport
    }

    /// The lane is leased (or no longer). The transport is active while any of its lanes is.
    pub(crate) fn set_busy(&mut self, busy: bool) {
        if self.busy == busy {
            return;
        }
        self.busy = busy;
        if busy {
            if self.transport.busy.fetch_add(1, AcqRel) == 0 {
                self.transport.stats.connection_busy();
            }
        } else if self.transport.busy.fetch_sub(1, AcqRel) == 1 {
            self.transport.stats.connection_free();
        }
    }
}

impl<E: Endpoint> Drop for Lane<E> {
    fn drop(&mut self) {
        self.set_busy(false);
        self.transport.lanes.fetch_sub(1, Relaxed);
    }
}
