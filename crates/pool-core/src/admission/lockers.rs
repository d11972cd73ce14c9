//! Where those in line find what they were given, without the lock of admission.
//!
//! Whoever gives something lays it, under the lock, into the locker that goes with the caller's place in line; the caller
//! opens it when woken, without the lock, which he would else take once more for each wait. Two things follow:
//!
//! - *It may have gone bad since.* What lies there carries the number of changes that admission had seen. If there was none
//!   since, it is as good as when it was given, because nothing but a change makes it worse. Otherwise, and wherever more
//!   is to be looked at, it stays there, and the caller takes the lock and looks.
//! - *The place is not free yet.* Only under the lock can it be given to somebody else, so the caller keeps it until the
//!   slot comes back, which takes the lock anyway. So no more places are kept than there are slots.
//!
//! Lockers are made in rows, each twice as long as all before it, and stay where they are, because they are opened without
//! the lock.

use std::sync::{
    OnceLock,
    atomic::Ordering::{Acquire, Release},
};

use super::Grant;
use crate::sync::{AtomicUsize, Mutex};

/// Lockers in the first row.
const FIRST: usize = if cfg!(pool_loom) { 2 } else { 64 };

/// As many as there are numbers of places.
const ROWS: usize = 32;

/// More changes than there ever are.
const MUST_LOOK: usize = usize::MAX;

/// The place that a slot's holder still keeps, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept(u32);

impl Kept {
    pub(crate) const NONE: Self = Self(u32::MAX);

    #[inline]
    pub(super) fn place(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }
}

#[derive(Debug)]
struct Parcel<O> {
    grant: Grant<O>,
    /// How many changes there had been, or [`MUST_LOOK`].
    changes: usize,
}

type Locker<O> = Mutex<Option<Parcel<O>>>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Lockers<O> {
    /// Whatever can make a slot worse that was given, counted.
    changes: AtomicUsize,
    rows: [OnceLock<Box<[Locker<O>]>>; ROWS],
}

/// The row, and the locker in it.
#[inline]
const fn at(place: u32) -> (usize, usize) {
    let row = (place as usize / FIRST + 1).ilog2() as usize;
    (row, place as usize - FIRST * ((1 << row) - 1))
}

impl<O> Lockers<O> {
    pub(super) fn new() -> Self {
        Self {
            changes: AtomicUsize::new(0),
            rows: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// Something has changed, because of which what was given may not be used any more. Called under admission's lock.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Release);
    }

    /// Lays something into the locker of a place; `must_look` says that its caller has to look whether it can be used,
    /// whatever has changed. Called under admission's lock.
    #[inline]
    pub(super) fn put(&self, place: u32, grant: Grant<O>, must_look: bool) {
        let (row, index) = at(place);
        let row = self.rows[row].get_or_init(|| Self::row(FIRST << row));
        let changes = if must_look {
            MUST_LOOK
        } else {
            self.changes.load(Acquire)
        };
        let before = row[index].lock().replace(Parcel { grant, changes });
        debug_assert!(before.is_none(), "a place is given one thing");
    }

    #[cold]
    fn row(length: usize) -> Box<[Locker<O>]> {
        (0..length).map(|_| Mutex::new(None)).collect()
    }

    /// Takes out what lies in the locker of a place. Called under admission's lock.
    pub(super) fn take(&self, place: u32) -> Option<Grant<O>> {
        let (row, index) = at(place);
        let parcel = self.rows[row].get()?[index].lock().take()?;
        Some(parcel.grant)
    }

    /// Looks at what lies in the locker of a place.
    #[cfg(all(test, not(pool_loom)))]
    pub(super) fn peek<T>(&self, place: u32, look: impl FnOnce(&Grant<O>) -> T) -> Option<T> {
        let (row, index) = at(place);
        let locker = self.rows[row].get()?[index].lock();
        locker.as_ref().map(|parcel| look(&parcel.grant))
    }

    /// Takes out what can be used as it is: nothing has changed since it was given, and a connection came with it. The place is
    /// kept. Called by the place's holder, without the lock.
    #[inline]
    pub(super) fn collect(&self, place: u32) -> Option<Grant<O>> {
        let (row, index) = at(place);
        let mut locker = self.rows[row].get()?[index].lock();
        let parcel = locker.as_ref()?;
        if parcel.changes != self.changes.load(Acquire) || parcel.grant.object.is_none() {
            return None;
        }
        let mut grant = locker.take()?.grant;
        grant.kept = Kept(place);
        Some(grant)
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_locker_of_its_own() {
        let mut expected = (0, 0);
        for place in 0..100_000 {
            assert_eq!(at(place), expected, "place {place}");
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(at(u32::MAX).0 < ROWS);
    }
}
