//! The EVM dialect: Ethereum's `eth_*` methods.

mod block;
mod logs;
mod params;
mod state;
mod transaction;

use serde_json::{Value, json};

use crate::digest::{keccak, quantity};
use crate::rpc::{Call, ErrorObject, Outcome};
use crate::view::View;
use params::Params;

/// Refused by the node itself, in the code range geth uses for anything without a code of its own.
const SERVER_ERROR: i64 = -32000;

/// Answers one call as a node with this sight of the chain.
pub(crate) fn answer(view: &View<'_>, call: &Call) -> Outcome {
    let Value::Array(positions) = &call.params else {
        return Err(ErrorObject::invalid_params("non-array args"));
    };
    let params = Params::new(positions);
    match call.method.as_str() {
        "eth_chainId" => chain_number(view).map(|id| json!(quantity(id))),
        "net_version" => Ok(json!(view.chain_id)),
        "net_listening" => Ok(json!(true)),
        "net_peerCount" => Ok(json!(quantity(25))),
        "web3_clientVersion" => Ok(json!(concat!("devnet/v", env!("CARGO_PKG_VERSION")))),
        "web3_sha3" => params
            .data(0)
            .map(|bytes| json!(crate::digest::data(&keccak(&[&bytes])))),
        "eth_blockNumber" => Ok(json!(quantity(view.claimed))),
        "eth_syncing" => Ok(syncing(view)),
        "eth_getBlockByNumber" => block::by_number(view, params),
        "eth_getBlockByHash" => block::by_hash(view, params),
        "eth_getBlockTransactionCountByNumber" => block::transaction_count(view, params),
        "eth_getLogs" => logs::get(view, params),
        "eth_call" => state::call(view, params),
        "eth_estimateGas" => state::estimate_gas(view, params),
        "eth_getBalance" => state::balance(view, params),
        "eth_getCode" => state::code(view, params),
        "eth_getTransactionCount" => state::transaction_count(view, params),
        "eth_gasPrice" => Ok(json!(quantity(
            block::base_fee(view.chain, view.tip) + state::TIP
        ))),
        "eth_maxPriorityFeePerGas" => Ok(json!(quantity(state::TIP))),
        "eth_feeHistory" => state::fee_history(view, params),
        "eth_sendRawTransaction" => transaction::send_raw(view, params),
        "eth_getTransactionByHash" => transaction::by_hash(view, params),
        "eth_getTransactionReceipt" => transaction::receipt(view, params),
        other => Err(ErrorObject::method_not_found(other)),
    }
}

fn chain_number(view: &View<'_>) -> Result<u64, ErrorObject> {
    // The configuration and every fault were checked: an id that is no number can't get here.
    view.chain_id
        .parse()
        .map_err(|_| ErrorObject::new(SERVER_ERROR, "chain id is not a number"))
}

fn syncing(view: &View<'_>) -> Value {
    if !view.syncing {
        return json!(false);
    }
    json!({
        "startingBlock": quantity(view.claimed.saturating_sub(100)),
        "currentBlock": quantity(view.claimed),
        "highestBlock": quantity(view.highest()),
    })
}

#[cfg(test)]
mod tests;
