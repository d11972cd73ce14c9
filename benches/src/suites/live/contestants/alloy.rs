//! alloy's `FallbackLayer` over its HTTP transports (reqwest, its default), with the settings of alloy's own examples: three active
//! transports (`fallback_layer`), and, with retries, `RetryBackoffLayer` around it with ten retries and a second's pause
//! (`retry_layer`). The example's 100 compute units a second would hold retries back for minutes at this load; here it has as
//! many as it can use.

use std::sync::Arc;

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket, ResponsePayload};
use alloy_transport::{
    TransportError,
    layers::{FallbackLayer, RetryBackoffLayer},
};
use alloy_transport_http::{
    Http,
    reqwest::{Client as Reqwest, Url},
};
use anyhow::Result;
use serde_json::Value;
use tower::{Layer, Service, util::BoxCloneSyncService};

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire,
    },
    trace::{
        contestant::{ATTEMPT, BoxFuture, Side},
        node::{Call, NodeError},
    },
};

/// Retries, and milliseconds before each, of alloy's example.
const RETRIES: (u32, u64) = (10, 1_000);
/// Compute units a second: never the limit.
const UNITS: u64 = 1_000_000;

/// The contestant.
pub(super) struct Alloy {
    pub(super) retries: bool,
}

impl Contestant for Alloy {
    fn name(&self) -> String {
        let retries = if self.retries { " + retry" } else { "" };
        format!("alloy fallback{retries}")
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        let retries = self.retries;
        Box::pin(async move {
            let client = Reqwest::builder().timeout(ATTEMPT).no_proxy().build()?;
            let mut transports = Vec::new();
            for place in &arena.places {
                transports.push(Http::with_client(client.clone(), Url::parse(&place.url())?));
            }
            let fallback = FallbackLayer::default().layer(transports);
            let stack = if retries {
                let (most, pause) = RETRIES;
                Stack::new(RetryBackoffLayer::new(most, pause, UNITS).layer(fallback))
            } else {
                Stack::new(fallback)
            };
            let params = wire::params();
            Ok(Arc::new(Caller { stack, params }) as Arc<dyn Client>)
        })
    }
}

type Stack = BoxCloneSyncService<RequestPacket, ResponsePacket, TransportError>;

struct Caller {
    stack: Stack,
    params: Value,
}

impl Client for Caller {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let (mut stack, params) = (self.stack.clone(), self.params.clone());
        Box::pin(async move {
            let request = Request::new(wire::METHOD, Id::Number(call.id), params).serialize();
            let request = request.map_err(|_| NodeError::Payload)?;
            let answered: Result<ResponsePacket, TransportError> =
                stack.call(RequestPacket::Single(request)).await;
            match answered {
                Ok(ResponsePacket::Single(response)) => read(&response.id, &response.payload, call),
                Ok(ResponsePacket::Batch(_)) => Err(NodeError::Payload),
                Err(_) => Err(NodeError::Http),
            }
        })
    }
}

/// As alloy's `RpcClient` reads an answer to a single request: whatever its id is.
fn read(id: &Id, payload: &ResponsePayload, call: Call) -> Result<Answer, NodeError> {
    let text = payload.try_success_as::<String>().and_then(Result::ok);
    let block = text.as_deref().and_then(wire::block).ok_or(NodeError::Payload)?;
    let own = *id == Id::Number(call.id);
    Ok(Answer { block, own })
}
