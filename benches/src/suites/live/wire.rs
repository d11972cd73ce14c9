//! JSON-RPC over hyper-util's client, as one writes it who knows both: the client of everybody who brings none.
//!
//! The answer's id is compared, an error in HTTP 200 is an error, and so is what is no JSON. Every attempt is given up after
//! the same time.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::contestant::Answer;
use crate::suites::trace::{
    contestant::ATTEMPT,
    node::{Call, NodeError},
};

/// The method that is called. Whatever else a node is asked is a check.
pub(super) const METHOD: &str = "eth_call";
/// `blockNumber()`, by the first four bytes of its hash.
const SELECTOR: &str = "0x57e871e7";

/// Parameters of the call: the escrow's `blockNumber()` of the newest block. So every answer says which block it is of, as any
/// read of state would if one could see it.
pub(super) fn params() -> Value {
    let to: String = devnet::escrow_address()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!([{ "to": format!("0x{to}"), "data": SELECTOR }, "latest"])
}

/// The block that a result of the call tells.
pub(super) fn block(result: &str) -> Option<u64> {
    let digits = result.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    u64::from_str_radix(digits.get(48..)?, 16).ok()
}

/// The client. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client<HttpConnector, Full<Bytes>>,
    params: Value,
}

#[derive(Deserialize)]
struct Reply {
    id: Option<u64>,
    result: Option<String>,
}

impl Wire {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            params: params(),
        }
    }

    /// One attempt on a node.
    pub(super) async fn attempt(&self, node: SocketAddr, call: Call) -> Result<Answer, NodeError> {
        tokio::time::timeout(ATTEMPT, self.ask(node, call))
            .await
            .unwrap_or(Err(NodeError::TimedOut))
    }

    async fn ask(&self, node: SocketAddr, call: Call) -> Result<Answer, NodeError> {
        let body = json!({ "jsonrpc": "2.0", "id": call.id, "method": METHOD, "params": self.params });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{node}/"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|_| NodeError::Http)?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| {
            if error.is_connect() {
                NodeError::Refused
            } else {
                NodeError::Reset
            }
        })?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => return Err(NodeError::TooMany(None)),
            _ => return Err(NodeError::Http),
        }
        let body = response.into_body().collect().await;
        let body = body.map_err(|_| NodeError::Reset)?.to_bytes();
        let reply: Reply = serde_json::from_slice(&body).map_err(|_| NodeError::Payload)?;
        if reply.id != Some(call.id) {
            return Err(NodeError::Payload);
        }
        let block = reply.result.as_deref().and_then(block);
        let block = block.ok_or(NodeError::Payload)?;
        Ok(Answer { block, own: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_tells_its_block() {
        assert_eq!(block(&format!("0x{:064x}", 1_003)), Some(1_003));
        assert_eq!(block("0x3eb"), None);
        assert_eq!(block(""), None);
    }
}
