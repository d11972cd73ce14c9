//! Whether honest nodes must agree on a read at any moment.

use serde_json::Value;

use crate::jsonrpc::RpcRequest;

/// Methods that read the state at a block, and where the block stands among the parameters.
const AT_BLOCK: [(&str, usize); 11] = [
    ("debug_traceBlockByNumber", 0),
    ("eth_call", 1),
    ("eth_getBalance", 1),
    ("eth_getBlockByNumber", 0),
    ("eth_getBlockReceipts", 0),
    ("eth_getBlockTransactionCountByNumber", 0),
    ("eth_getCode", 1),
    ("eth_getProof", 2),
    ("eth_getStorageAt", 2),
    ("eth_getTransactionCount", 1),
    ("eth_getTransactionByBlockNumberAndIndex", 0),
];

/// Methods that read what a hash names.
const BY_HASH: [&str; 6] = [
    "block_by_hash",
    "eth_getBlockByHash",
    "eth_getBlockTransactionCountByHash",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionReceipt",
    "header_by_hash",
];

/// CometBFT's reads at a height.
const AT_HEIGHT: [&str; 7] = [
    "abci_query",
    "block",
    "block_results",
    "commit",
    "consensus_params",
    "header",
    "validators",
];

/// Whether the read names a block that does not move. With `latest` and its kin, or without a block, a node that is a
/// block ahead differs honestly. What is not known by name counts as moving.
pub(super) fn is_pinned(request: &RpcRequest) -> bool {
    let params = request
        .params()
        .map(|params| serde_json::from_str::<Value>(params.get()));
    let Some(Ok(params)) = params else {
        return false;
    };
    let method = request.method();
    if let Some((_, place)) = AT_BLOCK.iter().find(|(name, _)| *name == method) {
        return params.get(place).is_some_and(is_fixed_block);
    }
    if method == "eth_getLogs" {
        let filter = &params[0];
        let fixed = |name| filter.get(name).is_some_and(is_fixed_block);
        return filter.get("blockHash").is_some_and(Value::is_string)
            || (fixed("fromBlock") && fixed("toBlock"));
    }
    if AT_HEIGHT.contains(&method) {
        let height = params.get("height").map(|height| match height {
            Value::String(text) => text.parse().unwrap_or(0),
            number => number.as_u64().unwrap_or(0),
        });
        return height.is_some_and(|height| height > 0);
    }
    BY_HASH.contains(&method)
}

/// A number, a hash, or EIP-1898's object of one of them.
fn is_fixed_block(block: &Value) -> bool {
    match block {
        Value::String(text) => text.starts_with("0x") || text == "earliest",
        Value::Object(block) => block.contains_key("blockHash") || block.contains_key("blockNumber"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_named_block_stands_still() {
        for (method, params, pinned) in [
            ("eth_getBalance", json!(["0xaa", "0x10"]), true),
            ("eth_getBalance", json!(["0xaa", "latest"]), false),
            ("eth_getBalance", json!(["0xaa", "finalized"]), false),
            ("eth_getBalance", json!(["0xaa"]), false),
            ("eth_call", json!([{"to": "0xaa"}, {"blockHash": "0x1"}]), true),
            ("eth_call", json!([{"to": "0xaa"}]), false),
            ("eth_getBlockByNumber", json!(["earliest", false]), true),
            ("eth_getBlockByNumber", json!(["pending", false]), false),
            (
                "eth_getLogs",
                json!([{"fromBlock": "0x1", "toBlock": "0x2"}]),
                true,
            ),
            (
                "eth_getLogs",
                json!([{"fromBlock": "0x1", "toBlock": "latest"}]),
                false,
            ),
            ("eth_getLogs", json!([{"blockHash": "0x1"}]), true),
            ("eth_getTransactionReceipt", json!(["0x1"]), true),
            ("eth_getTransactionByHash", json!(["0x1"]), false),
            ("eth_blockNumber", json!([]), false),
            ("eth_gasPrice", json!([]), false),
            ("block", json!({"height": "7"}), true),
            ("block", json!({"height": 0}), false),
            ("status", json!({}), false),
            ("abci_query", json!({"path": "/x", "height": "9"}), true),
        ] {
            assert_eq!(
                is_pinned(&RpcRequest::new(method, &params).unwrap()),
                pinned,
                "{method} {params}"
            );
        }
        assert!(!is_pinned(&RpcRequest::raw("eth_getBalance", None)));
    }
}
