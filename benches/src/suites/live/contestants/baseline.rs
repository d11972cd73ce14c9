//! The baselines of the simulated traces over hyper-util's client: one attempt, no protection.

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
        contestants::seats::{Rule, Seat},
        node::{Call, NodeError},
    },
};

/// The contestant.
pub(in crate::suites::live) struct Baseline {
    pub(in crate::suites::live) rule: Rule,
}

impl Contestant for Baseline {
    fn name(&self) -> String {
        self.rule.name().to_owned()
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        let rule = self.rule;
        Box::pin(async move {
            let seats = arena.places.iter().map(|place| Seat::new(place.addr));
            Ok(Arc::new(Chooser {
                rule,
                turn: AtomicUsize::new(0),
                seats: seats.collect(),
                wire: Wire::new(),
            }) as Arc<dyn Client>)
        })
    }
}

struct Chooser {
    rule: Rule,
    turn: AtomicUsize,
    seats: Vec<Arc<Seat<SocketAddr>>>,
    wire: Wire,
}

impl Client for Chooser {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let (turn, wire) = (self.turn.fetch_add(1, Relaxed), self.wire.clone());
        let chosen = self.rule.choose(turn, &self.seats);
        Box::pin(async move { wire.attempt(chosen.0.node, call).await })
    }
}
