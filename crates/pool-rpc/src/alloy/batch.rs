//! A batch that remembers what its items were answered.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use pool_core::Operation;

use crate::{
    conn::RpcConn,
    endpoint::JsonRpcEndpoint,
    error::RpcError,
    jsonrpc::Answer,
    operation::{RpcBatch, nodes_fault},
};

/// An operation that tells whether it was begun on any connection.
pub(super) struct Noted<O> {
    operation: O,
    begun: AtomicBool,
}

impl<O> Noted<O> {
    pub(super) const fn new(operation: O) -> Self {
        Self {
            operation,
            begun: AtomicBool::new(false),
        }
    }

    /// Whether a node may have seen it.
    pub(super) fn was_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn into_operation(self) -> O {
        self.operation
    }

    pub(super) const fn operation(&self) -> &O {
        &self.operation
    }
}

impl<O: Operation<JsonRpcEndpoint>> Operation<JsonRpcEndpoint> for Noted<O> {
    type Output = O::Output;

    fn call(&self, conn: &mut RpcConn) -> impl Future<Output = Result<O::Output, RpcError>> + Send {
        self.begun.store(true, Ordering::Relaxed);
        self.operation.call(conn)
    }
}

/// A batch for alloy. As with [`RpcBatch`] an item that fails by the node's fault fails the attempt if
/// all may be repeated; but when the attempts are over, the items of the last one are the answer, as they are from a
/// single node.
pub(super) struct Batch {
    calls: RpcBatch,
    repeatable: bool,
    last: Mutex<Option<Vec<Answer>>>,
}

impl Batch {
    pub(super) const fn new(calls: RpcBatch, repeatable: bool) -> Self {
        Self {
            calls,
            repeatable,
            last: Mutex::new(None),
        }
    }

    /// The items of the last attempt that got any.
    pub(super) fn last(&self) -> Option<Vec<Answer>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Operation<JsonRpcEndpoint> for Batch {
    type Output = Vec<Answer>;

    async fn call(&self, conn: &mut RpcConn) -> Result<Self::Output, RpcError> {
        let items = conn.batch(self.calls.requests()).await?;
        match nodes_fault(&items).filter(|_| self.repeatable) {
            None => Ok(items),
            Some(error) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(items);
                Err(error)
            }
        }
    }
}
