//! Leases that are held too long.
//!
//! Off unless `leak_after` is set: then each lease is entered into a list under a short lock, and the task that looks
//! through idle connections looks through the list too. No lease has a timer.

use std::{
    panic::Location,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use slab::Slab;
use tokio::time::Instant;

use crate::knobs::AtomicDuration;

/// A lease that is held too long, or was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leak {
    pub(crate) key: u32,
    pub(crate) held: Duration,
    pub(crate) location: &'static Location<'static>,
}

#[derive(Debug)]
struct Entry {
    key: u32,
    since: Instant,
    location: &'static Location<'static>,
    told: bool,
}

impl Entry {
    fn leak(&self, now: Instant) -> Leak {
        Leak {
            key: self.key,
            held: now.saturating_duration_since(self.since),
            location: self.location,
        }
    }
}

/// A lease's place in the list.
#[derive(Debug)]
#[must_use = "it stays in the list until it is taken out"]
pub(crate) struct Watch(usize);

/// The leases that are out.
#[derive(Debug)]
pub(crate) struct Leaks {
    /// 0 switches the search off.
    after: AtomicDuration,
    out: Mutex<Slab<Entry>>,
    found: AtomicU64,
}

impl Leaks {
    pub(crate) fn new(after: Option<Duration>) -> Self {
        Self {
            after: AtomicDuration::new(after.unwrap_or_default()),
            out: Mutex::default(),
            found: AtomicU64::new(0),
        }
    }

    /// For leases that go out from now on, and for those that are in the list.
    pub(crate) fn set_after(&self, after: Option<Duration>) {
        self.after.set(after.unwrap_or_default());
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Entry>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease goes out; nothing is kept of it when the search is off.
    #[inline]
    pub(crate) fn watch(
        &self,
        key: u32,
        location: &'static Location<'static>,
        now: Instant,
    ) -> Option<Watch> {
        if self.after.get().is_zero() {
            return None;
        }
        let entry = Entry {
            key,
            since: now,
            location,
            told: false,
        };
        Some(Watch(self.lock().insert(entry)))
    }

    /// It came back. Returns it if it had been found to be held too long.
    pub(crate) fn returned(&self, Watch(index): Watch, now: Instant) -> Option<Leak> {
        let entry = self.lock().try_remove(index)?;
        entry.told.then(|| entry.leak(now))
    }

    /// Those that are held too long and have not been told of yet.
    pub(crate) fn look(&self, now: Instant) -> Vec<Leak> {
        let after = self.after.get();
        if after.is_zero() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (_, entry) in self.lock().iter_mut() {
            let leak = entry.leak(now);
            if !entry.told && leak.held >= after {
                entry.told = true;
                found.push(leak);
            }
        }
        self.found.fetch_add(found.len() as u64, Relaxed);
        found
    }

    /// How many were found, ever.
    pub(crate) fn found(&self) -> u64 {
        self.found.load(Relaxed)
    }
}
