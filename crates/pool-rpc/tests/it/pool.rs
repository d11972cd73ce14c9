//! Endpoints in a pool: what the pool makes of their errors, and that nothing leaks through it.

use std::time::Duration;

use devnet::{Faults, HttpBody, Node, TooManyRequests, When};
use pool_core::{EndpointConfig, EndpointId, ErrorType, Pool, PoolId};
use pool_rpc::{JsonRpcEndpoint, RpcBatch, RpcCall, RpcRequest, Timeouts};

use crate::support::{CHAIN_ID, config, evm_node, impatient, until};

const KEY: &str = "SECRETKEY";

/// A pool over these nodes, named `n0`, `n1`... Their URLs carry the marked secret.
fn pool(nodes: &[&Node]) -> Pool<JsonRpcEndpoint> {
    pool_with(nodes, impatient())
}

fn pool_with(nodes: &[&Node], timeouts: Timeouts) -> Pool<JsonRpcEndpoint> {
    // tests count on each node's having its turn; the default draws among equals
    let balancer = std::sync::Arc::new(pool_core::RoundRobin::new());
    let mut builder = Pool::builder(PoolId::new("test").unwrap()).balancer(balancer);
    for (index, node) in nodes.iter().enumerate() {
        let url = format!("http://{KEY}:{KEY}@{}/{KEY}?key={KEY}", node.addr());
        let endpoint = JsonRpcEndpoint::new(&config(&url).timeouts(timeouts)).unwrap();
        builder = builder.endpoint(
            EndpointId::new(format!("n{index}")).unwrap(),
            endpoint,
            EndpointConfig::default(),
        );
    }
    builder.build().unwrap()
}

fn read() -> RpcCall {
    RpcCall::new(RpcRequest::raw("eth_blockNumber", None))
}

fn errors(pool: &Pool<JsonRpcEndpoint>, class: ErrorType) -> u64 {
    pool.snapshot()
        .endpoints
        .iter()
        .map(|endpoint| endpoint.errors[class.index()])
        .sum()
}

async fn healthy(pool: &Pool<JsonRpcEndpoint>, count: usize) {
    until("all endpoints are healthy", || {
        let endpoints = pool.explain();
        endpoints.iter().filter(|endpoint| endpoint.is_usable()).count() == count
    })
    .await;
}

/// Only reads of the head: the health checks must not notice.
fn heads() -> When {
    When::methods(["eth_getBalance"])
}

#[tokio::test]
async fn a_read_that_a_node_fails_is_answered_by_another() {
    let (bad, good) = (evm_node().await, evm_node().await);
    let balance = RpcCall::of(
        "eth_getBalance",
        &["0x0000000000000000000000000000000000000001", "latest"],
    )
    .unwrap();
    for (class, faults) in [
        (
            ErrorType::Transport,
            Faults {
                reset: Some(heads()),
                ..Faults::default()
            },
        ),
        (
            ErrorType::Timeout,
            Faults {
                hang: Some(heads()),
                ..Faults::default()
            },
        ),
        (
            ErrorType::Malformed,
            Faults {
                wrong_id: Some(heads()),
                ..Faults::default()
            },
        ),
        (
            ErrorType::RateLimited,
            Faults {
                too_many_requests: Some(TooManyRequests {
                    retry_after_s: Some(60),
                    body: HttpBody::RpcError,
                    when: heads(),
                }),
                ..Faults::default()
            },
        ),
    ] {
        bad.set_faults(Faults::default()).unwrap();
        let pool = pool(&[&bad, &good]);
        healthy(&pool, 2).await;
        bad.set_faults(faults).unwrap();
        for round in 0..10 {
            let answer = pool.run(&balance, &balance.pool_request()).await;
            assert!(answer.is_ok(), "{class:?} {round}: {:?}", answer.err());
        }
        assert!(
            errors(&pool, class) > 0,
            "{class:?}: {:?}",
            pool.snapshot().endpoints
        );
        pool.close(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_never_used() {
    let (other, good) = (evm_node().await, evm_node().await);
    other
        .set_faults(Faults {
            chain_id: Some("5".to_owned()),
            ..Faults::default()
        })
        .unwrap();
    let pool = pool(&[&other, &good]);
    healthy(&pool, 1).await;
    for _ in 0..20 {
        pool.run(&read(), &read().pool_request()).await.unwrap();
    }
    assert_eq!(
        other.stats().requests.get("eth_blockNumber"),
        None,
        "chain {CHAIN_ID} only"
    );
}

#[tokio::test]
async fn connections_are_kept_and_a_node_that_closes_them_costs_no_failure() {
    let node = evm_node().await;
    // nothing hangs here: on a busy machine a time-out of 150 ms would be one of the test's own
    let pool = pool_with(&[&node], Timeouts::default());
    healthy(&pool, 1).await;
    let before = node.stats().connections_opened;
    for _ in 0..100 {
        pool.run(&read(), &read().pool_request()).await.unwrap();
    }
    assert_eq!(node.stats().connections_opened - before, 1);

    node.set_faults(Faults {
        close_after: Some(3),
        ..Faults::default()
    })
    .unwrap();
    for _ in 0..50 {
        pool.run(&read(), &read().pool_request()).await.unwrap();
    }
    let breaker = &pool.snapshot().endpoints[0];
    assert_eq!(breaker.breaker_opened, 0, "{breaker:?}");
}

#[tokio::test]
async fn a_batch_is_judged_by_its_items() {
    let (bad, good) = (evm_node().await, evm_node().await);
    let pool = pool(&[&bad, &good]);
    healthy(&pool, 2).await;
    let limited = devnet::RpcError {
        when: heads(),
        ..devnet::RpcError::new(-32005, "limit exceeded")
    };
    bad.set_faults(Faults {
        rpc_errors: vec![limited],
        ..Faults::default()
    })
    .unwrap();
    let balance = ["0x0000000000000000000000000000000000000001", "latest"];
    let batch = RpcBatch::new(vec![
        RpcRequest::raw("eth_blockNumber", None),
        RpcRequest::new("eth_getBalance", &balance).unwrap(),
        RpcRequest::new("eth_getBalance", &["no address"]).unwrap(),
    ]);
    for _ in 0..6 {
        let items = pool.run(&batch, &batch.pool_request()).await.unwrap();
        assert!(items[1].is_ok(), "{items:?}");
        assert_eq!(
            items[2].as_ref().unwrap_err().code,
            -32602,
            "the caller's fault stays an item"
        );
    }
    assert!(errors(&pool, ErrorType::RateLimited) > 0);
}

#[tokio::test]
async fn nothing_leaks_through_the_pool() {
    let node = evm_node().await;
    let pool = pool(&[&node]);
    healthy(&pool, 1).await;
    node.set_faults(Faults {
        hang: Some(When::always()),
        ..Faults::default()
    })
    .unwrap();
    let mut shown = String::new();
    let failed = pool.run(&read(), &read().pool_request()).await.unwrap_err();
    shown += &format!("{failed} {failed:?} {failed:#?}");
    node.stop().await;
    let failed = pool.run(&read(), &read().pool_request()).await.unwrap_err();
    shown += &format!(
        "{failed} {failed:?} {failed:#?} {:?} {:?}",
        pool.snapshot(),
        pool.explain()
    );
    assert!(!shown.contains("SECRET"), "{shown}");
}
