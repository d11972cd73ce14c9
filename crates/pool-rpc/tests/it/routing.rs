//! Methods go to endpoints that offer them.

use pool_core::{AcquireError, ErrorType, NotUsable, RunError};
use pool_rpc::{Class, MethodRules, RpcBatch, RpcCall, RpcRequest};
use serde_json::json;

use crate::many::{RpcPool, Setting, calls, errors, evm_nodes, pool_of, says};

const LOGS: &str = "eth_getLogs";

fn logs() -> RpcCall {
    RpcCall::of(LOGS, &json!([{"fromBlock": "0x1", "toBlock": "0x2"}])).unwrap()
}

fn head() -> RpcCall {
    RpcCall::of("eth_blockNumber", &json!([])).unwrap()
}

async fn run(pool: &RpcPool, call: &RpcCall) -> Result<(), RunError<pool_rpc::RpcError>> {
    pool.run(call, &call.pool_request()).await.map(drop)
}

fn denying(patterns: &[&str]) -> MethodRules {
    MethodRules::new().deny(patterns).unwrap()
}

#[tokio::test]
async fn what_an_endpoint_is_not_to_be_asked_is_asked_of_others() {
    let [a, b] = &evm_nodes::<2>().await;
    let setting = Setting {
        rules: vec![denying(&["logs"])],
        ..Setting::default()
    };
    let pool = pool_of(&[a, b], 2, setting).await;
    for _ in 0..20 {
        run(&pool, &logs()).await.unwrap();
        run(&pool, &head()).await.unwrap();
    }
    assert_eq!((calls(a, LOGS), calls(b, LOGS)), (0, 20));
    let batch = RpcBatch::new(vec![
        RpcRequest::raw("eth_chainId", None),
        logs().request().clone(),
    ]);
    for _ in 0..10 {
        pool.run(&batch, &batch.pool_request()).await.unwrap();
    }
    assert_eq!(
        (calls(a, LOGS), calls(b, LOGS)),
        (0, 30),
        "a batch needs all of its methods"
    );
}

#[tokio::test]
async fn what_nobody_may_be_asked_is_refused_at_once() {
    let [a] = &evm_nodes::<1>().await;
    let setting = Setting {
        rules: vec![denying(&["eth_getL*"])],
        ..Setting::default()
    };
    let pool = pool_of(&[a], 1, setting).await;
    let Err(RunError::Acquire(AcquireError::NoHealthyEndpoint { reasons, .. })) = run(&pool, &logs()).await
    else {
        panic!("it was sent");
    };
    assert_eq!(reasons.0[0].reason, NotUsable::Lacks { wait: None });
    run(&pool, &head()).await.unwrap();
}

#[tokio::test]
async fn a_method_that_a_node_lacks_is_never_sent_there_twice() {
    let [a, b] = &evm_nodes::<2>().await;
    says(
        a,
        [LOGS],
        -32601,
        "the method eth_getLogs does not exist/is not available",
    );
    let pool = pool_of(&[a, b], 2, Setting::default()).await;
    for _ in 0..50 {
        run(&pool, &logs()).await.unwrap();
    }
    assert_eq!(calls(a, LOGS), 1);
    let lacking = &pool.snapshot().endpoints[0];
    assert_eq!(errors(&pool, 0, ErrorType::Unsupported), 1);
    assert_eq!(lacking.breaker_opened, 0);
    // and what it offers it is asked for as before
    let before = calls(a, "eth_blockNumber");
    for _ in 0..20 {
        run(&pool, &head()).await.unwrap();
    }
    assert!(
        calls(a, "eth_blockNumber") > before + 3,
        "not held against its latency"
    );
}

#[tokio::test]
async fn what_no_node_offers_says_so_each_time() {
    let [a, b] = &evm_nodes::<2>().await;
    let pool = pool_of(&[a, b], 2, Setting::default()).await;
    let unknown = RpcCall::of("eth_noSuchMethod", &json!([])).unwrap();
    for _ in 0..4 {
        let Err(RunError::Failed { source, .. }) = run(&pool, &unknown).await else {
            panic!("a node's own words are worth more");
        };
        assert_eq!(source.class(), Some(Class::Unsupported));
    }
}
