//! TLS with nodes that are set up wrong, or fail in the handshake: what the error says, and that it shows no secret.

use std::sync::Arc;

use devnet::{
    Chain, ChainConfig, Faults, HandshakeStyle, Node, NodeConfig, TestCa, Tls, TlsHandshake, Truncate,
    Validity,
};
use pool_core::ErrorType;
use pool_rpc::{HttpVersion, JsonRpcEndpoint, RpcConfig, RpcError, Secret, classify};

use crate::support::{CHAIN_ID, call, config, impatient};

async fn node(tls: Option<Tls>) -> Node {
    let chain = Chain::new(ChainConfig::evm(CHAIN_ID, std::time::Duration::from_secs(2))).unwrap();
    let config = NodeConfig {
        tls,
        ..NodeConfig::default()
    };
    Node::start(Arc::new(chain), config).await.unwrap()
}

/// The way to a node under this scheme, with secrets wherever a URL or header may hold one.
fn secretive(scheme: &str, node: &Node, ca: &TestCa) -> RpcConfig {
    let port = node.addr().port();
    let url = format!("{scheme}://SECRET:SECRET@localhost:{port}/SECRET?key=SECRET");
    config(&url)
        .header("x-api-key", &Secret::new("SECRET"))
        .unwrap()
        .extra_ca_pem(ca.pem())
        .timeouts(impatient())
}

async fn refused(config: &RpcConfig) -> RpcError {
    let endpoint = JsonRpcEndpoint::new(config).unwrap();
    let error = match endpoint.dial().await {
        Ok(mut conn) => call(&mut conn).await.unwrap_err(),
        Err(error) => error,
    };
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        shown += &format!("{error} {error:?}");
        source = error.source();
    }
    assert!(!shown.contains("SECRET"), "{shown}");
    error
}

#[tokio::test]
async fn each_certificate_that_cannot_be_trusted_says_what_to_do() {
    let (ours, other) = (TestCa::new("ours").unwrap(), TestCa::new("other").unwrap());
    for (tls, reason) in [
        (
            ours.issue(&["elsewhere.example", "10.0.0.1"]),
            "it is not valid for the host in the URL but for DnsName(\"elsewhere.example\"), IpAddress(10.0.0.1); \
             use such a name",
        ),
        (
            ours.issue_for(&["localhost"], Validity::Expired),
            "it has expired; whoever runs the node must renew it, or this machine's clock is fast",
        ),
        (
            ours.issue_for(&["localhost"], Validity::NotYet),
            "it is not valid yet; probably this machine's clock is slow",
        ),
        (
            other.issue(&["localhost"]),
            "it was issued by an unknown CA; a private one can be added",
        ),
    ] {
        let node = node(Some(tls.unwrap())).await;
        let error = refused(&secretive("https", &node, &ours)).await;
        let expected = format!("cannot connect (TLS): invalid peer certificate: {reason}");
        assert_eq!(error.to_string(), expected);
        let verdict = classify(&error);
        assert_eq!(verdict.error_type, ErrorType::Connect, "{error}");
        assert!(
            !verdict.retry_here && !verdict.maybe_executed,
            "{error}: {verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_scheme_that_is_not_the_nodes_says_so() {
    let ca = TestCa::new("ours").unwrap();
    let plain = node(None).await;
    let error = refused(&secretive("https", &plain, &ca)).await;
    let text = error.to_string();
    assert!(
        text.starts_with("cannot connect (TLS): ") && text.contains("TLS") && text.ends_with('?'),
        "{text}"
    );
    let tls = node(Some(ca.issue(&["localhost"]).unwrap())).await;
    let error = refused(&secretive("http", &tls, &ca)).await;
    assert_eq!(
        error.to_string(),
        "malformed answer: not an HTTP response; are the URL's scheme and port right?"
    );
    let blind = secretive("http", &tls, &ca).http_version(HttpVersion::Http2PriorKnowledge);
    let error = refused(&blind).await;
    assert!(error.to_string().contains("does it speak HTTP/2?"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_fails_says_how() {
    let ca = TestCa::new("ours").unwrap();
    let node = node(Some(ca.issue(&["localhost"]).unwrap())).await;
    for (style, expected) in [
        (
            HandshakeStyle::Hang,
            "connect (TLS) took longer than 150ms; does the node speak TLS on this port?",
        ),
        (
            HandshakeStyle::Close,
            "cannot connect (TLS): the node closed the connection during the TLS handshake; does it speak TLS?",
        ),
        (HandshakeStyle::Reset, "cannot connect (TLS): connection reset"),
        (
            HandshakeStyle::PlainHttp,
            "cannot connect (TLS): the answer is not TLS; does the node speak plain http on this port?",
        ),
    ] {
        let handshake = TlsHandshake {
            style,
            ..TlsHandshake::default()
        };
        let faults = Faults {
            tls_handshake: Some(handshake),
            ..Faults::default()
        };
        node.set_faults(faults).unwrap();
        let error = refused(&secretive("https", &node, &ca)).await;
        assert_eq!(error.to_string(), expected);
        assert_eq!(classify(&error).error_type, ErrorType::Connect);
    }
}

#[tokio::test]
async fn an_added_ca_is_trusted_over_each_version() {
    let ca = TestCa::new("ours").unwrap();
    let node = node(Some(ca.issue(&["localhost"]).unwrap())).await;
    for version in [
        HttpVersion::Auto,
        HttpVersion::Http1,
        HttpVersion::Http2PriorKnowledge,
    ] {
        let config = secretive("https", &node, &ca).http_version(version);
        let mut conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
        for _ in 0..2 {
            assert_eq!(call(&mut conn).await.unwrap(), "\"0x1f\"", "{version:?}");
            assert!(conn.is_clean());
        }
    }
    let without = config(&format!("https://localhost:{}", node.addr().port()));
    let error = refused(&without).await;
    assert!(error.to_string().contains("unknown CA"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_told_without_a_lecture() {
    let ca = TestCa::new("ours").unwrap();
    let node = node(Some(ca.issue(&["localhost"]).unwrap())).await;
    let cut = Truncate::default();
    node.set_faults(Faults {
        truncate: Some(cut),
        ..Faults::default()
    })
    .unwrap();
    let config = secretive("https", &node, &ca).http_version(HttpVersion::Http1);
    assert_eq!(
        refused(&config).await.to_string(),
        "connection broke in the middle of the answer: the peer closed the connection without TLS's goodbye"
    );
}
