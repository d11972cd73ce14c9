//! The line of callers that wait: first in, first out, any place left in constant time.
//!
//! A linked list over a slab, so that a caller who goes away leaves without anybody shifting, and a caller who has to
//! go round again stands where its number says.

use std::task::Waker;

use slab::Slab;
use tokio::time::Instant;

/// What a caller in line wants.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    /// Endpoints that failed this caller already; it takes them only when there are no others.
    pub(crate) avoid: Vec<u32>,
    /// When it gives up.
    pub(crate) deadline: Instant,
}

/// A place in the line. The number guards against a slot of the slab that was given to somebody else since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    key: usize,
    seq: u64,
}

#[derive(Debug)]
enum State<G> {
    Waiting(Option<Waker>),
    Given(G),
    Closed,
}

#[derive(Debug)]
struct Node<G> {
    seq: u64,
    prev: Option<usize>,
    next: Option<usize>,
    want: Want,
    state: State<G>,
}

/// What a caller finds when it looks.
#[derive(Debug)]
pub(crate) enum Look<G> {
    /// Still waiting; its waker was stored. The one it replaces is to be dropped outside the lock.
    Waiting(Option<Waker>),
    /// It was given this. Its place is gone.
    Given(G),
    /// The pool was closed. Its place is gone.
    Closed,
}

/// The line. `G` is what is given.
#[derive(Debug)]
pub(crate) struct Queue<G> {
    nodes: Slab<Node<G>>,
    head: Option<usize>,
    tail: Option<usize>,
    next_seq: u64,
    waiting: usize,
}

impl<G> Queue<G> {
    pub(crate) const fn new() -> Self {
        Self {
            nodes: Slab::new(),
            head: None,
            tail: None,
            next_seq: 0,
            waiting: 0,
        }
    }

    /// Callers that wait and have been given nothing yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn push(&mut self, want: Want) -> Place {
        let seq = self.next_seq;
        self.next_seq += 1;
        let key = self.nodes.insert(Node {
            seq,
            prev: None,
            next: None,
            want,
            state: State::Waiting(None),
        });
        self.link_after(key, self.tail);
        Place { key, seq }
    }

    /// The oldest waiting caller for whom `wants` holds of what it avoids.
    pub(crate) fn oldest(&self, mut wants: impl FnMut(&[u32]) -> bool) -> Option<Place> {
        let mut at = self.head;
        while let Some(key) = at {
            let node = &self.nodes[key];
            if wants(&node.want.avoid) {
                return Some(Place { key, seq: node.seq });
            }
            at = node.next;
        }
        None
    }

    /// Gives something to a waiting caller and returns its waker, to be woken outside the lock.
    pub(crate) fn give(&mut self, place: Place, what: G) -> Option<Waker> {
        self.unlink(place.key);
        match std::mem::replace(&mut self.nodes[place.key].state, State::Given(what)) {
            State::Waiting(waker) => waker,
            State::Given(_) | State::Closed => unreachable!("only waiting callers are linked"),
        }
    }

    pub(crate) fn look(&mut self, place: Place, waker: &Waker) -> Look<G> {
        let Some(node) = self.nodes.get_mut(place.key).filter(|node| node.seq == place.seq) else {
            return Look::Closed;
        };
        if let State::Waiting(stored) = &mut node.state {
            let same = stored.as_ref().is_some_and(|old| old.will_wake(waker));
            let replaced = if same { None } else { stored.replace(waker.clone()) };
            return Look::Waiting(replaced);
        }
        match self.nodes.remove(place.key).state {
            State::Given(what) => Look::Given(what),
            State::Closed | State::Waiting(_) => Look::Closed,
        }
    }

    /// Stands in line again, at the old number, with nothing in hand.
    pub(crate) fn stand_again(&mut self, place: Place, want: Want, waker: Waker) -> Place {
        let state = State::Waiting(Some(waker));
        let key = self.nodes.insert(Node {
            seq: place.seq,
            prev: None,
            next: None,
            want,
            state,
        });
        let mut after = None;
        let mut at = self.head;
        while let Some(other) = at.filter(|other| self.nodes[*other].seq < place.seq) {
            after = Some(other);
            at = self.nodes[other].next;
        }
        self.link_after(key, after);
        Place { key, seq: place.seq }
    }

    /// Leaves. What had been given already comes back, to be handed on; a stored waker, to be dropped outside the lock.
    pub(crate) fn leave(&mut self, place: Place) -> (Option<G>, Option<Waker>) {
        let Some(node) = self.nodes.get(place.key).filter(|node| node.seq == place.seq) else {
            return (None, None);
        };
        if matches!(node.state, State::Waiting(_)) {
            self.unlink(place.key);
        }
        match self.nodes.remove(place.key).state {
            State::Given(what) => (Some(what), None),
            State::Waiting(waker) => (None, waker),
            State::Closed => (None, None),
        }
    }

    /// Takes the wakers of those who wait and give up before this moment, so that they look once more.
    pub(crate) fn wake_before(&mut self, moment: Instant, wakers: &mut Vec<Waker>) {
        let mut at = self.head;
        while let Some(key) = at {
            let node = &mut self.nodes[key];
            if node.want.deadline < moment
                && let State::Waiting(waker) = &mut node.state
            {
                wakers.extend(waker.take());
            }
            at = node.next;
        }
    }

    /// Tells all who wait that nothing more comes. Returns their wakers.
    pub(crate) fn close(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(key) = self.head {
            self.unlink(key);
            if let State::Waiting(Some(waker)) = std::mem::replace(&mut self.nodes[key].state, State::Closed)
            {
                wakers.push(waker);
            }
        }
        wakers
    }

    fn link_after(&mut self, key: usize, after: Option<usize>) {
        let next = match after {
            Some(after) => self.nodes[after].next.replace(key),
            None => self.head.replace(key),
        };
        match next {
            Some(next) => self.nodes[next].prev = Some(key),
            None => self.tail = Some(key),
        }
        let node = &mut self.nodes[key];
        (node.prev, node.next) = (after, next);
        self.waiting += 1;
    }

    fn unlink(&mut self, key: usize) {
        let node = &mut self.nodes[key];
        let (prev, next) = (node.prev.take(), node.next.take());
        match prev {
            Some(prev) => self.nodes[prev].next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => self.nodes[next].prev = prev,
            None => self.tail = prev,
        }
        self.waiting -= 1;
    }
}

/// What the model test looks at.
#[cfg(all(test, not(pool_loom)))]
impl<G> Queue<G> {
    /// Those who wait, oldest first: number and what they avoid.
    pub(super) fn line(&self) -> Vec<(u64, Vec<u32>)> {
        let mut line = Vec::new();
        let mut at = self.head;
        while let Some(key) = at {
            let node = &self.nodes[key];
            line.push((node.seq, node.want.avoid.clone()));
            at = node.next;
        }
        line
    }

    /// Those who were given something and have not looked: number, and what.
    pub(super) fn given(&self) -> Vec<(u64, &G)> {
        let given = self.nodes.iter().filter_map(|(_, node)| match &node.state {
            State::Given(what) => Some((node.seq, what)),
            _ => None,
        });
        given.collect()
    }

    pub(super) const fn number(place: Place) -> u64 {
        place.seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want() -> Want {
        Want {
            avoid: vec![],
            deadline: Instant::now(),
        }
    }

    fn order(queue: &Queue<u32>) -> Vec<u64> {
        let mut seen = Vec::new();
        let mut at = queue.head;
        while let Some(key) = at {
            seen.push(queue.nodes[key].seq);
            at = queue.nodes[key].next;
        }
        assert_eq!(seen.len(), queue.waiting());
        seen
    }

    #[test]
    fn the_middle_leaves_and_returns_to_its_old_place() {
        let mut queue = Queue::<u32>::new();
        let places: Vec<_> = (0..5).map(|_| queue.push(want())).collect();
        queue.leave(places[2]);
        assert_eq!(order(&queue), [0, 1, 3, 4]);
        queue.give(places[1], 7);
        assert_eq!(order(&queue), [0, 3, 4]);
        let Look::Given(7) = queue.look(places[1], Waker::noop()) else {
            panic!("it was given 7")
        };
        queue.stand_again(places[1], want(), Waker::noop().clone());
        assert_eq!(order(&queue), [0, 1, 3, 4]);
        queue.give(places[0], 8);
        assert_eq!(queue.leave(places[0]).0, Some(8), "what was given comes back");
        let first = queue.oldest(|_| true).unwrap();
        assert_eq!(first.seq, 1);
    }

    #[test]
    fn a_stale_place_finds_nothing() {
        let mut queue = Queue::<u32>::new();
        let gone = queue.push(want());
        queue.leave(gone);
        let fresh = queue.push(want());
        assert_eq!(queue.leave(gone).0, None);
        assert_eq!(queue.waiting(), 1);
        assert!(matches!(queue.look(gone, Waker::noop()), Look::Closed));
        queue.leave(fresh);
        assert_eq!((queue.head, queue.tail), (None, None));
    }

    #[test]
    fn only_those_who_give_up_earlier_are_woken() {
        let mut queue = Queue::<u32>::new();
        let now = Instant::now();
        for seconds in [1, 5, 9] {
            let deadline = now + std::time::Duration::from_secs(seconds);
            let place = queue.push(Want {
                avoid: vec![],
                deadline,
            });
            assert!(matches!(queue.look(place, Waker::noop()), Look::Waiting(None)));
        }
        let mut wakers = Vec::new();
        queue.wake_before(now + std::time::Duration::from_secs(6), &mut wakers);
        assert_eq!((wakers.len(), queue.waiting()), (2, 3));
    }

    /// Random operations against a plain list.
    #[test]
    fn behaves_like_a_plain_list() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut queue = Queue::<u32>::new();
        let mut model: Vec<Place> = Vec::new();
        let mut given: Vec<Place> = Vec::new();
        for _ in 0..20_000 {
            match rng.u8(..5) {
                0 | 1 => model.push(queue.push(want())),
                2 if !model.is_empty() => {
                    let place = model.remove(rng.usize(..model.len()));
                    assert_eq!(queue.leave(place).0, None);
                }
                3 if !model.is_empty() => {
                    assert_eq!(queue.oldest(|_| true), Some(model[0]));
                    let place = model.remove(0);
                    queue.give(place, 1);
                    given.push(place);
                }
                4 if !given.is_empty() => {
                    let place = given.remove(rng.usize(..given.len()));
                    let Look::Given(1) = queue.look(place, Waker::noop()) else {
                        panic!("it was given 1")
                    };
                    let place = queue.stand_again(place, want(), Waker::noop().clone());
                    let at = model.partition_point(|other| other.seq < place.seq);
                    model.insert(at, place);
                }
                _ => {}
            }
            assert_eq!(
                order(&queue),
                model.iter().map(|place| place.seq).collect::<Vec<_>>()
            );
        }
    }
}
