//! What one writes in an hour: turns, or the node with the fewest calls under way; one attempt, no protection.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use anyhow::Result;

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire::Wire,
    },
    trace::{
        contestant::{BoxFuture, Side},
        node::{Call, NodeError},
    },
};

/// How it chooses.
#[derive(Clone, Copy, Debug)]
pub(in crate::suites::live) enum Rule {
    /// The fewest calls under way; of several, in turn.
    LeastRequests,
    /// In turn.
    RoundRobin,
}

/// The contestant.
pub(in crate::suites::live) struct Baseline {
    pub(in crate::suites::live) rule: Rule,
}

impl Contestant for Baseline {
    fn name(&self) -> String {
        match self.rule {
            Rule::LeastRequests => "least requests".to_owned(),
            Rule::RoundRobin => "round robin".to_owned(),
        }
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        let rule = self.rule;
        Box::pin(async move {
            let seats = arena.places.iter().map(|place| Arc::new(Seat::new(place.addr)));
            Ok(Arc::new(Chooser {
                rule,
                turn: AtomicUsize::new(0),
                seats: seats.collect(),
                wire: Wire::new(),
            }) as Arc<dyn Client>)
        })
    }
}

/// A node, and how many calls are under way on it.
pub(super) struct Seat {
    pub(super) addr: SocketAddr,
    under_way: AtomicUsize,
}

impl Seat {
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            under_way: AtomicUsize::new(0),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Relaxed)
    }

    pub(super) fn take(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(self))
    }
}

/// A call under way. It is counted until this is dropped.
pub(super) struct UnderWay(pub(super) Arc<Seat>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

struct Chooser {
    rule: Rule,
    turn: AtomicUsize,
    seats: Vec<Arc<Seat>>,
    wire: Wire,
}

impl Chooser {
    fn choose(&self) -> UnderWay {
        let turn = self.turn.fetch_add(1, Relaxed);
        let in_turn = (0..self.seats.len()).map(|step| &self.seats[(turn + step) % self.seats.len()]);
        let seat = match self.rule {
            Rule::RoundRobin => &self.seats[turn % self.seats.len()],
            Rule::LeastRequests => in_turn
                .min_by_key(|seat| seat.under_way())
                .unwrap_or(&self.seats[0]),
        };
        seat.take()
    }
}

impl Client for Chooser {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let (chosen, wire) = (self.choose(), self.wire.clone());
        Box::pin(async move { wire.attempt(chosen.0.addr, call).await })
    }
}
