//! What is asked of a CometBFT node.

use pool_core::Operation;
use pool_rpc::{JsonRpcEndpoint, Malformed, RpcCall, RpcConn, RpcError};
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};

use super::{BlockRange, Looked};

/// The height of the node's head.
#[derive(Debug)]
pub(super) struct Head;

#[derive(Deserialize)]
struct Status {
    sync_info: SyncInfo,
}

#[derive(Deserialize)]
struct SyncInfo {
    latest_block_height: String,
}

impl Operation<JsonRpcEndpoint> for Head {
    type Output = u64;

    async fn call(&self, conn: &mut RpcConn) -> Result<u64, RpcError> {
        const METHOD: &str = "status";
        let result = conn.call(METHOD, None).await?;
        let status: Option<Status> = serde_json::from_str(result.get()).ok();
        let height = status.and_then(|status| status.sync_info.latest_block_height.parse().ok());
        Ok(height.ok_or(Malformed::Result { method: METHOD })?)
    }
}

/// The escrow's events of a range of blocks, block by block on one connection.
///
/// `block_results` needs no index, which many nodes switch off, and a node that lacks a block says so instead of
/// leaving its events out.
#[derive(Debug)]
pub(super) struct Events {
    range: BlockRange,
    types: Vec<String>,
}

impl Events {
    pub(super) fn new(range: BlockRange, types: &[String]) -> Self {
        Self {
            range,
            types: types.to_vec(),
        }
    }

    /// Counts the events in the results of a block, if they are that block's.
    fn check(&self, height: u64, results: &str) -> Option<usize> {
        let results: BlockResults = serde_json::from_str(results).ok()?;
        if results.height != height.to_string() {
            return None;
        }
        let of_transactions = results
            .txs_results
            .iter()
            .flatten()
            .flat_map(|result| &result.events);
        let of_block = results.finalize_block_events.iter().flatten();
        let events = of_transactions.chain(of_block);
        Some(events.filter(|event| self.types.contains(&event.kind)).count())
    }
}

// Go writes an empty list as null.
#[derive(Deserialize)]
struct BlockResults {
    height: String,
    #[serde(default)]
    txs_results: Option<Vec<TxResult>>,
    #[serde(default)]
    finalize_block_events: Option<Vec<Event>>,
}

#[derive(Deserialize)]
struct TxResult {
    #[serde(default, deserialize_with = "null_is_empty")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Event>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Operation<JsonRpcEndpoint> for Events {
    type Output = Looked;

    async fn call(&self, conn: &mut RpcConn) -> Result<Looked, RpcError> {
        const METHOD: &str = "block_results";
        let mut logs = 0;
        for height in self.range.from..=self.range.to {
            let params = to_raw_value(&json!({"height": height.to_string()})).map_err(Malformed::from)?;
            let results = conn.call(METHOD, Some(&params)).await?;
            logs += self
                .check(height, results.get())
                .ok_or(Malformed::Result { method: METHOD })?;
        }
        Ok(Looked::Complete { logs })
    }
}

/// A read as a relayer makes them.
///
/// # Errors
/// When the parameters can't be written as JSON, which doesn't happen.
pub(super) fn read(head: u64, rng: &mut fastrand::Rng) -> Result<RpcCall, serde_json::Error> {
    // a little behind the head, where every healthy node has it
    let height = head.saturating_sub(rng.u64(2..10)).max(1);
    match rng.u8(..10) {
        0..4 => RpcCall::of("block", &json!({"height": height.to_string()})),
        4..7 => {
            let query = format!("tx.height={height}");
            RpcCall::of(
                "tx_search",
                &json!({"query": query, "page": "1", "per_page": "30", "order_by": "asc"}),
            )
        }
        7..9 => RpcCall::of("status", &json!({})),
        _ => RpcCall::of("health", &json!({})),
    }
}

/// A transaction that only a devnet takes: random bytes, in base64.
///
/// # Errors
/// When the parameters can't be written as JSON, which doesn't happen.
pub(super) fn transaction(rng: &mut fastrand::Rng) -> Result<RpcCall, serde_json::Error> {
    // letters alone, in a number divisible by four, are valid base64
    let tx: String = std::iter::repeat_with(|| rng.alphanumeric()).take(32).collect();
    RpcCall::of("broadcast_tx_sync", &json!({"tx": tx}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_right_block_and_type_count() {
        let events = Events::new(BlockRange { from: 5, to: 5 }, &["escrow".to_owned()]);
        let event = |kind: &str| json!({"type": kind, "attributes": []});
        let results = json!({
            "height": "5",
            "txs_results": [{"code": 0, "events": [event("escrow"), event("transfer")]}, {"events": null}],
            "finalize_block_events": [event("escrow")],
        });
        assert_eq!(events.check(5, &results.to_string()), Some(2));
        assert_eq!(events.check(6, &results.to_string()), None, "another block");
        let empty = json!({"height": "5", "txs_results": null});
        assert_eq!(events.check(5, &empty.to_string()), Some(0));
        assert_eq!(events.check(5, "[]"), None);
    }
}
