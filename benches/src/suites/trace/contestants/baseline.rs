//! What one writes in an hour: turns, or the node with the fewest calls under way; one attempt, no protection.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::suites::trace::{
    contestant::{Arena, BoxFuture, Client, Contestant, Side, attempt},
    node::{Answer, Call, Node, NodeError},
};

/// How it chooses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The fewest calls under way; of several, in turn.
    LeastRequests,
    /// In turn.
    RoundRobin,
}

/// The contestant.
pub(crate) struct Baseline {
    pub(crate) rule: Rule,
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

    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>> {
        let rule = self.rule;
        Box::pin(async move {
            let nodes = arena.first().map(|node| Seat::new(Arc::clone(node))).collect();
            let client = Chooser {
                rule,
                turn: AtomicUsize::new(0),
                nodes: Mutex::new(nodes),
            };
            Arc::new(client) as Arc<dyn Client>
        })
    }
}

struct Seat {
    node: Arc<Node>,
    under_way: AtomicUsize,
}

impl Seat {
    fn new(node: Arc<Node>) -> Arc<Self> {
        Arc::new(Self {
            node,
            under_way: AtomicUsize::new(0),
        })
    }
}

/// A call under way. It is counted until it is dropped.
struct UnderWay(Arc<Seat>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

struct Chooser {
    rule: Rule,
    turn: AtomicUsize,
    nodes: Mutex<Vec<Arc<Seat>>>,
}

impl Chooser {
    fn choose(&self) -> UnderWay {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Relaxed);
        let in_turn = (0..nodes.len()).map(|step| &nodes[(turn + step) % nodes.len()]);
        let seat = match self.rule {
            Rule::RoundRobin => &nodes[turn % nodes.len()],
            Rule::LeastRequests => in_turn
                .min_by_key(|seat| seat.under_way.load(Relaxed))
                .unwrap_or(&nodes[0]),
        };
        seat.under_way.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(seat))
    }
}

impl Client for Chooser {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let chosen = self.choose();
        Box::pin(async move { attempt(&chosen.0.node, call).await })
    }

    fn join(&self, node: Arc<Node>) {
        self.nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Seat::new(node));
    }
}
