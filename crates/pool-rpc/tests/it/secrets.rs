//! No error and no `Debug` shows a URL, a header or a key, whatever went wrong.

use std::error::Error as _;

use devnet::Faults;
use pool_rpc::{JsonRpcEndpoint, RpcConfig, RpcError, Secret};

use crate::{
    faults::table,
    script::{Reply, Server, http},
    support::{call, call_with, check, config, evm_node},
};

const KEY: &str = "SECRETKEY";

/// Puts the marked secret into every part of a URL that may hold one.
fn with_key(url: &str) -> String {
    let host = url.trim_start_matches("http://");
    format!("http://{KEY}-user:{KEY}-pass@{host}/{KEY}-path?key={KEY}-query")
}

fn secret_config(url: &str) -> RpcConfig {
    config(&with_key(url))
        .header("x-api-key", &Secret::new(format!("Bearer {KEY}-header")))
        .unwrap()
}

fn assert_silent(what: &str, error: &RpcError) {
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        shown += &format!("{error} {error:?}");
        source = error.source();
    }
    assert!(!shown.contains("SECRET"), "{what}: {shown}");
}

#[tokio::test]
async fn no_fault_shows_a_secret() {
    let node = evm_node().await;
    let url = with_key(&node.url());
    for (what, faults, ..) in table() {
        let (answer, conn) = call_with(&node, faults, &url).await;
        assert_silent(what, &answer.expect_err(what));
        assert!(!format!("{conn:?}").contains("SECRET"), "{what}: {conn:?}");
    }
    node.set_faults(Faults::default()).unwrap();
    let endpoint = JsonRpcEndpoint::new(&secret_config(&node.url())).unwrap();
    let conn = endpoint.dial().await.unwrap();
    check(&endpoint).await.unwrap();
    let shown = format!("{endpoint:?} {conn:?} {:?}", secret_config(&node.url()));
    assert!(!shown.contains("SECRET"), "{shown}");

    node.stop().await;
    assert_silent("refused", &endpoint.dial().await.unwrap_err());
    assert_silent("refused check", &check(&endpoint).await.unwrap_err());
}

#[tokio::test]
async fn a_node_that_repeats_the_key_is_not_quoted() {
    let said = format!("invalid api key {KEY}-path of {KEY}-user ({KEY}-pass, {KEY}-query, {KEY}-header)");
    let error = format!(r#"{{"code":-32000,"message":"{said}","data":"{said}"}}"#);
    let single = format!(r#"{{"jsonrpc":"2.0","id":{{id}},"error":{error}}}"#);
    for body in [single.clone(), format!("[{single}]"), said] {
        let server = Server::start(Reply::Bytes(http("content-length: {length}\r\n", &body))).await;
        let endpoint = JsonRpcEndpoint::new(&secret_config(&server.url())).unwrap();
        let mut conn = endpoint.dial().await.unwrap();
        let request = [pool_rpc::RpcRequest::raw("a", None)];
        if body.starts_with('[') {
            let items = conn.batch(&request).await.unwrap();
            let error = items.into_iter().next().unwrap().unwrap_err();
            assert_eq!(error.message, "invalid api key *** of *** (***, ***, ***)");
            assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
        } else {
            assert_silent(&body, &call(&mut conn).await.unwrap_err());
        }
    }
}
