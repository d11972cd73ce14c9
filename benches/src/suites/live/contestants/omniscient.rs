//! The limit: a scheduler that knows the script, and how many of its calls each node works on.
//!
//! It never sends a call to a node that has a fault or is about to have one. Of the others it takes the one with the fewest calls
//! under way, and while all of them are busy it keeps calls back, first come first served. What a call will happen to take it
//! does not know.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Result;
use tokio::sync::{Mutex, Notify};

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire::Wire,
    },
    trace::{
        contestant::{BoxFuture, Side},
        contestants::seats::{Seat, UnderWay},
        node::{Call, Clock, NodeError},
        scenario::Scenario,
    },
};

/// How far it sees ahead, in milliseconds: nearly every call that is sent is answered by then.
const AHEAD: u64 = 150;
/// It looks again after so long, for somebody may have got well.
const AGAIN: Duration = Duration::from_millis(10);

/// The contestant.
pub(super) struct Omniscient;

impl Contestant for Omniscient {
    fn name(&self) -> String {
        "omniscient".to_owned()
    }

    fn side(&self) -> Side {
        Side::Limit
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        Box::pin(async move {
            let seats = arena.places.iter().map(|place| Seat::new(place.addr));
            Ok(Arc::new(Seer(Arc::new(Sight {
                seats: seats.collect(),
                scenario: arena.scenario,
                clock: OnceLock::new(),
                next: Mutex::new(()),
                freed: Notify::new(),
                wire: Wire::new(),
            }))) as Arc<dyn Client>)
        })
    }
}

struct Seer(Arc<Sight>);

struct Sight {
    seats: Vec<Arc<Seat<SocketAddr>>>,
    scenario: Arc<Scenario>,
    clock: OnceLock<Clock>,
    /// Whose turn it is; fair.
    next: Mutex<()>,
    freed: Notify,
    wire: Wire,
}

impl Sight {
    /// The best node that is well and has a slot free.
    fn choose(&self) -> Option<UnderWay<SocketAddr>> {
        let now = self.clock.get().map_or(0, |clock| clock.now());
        let free = self
            .seats
            .iter()
            .zip(&self.scenario.nodes)
            .filter(|(seat, spec)| {
                let ill = spec
                    .faults
                    .iter()
                    .any(|fault| fault.from <= now + AHEAD && now < fault.to);
                !ill && seat.under_way() < spec.slots
            });
        let best = free.min_by_key(|(seat, _)| seat.under_way());
        best.map(|(seat, _)| seat.take())
    }
}

impl Client for Seer {
    fn begin(&self, clock: Clock) {
        // it begins once
        let _set = self.0.clock.set(clock);
    }

    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let sight = Arc::clone(&self.0);
        Box::pin(async move {
            let turn = sight.next.lock().await;
            let chosen = loop {
                if let Some(chosen) = sight.choose() {
                    break chosen;
                }
                // whether somebody is free or well by then shows when it looks again
                let _woken = tokio::time::timeout(AGAIN, sight.freed.notified()).await;
            };
            drop(turn);
            let answer = sight.wire.attempt(chosen.0.node, call).await;
            drop(chosen);
            sight.freed.notify_one();
            answer
        })
    }
}
