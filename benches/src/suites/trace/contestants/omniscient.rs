//! The limit: a scheduler that sees into all nodes, now and as far ahead as a call lasts.
//!
//! It knows who will answer rightly and in time, and how much work everybody has; of those it takes the one from which an
//! answer is to be *expected* first. What a call will happen to take it does not know: nobody could. While all good nodes
//! are busy it keeps calls back, first come first served, instead of choosing a queue too early; a call that nobody can
//! answer in time it does not send at all.

use std::sync::{Arc, Mutex, PoisonError};

use crate::suites::trace::{
    contestant::{Arena, BoxFuture, Client, Contestant, DEADLINE, Side},
    node::{Answer, Call, Clock, Node, NodeError},
};

/// The contestant.
pub(crate) struct Omniscient;

impl Contestant for Omniscient {
    fn name(&self) -> String {
        "omniscient".to_owned()
    }

    fn side(&self) -> Side {
        Side::Limit
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>> {
        Box::pin(async move {
            let nodes = Mutex::new(arena.first().cloned().collect());
            let sight = Sight {
                clock: arena.clock,
                nodes,
                next: tokio::sync::Mutex::new(()),
            };
            Arc::new(Seer(Arc::new(sight))) as Arc<dyn Client>
        })
    }
}

struct Seer(Arc<Sight>);

struct Sight {
    clock: Clock,
    nodes: Mutex<Vec<Arc<Node>>>,
    /// Whose turn it is; fair.
    next: tokio::sync::Mutex<()>,
}

/// What to do with a call.
enum Advice {
    Send(Arc<Node>),
    Wait(u64),
    Hopeless,
}

impl Sight {
    fn advise(&self, call: Call, by: u64) -> Advice {
        let now = self.clock.now();
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let plans = nodes.iter().map(|node| (node, node.forecast(call)));
        let right = plans.filter(|(_, plan)| plan.is_right(call, by));
        match right.min_by_key(|(node, plan)| (plan.expected, node.id)) {
            Some((node, plan)) if plan.begins <= now => Advice::Send(Arc::clone(node)),
            Some((_, plan)) => Advice::Wait(plan.begins),
            // somebody may get well
            None if now < by => Advice::Wait(now + 10),
            None => Advice::Hopeless,
        }
    }
}

impl Client for Seer {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let sight = Arc::clone(&self.0);
        Box::pin(async move {
            let by = sight.clock.now() + DEADLINE.as_millis() as u64;
            let turn = sight.next.lock().await;
            loop {
                match sight.advise(call, by) {
                    Advice::Send(node) => {
                        // the node has it before the next caller looks
                        let plan = node.begin(call);
                        drop(turn);
                        return node.wait(plan).await;
                    }
                    Advice::Wait(until) => {
                        tokio::time::sleep_until(sight.clock.at(until)).await;
                    }
                    Advice::Hopeless => {
                        drop(turn);
                        return Err(NodeError::TimedOut);
                    }
                }
            }
        })
    }

    fn join(&self, node: Arc<Node>) {
        self.0
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(node);
    }
}
