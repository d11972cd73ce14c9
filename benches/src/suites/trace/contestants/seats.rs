//! What one writes in an hour, whoever the nodes are: in turn, or the one with the fewest calls under way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How a baseline chooses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The fewest calls under way; of several, in turn.
    LeastRequests,
    /// In turn.
    RoundRobin,
}

impl Rule {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LeastRequests => "least requests",
            Self::RoundRobin => "round robin",
        }
    }

    /// The one whose turn it is, by how many calls there have been. There must be at least one.
    pub(crate) fn choose<N>(self, turn: usize, seats: &[Arc<Seat<N>>]) -> UnderWay<N> {
        let mut in_turn = (0..seats.len()).map(|step| &seats[(turn + step) % seats.len()]);
        let seat = match self {
            Self::RoundRobin => in_turn.next(),
            Self::LeastRequests => in_turn.min_by_key(|seat| seat.under_way()),
        };
        seat.unwrap_or(&seats[0]).take()
    }
}

/// A node, and how many calls are under way on it.
pub(crate) struct Seat<N> {
    pub(crate) node: N,
    under_way: AtomicUsize,
}

impl<N> Seat<N> {
    pub(crate) fn new(node: N) -> Arc<Self> {
        Arc::new(Self {
            node,
            under_way: AtomicUsize::new(0),
        })
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Relaxed)
    }

    pub(crate) fn take(self: &Arc<Self>) -> UnderWay<N> {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(self))
    }
}

/// A call under way. It is counted until this is dropped.
pub(crate) struct UnderWay<N>(pub(crate) Arc<Seat<N>>);

impl<N> Drop for UnderWay<N> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_turn_and_by_what_is_under_way() {
        let seats: Vec<_> = (0..3).map(Seat::new).collect();
        let turns: Vec<_> = (0..4)
            .map(|turn| Rule::RoundRobin.choose(turn, &seats).0.node)
            .collect();
        assert_eq!(turns, [0, 1, 2, 0]);
        let (first, second) = (
            Rule::LeastRequests.choose(0, &seats),
            Rule::LeastRequests.choose(0, &seats),
        );
        assert_eq!((first.0.node, second.0.node), (0, 1));
        drop(first);
        // two have none: the one whose turn it is
        assert_eq!(Rule::LeastRequests.choose(2, &seats).0.node, 2);
    }
}
