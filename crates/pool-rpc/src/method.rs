//! What is known about methods by their names.

/// Whether a method may be sent again when a node may already have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Sending it twice does what sending it once does: reads.
    Idempotent,
    /// Sending it twice may do more than once, or answer differently: transactions, filters. Never hedged.
    NotIdempotent,
}

/// Beginnings of the names of methods that only read.
const READ_PREFIXES: [&str; 10] = [
    "eth_get",
    "net_",
    "web3_",
    "debug_trace",
    "debug_getRaw",
    "trace_",
    "txpool_",
    "erigon_get",
    "alchemy_get",
    "ots_",
];

/// Methods that only read and share no beginning.
const READS: [&str; 40] = [
    "eth_accounts",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_callMany",
    "eth_chainId",
    "eth_coinbase",
    "eth_createAccessList",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_protocolVersion",
    "eth_simulateV1",
    "eth_syncing",
    "rpc_modules",
    // CometBFT
    "abci_info",
    "abci_query",
    "block",
    "block_by_hash",
    "block_results",
    "block_search",
    "blockchain",
    "check_tx",
    "commit",
    "consensus_params",
    "consensus_state",
    "dump_consensus_state",
    "genesis",
    "genesis_chunked",
    "header",
    "header_by_hash",
    "health",
    "net_info",
    "num_unconfirmed_txs",
    "status",
    "tx",
    "tx_search",
    "unconfirmed_txs",
    "validators",
];

/// Methods that look like reads and are not: the events that they return are returned once.
const CONSUMING: [&str; 1] = ["eth_getFilterChanges"];

/// Whether a method may be sent again when a node may already have acted on it.
///
/// A method that is not known counts as not idempotent: a read that is not repeated costs a retry, a transaction that
/// is repeated may cost money.
pub fn idempotency(method: &str) -> Idempotency {
    let begins = |prefix: &&str| method.starts_with(*prefix);
    let reads = !CONSUMING.contains(&method) && (READ_PREFIXES.iter().any(begins) || READS.contains(&method));
    if reads {
        Idempotency::Idempotent
    } else {
        Idempotency::NotIdempotent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_may_be_repeated_and_nothing_else() {
        for method in [
            "eth_call",
            "eth_getLogs",
            "eth_getBalance",
            "eth_blockNumber",
            "debug_traceCall",
            "status",
            "tx_search",
            "net_version",
            "trace_block",
        ] {
            assert_eq!(idempotency(method), Idempotency::Idempotent, "{method}");
        }
        for method in [
            "eth_sendRawTransaction",
            "eth_sendTransaction",
            "eth_sendBundle",
            "eth_sendUserOperation",
            "eth_sendRawTransactionSync",
            "broadcast_tx_sync",
            "broadcast_tx_async",
            "broadcast_tx_commit",
            "broadcast_evidence",
            "eth_newFilter",
            "eth_getFilterChanges",
            "eth_subscribe",
            "debug_setHead",
            "anvil_mine",
            "evm_increaseTime",
            "who_knows",
            "",
        ] {
            assert_eq!(idempotency(method), Idempotency::NotIdempotent, "{method}");
        }
    }
}
