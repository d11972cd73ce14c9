//! The pool as `tower::Service`.

use std::task::{Context, Poll};

use pool_core::{BoxFuture, Operation, Pool, Request, RunError};
use serde_json::value::RawValue;
use tower_service::Service;

use crate::{
    endpoint::JsonRpcEndpoint,
    error::RpcError,
    jsonrpc::{ErrorObject, RpcRequest},
    operation::{RpcBatch, RpcCall},
};

/// An operation and what it needs from the pool, as one request of the pool's `tower::Service`.
///
/// `Pool<JsonRpcEndpoint>` takes this, and an [`RpcRequest`], [`RpcCall`] or [`RpcBatch`] alone. What a method needs by
/// itself is in [`RpcCall::pool_request`] and [`RpcBatch::pool_request`]: start from these.
///
/// **Readiness**: the pool is always ready. What waits for a slot waits inside the response's future, in the pool's own
/// queue, which is bounded by `max_waiters` and by the deadline: beyond it the call ends at once with
/// [`AcquireError::QueueFull`](pool_core::AcquireError::QueueFull). A slot that `poll_ready` reserved would be lost to
/// everybody while its owner makes up its mind, and by then the pool cannot know which endpoints the request needs.
///
/// **Cancelling**: dropping the future gives everything back, as [`Pool::run`](pool_core::Pool::run) says.
///
/// ```
/// use std::time::Duration;
/// use pool_core::{Pool, Priority, RunError};
/// use pool_rpc::{JsonRpcEndpoint, RpcCall, RpcError, RpcRequest, WithRequest};
/// use tower_service::Service;
///
/// async fn head(pool: &mut Pool<JsonRpcEndpoint>) -> Result<String, RunError<RpcError>> {
///     let call = RpcCall::new(RpcRequest::raw("eth_blockNumber", None));
///     let needs = call.pool_request().timeout(Duration::from_secs(1)).priority(Priority::High);
///     Ok(pool.call(WithRequest::new(call, needs)).await?.get().to_owned())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct WithRequest<O> {
    /// What is run.
    pub operation: O,
    /// What it needs.
    pub request: Request,
}

impl<O> WithRequest<O> {
    /// Both together.
    pub const fn new(operation: O, request: Request) -> Self {
        Self { operation, request }
    }
}

type Answer<T> = BoxFuture<'static, Result<T, RunError<RpcError>>>;

fn run<O>(pool: &Pool<JsonRpcEndpoint>, operation: O, request: Request) -> Answer<O::Output>
where
    O: Operation<JsonRpcEndpoint> + Send + 'static,
    O::Output: Send,
{
    let pool = pool.clone();
    Box::pin(async move { pool.run(&operation, &request).await })
}

impl Service<RpcCall> for Pool<JsonRpcEndpoint> {
    type Response = Box<RawValue>;
    type Error = RunError<RpcError>;
    type Future = Answer<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: RpcCall) -> Self::Future {
        let request = call.pool_request();
        run(self, call, request)
    }
}

impl Service<RpcRequest> for Pool<JsonRpcEndpoint> {
    type Response = Box<RawValue>;
    type Error = RunError<RpcError>;
    type Future = Answer<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RpcRequest) -> Self::Future {
        Service::call(self, RpcCall::new(request))
    }
}

impl Service<RpcBatch> for Pool<JsonRpcEndpoint> {
    type Response = Vec<Result<Box<RawValue>, ErrorObject>>;
    type Error = RunError<RpcError>;
    type Future = Answer<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: RpcBatch) -> Self::Future {
        let request = batch.pool_request();
        run(self, batch, request)
    }
}

impl<O> Service<WithRequest<O>> for Pool<JsonRpcEndpoint>
where
    O: Operation<JsonRpcEndpoint> + Send + 'static,
    O::Output: Send,
{
    type Response = O::Output;
    type Error = RunError<RpcError>;
    type Future = Answer<O::Output>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, asked: WithRequest<O>) -> Self::Future {
        run(self, asked.operation, asked.request)
    }
}
