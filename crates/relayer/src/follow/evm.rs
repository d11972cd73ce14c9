//! What is asked of an EVM node.

use pool_core::Operation;
use pool_rpc::{JsonRpcEndpoint, Malformed, RpcCall, RpcConn, RpcError, RpcRequest};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{BlockRange, Looked};

/// The height of the node's head.
#[derive(Debug)]
pub(super) struct Head;

impl Operation<JsonRpcEndpoint> for Head {
    type Output = u64;

    async fn call(&self, conn: &mut RpcConn) -> Result<u64, RpcError> {
        height(conn).await
    }
}

async fn height(conn: &mut RpcConn) -> Result<u64, RpcError> {
    const METHOD: &str = "eth_blockNumber";
    let result = conn.call(METHOD, None).await?;
    let text: Option<&str> = serde_json::from_str(result.get()).ok();
    Ok(text
        .and_then(quantity)
        .ok_or(Malformed::Result { method: METHOD })?)
}

fn quantity(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The escrow's logs of a range of blocks.
///
/// A node that lags leaves out, without a word, what lies above its head. So the same node, on the same connection, is
/// asked first how far it is.
#[derive(Debug)]
pub(super) struct Logs {
    range: BlockRange,
    address: String,
    topics: Vec<String>,
    request: RpcRequest,
}

impl Logs {
    /// # Errors
    /// When the parameters can't be written as JSON, which doesn't happen.
    pub(super) fn new(
        range: BlockRange,
        address: &str,
        topics: &[String],
    ) -> Result<Self, serde_json::Error> {
        let mut filter = json!({
            "fromBlock": format!("0x{:x}", range.from),
            "toBlock": format!("0x{:x}", range.to),
            "address": address,
        });
        if !topics.is_empty() {
            filter["topics"] = json!([topics]);
        }
        Ok(Self {
            range,
            address: address.to_owned(),
            topics: topics.to_vec(),
            request: RpcRequest::new("eth_getLogs", &[filter])?,
        })
    }

    /// Counts the logs, if each is one that was asked for.
    fn check(&self, result: &RawValue) -> Option<usize> {
        let logs: Vec<Log<'_>> = serde_json::from_str(result.get()).ok()?;
        let mut last = self.range.from;
        for log in &logs {
            let block = quantity(log.block_number)?;
            let first = log.topics.first()?.to_ascii_lowercase();
            let asked_for = (last..=self.range.to).contains(&block)
                && log.address.eq_ignore_ascii_case(&self.address)
                && (self.topics.is_empty() || self.topics.contains(&first));
            if !asked_for {
                return None;
            }
            last = block;
        }
        Some(logs.len())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    address: &'a str,
    topics: Vec<&'a str>,
    block_number: &'a str,
}

impl Operation<JsonRpcEndpoint> for Logs {
    type Output = Looked;

    async fn call(&self, conn: &mut RpcConn) -> Result<Looked, RpcError> {
        let head = height(conn).await?;
        if head < self.range.to {
            return Ok(Looked::NodeBehind { head });
        }
        let result = conn.send(&self.request).await?;
        let logs = self.check(&result).ok_or(Malformed::Result {
            method: "eth_getLogs",
        })?;
        Ok(Looked::Complete { logs })
    }
}

/// Read where there is no escrow: it exists everywhere and is no contract, so that every call to it succeeds.
pub(super) const ZERO_ADDRESS: &str = "0x0000000000000000000000000000000000000000";

/// A read as a relayer makes them: state, balances, fees.
///
/// # Errors
/// When the parameters can't be written as JSON, which doesn't happen.
pub(super) fn read(
    address: &str,
    view_call: Option<&str>,
    rng: &mut fastrand::Rng,
) -> Result<RpcCall, serde_json::Error> {
    match rng.u8(..10) {
        0..4 => {
            let call = match view_call {
                Some(data) => json!({"to": address, "data": data}),
                None => json!({"to": ZERO_ADDRESS, "data": "0x"}),
            };
            RpcCall::of("eth_call", &json!([call, "latest"]))
        }
        4..7 => RpcCall::of("eth_getBalance", &[address, "latest"]),
        7 => RpcCall::of("eth_getTransactionCount", &[address, "latest"]),
        8 => RpcCall::of("eth_getBlockByNumber", &json!(["latest", false])),
        _ => RpcCall::of("eth_gasPrice", &[(); 0]),
    }
}

/// A transaction that only a devnet takes: a type, and random bytes.
///
/// # Errors
/// When the parameters can't be written as JSON, which doesn't happen.
pub(super) fn transaction(rng: &mut fastrand::Rng) -> Result<RpcCall, serde_json::Error> {
    RpcCall::of("eth_sendRawTransaction", &[format!("0x02{:032x}", rng.u128(..))])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESCROW: &str = "0x00000000000000000000000000000000000000aa";

    fn found(logs: &serde_json::Value, topics: &[&str]) -> Option<usize> {
        let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        let asked = Logs::new(BlockRange { from: 10, to: 20 }, ESCROW, &topics).unwrap();
        asked.check(&RawValue::from_string(logs.to_string()).unwrap())
    }

    #[test]
    fn only_what_was_asked_for_counts() {
        let log = |block: &str, address: &str, topic: &str| json!({"blockNumber": block, "address": address, "topics": [topic], "data": "0x"});
        assert_eq!(found(&json!([]), &[]), Some(0));
        let upper = ESCROW.to_uppercase().replacen("0X", "0x", 1);
        let good = json!([log("0xa", ESCROW, "0xAB"), log("0x14", &upper, "0xab")]);
        assert_eq!(found(&good, &["0xab"]), Some(2));
        for bad in [
            json!(null),
            json!([log("0x9", ESCROW, "0xab")]),
            json!([log("0x15", ESCROW, "0xab")]),
            json!([log("0x14", ESCROW, "0xab"), log("0xa", ESCROW, "0xab")]),
            json!([log("0xa", "0x01", "0xab")]),
            json!([log("0xa", ESCROW, "0xcd")]),
            json!([log("10", ESCROW, "0xab")]),
        ] {
            assert_eq!(found(&bad, &["0xab"]), None, "{bad}");
        }
    }

    #[test]
    fn quantities_are_strict() {
        assert_eq!(quantity("0x1f"), Some(31));
        for bad in ["", "0x", "1f", "0x+1", "0x1g", "0x10000000000000000"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }
}
