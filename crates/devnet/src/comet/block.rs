//! `block` and `block_results`.

use serde_json::{Value, json};

use super::params::Params;
use super::transaction;
use super::{base64, rfc3339};
use crate::chain::Chain;
use crate::digest::upper_hex;
use crate::rpc::Outcome;
use crate::view::View;

pub(super) fn block(view: &View<'_>, params: Params<'_>) -> Outcome {
    let height = params.height(view)?;
    let chain = view.chain;
    let derived = |purpose, height| upper_hex(&chain.derive(purpose, height, 0));
    let last = height - 1;
    // The first block follows no other.
    let last_id = if last == 0 {
        empty_id()
    } else {
        block_id(chain, last)
    };
    let txs: Vec<String> = transaction::of_block(chain, height)
        .iter()
        .map(|tx| base64(&tx.raw))
        .collect();
    let proposer = &derived("validator", 0)[..40];
    let signatures = if last == 0 {
        vec![]
    } else {
        vec![json!({
            "block_id_flag": 2,
            "validator_address": proposer,
            "timestamp": rfc3339(chain.time_of(height)),
            "signature": base64(&[chain.derive("signature", last, 0), chain.derive("signature", last, 1)].concat()),
        })]
    };
    Ok(json!({
        "block_id": block_id(chain, height),
        "block": {
            "header": {
                "version": { "block": "11", "app": "0" },
                "chain_id": view.chain_id,
                "height": height.to_string(),
                "time": rfc3339(chain.time_of(height)),
                "last_block_id": last_id,
                "last_commit_hash": derived("commit", last),
                "data_hash": derived("data", height),
                "validators_hash": derived("validators", 0),
                "next_validators_hash": derived("validators", 0),
                "consensus_hash": derived("consensus", 0),
                "app_hash": derived("app hash", height),
                "last_results_hash": derived("results", last),
                "evidence_hash": derived("evidence", 0),
                "proposer_address": proposer,
            },
            "data": { "txs": txs },
            "evidence": { "evidence": [] },
            "last_commit": {
                "height": last.to_string(),
                "round": 0,
                "block_id": last_id,
                "signatures": signatures,
            },
        },
    }))
}

pub(super) fn results(view: &View<'_>, params: Params<'_>) -> Outcome {
    let height = params.height(view)?;
    let results: Vec<Value> = transaction::of_block(view.chain, height)
        .iter()
        .map(transaction::Transaction::result)
        .collect();
    Ok(json!({
        "height": height.to_string(),
        "txs_results": results,
        "finalize_block_events": [],
        "validator_updates": [],
        "consensus_param_updates": {
            "block": { "max_bytes": "22020096", "max_gas": "-1" },
            "evidence": { "max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576" },
            "validator": { "pub_key_types": ["ed25519"] },
        },
        "app_hash": base64(&view.chain.derive("app hash", height, 0)),
    }))
}

fn block_id(chain: &Chain, height: u64) -> Value {
    json!({
        "hash": upper_hex(&chain.block_hash(height)),
        "parts": { "total": 1, "hash": upper_hex(&chain.derive("parts", height, 0)) },
    })
}

fn empty_id() -> Value {
    json!({ "hash": "", "parts": { "total": 0, "hash": "" } })
}
