//! The line of callers that wait: by priority, then first in, first out; any place left in constant time.
//!
//! Callers who want the same (priority, what they avoid, what position they demand) stand in one line each, so that
//! nobody waits behind a stricter neighbour and a slot that becomes free looks at the heads only. Across lines the rank
//! decides: a caller of a lower priority ranks as if it had come later by a set time for each class below the highest.
//! So it is overtaken only by those who come within that time after it, and never starves.
//!
//! Linked lists over a slab, so that a caller who goes away leaves without anybody shifting, and a caller who has to go
//! round again stands where its rank says.

mod deadlines;
mod groups;
mod want;

use std::{task::Waker, time::Duration};

pub(super) use groups::Reach;
use groups::{Group, LASTING};
use slab::Slab;
use tokio::time::Instant;
pub(crate) use want::Want;

use super::{
    Terms,
    clocks::{ClockId, Clocks, Deadline, Realm},
    lines::{Line, Lines, Link, Rank},
};
use crate::{
    Cost, Priority,
    moment::after,
    need::{Need, NeedSet},
};

/// A place in the line. The rank guards against a slot of the slab that was given to somebody else since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) key: u32,
    pub(crate) rank: Rank,
}

#[derive(Debug)]
enum State<G> {
    /// With what it costs, unless that is the usual.
    Waiting(Option<Waker>, Option<Box<Cost>>),
    Given(G),
    Closed,
}

/// A neighbour in line, in half the space of a [`Link`].
#[derive(Clone, Copy, Debug)]
struct Neighbour(u32);

impl Neighbour {
    const NOBODY: u32 = u32::MAX;

    #[inline]
    fn get(self) -> Link {
        (self.0 != Self::NOBODY).then_some(self.0)
    }
}

impl From<Link> for Neighbour {
    #[inline]
    fn from(link: Link) -> Self {
        Self(link.unwrap_or(Self::NOBODY))
    }
}

#[derive(Debug)]
struct Node<G> {
    rank: Rank,
    deadline: Instant,
    prev: Neighbour,
    next: Neighbour,
    line: u32,
    /// Of its deadline on the clock; 0 if it is on none.
    stamp: u32,
    state: State<G>,
}

/// What a caller finds who has been given nothing.
#[derive(Debug)]
pub(crate) enum Look {
    /// Still waiting; its waker was stored. The one it replaces is to be dropped outside the lock. If a clock is named, its
    /// timer is to be set.
    Waiting(Option<Waker>, Option<ClockId>),
    /// The pool was closed. Its place is gone.
    Closed,
}

/// The line. `G` is what is given.
#[derive(Debug)]
pub(crate) struct Queue<G> {
    nodes: Slab<Node<G>>,
    lines: Lines,
    groups: Slab<Group>,
    next_seq: u64,
    waiting: usize,
    /// By how much later than it came a caller ranks, by priority.
    delays: [Duration; 3],
    /// The newest moment anybody came at, so that ranks rise with numbers.
    newest: Option<Instant>,
    /// Needs that some endpoint lacks: only these set their callers apart.
    routed: NeedSet,
    clocks: Clocks,
    next_stamp: u32,
}

fn delays(ageing: Duration) -> [Duration; 3] {
    LASTING.map(|priority| ageing.saturating_mul(priority as u32))
}

impl<G> Queue<G> {
    /// For those who come from now on; the others keep their rank.
    pub(crate) fn set_ageing(&mut self, ageing: Duration) {
        self.delays = delays(ageing);
    }

    pub(crate) fn new(ageing: Duration) -> Self {
        let mut lines = Lines::new();
        let groups = LASTING.map(|priority| {
            let mut group = Group::new(Vec::new(), Terms::NONE, priority);
            group.plain = Some(lines.all.insert(Line::new(priority as u32, None)) as u32);
            group
        });
        Self {
            nodes: Slab::new(),
            lines,
            groups: groups.into_iter().enumerate().collect(),
            next_seq: 0,
            waiting: 0,
            delays: delays(ageing),
            newest: None,
            routed: NeedSet::default(),
            clocks: Clocks::default(),
            next_stamp: 1,
        }
    }

    /// Callers that wait and have been given nothing yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Joins the line. The waker is woken when something is given, nothing more comes, or the deadline has passed; for that
    /// see to the clock.
    pub(crate) fn push(&mut self, want: &Want, waker: Waker, now: Instant) -> Place {
        let rank = want.rank.unwrap_or_else(|| {
            let came = self.newest.map_or(now, |newest| newest.max(now));
            self.newest = Some(came);
            self.rank(want.priority, came)
        });
        self.stand(want, rank, waker)
    }

    /// The rank of a caller who came at this moment.
    pub(crate) fn rank(&mut self, priority: Priority, came: Instant) -> Rank {
        let seq = self.next_seq;
        self.next_seq += 1;
        let due = match priority {
            Priority::High => came,
            lower => after(came, self.delays[lower as usize]),
        };
        Rank { due, seq }
    }

    /// Stands in line again, at the old rank, with nothing in hand.
    pub(crate) fn stand_again(&mut self, place: Place, want: &Want, waker: Waker) -> Place {
        self.stand(want, place.rank, waker)
    }

    fn stand(&mut self, want: &Want, rank: Rank, waker: Waker) -> Place {
        let line = self.line_for(want);
        // who comes is last; who comes again is among the first
        let (prev, next) = match self.lines.at(line).ends {
            None => (None, None),
            Some((_, last)) if self.nodes[last as usize].rank < rank => (Some(last), None),
            Some((first, _)) => self.neighbours(first, rank),
        };
        let cost = (!want.cost.is_one()).then(|| Box::new(want.cost.clone()));
        let key = self.nodes.insert(Node {
            rank,
            deadline: want.deadline,
            prev: prev.into(),
            next: next.into(),
            line,
            stamp: 0,
            state: State::Waiting(Some(waker), cost),
        }) as u32;
        self.link((key, rank), line, (prev, next), want.deadline);
        Place { key, rank }
    }

    /// Whether some endpoint lacks this. Those who wait already stay where they are: whoever is given an endpoint that
    /// does not suit it stands in line again, among its own.
    pub(super) fn route(&mut self, need: Need, lacked: bool) {
        self.routed.set(need, lacked);
    }

    /// The oldest waiting caller, if all who wait take whatever there is, and have one priority: as mostly.
    #[inline]
    pub(super) fn oldest_of_all(&self) -> Option<Place> {
        if self.waiting == 0 {
            return None;
        }
        let mut lasting = [Priority::Normal, Priority::High, Priority::Low].into_iter();
        let alone = lasting.find_map(|priority| {
            let group = &self.groups[priority as usize];
            (group.waiting == self.waiting).then_some(group)
        });
        let group = alone.filter(|group| group.tree.is_none())?;
        let line = self.lines.at(group.plain?);
        let ((key, _), rank) = (line.ends?, line.first?);
        Some(Place { key, rank })
    }

    /// The oldest waiting caller whom an endpoint may serve; `reach` says for each list of avoided endpoints and terms which
    /// lines.
    pub(super) fn oldest(&self, mut reach: impl FnMut(&[u32], &Terms) -> Reach) -> Option<Place> {
        let mut best: Option<(Rank, u32)> = None;
        let mut consider = |found: Option<(Rank, u32)>| {
            if let Some(found) = found
                && best.is_none_or(|best| found < best)
            {
                best = Some(found);
            }
        };
        // mostly all who wait stand in one group, and the others need not be looked at
        let mut unseen = self.waiting;
        for (_, group) in &self.groups {
            if unseen == 0 {
                break;
            }
            if group.waiting == 0 {
                continue;
            }
            unseen -= group.waiting;
            let reach = reach(&group.avoid, &group.terms);
            if let Some(id) = group.plain.filter(|_| reach.plain) {
                consider(self.lines.at(id).first.map(|rank| (rank, id)));
            }
            if let (Some(up_to), Some(_)) = (reach.up_to, group.tree) {
                consider(self.lines.oldest(group.tree, reach.above, Some(up_to)));
            }
        }
        let (rank, line) = best?;
        let (key, _) = self.lines.at(line).ends?;
        Some(Place { key, rank })
    }

    /// What a caller takes of a quota.
    pub(super) fn cost(&self, place: Place) -> Cost {
        match &self.nodes[place.key as usize].state {
            State::Waiting(_, Some(cost)) => Cost::clone(cost),
            _ => Cost::ONE,
        }
    }

    /// Which endpoints a waiting caller avoids.
    pub(super) fn avoided(&self, place: Place) -> &[u32] {
        let node = self.nodes.get(place.key as usize);
        node.map_or(&[], |node| {
            let group = self.lines.at(node.line).group;
            &self.groups[group as usize].avoid
        })
    }

    /// Gives something to a waiting caller and returns its waker, to be woken outside the lock.
    pub(crate) fn give(&mut self, place: Place, what: G) -> Option<Waker> {
        self.unlink(place.key);
        let given = State::Given(what);
        match std::mem::replace(&mut self.nodes[place.key as usize].state, given) {
            State::Waiting(waker, _) => waker,
            State::Given(_) | State::Closed => unreachable!("only waiting callers are linked"),
        }
    }

    /// What the caller was given, if it was. Its place is gone then.
    #[inline]
    pub(super) fn take_given(&mut self, place: Place) -> Option<G> {
        if !matches!(self.node(place)?.state, State::Given(_)) {
            return None;
        }
        match self.nodes.remove(place.key as usize).state {
            State::Given(what) => Some(what),
            State::Waiting(..) | State::Closed => None,
        }
    }

    /// A place whose holder has what was given.
    #[inline]
    pub(super) fn vacate(&mut self, place: u32) {
        let gone = self.nodes.remove(place as usize);
        debug_assert!(
            matches!(gone.state, State::Given(_)),
            "only what was given is kept"
        );
    }

    /// Looks at a place where nothing was given. `realm` is asked only when the caller has to be put on a clock again.
    pub(super) fn look(&mut self, place: Place, waker: &Waker, realm: impl FnOnce() -> Realm) -> Look {
        let Some(node) = self.node(place) else {
            return Look::Closed;
        };
        let State::Waiting(stored, _) = &mut node.state else {
            debug_assert!(
                matches!(node.state, State::Closed),
                "what is given is taken first"
            );
            self.nodes.remove(place.key as usize);
            return Look::Closed;
        };
        let same = stored.as_ref().is_some_and(|old| old.will_wake(waker));
        let again = stored.is_none();
        let replaced = if same { None } else { stored.replace(waker.clone()) };
        let mut clock = None;
        if again {
            // who was woken to look whether it waits in vain counts among the patient again; and its deadline may not
            // be on a clock any more
            let (line, deadline) = (node.line, node.deadline);
            self.lines.at_mut(line).expect_until(deadline);
            clock = self.watch(place, realm());
        }
        Look::Waiting(replaced, clock)
    }

    #[inline]
    fn node(&mut self, place: Place) -> Option<&mut Node<G>> {
        let node = self.nodes.get_mut(place.key as usize);
        node.filter(|node| node.rank.seq == place.rank.seq)
    }

    /// Leaves. What had been given already comes back, to be handed on; a stored waker, to be dropped outside the lock.
    pub(crate) fn leave(&mut self, place: Place) -> (Option<G>, Option<Waker>) {
        let Some(node) = self.node(place) else {
            return (None, None);
        };
        if matches!(node.state, State::Waiting(..)) {
            self.unlink(place.key);
        }
        match self.nodes.remove(place.key as usize).state {
            State::Given(what) => (Some(what), None),
            State::Waiting(waker, _) => (None, waker),
            State::Closed => (None, None),
        }
    }

    /// Takes the wakers of those who wait in vain, so that they look once more; `soonest` says for a demanded position
    /// and terms before which moment nothing can come, if there is one.
    pub(crate) fn wake_hopeless(
        &mut self,
        mut soonest: impl FnMut((Option<u64>, &Terms)) -> Option<Instant>,
        wakers: &mut Vec<Waker>,
    ) {
        let mut affected = Vec::new();
        let mut visit = |id: u32| {
            let line = self.lines.at(id);
            let terms = &self.groups[line.group as usize].terms;
            let moment = line.patience.and_then(|_| soonest((line.min_position, terms)));
            if let (Some(patience), Some(moment)) = (line.patience, moment)
                && patience < moment
            {
                affected.push((id, moment));
            }
        };
        for (_, group) in self.groups.iter().filter(|(_, group)| group.waiting > 0) {
            group.plain.into_iter().for_each(&mut visit);
            self.lines.each(group.tree, &mut visit);
        }
        for (id, moment) in affected {
            self.wake_before(id, moment, wakers);
        }
    }

    fn wake_before(&mut self, line: u32, moment: Instant, wakers: &mut Vec<Waker>) {
        let mut patience = None;
        let mut at = self.lines.at(line).ends.map(|(first, _)| first);
        while let Some(key) = at {
            let node = &mut self.nodes[key as usize];
            if node.deadline >= moment {
                patience = Some(patience.map_or(node.deadline, |least: Instant| least.min(node.deadline)));
            } else if let State::Waiting(waker, _) = &mut node.state {
                wakers.extend(waker.take());
            }
            at = node.next.get();
        }
        self.lines.at_mut(line).patience = patience;
    }

    /// Tells all who wait that nothing more comes. Returns their wakers.
    pub(crate) fn close(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for (_, node) in &mut self.nodes {
            if let State::Waiting(waker, _) = &mut node.state {
                wakers.extend(waker.take());
                node.state = State::Closed;
            }
        }
        let fresh = Self::new(Duration::ZERO);
        (self.lines, self.groups, self.waiting) = (fresh.lines, fresh.groups, 0);
        wakers
    }

    /// Makes a caller who knows his neighbours known to them.
    fn link(&mut self, (key, rank): (u32, Rank), line: u32, (prev, next): (Link, Link), deadline: Instant) {
        if let Some(prev) = prev {
            self.nodes[prev as usize].next = Neighbour(key);
        }
        if let Some(next) = next {
            self.nodes[next as usize].prev = Neighbour(key);
        }
        let at = self.lines.at_mut(line);
        at.expect_until(deadline);
        let (first, last) = at.ends.unwrap_or((key, key));
        at.ends = Some((
            if prev.is_none() { key } else { first },
            if next.is_none() { key } else { last },
        ));
        self.waiting += 1;
        let group = &mut self.groups[at.group as usize];
        group.waiting += 1;
        if prev.is_none() {
            at.first = Some(rank);
            if let Some(position) = at.min_position {
                self.lines.changed(group.tree, position);
            }
        }
    }

    /// Between whom a caller of this rank stands, in the line that begins with `first`.
    fn neighbours(&self, first: u32, rank: Rank) -> (Link, Link) {
        let (mut before, mut at) = (None, Some(first));
        while let Some(key) = at.filter(|key| self.nodes[*key as usize].rank < rank) {
            before = Some(key);
            at = self.nodes[key as usize].next.get();
        }
        (before, at)
    }

    fn unlink(&mut self, key: u32) {
        let node = &self.nodes[key as usize];
        let stamp = node.stamp;
        self.clocks.leave(Deadline { key, stamp });
        let (prev, next, line) = (node.prev.get(), node.next.get(), node.line);
        let at = self.lines.at_mut(line);
        if let Some(prev) = prev {
            self.nodes[prev as usize].next = next.into();
            if let (None, Some((_, last))) = (next, &mut at.ends) {
                *last = prev;
            }
        }
        if let Some(next) = next {
            let next_node = &mut self.nodes[next as usize];
            next_node.prev = prev.into();
            if let (None, Some((first, _))) = (prev, &mut at.ends) {
                *first = next;
                at.first = Some(next_node.rank);
            }
        }
        self.waiting -= 1;
        let group = &mut self.groups[at.group as usize];
        group.waiting -= 1;
        if prev.is_none() && next.is_none() {
            (at.ends, at.first, at.patience) = (None, None, None);
        }
        let goes = group.waiting == 0 && at.group as usize >= LASTING.len();
        if prev.is_none() && (at.min_position.is_some() || goes) {
            self.head_changed(line);
        }
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests;
