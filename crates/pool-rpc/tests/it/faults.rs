//! Each fault of a node, and what is made of it.

use std::time::Duration;

use devnet::{
    Faults, Garbage, HttpBody, HttpError, RpcError as RpcFault, TooManyRequests, Truncate, TruncateStyle,
    When,
};
use pool_core::{Endpoint as _, ErrorType, Verdict};
use pool_rpc::{HttpVersion, RpcError, classify, is_duplicate_tx};

use crate::support::{call, call_with, config, connected, endpoint, evm_node, impatient, until};

fn http(status: u16, body: HttpBody) -> Faults {
    Faults {
        http_errors: vec![HttpError {
            status,
            body,
            when: When::always(),
        }],
        ..Faults::default()
    }
}

fn rpc(code: i64, message: &str) -> Faults {
    Faults {
        rpc_errors: vec![RpcFault::new(code, message)],
        ..Faults::default()
    }
}

/// Each fault that ends in an error: its class, its pause in seconds, whether the connection may be used again.
#[rustfmt::skip]
pub(crate) fn table() -> Vec<(&'static str, Faults, ErrorType, Option<u64>, bool)> {
    let always = Some(When::always());
    let busy = |body| Faults {
        too_many_requests: Some(TooManyRequests { retry_after_s: Some(7), body, when: When::always() }),
        ..Faults::default()
    };
    let cut = |style| Faults { truncate: Some(Truncate { style, ..Truncate::default() }), ..Faults::default() };
    vec![
        ("429 with a JSON-RPC body", busy(HttpBody::RpcError), ErrorType::RateLimited, Some(7), true),
        ("429 with a page", busy(HttpBody::Html), ErrorType::RateLimited, Some(7), true),
        ("429 with nothing", busy(HttpBody::Empty), ErrorType::RateLimited, Some(7), true),
        ("500 with a page", http(500, HttpBody::Html), ErrorType::HttpStatus, None, true),
        ("502 with nothing", http(502, HttpBody::Empty), ErrorType::HttpStatus, None, true),
        ("401", http(401, HttpBody::Html), ErrorType::Unauthorized, None, true),
        ("hang", Faults { hang: always.clone(), ..Faults::default() }, ErrorType::Timeout, None, false),
        ("reset", Faults { reset: always.clone(), ..Faults::default() }, ErrorType::Transport, None, false),
        ("truncated", cut(TruncateStyle::ContentLength), ErrorType::Transport, None, false),
        ("truncated chunks", cut(TruncateStyle::Chunked), ErrorType::Transport, None, false),
        ("garbage", Faults { garbage: Some(Garbage::default()), ..Faults::default() }, ErrorType::Malformed, None, false),
        ("wrong id", Faults { wrong_id: always, ..Faults::default() }, ErrorType::Malformed, None, false),
        ("rate limit", rpc(-32005, "limit exceeded"), ErrorType::RateLimited, Some(1), true),
        ("revert", rpc(3, "execution reverted"), ErrorType::Reverted, None, true),
        ("pruned", rpc(-32000, "missing trie node"), ErrorType::Unavailable, None, true),
        ("internal", rpc(-32603, "Internal error"), ErrorType::NodeInternal, None, true),
    ]
}

#[tokio::test]
async fn each_fault_is_classified() {
    let node = evm_node().await;
    for (what, faults, error_type, pause, clean) in table() {
        let (answer, conn) = call_with(&node, faults, &node.url()).await;
        let error = answer.expect_err(what);
        let verdict: Verdict = classify(&error);
        assert_eq!(verdict.error_type, error_type, "{what}: {error:?}");
        assert_eq!(
            verdict.throttle,
            pause.map(Duration::from_secs),
            "{what}: {error:?}"
        );
        assert_eq!(
            (conn.is_clean(), verdict.keep_connection),
            (clean, clean),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn each_fault_is_classified_the_same_over_http2() {
    let node = evm_node().await;
    for (what, faults, error_type, pause, keep) in table() {
        node.set_faults(faults).unwrap();
        let config = config(&node.url())
            .http_version(HttpVersion::Http2PriorKnowledge)
            .timeouts(impatient());
        let (endpoint, transport) = connected(&config).await;
        let mut conn = endpoint.open(&transport).await.unwrap();
        let error = call(&mut conn).await.expect_err(what);
        let verdict = classify(&error);
        assert_eq!(verdict.error_type, error_type, "{what}: {error:?}");
        assert_eq!(
            verdict.throttle,
            pause.map(Duration::from_secs),
            "{what}: {error:?}"
        );
        assert_eq!(verdict.keep_connection, keep, "{what}: {error:?}");
        // a fault ends its own stream; only where nothing comes any more is the connection given up
        let spoilt = ["hang", "reset"].contains(&what);
        if spoilt {
            until("it takes no more", || transport.lanes() == 0).await;
        }
        assert_eq!(conn.is_clean(), !spoilt, "{what}: {error:?}");
        node.set_faults(Faults::default()).unwrap();
        assert_eq!(call(&mut conn).await.is_ok(), !spoilt, "{what}");
    }
}

#[tokio::test]
async fn a_good_body_under_a_bad_status_is_an_answer() {
    let node = evm_node().await;
    let (answer, conn) = call_with(&node, http(500, HttpBody::Answer), &node.url()).await;
    assert_eq!(answer.unwrap(), "\"0x1f\"");
    assert!(conn.is_clean());
}

#[tokio::test]
async fn a_node_that_closes_after_some_answers_is_no_fault() {
    let node = evm_node().await;
    node.set_faults(Faults {
        close_after: Some(2),
        ..Faults::default()
    })
    .unwrap();
    let mut conn = endpoint(&node.url()).dial().await.unwrap();
    call(&mut conn).await.unwrap();
    call(&mut conn).await.unwrap();
    let error = call(&mut conn).await.unwrap_err();
    assert!(
        matches!(error, RpcError::Transport { reused: true, .. }),
        "{error:?}"
    );
    let verdict = classify(&error);
    assert!(!verdict.counts_for_breaker && verdict.retry_here && !conn.is_clean());
}

#[tokio::test]
async fn a_stopped_node_refuses() {
    let node = evm_node().await;
    node.stop().await;
    let error = endpoint(&node.url()).dial().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect (TCP): connection refused");
    assert_eq!(classify(&error).error_type, ErrorType::Connect);
    assert!(!classify(&error).maybe_executed);
}

#[tokio::test]
async fn an_unknown_name_is_told_apart() {
    // A label of 64 characters is refused by the resolver itself, without asking the network.
    let url = format!("http://{}.invalid", "a".repeat(64));
    let error = endpoint(&url).dial().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot connect (DNS): "), "{error}");
}

#[tokio::test]
async fn a_transaction_that_the_node_has_is_a_duplicate() {
    let node = evm_node().await;
    let mut conn = endpoint(&node.url()).dial().await.unwrap();
    let params = serde_json::value::to_raw_value(&["0xc9808080808080808080"]).unwrap();
    conn.call("eth_sendRawTransaction", Some(&params)).await.unwrap();
    let error = conn
        .call("eth_sendRawTransaction", Some(&params))
        .await
        .unwrap_err();
    assert!(is_duplicate_tx(error.object().unwrap()), "{error}");
    assert_eq!(classify(&error).error_type, ErrorType::TxRejected);
    assert!(conn.is_clean());

    let node = super::support::comet_node("test-1").await;
    let mut conn = endpoint(&node.url()).dial().await.unwrap();
    let params = serde_json::value::to_raw_value(&serde_json::json!({"tx": "AQID"})).unwrap();
    conn.call("broadcast_tx_sync", Some(&params)).await.unwrap();
    let error = conn.call("broadcast_tx_sync", Some(&params)).await.unwrap_err();
    assert!(is_duplicate_tx(error.object().unwrap()), "{error}");
}
