//! One transaction to several nodes.

use std::time::Duration;

use devnet::{Delay, Faults, Latency, Node};
use pool_core::{EndpointConfig, ErrorType, Pool, PoolId, Request};
use pool_rpc::{
    Broadcast, BroadcastAnswer, BroadcastError, Class, Distinct, JsonRpcEndpoint, Probe, RawTx, RpcConfig,
};
use tokio::time::Instant;

use crate::{
    many::{RpcPool, Setting, at_rest, calls, comet_nodes, errors, evm_nodes, hangs, id, pool_of, says},
    script::{Reply, Server, http},
    support::until,
};

const SEND: &str = "eth_sendRawTransaction";

/// A transaction that devnet takes, another for each number.
fn tx(number: u8) -> RawTx {
    RawTx::evm_bytes(&[
        0xcb,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x81,
        0x80 | number,
    ])
    .unwrap()
}

fn sends(nodes: &[&Node]) -> Vec<u64> {
    nodes.iter().map(|node| calls(node, SEND)).collect()
}

async fn pool(nodes: &[&Node]) -> RpcPool {
    pool_of(nodes, nodes.len(), Setting::default()).await
}

#[tokio::test]
async fn all_get_it_once_and_the_caller_sees_one_answer() {
    let [a, b, c, d] = &evm_nodes::<4>().await;
    let pool = pool(&[a, b, c, d]).await;
    let sent = Broadcast::new().send(&pool, &tx(1)).await.unwrap();
    assert_eq!(sent.hash, tx(1).hash());
    let said = sent.rest.finish().await;
    // they share a mempool: one takes it, the others know it
    let accepted = |said: &&pool_rpc::BroadcastSaid| matches!(said.answer, BroadcastAnswer::Accepted);
    let known = |said: &&pool_rpc::BroadcastSaid| matches!(said.answer, BroadcastAnswer::AlreadyKnown);
    assert_eq!(
        (
            said.iter().filter(accepted).count(),
            said.iter().filter(known).count()
        ),
        (1, 2),
        "{said:?}"
    );
    let mut each = sends(&[a, b, c, d]);
    each.sort_unstable();
    assert_eq!(each, [0, 1, 1, 1], "three endpoints by default, each once");
    let refused: u64 = (0..4)
        .map(|index| errors(&pool, index, ErrorType::TxRejected))
        .sum();
    assert_eq!(refused, 0, "already known is no error");

    // all of them know it by now
    let again = Broadcast::new().endpoints(4).send(&pool, &tx(1)).await.unwrap();
    assert!(matches!(again.answer, BroadcastAnswer::AlreadyKnown));
    assert_eq!(again.rest.finish().await.len(), 4);
}

#[tokio::test]
async fn one_knows_it_one_hangs_one_errs() {
    let [a, b, c] = &evm_nodes::<3>().await;
    hangs(b, SEND);
    says(c, [SEND], -32603, "Internal error");
    let pool = pool(&[a, b, c]).await;
    let begun = Instant::now();
    let sent = Broadcast::new().send(&pool, &tx(2)).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "not held up by the one that hangs"
    );
    assert_eq!(sent.endpoint, id(0));
    let said = sent.rest.finish().await;
    assert_eq!(said.len(), 3);
    let of = |index: usize| said.iter().find(|said| said.endpoint == Some(id(index))).unwrap();
    assert!(
        matches!(&of(1).answer, BroadcastAnswer::Failed { verdict, .. } if verdict.error_type == ErrorType::Timeout)
    );
    assert!(
        matches!(&of(2).answer, BroadcastAnswer::Failed { verdict, .. } if verdict.error_type == ErrorType::NodeInternal)
    );
    assert_eq!(sends(&[a, b, c]), [1, 1, 1]);
    at_rest(&pool).await;
}

#[tokio::test]
async fn a_node_that_fails_is_replaced_by_one_that_was_not_asked() {
    let [a, b, c] = &evm_nodes::<3>().await;
    for node in [a, b] {
        says(node, [SEND], -32603, "Internal error");
    }
    let pool = pool(&[a, b, c]).await;
    for number in 0..4 {
        let sent = Broadcast::new()
            .endpoints(1)
            .send(&pool, &tx(number))
            .await
            .unwrap();
        assert_eq!(sent.endpoint, id(2));
    }
    assert_eq!(calls(c, SEND), 4);
    assert!(
        calls(a, SEND) <= 4 && calls(b, SEND) <= 4,
        "no endpoint gets it twice"
    );
}

#[tokio::test]
async fn a_nonce_that_this_very_transaction_used_is_a_success() {
    let [a, b, _c] = &evm_nodes::<3>().await;
    let pool = pool(&[a, b]).await;
    Broadcast::new()
        .endpoints(2)
        .send(&pool, &tx(3))
        .await
        .unwrap()
        .rest
        .finish()
        .await;
    for node in [a, b] {
        says(node, [SEND], -32000, "nonce too low: next nonce 7, tx nonce 5");
    }
    let sent = Broadcast::new().send(&pool, &tx(3)).await.unwrap();
    assert!(matches!(sent.answer, BroadcastAnswer::Seen), "{:?}", sent.answer);
    assert_eq!(sent.hash, tx(3).hash());
    sent.rest.finish().await;

    // nobody has seen this one
    let refused = Broadcast::new().send(&pool, &tx(4)).await.unwrap_err();
    let BroadcastError::Refused { class, said, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (*class, said.len(), refused.maybe_sent()),
        (Class::NonceTooLow, 2, false)
    );
    assert!(
        refused
            .to_string()
            .contains("n0: JSON-RPC error -32000: nonce too low"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_refusal_counts_only_when_nobody_takes_it() {
    let [a, b, c] = &evm_nodes::<3>().await;
    // two are behind, and do not know yet of the money
    for node in [a, b] {
        says(node, [SEND], -32000, "insufficient funds for gas * price + value");
    }
    c.set_faults(Faults {
        latency: Some(Latency::new(Delay::Constant { ms: 150.0 })),
        ..Faults::default()
    })
    .unwrap();
    let pool = pool(&[a, b, c]).await;
    let sent = Broadcast::new().send(&pool, &tx(5)).await.unwrap();
    assert_eq!(sent.endpoint, id(2));
    says(c, [SEND], -32000, "insufficient funds for gas * price + value");
    let refused = Broadcast::new().send(&pool, &tx(6)).await.unwrap_err();
    assert!(
        matches!(&refused, BroadcastError::Refused { class: Class::InsufficientFunds, said, .. } if said.len() == 3)
    );
    assert_eq!(
        pool.snapshot()
            .endpoints
            .iter()
            .map(|one| one.breaker_opened)
            .sum::<u64>(),
        0
    );
}

#[tokio::test]
async fn with_nobody_there_the_error_says_so_in_time() {
    let [a, b] = &evm_nodes::<2>().await;
    let pool = pool(&[a, b]).await;
    a.stop().await;
    b.stop().await;
    let request = Request::new().timeout(Duration::from_secs(2));
    let begun = Instant::now();
    let failed = Broadcast::new()
        .request(request.clone())
        .send(&pool, &tx(7))
        .await
        .unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(
        matches!(&failed, BroadcastError::Failed { said, .. } if said.len() == 2),
        "{failed:?}"
    );
    assert!(!failed.maybe_sent(), "{failed}");
}

#[tokio::test]
async fn with_nobody_usable_it_waits_for_the_first_that_is() {
    let [a, b] = &evm_nodes::<2>().await;
    let pool = pool_of(&[a, b], 2, Setting::watchful()).await;
    a.stop().await;
    b.stop().await;
    until("both are unhealthy", || {
        pool.explain().iter().all(|one| !one.is_usable())
    })
    .await;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move {
            Broadcast::new()
                .request(Request::new().timeout(Duration::from_secs(20)))
                .send(&pool, &tx(7))
                .await
        }
    });
    b.restart().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().endpoint, id(1));
}

/// Its health and its answer to a transaction, which it names by another hash, in one.
const OTHER_HASH: &str = r#"{"jsonrpc":"2.0","id":{id},"result":{"node_info":{"network":"test-1"},"sync_info":{"latest_block_height":"5","latest_block_time":"2026-01-01T00:00:00Z","catching_up":false},"code":0,"hash":"AB"}}"#;

#[tokio::test]
async fn one_that_names_another_hash_is_not_believed() {
    let server = Server::start(Reply::Bytes(http("content-length: {length}\r\n", OTHER_HASH))).await;
    let network = "test-1".to_owned();
    let config = RpcConfig::new(server.url().parse().unwrap(), Probe::CometBft { network });
    let pool = Pool::builder(PoolId::new("odd").unwrap())
        .endpoint(
            id(0),
            JsonRpcEndpoint::new(&config).unwrap(),
            EndpointConfig::default(),
        )
        .build()
        .unwrap();
    assert!(pool.ready(Duration::from_secs(5)).await);
    let tx = RawTx::comet_bytes(b"transfer").unwrap();
    let failed = Broadcast::new().send(&pool, &tx).await.unwrap_err();
    assert!(
        failed.maybe_sent() && failed.to_string().contains("another hash"),
        "{failed}"
    );
    assert_eq!(errors(&pool, 0, ErrorType::Malformed), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_stops_what_was_not_sent_and_nothing_else() {
    let [a] = &evm_nodes::<1>().await;
    let pool = pool_of(
        &[a],
        1,
        Setting {
            slots: 1,
            ..Setting::default()
        },
    )
    .await;
    let held = pool.acquire().await.unwrap();
    let broadcast = Broadcast::new();
    let waiting = tx(8);
    let left = tokio::time::timeout(Duration::from_millis(50), broadcast.send(&pool, &waiting)).await;
    assert!(left.is_err());
    until("it has left the line", || pool.snapshot().queue_size == 0).await;
    held.succeed();
    at_rest(&pool).await;
    assert_eq!(calls(a, SEND), 0, "it was never sent");

    a.set_faults(Faults {
        latency: Some(Latency::new(Delay::Constant { ms: 200.0 })),
        ..Faults::default()
    })
    .unwrap();
    let sent = tx(9);
    let left = tokio::time::timeout(Duration::from_millis(100), broadcast.send(&pool, &sent)).await;
    assert!(left.is_err());
    at_rest(&pool).await;
    assert_eq!(calls(a, SEND), 1);
    let endpoint = &pool.snapshot().endpoints[0];
    assert_eq!(
        (endpoint.connections_destroyed, endpoint.requests),
        (0, 2),
        "the answer was awaited: {endpoint:?}"
    );
}

#[tokio::test]
async fn the_rest_goes_on_without_anybody_waiting() {
    let [a, b] = &evm_nodes::<2>().await;
    b.set_faults(Faults {
        latency: Some(Latency::new(Delay::Constant { ms: 200.0 })),
        ..Faults::default()
    })
    .unwrap();
    let pool = pool(&[a, b]).await;
    let sent = Broadcast::new().send(&pool, &tx(10)).await.unwrap();
    assert_eq!(sent.endpoint, id(0));
    drop(sent);
    at_rest(&pool).await;
    let snapshot = pool.snapshot();
    assert!(
        snapshot
            .endpoints
            .iter()
            .all(|one| (one.requests, one.connections_destroyed) == (1, 0)),
        "{snapshot:?}"
    );
}

#[tokio::test]
async fn of_one_provider_only_one_is_asked() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool(&[a, b, c]).await;
    let provider = |endpoint: &pool_core::EndpointId| match endpoint.as_str() {
        "n0" | "n1" => "first".to_owned(),
        _ => "second".to_owned(),
    };
    let broadcast = Broadcast::new().distinct(Distinct::by(provider));
    let said = broadcast.send(&pool, &tx(11)).await.unwrap().rest.finish().await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(calls(a, SEND) + calls(b, SEND), 1);
    assert_eq!(calls(c, SEND), 1);
}

#[tokio::test]
async fn the_callers_own_terms_hold() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool(&[a, b, c]).await;
    let request = Request::new().only(id(0)).only(id(1));
    let broadcast = Broadcast::new().request(request);
    let said = broadcast.send(&pool, &tx(12)).await.unwrap().rest.finish().await;
    assert_eq!((said.len(), sends(&[a, b, c])), (2, vec![1, 1, 0]), "{said:?}");
}

#[tokio::test]
async fn a_used_nonce_that_nobody_can_explain_is_in_doubt() {
    let [a] = &evm_nodes::<1>().await;
    let pool = pool(&[a]).await;
    says(a, [SEND], -32000, "nonce too low");
    says(a, ["eth_getTransactionByHash"], -32603, "Internal error");
    let refused = Broadcast::new().send(&pool, &tx(13)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            BroadcastError::Refused {
                class: Class::NonceTooLow,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.maybe_sent());
}

#[tokio::test]
async fn comet_transactions_are_named_and_known_too() {
    let [a, b] = &comet_nodes::<2>().await;
    let pool = pool_of(
        &[a, b],
        2,
        Setting {
            comet: true,
            ..Setting::default()
        },
    )
    .await;
    let tx = RawTx::comet_bytes(b"transfer").unwrap();
    let sent = Broadcast::new().send(&pool, &tx).await.unwrap();
    assert_eq!(sent.hash, tx.hash());
    let said = sent.rest.finish().await;
    assert!(
        said.iter().all(|said| said.answer.is_success()) && said.len() == 2,
        "{said:?}"
    );
    says(
        a,
        ["broadcast_tx_sync"],
        -32603,
        "account sequence mismatch, expected 7, got 5",
    );
    says(
        b,
        ["broadcast_tx_sync"],
        -32603,
        "account sequence mismatch, expected 7, got 5",
    );
    let other = RawTx::comet_bytes(b"another").unwrap();
    let refused = Broadcast::new().send(&pool, &other).await.unwrap_err();
    assert!(
        matches!(
            refused,
            BroadcastError::Refused {
                class: Class::NonceTooLow,
                ..
            }
        ),
        "{refused}"
    );
    assert!(!refused.maybe_sent(), "both said that they do not know it");
}
