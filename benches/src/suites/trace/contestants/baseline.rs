//! The baselines: a [`Rule`], one attempt, no protection.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::seats::{Rule, Seat, UnderWay};
use crate::suites::trace::{
    contestant::{Arena, BoxFuture, Client, Contestant, Side, attempt},
    node::{Answer, Call, Node, NodeError},
};

/// The contestant.
pub(crate) struct Baseline {
    pub(crate) rule: Rule,
}

impl Contestant for Baseline {
    fn name(&self) -> String {
        self.rule.name().to_owned()
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>> {
        let rule = self.rule;
        Box::pin(async move {
            let seats = arena.first().map(|node| Seat::new(Arc::clone(node))).collect();
            let client = Chooser {
                rule,
                turn: AtomicUsize::new(0),
                seats: Mutex::new(seats),
            };
            Arc::new(client) as Arc<dyn Client>
        })
    }
}

struct Chooser {
    rule: Rule,
    turn: AtomicUsize,
    seats: Mutex<Vec<Arc<Seat<Arc<Node>>>>>,
}

impl Chooser {
    fn choose(&self) -> UnderWay<Arc<Node>> {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        self.rule.choose(self.turn.fetch_add(1, Relaxed), &seats)
    }
}

impl Client for Chooser {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let chosen = self.choose();
        Box::pin(async move { attempt(&chosen.0.node, call).await })
    }

    fn join(&self, node: Arc<Node>) {
        self.seats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Seat::new(node));
    }
}
