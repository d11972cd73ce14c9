//! The same node over HTTP/2.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devnet::{Chain, ChainConfig, Faults, Node, NodeConfig, Truncate, When};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(10);

async fn start(faults: Faults) -> Node {
    let chain = Chain::new(ChainConfig::evm(31, Duration::from_secs(2))).unwrap();
    let config = NodeConfig {
        faults,
        ..NodeConfig::default()
    };
    Node::start(Arc::new(chain), config).await.unwrap()
}

type Client = SendRequest<Full<Bytes>>;

/// A client, and the task that drives its connection.
async fn connect(node: &Node) -> (Client, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(node.addr()).await.unwrap();
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    (client, tokio::spawn(connection))
}

/// Calls `eth_chainId`: the answer's status and body.
async fn call(client: &Client) -> hyper::Result<(StatusCode, Bytes)> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let request = Request::post("http://node.example/").body(Full::from(body));
    let answer = client.clone().send_request(request.unwrap());
    let answer = timeout(PATIENCE, answer).await.expect("an answer in time")?;
    let status = answer.status();
    let body = timeout(PATIENCE, answer.into_body().collect());
    Ok((status, body.await.expect("a body in time")?.to_bytes()))
}

#[tokio::test]
async fn requests_at_once_share_a_connection() {
    let node = start(Faults::default()).await;
    let (client, _driver) = connect(&node).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client).await })
        })
        .collect();
    for call in calls {
        let (status, body) = call.await.unwrap().unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(body.ends_with(br#""result":"0x1f"}"#), "{body:?}");
    }
    let stats = node.stats();
    assert_eq!((stats.connections_opened, stats.http_requests), (1, 50));
}

#[tokio::test]
async fn a_reset_takes_the_connection_with_it() {
    let node = start(Faults {
        reset: Some(When::always()),
        ..Faults::default()
    })
    .await;
    let (client, driver) = connect(&node).await;
    assert!(call(&client).await.is_err());
    let _ended = timeout(PATIENCE, driver).await.expect("the end in time");
    assert!(call(&client).await.is_err(), "it is gone");
    assert_eq!(node.stats().faults["reset"], 1);
}

#[tokio::test]
async fn a_truncated_body_ends_its_stream_alone() {
    let node = start(Faults {
        truncate: Some(Truncate::default()),
        ..Faults::default()
    })
    .await;
    let (client, _driver) = connect(&node).await;
    assert!(call(&client).await.is_err());
    node.set_faults(Faults::default()).unwrap();
    assert!(call(&client).await.is_ok());
    assert_eq!(node.stats().connections_opened, 1);
}

#[tokio::test]
async fn after_so_many_answers_it_says_goodbye() {
    let node = start(Faults {
        close_after: Some(3),
        ..Faults::default()
    })
    .await;
    let (client, driver) = connect(&node).await;
    for _ in 0..3 {
        call(&client).await.unwrap();
    }
    let ended = timeout(PATIENCE, driver).await.expect("the end in time");
    assert!(ended.unwrap().is_ok(), "an orderly end");
    assert_eq!(node.stats().faults["close_after"], 1);
}
