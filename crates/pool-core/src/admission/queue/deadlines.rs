//! When those who wait give up: their deadlines lie on clocks.

use std::task::Waker;

use slab::Slab;
use tokio::time::Instant;

use super::{Node, Place, Queue, State};
use crate::admission::clocks::{ClockId, Deadline, Realm};

/// When a deadline is, if its caller still waits, and for nothing sooner.
#[inline]
fn due<G>(nodes: &Slab<Node<G>>, deadline: Deadline) -> Option<Instant> {
    let node = nodes.get(deadline.key as usize)?;
    let waits = node.stamp == deadline.stamp && matches!(node.state, State::Waiting(..));
    waits.then_some(node.deadline)
}

impl<G> Queue<G> {
    /// Puts the deadline of a caller who waits on the clock of its runtime. Returns the clock if its timer is to be set.
    #[inline]
    pub(in super::super) fn watch(&mut self, place: Place, realm: Realm) -> Option<ClockId> {
        let Self { nodes, clocks, .. } = self;
        let node = &mut nodes[place.key as usize];
        let stamp = self.next_stamp;
        self.next_stamp = stamp.wrapping_add(1).max(1);
        node.stamp = stamp;
        let (at, key) = (node.deadline, place.key);
        clocks.expect(realm, (at, Deadline { key, stamp }), |deadline| {
            due(nodes, deadline)
        })
    }

    /// Takes the wakers of those whose deadline has passed, but not of more than so many; whether those were all.
    pub(in super::super) fn take_overdue(
        &mut self,
        clock: ClockId,
        now: Instant,
        most: usize,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        for _ in 0..most {
            let Self { nodes, clocks, .. } = self;
            let Some(overdue) = clocks.overdue(clock, now, |deadline| due(nodes, deadline)) else {
                return true;
            };
            self.take_waker(overdue, wakers);
        }
        false
    }

    /// When the clock must ring next, if anybody waits for that.
    pub(in super::super) fn next_ring(&mut self, clock: ClockId) -> Option<Instant> {
        let Self { nodes, clocks, .. } = self;
        clocks.next(clock, |deadline| due(nodes, deadline))
    }

    /// Takes the wakers of all whose deadlines are on the clock. It is gone.
    pub(in super::super) fn stop_clock(&mut self, clock: ClockId, wakers: &mut Vec<Waker>) {
        for deadline in self.clocks.remove(clock) {
            if due(&self.nodes, deadline).is_some() {
                self.take_waker(deadline, wakers);
            }
        }
    }

    fn take_waker(&mut self, of: Deadline, wakers: &mut Vec<Waker>) {
        if let State::Waiting(waker, _) = &mut self.nodes[of.key as usize].state {
            wakers.extend(waker.take());
        }
    }
}
