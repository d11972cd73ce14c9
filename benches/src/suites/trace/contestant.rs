//! What takes part: something that is given the nodes, and then calls.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::node::{Answer, Call, Clock, Node, NodeError};

/// A caller waits so long for an answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
/// An attempt on a node is given up after so long, whoever made it.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(2);

/// A boxed future, since contestants are of many types.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The nodes of one run.
#[derive(Clone, Debug)]
pub(crate) struct Arena {
    pub(crate) clock: Clock,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) seed: u64,
}

impl Arena {
    /// The nodes that are there from the beginning.
    pub(crate) fn first(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().filter(|node| node.spec.joins.is_none())
    }
}

/// What sort a contestant is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Our pool.
    Ours,
    /// Somebody else's, or what one writes in an hour.
    Peer,
    /// What nobody can be.
    Limit,
}

/// What takes part.
pub(crate) trait Contestant: Send + Sync {
    /// Its name in the tables.
    fn name(&self) -> String;

    /// Whose it is.
    fn side(&self) -> Side;

    /// Gives it the nodes; it may do what it does before its first call.
    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>>;
}

/// A contestant at work.
pub(crate) trait Client: Send + Sync {
    /// Calls. The caller's deadline is the caller's affair: this is dropped when it has passed.
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>>;

    /// A node joins.
    fn join(&self, node: Arc<Node>);
}

/// One attempt on a node.
pub(crate) async fn attempt(node: &Node, call: Call) -> Result<Answer, NodeError> {
    tokio::time::timeout(ATTEMPT, node.serve(call))
        .await
        .unwrap_or(Err(NodeError::TimedOut))
}
