//! tower's balancer, with and without its retries: the layers are in [`tower_stack`].

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::{Service, discover::Change};

use super::tower_stack::{self, Stack};
use crate::suites::trace::{
    contestant::{Arena, BoxFuture, Client, Contestant, Side, attempt},
    node::{Answer, Call, Node, NodeError},
};

/// The contestant.
#[derive(Debug)]
pub(crate) struct Tower {
    pub(crate) retries: bool,
}

impl Contestant for Tower {
    fn name(&self) -> String {
        tower_stack::name(self.retries)
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>> {
        let retries = self.retries;
        Box::pin(async move {
            let (joining, joined) = unbounded_channel();
            for node in arena.first() {
                // the receiver lives as long as the balancer
                let _sent = joining.send(inserted(Arc::clone(node)));
            }
            let stack = Stack::new(UnboundedReceiverStream::new(joined), retries, arena.seed);
            Arc::new(Joined { stack, joining }) as Arc<dyn Client>
        })
    }
}

fn inserted(node: Arc<Node>) -> Inserted {
    Ok(Change::Insert(node.id, Remote(node)))
}

type Inserted = tower_stack::Inserted<Remote>;

struct Joined {
    stack: Stack<Answer>,
    joining: UnboundedSender<Inserted>,
}

impl Client for Joined {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        self.stack.call(call)
    }

    fn join(&self, node: Arc<Node>) {
        let _sent = self.joining.send(inserted(node));
    }
}

/// A node as tower sees it: what is no good answer is an error.
struct Remote(Arc<Node>);

impl Service<Call> for Remote {
    type Response = Answer;
    type Error = NodeError;
    type Future = BoxFuture<Result<Answer, NodeError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), NodeError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let node = Arc::clone(&self.0);
        Box::pin(async move { attempt(&node, call).await })
    }
}
