//! The events of each request: with the feature `trace` (`cargo test -p pool-core --features trace --test trace`), and that
//! there are none without it.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use common::*;
use pool_core::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const FOLLOWED: &[&str] = &[
    "leased pool=test endpoint=e0",
    "attempt ended pool=test endpoint=e0 latency=30ms error=\"reverted\"",
    "waited in line pool=test waited=30ms",
    "leased pool=test endpoint=e0",
    "attempt ended pool=test endpoint=e0 latency=0ns error=\"\"",
    "leased pool=test endpoint=e0",
    "given back pool=test endpoint=e0 held=0ns",
];

#[tokio::test(start_paused = true)]
async fn a_request_can_be_followed_by_the_ids_of_pool_and_endpoint() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let lease = pool.acquire().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap().succeed() }
    });
    tokio::time::sleep(ms(30)).await;
    lease.fail(&Oops(Verdict::of(ErrorType::Reverted)));
    waiting.await.unwrap();
    drop(pool.acquire().await.unwrap());
    let bytes = buffer.0.lock().unwrap().clone();
    let log = String::from_utf8(bytes).unwrap();
    let requests: Vec<_> = log
        .lines()
        .filter_map(|line| line.split_once("pool_core::request: "))
        .map(|(_, event)| event)
        .collect();
    let followed = cfg!(feature = "trace");
    assert_eq!(
        requests,
        if followed { FOLLOWED } else { &[] },
        "the feature is {}",
        if followed { "on" } else { "off" }
    );
    let connects = log.lines().filter(|line| line.contains("connect ended"));
    assert_eq!(connects.count(), 1, "{log}");
}
