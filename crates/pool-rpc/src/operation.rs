//! Calls and batches as operations of the pool.

use std::borrow::Cow;

use pool_core::{Fault, Operation, Request};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    comet_tx::TxRefusal,
    conn::RpcConn,
    endpoint::JsonRpcEndpoint,
    error::{RpcError, RpcFailure},
    jsonrpc::{ErrorObject, RpcRequest},
    method::{Idempotency, idempotency},
    method_need::{need_of, need_of_all},
    prices::MethodCosts,
};

/// A single call, to be run by the pool on a connection of its choice.
///
/// Run it with [`pool_request`](Self::pool_request), or with what was made of it: that tells the pool whether the
/// method may be sent again.
///
/// A `broadcast_tx_*` whose result carries a code other than 0 is an error: [`RpcError::TxRefused`].
#[derive(Clone, Debug)]
pub struct RpcCall {
    request: RpcRequest,
}

impl RpcCall {
    /// A call of this request.
    pub const fn new(request: RpcRequest) -> Self {
        Self { request }
    }

    /// A call with parameters that are to be written as JSON: an array or object.
    ///
    /// # Errors
    /// When the parameters cannot be written as JSON.
    pub fn of(
        method: impl Into<Cow<'static, str>>,
        params: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::new(RpcRequest::new(method, params)?))
    }

    /// What is called.
    pub const fn request(&self) -> &RpcRequest {
        &self.request
    }

    /// Whether the method may be sent again when a node may already have acted on it.
    pub fn idempotency(&self) -> Idempotency {
        idempotency(self.request.method())
    }

    /// What the call needs from the pool: the defaults, with the method's idempotency, and endpoints that offer the method.
    /// It costs one unit.
    pub fn pool_request(&self) -> Request {
        let idempotent = self.idempotency() == Idempotency::Idempotent;
        self.needing(Request::new().idempotent(idempotent))
    }

    /// The request, for endpoints that offer the method.
    pub(crate) fn needing(&self, request: Request) -> Request {
        request.need(need_of(self.request.method()))
    }

    /// The same, at what the method costs with each provider.
    pub fn pool_request_at(&self, costs: &MethodCosts) -> Request {
        self.pool_request()
            .cost(costs.cost(std::iter::once(self.request.method())))
    }
}

impl Operation<JsonRpcEndpoint> for RpcCall {
    type Output = Box<RawValue>;

    async fn call(&self, conn: &mut RpcConn) -> Result<Self::Output, RpcError> {
        let result = conn.send(&self.request).await?;
        if self.request.method().starts_with("broadcast_tx_")
            && let Some(mut refusal) = TxRefusal::in_result(&result)
        {
            refusal.log = conn.redact(refusal.log);
            refusal.codespace = conn.redact(refusal.codespace);
            return Err(RpcError::TxRefused(Box::new(refusal)));
        }
        Ok(result)
    }
}

/// A batch, to be run by the pool on a connection of its choice.
///
/// When all its methods are idempotent and an item fails by the node's fault (rate limited, pruned), the attempt fails
/// with that item's error: then the pool tries the batch elsewhere. Items that fail by the caller's fault stay items.
/// With a method that is not idempotent every item is handed over as it came.
#[derive(Clone, Debug)]
pub struct RpcBatch {
    requests: Vec<RpcRequest>,
}

impl RpcBatch {
    /// A batch of these requests.
    pub const fn new(requests: Vec<RpcRequest>) -> Self {
        Self { requests }
    }

    #[cfg(feature = "alloy")]
    pub(crate) fn requests(&self) -> &[RpcRequest] {
        &self.requests
    }

    /// Idempotent when every method is.
    pub fn idempotency(&self) -> Idempotency {
        let mut all = self.requests.iter().map(|request| idempotency(request.method()));
        if all.all(|one| one == Idempotency::Idempotent) {
            Idempotency::Idempotent
        } else {
            Idempotency::NotIdempotent
        }
    }

    /// What the batch needs from the pool: the defaults, with its idempotency, and endpoints that offer all its methods.
    /// Each of its requests costs one unit: providers count what is in a batch.
    pub fn pool_request(&self) -> Request {
        self.pool_request_at(&MethodCosts::new())
    }

    /// The same, at what its methods cost together with each provider.
    pub fn pool_request_at(&self, costs: &MethodCosts) -> Request {
        let methods = self.requests.iter().map(RpcRequest::method);
        Request::new()
            .idempotent(self.idempotency() == Idempotency::Idempotent)
            .need(need_of_all(&self.requests))
            .cost(costs.cost(methods))
    }
}

impl Operation<JsonRpcEndpoint> for RpcBatch {
    type Output = Vec<Result<Box<RawValue>, ErrorObject>>;

    async fn call(&self, conn: &mut RpcConn) -> Result<Self::Output, RpcError> {
        let items = conn.batch(&self.requests).await?;
        if self.idempotency() == Idempotency::NotIdempotent {
            return Ok(items);
        }
        match nodes_fault(&items) {
            Some(error) => Err(error),
            None => Ok(items),
        }
    }
}

/// The first item that failed by the node's fault, as the attempt's error.
pub(crate) fn nodes_fault(items: &[Result<Box<RawValue>, ErrorObject>]) -> Option<RpcError> {
    let by_node = |error: &&ErrorObject| error.class().error_type().fault() == Fault::Node;
    let error = items
        .iter()
        .filter_map(|item| item.as_ref().err())
        .find(by_node)?;
    Some(RpcError::Rpc(Box::new(RpcFailure {
        object: error.clone(),
        status: 200,
        retry_after: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_reaches_the_pool() {
        let read = RpcCall::of("eth_getBalance", &["0x0", "latest"]).unwrap();
        let write = RpcCall::of("eth_sendRawTransaction", &["0x0"]).unwrap();
        assert!(read.pool_request().idempotent && !write.pool_request().idempotent);
        let batch =
            |calls: &[&RpcCall]| RpcBatch::new(calls.iter().map(|call| call.request.clone()).collect());
        assert!(batch(&[&read, &read]).pool_request().idempotent);
        assert!(!batch(&[&read, &write]).pool_request().idempotent);
        assert_eq!(batch(&[&read, &write]).pool_request().cost.plain(), 2);
        let provider = pool_core::ProviderId::new("acme").unwrap();
        let prices = crate::PriceList::new().price("eth_send*", 9);
        let costs = MethodCosts::new().at(provider.clone(), prices);
        let batch = batch(&[&read, &write]).pool_request_at(&costs);
        assert_eq!((batch.cost.of(&provider), batch.idempotent), (10, false));
        assert_eq!(write.pool_request_at(&costs).cost.of(&provider), 9);
    }
}
