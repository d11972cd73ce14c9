use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::chain::{Chain, ChainConfig};
use crate::faults::Faults;

fn chain() -> Chain {
    Chain::new(ChainConfig::cometbft("test-1", Duration::from_secs(1))).unwrap()
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
async fn status_tells_height_network_and_sync_state() {
    let chain = chain();
    let status = ask(&chain, "status", json!({})).unwrap();
    assert_eq!(status["sync_info"]["latest_block_height"], "1000");
    assert_eq!(
        status["sync_info"]["latest_block_time"],
        "2026-01-01T00:16:40.000000000Z"
    );
    assert_eq!(status["sync_info"]["catching_up"], false);
    assert_eq!(status["node_info"]["network"], "test-1");
    let bent = Faults {
        chain_id: Some("other-2".into()),
        syncing: true,
        lag_blocks: 10,
        ..Faults::default()
    };
    let status = ask_with(&chain, &bent, "status", json!([])).unwrap();
    assert_eq!(status["sync_info"]["latest_block_height"], "990");
    assert_eq!(status["sync_info"]["catching_up"], true);
    assert_eq!(status["node_info"]["network"], "other-2");
}

#[tokio::test(start_paused = true)]
async fn blocks_link_and_bound() {
    let chain = chain();
    let block = |params| ask(&chain, "block", params);
    let (five, six) = (block(json!({"height": "5"})).unwrap(), block(json!([6])).unwrap());
    assert_eq!(five["block_id"], six["block"]["header"]["last_block_id"]);
    assert_eq!(block(json!({})).unwrap()["block"]["header"]["height"], "1000");
    assert_eq!(
        block(json!({"height": "1"})).unwrap()["block"]["last_commit"]["signatures"],
        json!([])
    );
    let error = block(json!({"height": 1001})).unwrap_err();
    assert_eq!(error.code, INTERNAL_ERROR);
    let message = "height 1001 must be less than or equal to the current blockchain height 1000";
    assert_eq!(error.data, Some(json!(message)));
    assert!(block(json!({"height": 0})).is_err() && block(json!({"height": "x"})).is_err());
}

#[tokio::test(start_paused = true)]
async fn results_and_search_agree_with_blocks() {
    let chain = chain();
    let mut total = 0;
    for height in 100..120 {
        let block = ask(&chain, "block", json!([height])).unwrap();
        let results = ask(&chain, "block_results", json!([height])).unwrap();
        let txs = block["block"]["data"]["txs"].as_array().unwrap();
        assert_eq!(results["txs_results"].as_array().unwrap().len(), txs.len());
        total += txs.len();
    }
    assert!(total > 10);
    let query = |query: &str| ask(&chain, "tx_search", json!({"query": query, "per_page": "100"}));
    let all = query("tx.height>=100 AND tx.height < 120").unwrap();
    assert_eq!(all["total_count"], total.to_string());
    let created = query("tx.height>=100 AND tx.height<120 AND escrow.action='order_created'").unwrap();
    let created: usize = created["total_count"].as_str().unwrap().parse().unwrap();
    assert!((1..total).contains(&created));
    let hash = all["txs"][0]["hash"].as_str().unwrap();
    assert_eq!(
        query(&format!("tx.hash='{hash}'")).unwrap()["txs"][0],
        all["txs"][0]
    );
    assert_eq!(
        ask(
            &chain,
            "tx",
            json!({"hash": base64(&crate::digest::parse_hex(hash).unwrap())})
        )
        .unwrap(),
        all["txs"][0]
    );
    for refused in [
        "tx.height",
        "tx.height>x",
        "escrow.action=order_created",
        "tx.hash='12'",
        "",
    ] {
        assert!(query(refused).is_err(), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_cover_the_results_once() {
    let chain = chain();
    let page = |page: u64, order: &str| {
        let params = json!({"query": "tx.height<40", "page": page, "per_page": 7, "order_by": order});
        ask(&chain, "tx_search", params)
    };
    let count: u64 = page(1, "asc").unwrap()["total_count"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let pages = count.div_ceil(7);
    let mut forward: Vec<Value> = (1..=pages)
        .flat_map(|at| page(at, "asc").unwrap()["txs"].as_array().unwrap().clone())
        .collect();
    assert_eq!(forward.len() as u64, count);
    forward.reverse();
    assert_eq!(page(1, "desc").unwrap()["txs"][0], forward[0]);
    assert!(page(pages + 1, "asc").is_err() && page(0, "asc").is_err() && page(1, "up").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_lands_in_the_next_block_and_only_once() {
    let chain = chain();
    let send = || ask(&chain, "broadcast_tx_sync", json!({"tx": base64(b"abc")}));
    let hash = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    assert_eq!(send().unwrap()["hash"], hash);
    assert_eq!(
        send().unwrap_err().data,
        Some(json!("tx already exists in cache"))
    );
    assert!(ask(&chain, "tx", json!({"hash": hash})).is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    let tx = ask(&chain, "tx", json!({"hash": hash})).unwrap();
    assert_eq!((&tx["height"], &tx["tx"]), (&json!("1001"), &json!("YWJj")));
    let block = ask(&chain, "block", json!([])).unwrap();
    assert!(
        block["block"]["data"]["txs"]
            .as_array()
            .unwrap()
            .contains(&json!("YWJj"))
    );
}
