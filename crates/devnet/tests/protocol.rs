//! The protocol over real sockets: batches, notifications, refusals, CometBFT's two forms, the control endpoint.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, control, once, start};
use devnet::{Chain, ChainConfig, Faults, Node, NodeConfig};
use serde_json::json;

#[tokio::test]
async fn batches_notifications_and_errors() {
    let node = start().await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"eth_chainId"},
        {"jsonrpc":"2.0","method":"eth_blockNumber"}, 5,
        {"jsonrpc":"2.0","id":2,"method":"eth_nope"},
        {"jsonrpc":"2.0","id":3,"method":"eth_getBalance","params":["0x1"]}]"#;
    let answers = client.post(batch).await.unwrap().json();
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "a", "result": "0x1"}));
    let codes: Vec<_> = (1..4)
        .map(|place| answers[place]["error"]["code"].clone())
        .collect();
    assert_eq!(codes, [json!(-32600), json!(-32601), json!(-32602)]);
    assert_eq!(answers.as_array().unwrap().len(), 4);
    let silent = client
        .post(r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#)
        .await
        .unwrap();
    assert_eq!((silent.status, silent.body.len()), (204, 0));
    let parse = client.post("{nope").await.unwrap().json();
    assert_eq!(
        (&parse["error"]["code"], &parse["id"]),
        (&json!(-32700), &json!(null))
    );
    assert_eq!(client.post("[]").await.unwrap().json()["error"]["code"], -32600);
    // A notification is carried out: the transaction it sent is known.
    client
        .post(r#"{"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x02f86c80850102030405"]}"#)
        .await
        .unwrap();
    let again = client
        .rpc("eth_sendRawTransaction", json!(["0x02f86c80850102030405"]))
        .await
        .unwrap()
        .json();
    assert_eq!(again["error"]["message"], "already known");
    assert_eq!(node.stats().requests["eth_chainId"], 2);
}

#[tokio::test]
async fn other_http_methods_and_huge_bodies_are_refused() {
    let node = start().await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    client.send("GET", "/", "").await.unwrap();
    let refused = client.receive().await.unwrap();
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    // The server may stop reading early: the answer is what counts, not that all was sent.
    let huge = "x".repeat(6 * 1024 * 1024);
    let _ = client.send("POST", "/", &huge).await;
    if let Ok(refused) = client.receive().await {
        assert_eq!(refused.status, 413);
    }
    assert_eq!(node.stats().http_requests, 0);
    assert!(once(&node, "eth_chainId").await.is_ok());
}

#[tokio::test]
async fn cometbft_answers_post_and_get() {
    let chain = Chain::new(ChainConfig::cometbft("cosmos-test", Duration::from_secs(3_600))).unwrap();
    let node = Node::start(Arc::new(chain), NodeConfig::default()).await.unwrap();
    let mut client = Client::connect(node.addr()).await.unwrap();
    let posted = client.rpc("status", json!({})).await.unwrap().json();
    client.send("GET", "/status", "").await.unwrap();
    let got = client.receive().await.unwrap().json();
    assert_eq!((&got["id"], &got["result"]), (&json!(-1), &posted["result"]));
    assert_eq!(got["result"]["sync_info"]["latest_block_height"], "1000");
    for (path, status) in [
        ("/health", 200),
        ("/block?height=5", 200),
        ("/block_results?height=5", 200),
        ("/tx_search?query=%22tx.height%3D5%22", 200),
        ("/broadcast_tx_sync?tx=0x0102", 200),
        ("/broadcast_tx_sync?tx=0x0102", 500),
        ("/block?height=5000", 500),
        ("/block?height=%zz", 400),
        ("/nope", 404),
    ] {
        client.send("GET", path, "").await.unwrap();
        let seen = client.receive().await.unwrap();
        assert_eq!(seen.status, status, "{path}: {:?}", seen.json());
    }
    node.set_faults(Faults {
        syncing: true,
        chain_id: Some("else-1".into()),
        ..Faults::default()
    })
    .unwrap();
    let bent = client.rpc("status", json!([])).await.unwrap().json();
    assert_eq!(bent["result"]["sync_info"]["catching_up"], true);
    assert_eq!(bent["result"]["node_info"]["network"], "else-1");
}

#[tokio::test]
async fn nodes_of_one_chain_share_blocks_and_transactions() {
    let chain = common::evm_chain();
    let one = Node::start(chain.clone(), NodeConfig::default()).await.unwrap();
    let two = Node::start(chain, NodeConfig::default()).await.unwrap();
    let ask = async |node: &Node, method: &str, params| {
        Client::connect(node.addr())
            .await
            .unwrap()
            .rpc(method, params)
            .await
            .unwrap()
            .json()
    };
    let block = json!(["0x64", true]);
    assert_eq!(
        ask(&one, "eth_getBlockByNumber", block.clone()).await,
        ask(&two, "eth_getBlockByNumber", block).await
    );
    let raw = json!(["0xf86c808504a817c800825208"]);
    assert!(ask(&one, "eth_sendRawTransaction", raw.clone()).await["result"].is_string());
    assert_eq!(
        ask(&two, "eth_sendRawTransaction", raw).await["error"]["code"],
        -32000
    );
}

#[tokio::test]
async fn the_control_endpoint_reads_sets_merges_and_clears() {
    let node = start().await;
    let set = control(
        &node,
        "PUT",
        "/faults",
        r#"{"lag_blocks": 5, "hang": {"probability": 0.5}}"#,
    )
    .await;
    assert_eq!((set.status, node.faults().lag_blocks), (200, 5));
    let patched = control(
        &node,
        "PATCH",
        "/faults",
        r#"{"hang": null, "syncing": true, "lag_blocks": null}"#,
    )
    .await;
    assert_eq!(patched.status, 200);
    assert_eq!(
        node.faults(),
        Faults {
            syncing: true,
            ..Faults::default()
        }
    );
    assert_eq!(
        control(&node, "GET", "/faults", "").await.json(),
        json!(node.faults())
    );
    for (method, body, expected) in [
        ("PUT", r#"{"hangs": {}}"#, "unknown field `hangs`"),
        ("PATCH", r#"{"hangs": null}"#, "unknown field `hangs`"),
        (
            "PATCH",
            r#"{"reset": {"probability": 3}}"#,
            "reset.probability is 3",
        ),
        ("PUT", r#"{"chain_id": "x"}"#, "decimal number"),
        ("PUT", "{", "EOF"),
        ("PATCH", "[]", "expected a map"),
    ] {
        let refused = control(&node, method, "/faults", body).await;
        assert_eq!(refused.status, 400, "{body}");
        let message = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "{body}: {message}");
        assert!(node.faults().syncing, "{body} changed something");
    }
    assert_eq!(control(&node, "DELETE", "/faults", "").await.status, 200);
    assert_eq!(node.faults(), Faults::default());
    assert_eq!(control(&node, "GET", "/nope", "").await.status, 404);
    let refused = control(&node, "POST", "/faults", "").await;
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, PUT, PATCH, DELETE"))
    );
}

#[tokio::test]
async fn the_control_endpoint_counts_stops_and_starts() {
    let node = start().await;
    once(&node, "eth_chainId").await.unwrap();
    let stats = control(&node, "GET", "/stats", "").await.json();
    assert_eq!(
        (&stats["requests"]["eth_chainId"], &stats["seed"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(
        (&stats["connections_opened"], &stats["listening"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(control(&node, "POST", "/stop", "").await.status, 200);
    assert!(once(&node, "eth_chainId").await.is_err());
    assert_eq!(
        control(&node, "GET", "/stats", "").await.json()["listening"],
        false
    );
    assert_eq!(control(&node, "POST", "/start", "").await.status, 200);
    assert!(once(&node, "eth_chainId").await.is_ok());
}
