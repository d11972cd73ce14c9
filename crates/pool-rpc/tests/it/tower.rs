//! The pool as a service.

use std::{future::poll_fn, time::Duration};

use devnet::{Faults, When};
use pool_core::{EndpointConfig, EndpointId, Explanation, Pool, PoolId, RunError};
use pool_rpc::{JsonRpcEndpoint, RpcBatch, RpcCall, RpcRequest, WithRequest};
use serde_json::json;
use tower_service::Service;

use crate::{
    many::{Setting, calls, evm_nodes, pool_of, says},
    support::{endpoint, evm_node, until},
};

async fn pool(url: &str) -> Pool<JsonRpcEndpoint> {
    let pool = Pool::builder(PoolId::new("test").unwrap())
        .endpoint(
            EndpointId::new("n0").unwrap(),
            endpoint(url),
            EndpointConfig::default(),
        )
        .build()
        .unwrap();
    until("the endpoint is healthy", || {
        pool.explain().iter().all(Explanation::is_usable)
    })
    .await;
    pool
}

/// As any caller of a service does it.
async fn ask<S: Service<R>, R>(service: &mut S, request: R) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

#[tokio::test]
async fn calls_and_batches_are_requests_of_a_service() {
    let node = evm_node().await;
    let mut pool = pool(&node.url()).await;
    let chain = || RpcRequest::raw("eth_chainId", None);
    assert_eq!(ask(&mut pool, chain()).await.unwrap().get(), "\"0x1f\"");
    assert_eq!(
        ask(&mut pool, RpcCall::new(chain())).await.unwrap().get(),
        "\"0x1f\""
    );
    let wrong = RpcRequest::new("eth_getBalance", &json!(["no address"])).unwrap();
    let items = ask(&mut pool, RpcBatch::new(vec![chain(), wrong])).await.unwrap();
    assert!(items[0].is_ok());
    assert_eq!(items[1].as_ref().unwrap_err().code, -32602);
}

#[tokio::test]
async fn what_a_request_needs_is_heeded_and_dropping_it_gives_all_back() {
    let node = evm_node().await;
    let mut pool = pool(&node.url()).await;
    let hang = When::methods(["eth_gasPrice"]);
    node.set_faults(Faults {
        hang: Some(hang),
        ..Faults::default()
    })
    .unwrap();
    let call = RpcCall::new(RpcRequest::raw("eth_gasPrice", None));
    let needs = call.pool_request().timeout(Duration::from_millis(50));
    let failed = ask(&mut pool, WithRequest::new(call.clone(), needs))
        .await
        .unwrap_err();
    assert!(matches!(failed, RunError::Deadline { .. }), "{failed:?}");

    let hanging = tokio::spawn(Service::call(&mut pool, call));
    until("it is under way", || {
        pool.snapshot().endpoints[0].slots_active == 1
    })
    .await;
    hanging.abort();
    until("its slot is back", || {
        pool.snapshot().endpoints[0].slots_active == 0
    })
    .await;
    assert!(ask(&mut pool, RpcRequest::raw("eth_chainId", None)).await.is_ok());
}

#[tokio::test]
async fn a_method_that_a_node_lacks_goes_there_once() {
    let [lacking, whole] = &evm_nodes::<2>().await;
    says(
        lacking,
        ["eth_gasPrice"],
        -32601,
        "the method eth_gasPrice does not exist/is not available",
    );
    let mut pool = pool_of(&[lacking, whole], 2, Setting::default()).await;
    for _ in 0..20 {
        let asked = RpcRequest::raw("eth_gasPrice", None);
        assert!(ask(&mut pool, asked.clone()).await.is_ok());
        // who adds needs of its own starts from those of the method
        let call = RpcCall::new(asked);
        let needs = call.pool_request().timeout(Duration::from_secs(5));
        assert!(ask(&mut pool, WithRequest::new(call, needs)).await.is_ok());
    }
    assert_eq!(
        (calls(lacking, "eth_gasPrice"), calls(whole, "eth_gasPrice")),
        (1, 40)
    );
}
