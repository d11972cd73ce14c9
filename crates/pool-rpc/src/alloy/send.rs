//! A packet's way through the pool.

use std::sync::Arc;

use alloy_json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest};
use alloy_transport::TransportError;
use pool_core::Pool;
use tokio::time::Instant;

use super::{
    batch::{Batch, Noted},
    error::{Failure, item, out_of_time, settle, unrepeated},
    filter::FilterCall,
    filters::Filters,
    heads::{Heads, Kind, Reading},
    hints::PoolHints,
    way::Way,
};
use crate::{
    endpoint::JsonRpcEndpoint,
    jsonrpc::{Answer, RpcRequest},
    operation::{RpcBatch, RpcCall},
};

/// What sends one packet.
pub(super) struct Sender {
    pub(super) pool: Pool<JsonRpcEndpoint>,
    pub(super) filters: Arc<Filters>,
    pub(super) heads: Arc<Heads>,
    pub(super) hints: PoolHints,
}

fn taken(request: &SerializedRequest) -> RpcRequest {
    RpcRequest::raw(request.method_clone(), request.params().map(ToOwned::to_owned))
}

impl Sender {
    pub(super) async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        match packet {
            RequestPacket::Single(request) => {
                let payload = self.single(&request).await?;
                let id = request.id().clone();
                Ok(ResponsePacket::Single(Response { id, payload }))
            }
            RequestPacket::Batch(requests) => {
                let payloads = self.batch(&requests).await?;
                let responses = requests.iter().zip(payloads).map(|(request, payload)| Response {
                    id: request.id().clone(),
                    payload,
                });
                Ok(ResponsePacket::Batch(responses.collect()))
            }
        }
    }

    async fn single(&self, request: &SerializedRequest) -> Result<ResponsePayload, TransportError> {
        let hints = PoolHints::of(request, &self.hints);
        let call = taken(request);
        match FilterCall::of(&call) {
            Some(filter) => settle(self.filter(filter, call, &hints).await),
            None => settle(self.run(call, &hints).await),
        }
    }

    async fn run(&self, call: RpcRequest, hints: &PoolHints) -> Result<Answer, Failure> {
        let (now, repeatable) = (Instant::now(), hints.repeatable(call.method()));
        let kind = if repeatable { Kind::of(&call) } else { Kind::Other };
        let call = RpcCall::new(call);
        let Some(request) = hints.request(call.pool_request(), repeatable, now) else {
            return Err(out_of_time());
        };
        let heads = Arc::clone(&self.heads);
        let reading = Noted::new(Reading { call, kind, heads });
        let read = self.pool.run(&reading, &request).await;
        let read = read.map_err(|cause| Failure {
            cause,
            sent: reading.was_begun(),
        })?;
        let mut result = read.result;
        if let Some(node) = read.behind {
            let mut way = Way::new(reading.into_operation(), request, now);
            if let Some(better) = self.elsewhere(&mut way, node).await {
                result = better;
            }
        }
        if let Some(block) = kind.shows(&result) {
            self.heads.show(block);
        }
        Ok(Ok(result))
    }

    /// Calls that have to do with filters go one by one to where each filter lives, after all others: what they take
    /// from a filter would be lost if the rest failed.
    async fn batch(&self, requests: &[SerializedRequest]) -> Result<Vec<ResponsePayload>, TransportError> {
        let mut payloads: Vec<Option<ResponsePayload>> = Vec::new();
        payloads.resize_with(requests.len(), || None);
        let (mut rest, mut places, mut filters) = (Vec::new(), Vec::new(), Vec::new());
        let (mut hints, mut repeatable) = (PoolHints::default(), true);
        for (place, request) in requests.iter().enumerate() {
            let (own, call) = (PoolHints::of(request, &self.hints), taken(request));
            if let Some(filter) = FilterCall::of(&call) {
                filters.push((place, filter, call, own));
            } else {
                repeatable &= own.repeatable(call.method());
                hints = hints.and(&own);
                rest.push(call);
                places.push(place);
            }
        }
        if !rest.is_empty() {
            let items = self.rest(rest, &hints, repeatable).await?;
            for (place, answer) in places.into_iter().zip(items) {
                payloads[place] = Some(item(answer));
            }
        }
        for (place, filter, call, own) in filters {
            // others have taken what they take: the failure of one is its own
            let payload = match settle(self.filter(filter, call, &own).await) {
                Ok(payload) => payload,
                Err(error) => ResponsePayload::internal_error_message(error.to_string().into()),
            };
            payloads[place] = Some(unrepeated(payload));
        }
        Ok(payloads.into_iter().flatten().collect())
    }

    async fn rest(
        &self,
        calls: Vec<RpcRequest>,
        hints: &PoolHints,
        repeatable: bool,
    ) -> Result<Vec<Answer>, Failure> {
        let calls = RpcBatch::new(calls);
        let Some(request) = hints.request(calls.pool_request(), repeatable, Instant::now()) else {
            return Err(out_of_time());
        };
        let batch = Noted::new(Batch::new(calls, repeatable));
        let answer = self.pool.run(&batch, &request).await;
        answer.or_else(|cause| {
            batch.operation().last().ok_or_else(|| Failure {
                cause,
                sent: batch.was_begun(),
            })
        })
    }
}
