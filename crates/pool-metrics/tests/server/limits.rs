//! Clients that ask too much, and the end.

use std::{sync::atomic::Ordering, time::Duration};

use prometheus::{Gauge, Registry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{PATIENCE, Release, Slow, ask, ask_with, serve, until};

#[tokio::test]
async fn shutdown_lets_running_requests_end_and_closes_the_rest() {
    let slow = Slow::default();
    let _release = Release(slow.clone());
    let registry = Registry::new();
    registry.register(Box::new(slow.clone())).unwrap();
    let running = serve(registry).await;
    let addr = running.addrs[0];
    let mut idle = TcpStream::connect(addr).await.unwrap();
    let scrape = tokio::spawn(ask(addr, "GET", "/metrics"));
    until(|| slow.now.load(Ordering::SeqCst) == 1).await;
    running.stop.send(()).unwrap();
    // the idle connection is closed, new ones are refused, the running one is answered
    let mut rest = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.is_empty());
    assert!(TcpStream::connect(addr).await.is_err());
    slow.go.store(true, Ordering::SeqCst);
    let reply = scrape.await.unwrap();
    assert_eq!(reply.status(), 200);
    timeout(PATIENCE, running.ended).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut_off() {
    let running = serve(Registry::new()).await;
    let mut stream = TcpStream::connect(running.addrs[0]).await.unwrap();
    let begun = tokio::time::Instant::now();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: te")
        .await
        .unwrap();
    // the paused clock jumps ahead once everybody waits
    let mut answer = Vec::new();
    timeout(Duration::from_secs(600), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let after = begun.elapsed();
    assert!(
        after >= Duration::from_secs(29) && after <= Duration::from_secs(60),
        "{after:?}"
    );
}

#[tokio::test]
async fn heads_have_limits() {
    let running = serve(Registry::new()).await;
    let long = "x".repeat(20_000);
    let reply = ask_with(running.addrs[0], "GET", "/healthz", &[("x-long", &long)]).await;
    assert_eq!(reply.status(), 431);
    let many: Vec<_> = (0..100).map(|at| format!("x-{at}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let reply = ask_with(running.addrs[0], "GET", "/healthz", &many).await;
    assert_eq!(reply.status(), 431);
    let reply = ask(running.addrs[0], "GET", &format!("/{long}")).await;
    assert!(matches!(reply.status(), 414 | 431), "{}", reply.head);
    assert_eq!(ask(running.addrs[0], "GET", "/healthz").await.status(), 200);
}

#[tokio::test]
async fn bodies_are_not_read() {
    let running = serve(Registry::new()).await;
    // announced and never sent
    let endless = [("content-length", "1000000000000")];
    assert_eq!(
        ask_with(running.addrs[0], "GET", "/healthz", &endless)
            .await
            .status(),
        200
    );
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_the_answer_is_cut_off() {
    let registry = Registry::new();
    // more than the buffers of both sides hold
    let size = 64 << 20;
    let gauge = Gauge::new("long", "x".repeat(size)).unwrap();
    registry.register(Box::new(gauge)).unwrap();
    let running = serve(registry).await;
    let mut stream = TcpStream::connect(running.addrs[0]).await.unwrap();
    let begun = tokio::time::Instant::now();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    // nothing is read for longer than the server waits; the paused clock jumps there once everybody waits
    tokio::time::sleep(Duration::from_secs(120)).await;
    let mut taken = Vec::new();
    // the end may also come as a reset
    timeout(Duration::from_secs(600), stream.read_to_end(&mut taken))
        .await
        .unwrap()
        .ok();
    assert!(taken.len() < size, "all was taken after {:?}", begun.elapsed());
}
