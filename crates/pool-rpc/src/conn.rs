//! A leased connection: single calls and batches on it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use pool_core::ReusableTimer;
use serde_json::value::RawValue;

use crate::{
    body::Answered,
    client::Client,
    error::{RpcError, RpcFailure},
    exchange::exchange,
    jsonrpc::{self, BatchAnswer, ErrorObject, RpcRequest},
    malformed::Malformed,
    transport::{Lane, RpcTransport},
};

/// An exclusive connection to a node, or a stream of its own on a shared one (HTTP/2).
///
/// It is *clean* while nothing is known against giving it to the next caller: exactly one whole answer came to each
/// request, nothing else came, and the node has neither closed it nor said that it will. **Cancelling**: a call that is dropped, or runs into a
/// time-out, leaves the connection unclean for good, since its answer may still come; the pool then destroys it. Under
/// HTTP/2 it resets the stream, and the connection stays clean. The node may have acted on the request all the same.
#[derive(Debug)]
pub struct RpcConn {
    client: Arc<Client>,
    transport: Arc<RpcTransport>,
    /// `None` only while it is being dropped.
    lane: Option<Lane>,
    clean: bool,
    /// For how long nothing is left of the provider's quota, as the last answer said.
    pause: Option<Duration>,
    /// For the response time-out.
    timer: ReusableTimer,
}

impl RpcConn {
    pub(crate) const fn new(client: Arc<Client>, transport: Arc<RpcTransport>, lane: Lane) -> Self {
        Self {
            client,
            transport,
            lane: Some(lane),
            clean: true,
            pause: None,
            timer: ReusableTimer::new(),
        }
    }

    /// What tells its endpoint from a later one of the same name.
    #[cfg(feature = "alloy")]
    pub(crate) const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Whether the connection can be used for another request.
    pub fn is_clean(&self) -> bool {
        let unspoilt = |lane: &Lane| self.clean || lane.is_stream();
        self.lane
            .as_ref()
            .is_some_and(|lane| unspoilt(lane) && lane.is_open())
    }

    /// Whether it is a stream of a shared connection, which a broken-off request does not spoil.
    pub(crate) fn is_stream(&self) -> bool {
        self.lane.as_ref().is_some_and(Lane::is_stream)
    }

    /// Whether a request was ever begun on it.
    pub fn is_used(&self) -> bool {
        self.lane.as_ref().is_some_and(Lane::is_used)
    }

    /// Calls a method; `params` is an array or object in JSON. The result is the node's own text.
    ///
    /// # Errors
    /// [`RpcError`]; a JSON-RPC error of the node is [`RpcError::Rpc`].
    ///
    /// # Cancelling
    /// Dropping the future makes the connection unclean: see [`RpcConn`].
    pub async fn call(&mut self, method: &str, params: Option<&RawValue>) -> Result<Box<RawValue>, RpcError> {
        self.call_with(method, params.map(RawValue::get)).await
    }

    /// The same with parameters that are known to be JSON.
    async fn call_with(&mut self, method: &str, params: Option<&str>) -> Result<Box<RawValue>, RpcError> {
        let id = self.client.take_ids(1);
        let body = jsonrpc::encode(id, method, params);
        let answered = self.exchange(body).await?;
        let answer = jsonrpc::decode(&answered.body, id, !answered.status.is_success());
        let answer = self.read(&answered, answer)?;
        answer.map_err(|object| self.failure(object, &answered))
    }

    /// Sends a request: [`call`](Self::call) with method and parameters in one.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn send(&mut self, request: &RpcRequest) -> Result<Box<RawValue>, RpcError> {
        self.call_with(request.method(), request.params_text()).await
    }

    /// Sends requests as one batch. The answers are in the order of the requests, each a result or the node's error.
    /// An empty batch is not sent.
    ///
    /// # Errors
    /// [`RpcError`] when the batch failed as a whole. That includes a single error in answer to all
    /// ([`RpcError::Rpc`]), and answers that are missing, double or unknown ([`RpcError::Malformed`]): then none of
    /// them is trusted.
    ///
    /// # Cancelling
    /// As [`call`](Self::call).
    pub async fn batch(
        &mut self,
        requests: &[RpcRequest],
    ) -> Result<Vec<Result<Box<RawValue>, ErrorObject>>, RpcError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.client.take_ids(requests.len());
        let body = jsonrpc::encode_batch(first, requests);
        let answered = self.exchange(body).await?;
        let answer = jsonrpc::decode_batch(
            &answered.body,
            first,
            requests.len(),
            !answered.status.is_success(),
        );
        match self.read(&answered, answer)? {
            BatchAnswer::Refused(object) => Err(self.failure(object, &answered)),
            BatchAnswer::Items(items) => {
                let redactor = &self.client.redactor;
                Ok(items
                    .into_iter()
                    .map(|item| item.map_err(|error| error.redacted(redactor)))
                    .collect())
            }
        }
    }

    /// Takes for how long nothing is left of the provider's quota, as the last answer said.
    pub(crate) fn take_pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }

    /// What a node said, without the endpoint's own secrets.
    pub(crate) fn redact(&self, said: String) -> String {
        self.client.redactor.clean(said)
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Answered, RpcError> {
        let was_clean = std::mem::replace(&mut self.clean, false);
        self.pause = None;
        match self.lane.as_mut() {
            Some(lane) if (was_clean || lane.is_stream()) && lane.is_open() => {
                let answered = exchange(&self.client, &mut self.timer, lane, body).await?;
                self.pause = answered.nothing_left_for;
                Ok(answered)
            }
            // The pool never hands out such a connection; a caller who goes on after an error may come here. That a shared
            // one takes no more requests is no fault, whoever used it.
            _ => Err(RpcError::closed(self.is_used() || self.is_stream())),
        }
    }

    /// Takes the parsed answer, and decides whether the connection is clean again.
    fn read<T>(&mut self, answered: &Answered, parsed: Result<T, Malformed>) -> Result<T, RpcError> {
        // What answers with garbage or to another's id may have lost count of its answers.
        self.clean = answered.whole && (parsed.is_ok() || !answered.status.is_success());
        parsed.map_err(|malformed| {
            if answered.status.is_success() {
                RpcError::Malformed(malformed)
            } else {
                RpcError::HttpStatus {
                    status: answered.status.as_u16(),
                    retry_after: answered.retry_after,
                }
            }
        })
    }

    fn failure(&self, object: ErrorObject, answered: &Answered) -> RpcError {
        RpcError::Rpc(Box::new(RpcFailure {
            object: object.redacted(&self.client.redactor),
            status: answered.status.as_u16(),
            retry_after: answered.retry_after,
        }))
    }
}

impl Drop for RpcConn {
    fn drop(&mut self) {
        let clean = self.is_clean();
        if let Some(lane) = self.lane.take() {
            self.transport.take_back(lane, clean);
        }
    }
}
