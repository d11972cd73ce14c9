//! The limit on connections over all endpoints of a pool.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// Counts connections that are open or being opened, against a limit that may change.
#[derive(Debug)]
pub(crate) struct Ceiling {
    used: AtomicU32,
    most: AtomicU32,
}

impl Ceiling {
    pub(crate) fn new(most: Option<u32>) -> Self {
        Self {
            used: AtomicU32::new(0),
            most: AtomicU32::new(most.unwrap_or(u32::MAX)),
        }
    }

    pub(crate) fn set(&self, most: Option<u32>) {
        self.most.store(most.unwrap_or(u32::MAX), Relaxed);
    }

    /// How many more than may be: the limit was lowered.
    pub(crate) fn excess(&self) -> u32 {
        self.used.load(Relaxed).saturating_sub(self.most.load(Relaxed))
    }

    /// Room for one connection, if there is any.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Room> {
        let most = self.most.load(Relaxed);
        let one_more = |used: u32| (used < most).then_some(used + 1);
        self.used.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Room(Arc::clone(self)))
    }
}

/// Room for one connection; given back on drop.
#[derive(Debug)]
#[must_use = "dropping it gives it back"]
pub(crate) struct Room(Arc<Ceiling>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Relaxed);
    }
}
