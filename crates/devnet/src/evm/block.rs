//! Blocks and their headers.

use serde_json::{Value, json};

use super::params::{Params, block as block_number};
use super::transaction::{self, Transaction};
use crate::chain::Chain;
use crate::digest::{data, quantity};
use crate::rpc::{ErrorObject, Outcome};
use crate::view::View;

const GAS_LIMIT: u64 = 30_000_000;

/// The Keccak-256 of an empty RLP list: the uncles of every block since the merge.
const EMPTY_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";

pub(super) fn by_number(view: &View<'_>, params: Params<'_>) -> Outcome {
    let number = params
        .get(0)
        .ok_or_else(|| ErrorObject::invalid_params("missing value for required argument 0"))?;
    let height = block_number(view, number)?;
    render(view, height, params.flag(1)?)
}

pub(super) fn by_hash(view: &View<'_>, params: Params<'_>) -> Outcome {
    let full = params.flag(1)?;
    match view.chain.height_of(&params.hash(0)?) {
        Some(height) => render(view, height, full),
        None => Ok(Value::Null),
    }
}

pub(super) fn transaction_count(view: &View<'_>, params: Params<'_>) -> Outcome {
    let number = params
        .get(0)
        .ok_or_else(|| ErrorObject::invalid_params("missing value for required argument 0"))?;
    let height = block_number(view, number)?;
    if height > view.tip {
        return Ok(Value::Null);
    }
    Ok(json!(quantity(
        transaction::of_block(view.chain, height).len() as u64
    )))
}

/// The base fee of a block, in wei: 10 to 20 gwei.
pub(super) fn base_fee(chain: &Chain, height: u64) -> u64 {
    let draw = chain.derive("base fee", height, 0);
    10_000_000_000 + u64::from(u32::from_be_bytes([draw[0], draw[1], draw[2], draw[3]])) * 2
}

/// The share of the gas limit that a block's transactions used.
pub(super) fn gas_used_ratio(chain: &Chain, height: u64) -> f64 {
    gas_used(&transaction::of_block(chain, height)) as f64 / GAS_LIMIT as f64
}

fn gas_used(transactions: &[Transaction]) -> u64 {
    transactions.iter().map(Transaction::gas_used).sum()
}

fn render(view: &View<'_>, height: u64, full: bool) -> Outcome {
    if height > view.tip {
        return Ok(Value::Null);
    }
    let chain = view.chain;
    let transactions = transaction::of_block(chain, height);
    let bodies: Vec<Value> = if full {
        transactions
            .iter()
            .map(|transaction| transaction.render(view))
            .collect()
    } else {
        transactions
            .iter()
            .map(|transaction| json!(data(&transaction.hash)))
            .collect()
    };
    let parent = height
        .checked_sub(1)
        .map_or([0; 32], |parent| chain.block_hash(parent));
    let derived = |purpose| data(&chain.derive(purpose, height, 0));
    Ok(json!({
        "number": quantity(height),
        "hash": data(&chain.block_hash(height)),
        "parentHash": data(&parent),
        "nonce": "0x0000000000000000",
        "sha3Uncles": EMPTY_UNCLES,
        "logsBloom": data(&transaction::bloom_of(&transactions)),
        "transactionsRoot": derived("transactions root"),
        "stateRoot": derived("state root"),
        "receiptsRoot": derived("receipts root"),
        "miner": data(&chain.derive("miner", height, 0)[..20]),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": data(b"devnet"),
        "mixHash": derived("randao"),
        "size": quantity(600 + 200 * transactions.len() as u64),
        "gasLimit": quantity(GAS_LIMIT),
        "gasUsed": quantity(gas_used(&transactions)),
        "baseFeePerGas": quantity(base_fee(chain, height)),
        "timestamp": quantity(chain.time_of(height).as_secs()),
        "transactions": bodies,
        "uncles": [],
    }))
}
