//! The same node over TLS.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use common::tls::{call, connect};
use common::{PATIENCE, evm_chain};
use devnet::{
    Faults, HandshakeStyle, Node, NodeConfig, TestCa, Tls, TlsError, TlsHandshake, Truncate, Validity, When,
};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

async fn start(tls: Tls) -> Node {
    let config = NodeConfig {
        tls: Some(tls),
        ..NodeConfig::default()
    };
    Node::start(evm_chain(), config).await.unwrap()
}

/// A node of a CA.
async fn node() -> (Node, TestCa) {
    let ca = TestCa::new("ours").unwrap();
    (start(ca.issue(&["localhost", "127.0.0.1"]).unwrap()).await, ca)
}

/// One call on a connection of its own.
async fn once(node: &Node, ca: &TestCa) -> std::io::Result<String> {
    call(connect(node.addr(), "localhost", ca.pem().as_bytes(), &[]).await?).await
}

async fn kind(node: &Node, ca: &TestCa) -> ErrorKind {
    once(node, ca).await.expect_err("no answer").kind()
}

/// Waits until the node has so many connections open.
async fn open(node: &Node, count: u64) {
    let settled = async {
        while node.stats().connections_open != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, settled).await.expect("so many connections");
}

#[tokio::test]
async fn http1_is_served_under_each_of_its_names() {
    let (node, ca) = node().await;
    assert_eq!(node.url(), format!("https://{}", node.addr()));
    for name in ["localhost", "127.0.0.1"] {
        let stream = connect(node.addr(), name, ca.pem().as_bytes(), &["http/1.1"])
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = call(stream).await.unwrap();
        assert!(answer.ends_with(r#""result":"0x1"}"#), "{answer}");
    }
    let stats = node.stats();
    assert_eq!((stats.connections_opened, stats.http_requests), (2, 2));
    open(&node, 0).await;
}

#[tokio::test]
async fn http2_is_served_where_it_is_agreed_to() {
    let (node, ca) = node().await;
    let both = ["h2", "http/1.1"];
    let stream = connect(node.addr(), "localhost", ca.pem().as_bytes(), &both)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let body = Full::<Bytes>::from(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#);
    let request = Request::post("https://localhost/").body(body).unwrap();
    let answer = timeout(PATIENCE, client.send_request(request))
        .await
        .unwrap()
        .unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.ends_with(br#""result":"0x1"}"#), "{body:?}");

    for (tls, agreed) in [
        (ca.issue(&["localhost"]).unwrap().http1_only(), &b"http/1.1"[..]),
        (ca.issue(&["localhost"]).unwrap().http2_only(), b"h2"),
    ] {
        let node = start(tls).await;
        let stream = connect(node.addr(), "localhost", ca.pem().as_bytes(), &both)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(agreed));
    }
}

#[tokio::test]
async fn a_certificate_that_should_not_be_trusted_is_not() {
    let (ca, other) = (TestCa::new("ours").unwrap(), TestCa::new("other").unwrap());
    for (tls, expected) in [
        (ca.issue(&["elsewhere.example"]), "NotValidForName"),
        (ca.issue_for(&["localhost"], Validity::Expired), "Expired"),
        (ca.issue_for(&["localhost"], Validity::NotYet), "NotValidYet"),
        (other.issue(&["localhost"]), "UnknownIssuer"),
    ] {
        let node = start(tls.unwrap()).await;
        let error = once(&node, &ca).await.unwrap_err();
        assert!(format!("{error:?}").contains(expected), "{error:?}");
        open(&node, 0).await;
    }
    assert!(matches!(ca.issue(&["nämlich"]), Err(TlsError::Making(_))));
}

#[tokio::test]
async fn a_handshake_can_be_spoilt_in_each_way() {
    let (node, ca) = node().await;
    let mut before = connect(node.addr(), "localhost", ca.pem().as_bytes(), &[])
        .await
        .unwrap();
    let spoil = |style| {
        let faults = Faults {
            tls_handshake: Some(TlsHandshake {
                style,
                ..TlsHandshake::default()
            }),
            ..Faults::default()
        };
        node.set_faults(faults).unwrap();
    };
    for (style, expected) in [
        (HandshakeStyle::Close, ErrorKind::UnexpectedEof),
        (HandshakeStyle::Reset, ErrorKind::ConnectionReset),
        (HandshakeStyle::PlainHttp, ErrorKind::InvalidData),
    ] {
        spoil(style);
        assert_eq!(kind(&node, &ca).await, expected, "{style:?}");
    }
    spoil(HandshakeStyle::Hang);
    let hung = timeout(Duration::from_millis(300), once(&node, &ca)).await;
    assert!(hung.is_err(), "{hung:?}");
    assert_eq!(node.stats().faults["tls_handshake"], 4);
    open(&node, 1).await;

    // What was open lives on, and what comes when the fault is lifted is served.
    before
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_ne!(before.read(&mut [0; 9]).await.unwrap(), 0);
    node.set_faults(Faults::default()).unwrap();
    assert!(once(&node, &ca).await.is_ok());
}

#[tokio::test]
async fn some_handshakes_can_be_spoilt_and_the_seed_says_which() {
    let ca = TestCa::new("ours").unwrap();
    let run = async || {
        let node = start(ca.issue(&["localhost"]).unwrap()).await;
        let handshake = TlsHandshake {
            style: HandshakeStyle::Close,
            probability: 0.5,
        };
        node.set_faults(Faults {
            tls_handshake: Some(handshake),
            ..Faults::default()
        })
        .unwrap();
        let mut served = Vec::new();
        for _ in 0..20 {
            served.push(once(&node, &ca).await.is_ok());
        }
        served
    };
    let first = run().await;
    assert_eq!(first, run().await);
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
}

#[tokio::test]
async fn faults_of_the_connection_reach_through_tls() {
    let (node, ca) = node().await;
    let set = |faults| node.set_faults(faults).unwrap();
    set(Faults {
        reset: Some(When::always()),
        ..Faults::default()
    });
    assert_eq!(kind(&node, &ca).await, ErrorKind::ConnectionReset);
    set(Faults {
        truncate: Some(Truncate::default()),
        ..Faults::default()
    });
    assert_eq!(
        kind(&node, &ca).await,
        ErrorKind::UnexpectedEof,
        "it ends without a goodbye"
    );
    set(Faults {
        hang: Some(When::always()),
        ..Faults::default()
    });
    let hung = timeout(Duration::from_millis(300), once(&node, &ca)).await;
    assert!(hung.is_err(), "{hung:?}");
    open(&node, 0).await;

    set(Faults {
        refuse: true,
        ..Faults::default()
    });
    node.settled().await.unwrap();
    assert_eq!(kind(&node, &ca).await, ErrorKind::ConnectionRefused);
    set(Faults::default());
    node.settled().await.unwrap();
    let mut stream = connect(node.addr(), "localhost", ca.pem().as_bytes(), &[])
        .await
        .unwrap();
    node.stop().await;
    let mut byte = [0];
    let end = timeout(PATIENCE, stream.read(&mut byte))
        .await
        .expect("an end in time");
    assert!(end.is_err(), "killed, it says no goodbye: {end:?}");
    node.restart().await.unwrap();
    assert!(once(&node, &ca).await.is_ok());
}

#[tokio::test]
async fn a_node_without_tls_takes_no_faults_of_it() {
    let node = Node::start(evm_chain(), NodeConfig::default()).await.unwrap();
    let faults = Faults {
        tls_handshake: Some(TlsHandshake::default()),
        ..Faults::default()
    };
    let error = node.set_faults(faults).unwrap_err().to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
}
