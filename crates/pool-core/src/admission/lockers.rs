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
//! Lockers are made in rows, each twice as long as the one before, when somebody stands in line for whom there is none yet.
//! They stay where they are, because they are opened without the lock.

use std::sync::{
    OnceLock,
    atomic::Ordering::{Acquire, Release},
};

use super::Grant;
use crate::{
    breaker::Ticket,
    sync::{AtomicUsize, Mutex},
};

/// Lockers in the first row.
const FIRST: usize = if cfg!(pool_loom) { 2 } else { 64 };

/// As many as there are numbers of places.
const ROWS: usize = 32;

/// Stands for a number of changes that differs from all others.
const MUST_LOOK: u32 = u32::MAX;

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

/// A grant, and how many changes there had been, or [`MUST_LOOK`]: there is one for each who waits, so it is kept small.
#[derive(Debug)]
struct Parcel<O> {
    key: u32,
    paid: u32,
    ticket: Ticket,
    changes: u32,
    object: Option<O>,
}

impl<O> Parcel<O> {
    fn open(self, kept: Kept) -> Grant<O> {
        Grant {
            key: self.key,
            ticket: self.ticket,
            paid: self.paid,
            kept,
            object: self.object,
        }
    }
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

    /// How many changes there have been: so many bits that nobody waits until they come round.
    #[inline]
    fn seen(&self) -> u32 {
        self.changes.load(Acquire) as u32
    }

    /// Something has changed, because of which what was given may not be used any more. Called under admission's lock.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Release);
    }

    /// Somebody stands in this place: from now on there is a locker for it. Called under admission's lock.
    #[inline]
    pub(super) fn provide(&self, place: u32) {
        let (row, _) = at(place);
        if self.rows[row].get().is_none() {
            self.add(row);
        }
    }

    #[cold]
    fn add(&self, row: usize) {
        let lockers = (0..FIRST << row).map(|_| Mutex::new(None)).collect();
        // nobody else can have added it: this is done under the lock
        let _already = self.rows[row].set(lockers);
    }

    #[inline]
    fn locker(&self, place: u32) -> Option<&Locker<O>> {
        let (row, index) = at(place);
        Some(&self.rows[row].get()?[index])
    }

    /// Lays something into the locker of a place; `must_look` says that its caller has to look whether it can be used,
    /// whatever has changed. Called under admission's lock.
    #[inline]
    pub(super) fn put(&self, place: u32, grant: Grant<O>, must_look: bool) {
        let Grant {
            key,
            ticket,
            paid,
            object,
            ..
        } = grant;
        let parcel = Parcel {
            key,
            paid,
            ticket,
            changes: if must_look { MUST_LOOK } else { self.seen() },
            object,
        };
        let Some(locker) = self.locker(place) else {
            unreachable!("everybody in line was provided with one")
        };
        let before = locker.lock().replace(parcel);
        debug_assert!(before.is_none(), "a place is given one thing");
    }

    /// Takes out what lies in the locker of a place. Called under admission's lock.
    pub(super) fn take(&self, place: u32) -> Option<Grant<O>> {
        let parcel = self.locker(place)?.lock().take()?;
        Some(parcel.open(Kept::NONE))
    }

    /// Looks at what lies in the locker of a place.
    #[cfg(all(test, not(pool_loom)))]
    pub(super) fn peek<T>(&self, place: u32, look: impl FnOnce((u32, u32, Option<&O>)) -> T) -> Option<T> {
        let locker = self.locker(place)?.lock();
        let parcel = locker.as_ref()?;
        Some(look((parcel.key, parcel.paid, parcel.object.as_ref())))
    }

    /// Takes out what can be used as it is: nothing has changed since it was given, and a connection came with it. The place is
    /// kept. Called by the place's holder, without the lock.
    #[inline]
    pub(super) fn collect(&self, place: u32) -> Option<Grant<O>> {
        let mut locker = self.locker(place)?.lock();
        let parcel = locker.as_ref()?;
        if parcel.changes == MUST_LOOK || parcel.changes != self.seen() || parcel.object.is_none() {
            return None;
        }
        let parcel = locker.take()?;
        Some(parcel.open(Kept(place)))
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
