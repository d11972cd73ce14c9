//! `status`: who the node is and how far it is.

use serde_json::{Value, json};

use super::{base64, rfc3339};
use crate::digest::upper_hex;
use crate::view::View;

pub(super) fn status(view: &View<'_>) -> Value {
    let chain = view.chain;
    let derived = |purpose, height| upper_hex(&chain.derive(purpose, height, 0));
    let key = chain.derive("validator key", 0, 0);
    let address = &derived("validator", 0)[..40];
    json!({
        "node_info": {
            "protocol_version": { "p2p": "8", "block": "11", "app": "0" },
            "id": derived("node", 0)[..40].to_lowercase(),
            "listen_addr": "tcp://0.0.0.0:26656",
            "network": view.chain_id,
            "version": "0.38.17",
            "channels": "40202122233038606100",
            "moniker": "devnet",
            "other": { "tx_index": "on", "rpc_address": "tcp://127.0.0.1:26657" },
        },
        "sync_info": {
            "latest_block_hash": upper_hex(&chain.block_hash(view.claimed)),
            "latest_app_hash": derived("app hash", view.claimed),
            "latest_block_height": view.claimed.to_string(),
            "latest_block_time": rfc3339(chain.time_of(view.claimed)),
            "earliest_block_hash": upper_hex(&chain.block_hash(1)),
            "earliest_app_hash": derived("app hash", 1),
            "earliest_block_height": "1",
            "earliest_block_time": rfc3339(chain.time_of(1)),
            "catching_up": view.syncing,
        },
        "validator_info": {
            "address": address,
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": base64(&key) },
            "voting_power": "0",
        },
    })
}
