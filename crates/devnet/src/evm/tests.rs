use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::chain::{Chain, ChainConfig};
use crate::digest::data;
use crate::escrow::{escrow_address, order_created_topic, secret_revealed_topic};
use crate::faults::Faults;

fn chain() -> Chain {
    Chain::new(ChainConfig::evm(137, Duration::from_secs(2))).unwrap()
}

fn ask_with(chain: &Chain, faults: &Faults, method: &str, params: Value) -> Outcome {
    let call = Call {
        id: Some(json!(1)),
        method: method.into(),
        params,
    };
    answer(&View::new(chain, faults, None, Instant::now()), &call)
}

fn ask(chain: &Chain, method: &str, params: Value) -> Outcome {
    ask_with(chain, &Faults::default(), method, params)
}

#[tokio::test(start_paused = true)]
async fn identity_head_and_sync_state_follow_the_faults() {
    let chain = chain();
    assert_eq!(ask(&chain, "eth_chainId", json!([])), Ok(json!("0x89")));
    assert_eq!(ask(&chain, "net_version", json!([])), Ok(json!("137")));
    assert_eq!(ask(&chain, "eth_blockNumber", json!([])), Ok(json!("0x3e8")));
    assert_eq!(ask(&chain, "eth_syncing", json!([])), Ok(json!(false)));
    let bent = Faults {
        chain_id: Some("5".into()),
        syncing: true,
        lie_high_blocks: 8,
        ..Faults::default()
    };
    let ask = |method, params| ask_with(&chain, &bent, method, params);
    assert_eq!(ask("eth_chainId", json!([])), Ok(json!("0x5")));
    assert_eq!(ask("eth_blockNumber", json!([])), Ok(json!("0x3f0")));
    assert_eq!(ask("eth_syncing", json!([])).unwrap()["currentBlock"], "0x3f0");
    // The lie is found out: the block isn't there.
    assert_eq!(
        ask("eth_getBlockByNumber", json!(["0x3f0", false])),
        Ok(Value::Null)
    );
    assert_eq!(
        ask("eth_getBlockByNumber", json!(["latest", false])).unwrap()["number"],
        "0x3e8"
    );
}

#[tokio::test(start_paused = true)]
async fn blocks_link_by_number_hash_and_tag() {
    let chain = chain();
    let block = |tag: &str| ask(&chain, "eth_getBlockByNumber", json!([tag, false])).unwrap();
    assert_eq!(block("0x65")["parentHash"], block("0x64")["hash"]);
    assert_eq!(block("finalized")["number"], quantity(988));
    assert_eq!(block("safe")["number"], quantity(994));
    assert_eq!(block("earliest")["number"], "0x0");
    assert_eq!(block("0x3e9"), Value::Null);
    let by_hash = ask(
        &chain,
        "eth_getBlockByHash",
        json!([block("0x64")["hash"], false]),
    )
    .unwrap();
    assert_eq!(by_hash, block("0x64"));
    assert_eq!(block("0x64")["logsBloom"].as_str().unwrap().len(), 2 + 512);
    assert_eq!(block("0x1")["timestamp"], quantity(1_767_225_602));
    let full = ask(&chain, "eth_getBlockByNumber", json!(["0x64", true])).unwrap();
    let hashes: Vec<&Value> = full["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tx| &tx["hash"])
        .collect();
    assert_eq!(json!(hashes), block("0x64")["transactions"]);
    for tag in [json!("0x064"), json!("new"), json!(5), json!("5"), json!("0x+5")] {
        let error = ask(&chain, "eth_getBlockByNumber", json!([tag, false])).unwrap_err();
        assert_eq!(error.code, crate::rpc::INVALID_PARAMS, "{tag}");
    }
}

fn logs(chain: &Chain, filter: Value) -> Vec<Value> {
    ask(chain, "eth_getLogs", Value::Array(vec![filter]))
        .unwrap()
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test(start_paused = true)]
async fn logs_are_filtered_by_range_address_and_topics() {
    let chain = chain();
    let all = logs(&chain, json!({"fromBlock": "0x64", "toBlock": "0x77"}));
    assert!(all.len() > 10);
    let by_block: usize = (100..120)
        .map(|height| {
            logs(
                &chain,
                json!({"fromBlock": quantity(height), "toBlock": quantity(height)}),
            )
            .len()
        })
        .sum();
    assert_eq!(all.len(), by_block);
    let with = |key: &str, value: Value| {
        let mut filter = json!({"fromBlock": "0x64", "toBlock": "0x77"});
        filter[key] = value;
        logs(&chain, filter)
    };
    assert_eq!(with("address", json!(data(&escrow_address()))), all);
    assert_eq!(
        with("address", json!(["0x0000000000000000000000000000000000000001"])),
        [] as [Value; 0]
    );
    let created = with("topics", json!([data(&order_created_topic())]));
    let revealed = with("topics", json!([[data(&secret_revealed_topic())]]));
    assert_eq!(created.len() + revealed.len(), all.len());
    assert!(!created.is_empty() && !revealed.is_empty());
    let order = &revealed[0]["topics"][1];
    assert_eq!(
        with("topics", json!([null, order]))
            .iter()
            .filter(|log| **log == revealed[0])
            .count(),
        1
    );
    // Three positions can't match a log of two topics.
    assert_eq!(
        with("topics", json!([null, order, null]))
            .iter()
            .filter(|log| **log == revealed[0])
            .count(),
        0
    );
    let hash = &all[0]["blockHash"];
    assert_eq!(logs(&chain, json!({"blockHash": hash}))[0], all[0]);
}

#[tokio::test(start_paused = true)]
async fn log_ranges_are_limited_and_end_at_the_tip() {
    let mut config = ChainConfig::evm(1, Duration::from_secs(2));
    config.max_log_range = 100;
    let chain = Chain::new(config).unwrap();
    let ask = |from: u64, to: u64| {
        ask(
            &chain,
            "eth_getLogs",
            json!([{"fromBlock": quantity(from), "toBlock": quantity(to)}]),
        )
    };
    assert!(ask(1, 100).is_ok());
    let error = ask(1, 101).unwrap_err();
    assert_eq!(error.code, -32005);
    assert!(
        error.message.contains("limited to 100 blocks"),
        "{}",
        error.message
    );
    assert_eq!(ask(5, 4).unwrap_err().message, "invalid block range params");
    assert_eq!(ask(1_001, 1_050), Ok(json!([])));
    assert_eq!(ask(990, 1_050), ask(990, 1_000));
}

#[tokio::test(start_paused = true)]
async fn the_bloom_of_a_block_holds_its_logs() {
    let chain = chain();
    let height = (100..)
        .find(|height| crate::escrow::count_of(&chain, *height) > 0)
        .unwrap();
    let block = ask(&chain, "eth_getBlockByNumber", json!([quantity(height), false])).unwrap();
    let bloom = crate::digest::parse_hex(&block["logsBloom"].as_str().unwrap()[2..]).unwrap();
    let hash = keccak(&[&escrow_address()]);
    for pair in hash[..6].chunks(2) {
        let bit = usize::from(u16::from_be_bytes([pair[0], pair[1]]) % 2048);
        assert_ne!(bloom[255 - bit / 8] & (1 << (bit % 8)), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_taken_once_and_included_in_the_next_block() {
    let chain = chain();
    let send = || {
        ask(
            &chain,
            "eth_sendRawTransaction",
            json!(["0xf86c808504a817c800825208"]),
        )
    };
    let hash = send().unwrap();
    assert_eq!(
        hash,
        json!(data(&keccak(&[&crate::digest::parse_hex(
            "f86c808504a817c800825208"
        )
        .unwrap()])))
    );
    let again = send().unwrap_err();
    assert_eq!((again.code, again.message.as_str()), (-32000, "already known"));
    assert_eq!(
        ask(&chain, "eth_getTransactionReceipt", json!([hash])),
        Ok(Value::Null)
    );
    assert_eq!(
        ask(&chain, "eth_getTransactionByHash", json!([hash])).unwrap()["blockNumber"],
        Value::Null
    );
    let account = json!("0x0000000000000000000000000000000000000001");
    let nonce = |tag: &str| ask(&chain, "eth_getTransactionCount", json!([account, tag])).unwrap();
    assert_eq!((nonce("latest"), nonce("pending")), (json!("0x0"), json!("0x1")));
    tokio::time::advance(Duration::from_secs(2)).await;
    let receipt = ask(&chain, "eth_getTransactionReceipt", json!([hash])).unwrap();
    assert_eq!(
        (&receipt["blockNumber"], &receipt["status"]),
        (&json!("0x3e9"), &json!("0x1"))
    );
    assert_eq!(nonce("latest"), json!("0x1"));
    let block = ask(&chain, "eth_getBlockByNumber", json!(["latest", false])).unwrap();
    assert!(block["transactions"].as_array().unwrap().contains(&hash));
    assert_eq!(receipt["blockHash"], block["hash"]);
}

#[tokio::test(start_paused = true)]
async fn receipts_of_escrow_transactions_hold_their_logs() {
    let chain = chain();
    for log in logs(&chain, json!({"fromBlock": "0x64", "toBlock": "0x6a"})) {
        let receipt = ask(
            &chain,
            "eth_getTransactionReceipt",
            json!([log["transactionHash"]]),
        )
        .unwrap();
        assert_eq!(receipt["logs"], json!([log]));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_answer_revert_and_refuse_blocks_ahead() {
    let chain = chain();
    let call = |signature: &str, block: &str| {
        let input = data(&keccak(&[signature.as_bytes()])[..4]);
        ask(
            &chain,
            "eth_call",
            json!([{"to": data(&escrow_address()), "input": input}, block]),
        )
    };
    assert_eq!(call("version()", "latest"), Ok(json!(format!("0x{:064x}", 1))));
    assert_eq!(
        call("blockNumber()", "0x64"),
        Ok(json!(format!("0x{:064x}", 100)))
    );
    let revert = call("steal()", "latest").unwrap_err();
    assert_eq!(
        (revert.code, revert.message.as_str()),
        (3, "execution reverted: unknown selector")
    );
    let reason = revert.data.unwrap();
    assert!(
        reason.as_str().unwrap().starts_with("0x08c379a0") && reason.as_str().unwrap().len() == 2 + 8 + 192
    );
    assert_eq!(
        call("version()", "0x3e9").unwrap_err().message,
        "header not found"
    );
    assert!(ask(&chain, "eth_call", json!([])).is_err());
    let balance = |params| ask(&chain, "eth_getBalance", params);
    assert!(balance(json!([data(&escrow_address()), "latest"])).is_ok());
    assert_eq!(
        balance(json!(["0x12", "latest"])).unwrap_err().code,
        crate::rpc::INVALID_PARAMS
    );
}

#[tokio::test(start_paused = true)]
async fn fees_and_unknown_methods() {
    let chain = chain();
    let history = ask(&chain, "eth_feeHistory", json!(["0x4", "latest", [50]])).unwrap();
    assert_eq!(history["oldestBlock"], quantity(997));
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 5);
    assert_eq!(history["reward"].as_array().unwrap().len(), 4);
    assert_eq!(
        ask(&chain, "eth_bogus", json!([])).unwrap_err().code,
        crate::rpc::METHOD_NOT_FOUND
    );
    assert_eq!(
        ask(&chain, "eth_chainId", json!({})).unwrap_err().code,
        crate::rpc::INVALID_PARAMS
    );
}
