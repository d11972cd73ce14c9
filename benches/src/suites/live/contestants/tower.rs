//! tower's balancer over hyper-util's client, with the layers and settings of the simulated traces.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use tower::{Service, discover::Change};

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire::Wire,
    },
    trace::{
        contestant::{BoxFuture, Side},
        contestants::tower_stack::{self, Inserted, Stack},
        node::{Call, NodeError},
    },
};

/// The contestant.
pub(super) struct Tower {
    pub(super) retries: bool,
}

impl Contestant for Tower {
    fn name(&self) -> String {
        tower_stack::name(self.retries)
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        let retries = self.retries;
        Box::pin(async move {
            let wire = Wire::new();
            let inserted: Vec<Inserted<Remote>> = arena
                .places
                .iter()
                .map(|place| {
                    let remote = Remote {
                        wire: wire.clone(),
                        addr: place.addr,
                    };
                    Ok(Change::Insert(place.id, remote))
                })
                .collect();
            let stack = Stack::new(tokio_stream::iter(inserted), retries, arena.seed);
            Ok(Arc::new(stack) as Arc<dyn Client>)
        })
    }
}

impl Client for Stack<Answer> {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        Self::call(self, call)
    }
}

/// A node as tower sees it: what is no good answer is an error.
struct Remote {
    wire: Wire,
    addr: SocketAddr,
}

impl Service<Call> for Remote {
    type Response = Answer;
    type Error = NodeError;
    type Future = BoxFuture<Result<Answer, NodeError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), NodeError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (wire, addr) = (self.wire.clone(), self.addr);
        Box::pin(async move { wire.attempt(addr, call).await })
    }
}
