//! HTTP/2: streams as lanes of one connection, and what ends a stream or the connection.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use h2::Reason;
use pool_core::{Endpoint as _, ErrorType};
use pool_rpc::{
    ConnectPhase, Http2Config, HttpVersion, JsonRpcEndpoint, Phase, Progress, RpcConfig, RpcConn, RpcError,
    Secret, Timeouts, classify,
};
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    certificates::ca,
    http2_server::{Order, Server, frame, raw},
    script::{self, GOOD, Reply, http, serve},
    support::{call, config, connected, impatient, until},
};

fn h2c(url: &str) -> RpcConfig {
    config(url).http_version(HttpVersion::Http2PriorKnowledge)
}

/// A call under way in a task of its own.
fn spawn(
    mut conn: RpcConn,
    method: &'static str,
) -> tokio::task::JoinHandle<(Result<String, RpcError>, RpcConn)> {
    tokio::spawn(async move {
        let answer = conn.call(method, None).await;
        (answer.map(|result| result.get().to_owned()), conn)
    })
}

#[tokio::test]
async fn requests_at_once_share_one_socket() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    assert!(transport.is_http2());
    assert_eq!(transport.lanes(), 100);
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(spawn(endpoint.open(&transport).await.unwrap(), "slow"));
    }
    until("all are under way", || server.seen.under_way.load(SeqCst) == 20).await;
    server.seen.nudge.notify_waiters();
    for call in calls {
        let (answer, conn) = call.await.unwrap();
        assert_eq!(answer.unwrap(), "\"slow\"");
        assert!(endpoint.is_clean(&conn));
    }
    assert_eq!(server.seen.connections.load(SeqCst), 1);
    assert_eq!(transport.lanes(), 100);
}

#[tokio::test]
async fn requests_carry_the_url_and_the_headers() {
    let server = Server::start(None).await;
    let url = format!("http://user:pass@localhost:{}/v2/KEY?a=b", server.addr.port());
    let config = h2c(&url).header("x-api-key", &Secret::new("k1")).unwrap();
    let mut conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
    call(&mut conn).await.unwrap();
    let (uri, headers) = server.seen.last.lock().unwrap().take().unwrap();
    assert_eq!(uri, format!("http://localhost:{}/v2/KEY?a=b", server.addr.port()));
    for (name, value) in [
        ("x-api-key", "k1"),
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("content-type", "application/json"),
        ("accept-encoding", "gzip"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("host"), "it has :authority");
}

#[tokio::test]
async fn the_smaller_limit_on_streams_counts() {
    let server = Server::start(Some(3)).await;
    let (_endpoint, transport) = connected(&h2c(&server.url())).await;
    assert_eq!(transport.lanes(), 3);
    let ours = Http2Config {
        max_streams: 2,
        ..Http2Config::default()
    };
    let (_endpoint, transport) = connected(&h2c(&server.url()).http2(ours)).await;
    assert_eq!(transport.lanes(), 2);
}

#[tokio::test]
async fn an_answer_larger_than_the_windows_comes_whole() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(spawn(endpoint.open(&transport).await.unwrap(), "large"));
    }
    for call in calls {
        assert_eq!(call.await.unwrap().0.unwrap().len(), 5_000_002);
    }
    let mut conn = endpoint.open(&transport).await.unwrap();
    let large = serde_json::value::to_raw_value(&["x".repeat(5_000_000)]).unwrap();
    conn.call("eth_chainId", Some(&large)).await.unwrap();
    assert!(conn.is_clean());
}

#[tokio::test]
async fn a_goodbye_lets_streams_finish_and_takes_no_new_ones() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let mut idle = endpoint.open(&transport).await.unwrap();
    let under_way = spawn(endpoint.open(&transport).await.unwrap(), "slow");
    until("it is under way", || server.seen.under_way.load(SeqCst) == 1).await;
    server.order(Order::GoAway);
    until("the goodbye is heard", || transport.lanes() == 0).await;
    assert!(endpoint.open(&transport).await.is_err());
    assert!(!endpoint.is_clean(&idle));
    let error = call(&mut idle).await.unwrap_err();
    let verdict = classify(&error);
    assert!(
        !verdict.maybe_executed && !verdict.counts_for_breaker,
        "{error:?}"
    );

    server.seen.nudge.notify_waiters();
    let (answer, conn) = under_way.await.unwrap();
    assert_eq!(answer.unwrap(), "\"slow\"");
    assert!(!endpoint.is_clean(&conn), "not for another request");
    drop((conn, idle, transport));
    until("the socket is closed", || server.seen.open.load(SeqCst) == 0).await;
    call(&mut endpoint.dial().await.unwrap()).await.unwrap();
}

/// What is cut off then may have been acted on, but a node that restarts has not failed once for each of its streams.
#[tokio::test]
async fn an_end_after_a_goodbye_is_not_held_against_the_node() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let under_way = spawn(endpoint.open(&transport).await.unwrap(), "hang");
    until("it is under way", || server.seen.under_way.load(SeqCst) == 1).await;
    server.order(Order::GoAway);
    until("the goodbye is heard", || transport.lanes() == 0).await;
    server.order(Order::Close);
    let (answer, _conn) = under_way.await.unwrap();
    let error = answer.unwrap_err();
    let verdict = classify(&error);
    assert_eq!(verdict.error_type, ErrorType::Transport, "{error:?}");
    assert!(verdict.maybe_executed && !verdict.counts_for_breaker, "{error:?}");
}

#[tokio::test]
async fn a_request_that_came_too_late_for_a_goodbye_was_not_acted_on() {
    // the last stream that was looked at: none; the error's code; a text
    let planned = [&[0; 8][..], b"SECRET"].concat();
    let calm_down = [&[0, 0, 0, 0, 0, 0, 0, 11][..], b"SECRET"].concat();
    for (reason, goodbye) in [("planned", planned), ("calm down", calm_down)] {
        let addr = raw(frame(7, 0, 0, &goodbye)).await;
        let (endpoint, transport) = connected(&h2c(&format!("http://{addr}"))).await;
        let mut conn = endpoint.open(&transport).await.unwrap();
        let error = call(&mut conn).await.unwrap_err();
        assert!(
            matches!(
                error,
                RpcError::Transport {
                    progress: Progress::Unsent,
                    ..
                }
            ),
            "{reason}: {error:?}"
        );
        let verdict = classify(&error);
        assert!(!verdict.maybe_executed && !verdict.counts_for_breaker, "{reason}");
        assert_eq!(transport.lanes(), 0, "{reason}");
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    }
}

#[tokio::test]
async fn a_reset_ends_one_stream_alone() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let neighbour = spawn(endpoint.open(&transport).await.unwrap(), "slow");
    until("it is under way", || server.seen.under_way.load(SeqCst) == 1).await;
    for (method, expected, maybe_executed) in [
        ("reset", Progress::Sent, true),
        ("refuse", Progress::Unsent, false),
        ("cut", Progress::Answering, true),
    ] {
        let mut conn = endpoint.open(&transport).await.unwrap();
        let error = conn.call(method, None).await.unwrap_err();
        assert!(
            matches!(error, RpcError::Transport { progress, .. } if progress == expected),
            "{method}: {error:?}"
        );
        let verdict = classify(&error);
        assert_eq!(verdict.maybe_executed, maybe_executed, "{method}");
        assert!(verdict.counts_for_breaker, "{method}");
        assert!(endpoint.is_clean(&conn), "{method}");
        call(&mut conn).await.unwrap();
        assert_eq!(transport.lanes(), 100, "{method}");
    }
    server.seen.nudge.notify_waiters();
    assert!(neighbour.await.unwrap().0.is_ok());
    assert_eq!(server.seen.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_cancelled_call_resets_its_stream_and_spares_its_neighbours() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let neighbour = spawn(endpoint.open(&transport).await.unwrap(), "slow");
    let cancelled = spawn(endpoint.open(&transport).await.unwrap(), "hang");
    until("both are under way", || server.seen.under_way.load(SeqCst) == 2).await;
    cancelled.abort();
    until("the node sees the reset", || {
        *server.seen.resets.lock().unwrap() == [Reason::CANCEL]
    })
    .await;
    server.seen.nudge.notify_waiters();
    let (answer, conn) = neighbour.await.unwrap();
    assert!(answer.is_ok() && conn.is_clean());
    assert_eq!(transport.lanes(), 100);
    call(&mut endpoint.open(&transport).await.unwrap()).await.unwrap();
    assert_eq!(server.seen.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_times_out_spoils_only_a_silent_connection() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url()).timeouts(impatient())).await;
    for silent in [false, true] {
        let hanging = spawn(endpoint.open(&transport).await.unwrap(), "hang");
        while !silent && !hanging.is_finished() {
            call(&mut endpoint.open(&transport).await.unwrap()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (answer, conn) = hanging.await.unwrap();
        let error = answer.unwrap_err();
        assert_eq!(error.to_string(), "response took longer than 150ms");
        assert_eq!(transport.lanes(), if silent { 0 } else { 100 });
        assert_eq!(endpoint.is_clean(&conn), !silent);
    }
}

#[tokio::test]
async fn a_connection_that_dies_silently_is_noticed() {
    let pings = Http2Config {
        ping_interval: Some(Duration::from_millis(50)),
        ping_timeout: Duration::from_millis(150),
        ..Http2Config::default()
    };
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url()).http2(pings)).await;
    let mut conn = endpoint.open(&transport).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(call(&mut conn).await.is_ok(), "PINGs are answered while it lives");

    let under_way = spawn(endpoint.open(&transport).await.unwrap(), "hang");
    until("it is under way", || server.seen.under_way.load(SeqCst) == 1).await;
    server.order(Order::Freeze);
    until("the death is noticed", || transport.lanes() == 0).await;
    assert!(!conn.is_clean());
    let (answer, _conn) = under_way.await.unwrap();
    let error = answer.unwrap_err();
    let verdict = classify(&error);
    assert_eq!(verdict.error_type, ErrorType::Transport, "{error:?}");
    assert!(verdict.counts_for_breaker && verdict.maybe_executed, "{error:?}");
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[tokio::test]
async fn a_close_without_a_word_breaks_what_is_under_way() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let under_way = spawn(endpoint.open(&transport).await.unwrap(), "hang");
    until("it is under way", || server.seen.under_way.load(SeqCst) == 1).await;
    server.order(Order::Close);
    let (answer, conn) = under_way.await.unwrap();
    let error = answer.unwrap_err();
    assert!(classify(&error).maybe_executed && !conn.is_clean(), "{error:?}");
    assert_eq!(transport.lanes(), 0);
}

#[tokio::test]
async fn a_dropped_transport_closes_its_socket() {
    let server = Server::start(None).await;
    let (endpoint, transport) = connected(&h2c(&server.url())).await;
    let mut conn = endpoint.open(&transport).await.unwrap();
    call(&mut conn).await.unwrap();
    drop(transport);
    call(&mut conn).await.unwrap();
    assert_eq!(server.seen.open.load(SeqCst), 1, "a lane keeps it open");
    drop(conn);
    until("the node sees the close", || server.seen.open.load(SeqCst) == 0).await;
}

#[tokio::test]
async fn what_does_not_speak_http2_is_told_apart() {
    let plain = script::Server::start(Reply::Bytes(http("content-length: 0\r\n", ""))).await;
    let error = JsonRpcEndpoint::new(&h2c(&plain.url()))
        .unwrap()
        .dial()
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("cannot connect (HTTP/2): "),
        "{error}"
    );
    assert!(error.to_string().contains("does it speak HTTP/2?"), "{error}");
    let verdict = classify(&error);
    assert!(verdict.error_type == ErrorType::Connect && !verdict.retry_here);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = Duration::from_millis(150);
    let timeouts = Timeouts {
        connect,
        ..Timeouts::default()
    };
    let config = h2c(&format!("http://{}", silent.local_addr().unwrap())).timeouts(timeouts);
    let error = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap_err();
    let expected = Phase::Connect(ConnectPhase::Http2);
    assert!(
        matches!(error, RpcError::Timeout { phase, .. } if phase == expected),
        "{error:?}"
    );
}

#[tokio::test]
async fn tls_decides_the_version() {
    let ca = ca("ours");
    let both = Server::start_tls(ca.acceptor("localhost", false, &[b"h2", b"http/1.1"])).await;
    let url = |port: u16| config(&format!("https://localhost:{port}")).extra_ca_pem(ca.pem.clone());
    let (endpoint, transport) = connected(&url(both.addr.port())).await;
    assert!(transport.is_http2() && transport.lanes() == 100);
    for _ in 0..3 {
        call(&mut endpoint.open(&transport).await.unwrap()).await.unwrap();
    }
    assert_eq!(both.seen.connections.load(SeqCst), 1);

    // a server that knows HTTP/1.1 alone, and one that knows of no negotiation
    for alpn in [&[&b"http/1.1"[..]][..], &[]] {
        let acceptor = ca.acceptor("localhost", false, alpn);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let reply = Reply::Bytes(http("content-length: {length}\r\n", GOOD));
            serve(stream, reply, std::sync::Arc::new(Notify::new())).await;
        });
        let (endpoint, transport) = connected(&url(port)).await;
        assert!(!transport.is_http2() && transport.lanes() == 1);
        call(&mut endpoint.open(&transport).await.unwrap()).await.unwrap();
    }
}
