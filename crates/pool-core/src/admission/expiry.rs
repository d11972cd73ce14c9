//! The clock rings: who has waited too long is woken.
//!
//! It is woken and no more. It finds out itself that its time is over, and until then it may be given what it came for.

use std::task::Waker;

use tokio::time::Instant;

use super::{Admission, ClockId};

/// So many are woken under one lock.
const AT_ONCE: usize = 128;

impl<O> Admission<O> {
    /// Takes the wakers of those whose time is over, by this clock, to be woken when all locks are gone. Returns when it
    /// must ring next; `None` if nobody waits for it any more: then it is gone.
    pub(crate) fn ring(&self, clock: ClockId, now: Instant, wakers: &mut Vec<Waker>) -> Option<Instant> {
        loop {
            let mut state = self.lock();
            if state.queue.take_overdue(clock, now, AT_ONCE, wakers) {
                return state.queue.next_ring(clock);
            }
        }
    }

    /// The clock will never ring again, its runtime has ended: takes the wakers of all who rely on it. Who is still there
    /// will find another clock.
    pub(crate) fn stop_clock(&self, clock: ClockId, wakers: &mut Vec<Waker>) {
        self.lock().queue.stop_clock(clock, wakers);
    }
}
