//! When those in line give up: a clock for each runtime that they wait on.
//!
//! A timer of the runtime for each of them would be set and cancelled for each wait, though hardly any ever rings. So
//! their deadlines lie here, and each clock has one timer, set to the earliest of them: what it is set to is kept here,
//! the timer itself outside the lock (see [`alarm`](crate::alarm)). Each caller belongs to the clock of its own runtime,
//! so that one that is blocked or gone delays nobody elsewhere.
//!
//! Mostly callers are equally patient, so who comes last gives up last: such deadlines lie in a queue, the others in a
//! heap. Who leaves takes his out only if it is the first or the last of the queue, as mostly: who is served came first,
//! and who goes away at once came last. Those of others who have left are dropped when they come to the front, and when
//! there are twice as many as were waited for the last time this was done: so there are never more than that.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    num::NonZeroU32,
};

use tokio::time::Instant;

/// Where somebody waits: a runtime, or none.
pub(crate) type Realm = Option<tokio::runtime::Id>;

/// Where the caller is. Not knowing is no error here: who sets a timer outside a runtime learns of it.
#[inline]
pub(super) fn here() -> Realm {
    tokio::runtime::Handle::try_current()
        .ok()
        .map(|runtime| runtime.id())
}

/// A clock. It is not used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockId(NonZeroU32);

/// The deadline of one caller in line. When it is, the caller's place knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline {
    /// Who: its place in the slab, and a stamp that tells it from others in the same place.
    pub(super) key: u32,
    pub(super) stamp: u32,
}

/// So many deadlines may lie about before those of who has left are looked for.
const FEW: usize = 64;

/// The deadlines of one clock. What is asked as `due` is when that is, if its caller still waits for it.
#[derive(Debug, Default)]
struct Deadlines {
    in_order: VecDeque<Deadline>,
    others: BinaryHeap<Reverse<(Instant, Deadline)>>,
    /// How many there may be before they are looked through.
    room: usize,
}

impl Deadlines {
    #[inline]
    fn push(&mut self, (at, deadline): (Instant, Deadline), due: impl Fn(Deadline) -> Option<Instant>) {
        loop {
            match self.in_order.back().map(|last| due(*last)) {
                Some(None) => {
                    self.in_order.pop_back();
                }
                Some(Some(last)) if last > at => {
                    self.others.push(Reverse((at, deadline)));
                    break;
                }
                _ => {
                    self.in_order.push_back(deadline);
                    break;
                }
            }
        }
        if self.len() > self.room {
            self.clear_up(due);
        }
    }

    /// Takes the deadline of who leaves out, if that is at hand.
    #[inline]
    fn leave(&mut self, deadline: Deadline) -> bool {
        if self.in_order.back() == Some(&deadline) {
            self.in_order.pop_back();
        } else if self.in_order.front() == Some(&deadline) {
            self.in_order.pop_front();
        } else {
            return false;
        }
        true
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }

    /// Mostly who came first has left first.
    #[cold]
    fn clear_up(&mut self, due: impl Fn(Deadline) -> Option<Instant>) {
        let before = self.len();
        self.first(&due);
        if self.len() > before / 2 {
            self.in_order.retain(|deadline| due(*deadline).is_some());
            self.others
                .retain(|Reverse((_, deadline))| due(*deadline).is_some());
        }
        self.room = FEW.max(2 * self.len());
    }

    /// The earliest that somebody still waits for.
    fn first(&mut self, due: impl Fn(Deadline) -> Option<Instant>) -> Option<(Instant, Deadline)> {
        let in_order = loop {
            let Some(first) = self.in_order.front().copied() else {
                break None;
            };
            if let Some(at) = due(first) {
                break Some((at, first));
            }
            self.in_order.pop_front();
        };
        while self
            .others
            .peek()
            .is_some_and(|Reverse((_, first))| due(*first).is_none())
        {
            self.others.pop();
        }
        let other = self.others.peek().map(|Reverse(first)| *first);
        in_order.into_iter().chain(other).min()
    }

    /// Takes out what `first` has found.
    fn take(&mut self, first: Deadline) {
        if self.in_order.front() == Some(&first) {
            self.in_order.pop_front();
        } else {
            self.others.pop();
        }
    }
}

#[derive(Debug)]
struct Clock {
    id: ClockId,
    realm: Realm,
    /// What its timer is set to, or is about to be.
    armed: Option<Instant>,
    deadlines: Deadlines,
}

/// The clocks of all who wait.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Nearly always one.
    all: Vec<Clock>,
    /// How many there have been.
    made: u32,
}

impl Clocks {
    /// Keeps a deadline. Returns the clock if its timer has to be set to it.
    #[inline]
    pub(super) fn expect(
        &mut self,
        realm: Realm,
        (at, deadline): (Instant, Deadline),
        due: impl Fn(Deadline) -> Option<Instant>,
    ) -> Option<ClockId> {
        let found = self.all.iter().position(|clock| clock.realm == realm);
        let found = found.unwrap_or_else(|| self.add(realm));
        let clock = &mut self.all[found];
        clock.deadlines.push((at, deadline), due);
        if clock.armed.is_some_and(|armed| at >= armed) {
            return None;
        }
        clock.armed = Some(at);
        Some(clock.id)
    }

    /// Who had this deadline waits for it no more.
    #[inline]
    pub(super) fn leave(&mut self, deadline: Deadline) {
        let _at_hand = self.all.iter_mut().any(|clock| clock.deadlines.leave(deadline));
    }

    #[cold]
    fn add(&mut self, realm: Realm) -> usize {
        self.made = self.made.wrapping_add(1);
        let id = ClockId(NonZeroU32::new(self.made).unwrap_or(NonZeroU32::MIN));
        self.all.push(Clock {
            id,
            realm,
            armed: None,
            deadlines: Deadlines::default(),
        });
        self.all.len() - 1
    }

    /// Takes the earliest deadline, if it is over.
    pub(super) fn overdue(
        &mut self,
        id: ClockId,
        now: Instant,
        due: impl Fn(Deadline) -> Option<Instant>,
    ) -> Option<Deadline> {
        let clock = self.all.iter_mut().find(|clock| clock.id == id)?;
        let (_, first) = clock.deadlines.first(due).filter(|(at, _)| *at <= now)?;
        clock.deadlines.take(first);
        Some(first)
    }

    /// When the clock must ring next. A clock that nobody waits for is gone.
    pub(super) fn next(&mut self, id: ClockId, due: impl Fn(Deadline) -> Option<Instant>) -> Option<Instant> {
        let at = self.all.iter().position(|clock| clock.id == id)?;
        let clock = &mut self.all[at];
        let Some((first, _)) = clock.deadlines.first(due) else {
            self.all.swap_remove(at);
            return None;
        };
        clock.armed = Some(first);
        Some(first)
    }

    /// The clock will not ring any more. Returns the deadlines, also of who has left.
    pub(super) fn remove(&mut self, id: ClockId) -> Vec<Deadline> {
        let Some(at) = self.all.iter().position(|clock| clock.id == id) else {
            return Vec::new();
        };
        let deadlines = self.all.swap_remove(at).deadlines;
        let others = deadlines.others.into_iter();
        let others = others.map(|Reverse((_, deadline))| deadline);
        deadlines.in_order.into_iter().chain(others).collect()
    }

    /// How many deadlines lie here, also of who has left.
    #[cfg(all(test, not(pool_loom)))]
    pub(super) fn len(&self) -> usize {
        self.all.iter().map(|clock| clock.deadlines.len()).sum()
    }
}

#[cfg(all(test, not(pool_loom)))]
#[path = "clocks_tests.rs"]
mod tests;
