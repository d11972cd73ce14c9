//! When a connection may be used again, and what becomes of it when not.

use std::{sync::atomic::Ordering, time::Duration};

use pool_core::Endpoint as _;
use pool_rpc::{JsonRpcEndpoint, Malformed, Phase, Progress, RpcError, classify};

use crate::{
    script::{GOOD, Reply, Server, http},
    support::{call, config, endpoint, evm_node, impatient, transport, until},
};

const LENGTH: &str = "content-length: {length}\r\n";

/// `ok` or the error's name, and whether the connection may be used again.
async fn outcome(reply: Reply) -> (String, bool) {
    let server = Server::start(reply).await;
    let endpoint = JsonRpcEndpoint::new(&config(&server.url()).max_response_bytes(1000)).unwrap();
    let mut conn = endpoint.dial().await.unwrap();
    let name = match call(&mut conn).await {
        Ok(result) => format!("ok {result}"),
        Err(RpcError::Transport { progress, .. }) => format!("transport {progress:?}"),
        Err(RpcError::Malformed(malformed)) => format!("{malformed:?}").split(' ').next().unwrap().to_owned(),
        Err(error) => error.to_string(),
    };
    (name, conn.is_clean())
}

#[tokio::test]
async fn only_exactly_one_whole_answer_leaves_a_connection_clean() {
    let good = http(LENGTH, GOOD);
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", GOOD.replace("{id}", "1").len(), GOOD);
    let chunked = http("transfer-encoding: chunked\r\n", &chunk);
    let one = GOOD.replace("{id}", "1").len();
    let big = "x".repeat(1001);
    let ok = "ok \"0x1f\"";
    for (what, reply, expected, clean) in [
        ("a good answer", Reply::Bytes(good.clone()), ok, true),
        ("a good chunked answer", Reply::Bytes(chunked.clone()), ok, true),
        (
            "a second answer behind it",
            Reply::Bytes(format!(
                "{}HTTP/1.1 200 OK\r\n\r\n",
                http(&format!("content-length: {one}\r\n"), GOOD)
            )),
            ok,
            false,
        ),
        (
            "a second answer behind the last chunk",
            Reply::Bytes(format!("{chunked}HTTP/1.1 200 OK\r\n")),
            ok,
            false,
        ),
        (
            "connection: close",
            Reply::Bytes(http(&format!("{LENGTH}connection: Keep-Alive, Close\r\n"), GOOD)),
            ok,
            false,
        ),
        ("HTTP/1.0", Reply::Bytes(good.replace("1.1", "1.0")), ok, false),
        ("ended by the close", Reply::Last(http("", GOOD)), ok, false),
        (
            "truncated",
            Reply::Last(http("content-length: 99\r\n", GOOD)),
            "transport Answering",
            false,
        ),
        (
            "truncated head",
            Reply::Last("HTTP/1.1 200".to_owned()),
            "transport Answering",
            false,
        ),
        ("closed", Reply::Last(String::new()), "transport Sent", false),
        (
            "no HTTP",
            Reply::Bytes("SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
            "NotHttp",
            false,
        ),
        (
            "no JSON",
            Reply::Bytes(http(LENGTH, "<html>{id}")),
            "NotJsonRpc",
            false,
        ),
        (
            "another's id",
            Reply::Bytes(good.replace("{id}", "77")),
            "UnknownId",
            false,
        ),
        (
            "a coding that nobody asked for",
            Reply::Bytes(http(&format!("{LENGTH}content-encoding: br\r\n"), GOOD)),
            "Encoding",
            false,
        ),
        (
            "announced too large",
            Reply::Bytes(http("content-length: 1001\r\n", "")),
            "answer is larger than the limit of 1000 bytes",
            false,
        ),
        (
            "too large",
            Reply::Last(http("", &big)),
            "answer is larger than the limit of 1000 bytes",
            false,
        ),
    ] {
        let (name, is_clean) = outcome(reply).await;
        assert_eq!((name.as_str(), is_clean), (expected, clean), "{what}");
    }
}

#[tokio::test]
async fn an_answer_before_the_request_is_out_makes_it_unclean() {
    let server = Server::start(Reply::Early(http(LENGTH, GOOD))).await;
    let endpoint = endpoint(&server.url());
    let mut conn = endpoint.dial().await.unwrap();
    let large = serde_json::value::to_raw_value(&["x".repeat(16 * 1024 * 1024)]).unwrap();
    let answer = conn.call("eth_chainId", Some(&large)).await;
    assert!(!conn.is_clean(), "{answer:?}");
}

#[tokio::test]
async fn bytes_or_a_close_while_idle_are_noticed() {
    for second in ["HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n", ""] {
        let reply = match second {
            "" => Reply::Last(http(LENGTH, GOOD)),
            _ => Reply::Then(http(LENGTH, GOOD), second.to_owned()),
        };
        let server = Server::start(reply).await;
        let endpoint = endpoint(&server.url());
        let transport = transport(&endpoint).await;
        let mut conn = endpoint.open(&transport).await.unwrap();
        call(&mut conn).await.unwrap();
        server.nudge.notify_one();
        until("the connection is seen unclean", || !conn.is_clean()).await;

        let error = call(&mut conn).await.unwrap_err();
        let unsent = matches!(
            error,
            RpcError::Transport {
                progress: Progress::Unsent,
                reused: true,
                ..
            }
        );
        assert!(unsent && !classify(&error).maybe_executed, "{error:?}");
        drop(conn);
        assert_eq!(transport.lanes(), 0);
        assert!(endpoint.open(&transport).await.is_err());
    }
}

#[tokio::test]
async fn good_returns_are_never_refused() {
    let node = evm_node().await;
    let endpoint = endpoint(&node.url());
    let transport = transport(&endpoint).await;
    for round in 0..500 {
        let mut conn = endpoint.open(&transport).await.unwrap();
        assert_eq!(call(&mut conn).await.unwrap(), "\"0x1f\"", "round {round}");
        assert!(endpoint.is_clean(&conn), "round {round}");
        assert_eq!(transport.lanes(), 1);
    }
    assert_eq!(node.stats().connections_opened, 1);
}

#[tokio::test]
async fn the_lane_is_exclusive_and_comes_back() {
    let server = Server::start(Reply::Bytes(http(LENGTH, GOOD))).await;
    let endpoint = endpoint(&server.url());
    let transport = transport(&endpoint).await;
    let mut conn = endpoint.open(&transport).await.unwrap();
    assert!(endpoint.open(&transport).await.is_err(), "only one lane");
    call(&mut conn).await.unwrap();
    drop(conn);
    let mut again = endpoint.open(&transport).await.unwrap();
    call(&mut again).await.unwrap();
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_cancelled_call_closes_the_connection() {
    let node = evm_node().await;
    node.set_faults(devnet::Faults {
        hang: Some(devnet::When::always()),
        ..Default::default()
    })
    .unwrap();
    let endpoint = endpoint(&node.url());
    let transport = transport(&endpoint).await;
    let mut conn = endpoint.open(&transport).await.unwrap();
    let cancelled = tokio::time::timeout(Duration::from_millis(100), call(&mut conn)).await;
    assert!(cancelled.is_err());
    assert!(!endpoint.is_clean(&conn));
    let cx = pool_core::ConnectCx::new(Duration::from_secs(1));
    assert!(
        matches!(
            call(&mut conn).await,
            Err(RpcError::Transport {
                progress: Progress::Unsent,
                ..
            })
        ),
        "{cx:?}"
    );
    drop(conn);
    // The transport is still held: the socket is closed all the same.
    until("the node sees the close", || node.stats().connections_open == 0).await;
    assert_eq!(transport.lanes(), 0);
}

#[tokio::test]
async fn a_dropped_transport_closes_its_socket() {
    let node = evm_node().await;
    let endpoint = endpoint(&node.url());
    let transport = transport(&endpoint).await;
    until("the node sees the connection", || {
        node.stats().connections_open == 1
    })
    .await;
    drop(transport);
    until("the node sees the close", || node.stats().connections_open == 0).await;
}

#[tokio::test]
async fn a_hanging_node_times_out_and_the_connection_is_not_used_again() {
    let server = Server::start(Reply::Hang).await;
    let endpoint = JsonRpcEndpoint::new(&config(&server.url()).timeouts(impatient())).unwrap();
    let mut conn = endpoint.dial().await.unwrap();
    let error = call(&mut conn).await.unwrap_err();
    assert!(
        matches!(
            error,
            RpcError::Timeout {
                phase: Phase::Response,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "response took longer than 150ms");
    assert!(!conn.is_clean());
}

#[tokio::test]
async fn batches_are_matched() {
    let node = evm_node().await;
    let endpoint = endpoint(&node.url());
    let mut conn = endpoint.dial().await.unwrap();
    let request = |method: &'static str| pool_rpc::RpcRequest::raw(method, None);
    let items = conn
        .batch(&[request("eth_chainId"), request("no_such"), request("net_version")])
        .await
        .unwrap();
    assert_eq!(items[0].as_ref().unwrap().get(), "\"0x1f\"");
    assert_eq!(items[1].as_ref().unwrap_err().code, -32601);
    assert_eq!(items[2].as_ref().unwrap().get(), "\"31\"");
    assert!(conn.is_clean() && conn.batch(&[]).await.unwrap().is_empty());

    let refusal =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batches are not supported"}}"#;
    let server = Server::start(Reply::Bytes(http(LENGTH, refusal))).await;
    let mut conn = super::support::endpoint(&server.url()).dial().await.unwrap();
    let error = conn.batch(&[request("a"), request("b")]).await.unwrap_err();
    assert_eq!(error.object().unwrap().code, -32600);
    assert!(conn.is_clean());

    let one = r#"[{"jsonrpc":"2.0","id":{id},"result":1}]"#;
    let server = Server::start(Reply::Bytes(http(LENGTH, one))).await;
    let mut conn = super::support::endpoint(&server.url()).dial().await.unwrap();
    let error = conn.batch(&[request("a"), request("b")]).await.unwrap_err();
    assert!(
        matches!(
            error,
            RpcError::Malformed(Malformed::MissingId { missing: 1, of: 2 })
        ),
        "{error:?}"
    );
    assert!(!conn.is_clean());
}

#[tokio::test]
async fn credentials_and_headers_reach_the_node() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8(request).unwrap()
    });
    let url = format!("http://user:pass@localhost:{}/v2/KEY?a=b", addr.port());
    let config = config(&url)
        .header("x-api-key", &pool_rpc::Secret::new("k1"))
        .unwrap();
    let mut conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
    assert!(call(&mut conn).await.is_err());
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("POST /v2/KEY?a=b HTTP/1.1\r\n"), "{seen}");
    for line in [
        &format!("host: localhost:{}", addr.port()),
        "x-api-key: k1",
        "authorization: Basic dXNlcjpwYXNz",
        "content-type: application/json",
    ] {
        assert!(seen.contains(&format!("{line}\r\n")), "{line} in {seen}");
    }
}

#[tokio::test]
async fn a_transaction_refused_inside_a_good_answer_is_an_error() {
    use pool_core::Operation as _;
    let refusal =
        r#"{"jsonrpc":"2.0","id":{id},"result":{"code":19,"codespace":"sdk","log":"tx already in mempool"}}"#;
    let server = Server::start(Reply::Bytes(http(LENGTH, refusal))).await;
    let mut conn = endpoint(&server.url()).dial().await.unwrap();
    let send = pool_rpc::RpcCall::of("broadcast_tx_sync", &["AQID"]).unwrap();
    let error = send.call(&mut conn).await.unwrap_err();
    assert!(error.is_duplicate_tx() && conn.is_clean(), "{error:?}");
    assert_eq!(classify(&error).error_type, pool_core::ErrorType::TxRejected);
    assert!(
        conn.call("broadcast_tx_sync", None).await.is_ok(),
        "a connection hands over results as they are"
    );
}

#[tokio::test]
async fn rate_headers_of_a_good_answer_are_told_to_the_pool_once() {
    let spent = "content-length: {length}\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 30\r\n";
    let server = Server::start(Reply::Bytes(http(spent, GOOD))).await;
    let endpoint = endpoint(&server.url());
    let mut conn = endpoint.dial().await.unwrap();
    assert_eq!(call(&mut conn).await.unwrap(), "\"0x1f\"");
    assert_eq!(endpoint.pause(&mut conn), Some(Duration::from_secs(30)));
    assert_eq!(endpoint.pause(&mut conn), None);
    // where the answer is a refusal, that is how long
    let refused = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nratelimit: \"d\";r=0;t=20\r\n\r\n";
    let server = Server::start(Reply::Bytes(refused.to_owned())).await;
    let mut conn = pool_rpc::JsonRpcEndpoint::new(&config(&server.url()))
        .unwrap()
        .dial()
        .await
        .unwrap();
    let verdict = pool_rpc::classify(&call(&mut conn).await.unwrap_err());
    assert_eq!(verdict.throttle, Some(Duration::from_secs(20)));
    assert!(verdict.throttles_provider);
}
