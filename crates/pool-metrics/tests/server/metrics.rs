//! Scrapes: formats, packing, turns and time.

use std::{
    io::Read as _,
    sync::atomic::{AtomicBool, Ordering},
};

use pool_metrics::{
    PrometheusBridge,
    catalogue::{Kind, METRICS},
};
use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    exposition::{Exposition, FakePool},
    support::{Release, Slow, ask, ask_with, serve, until},
};

#[tokio::test]
async fn metrics_come_with_their_content_type() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a"]);
    pool.register(bridge.metrics());
    let running = serve(bridge.registry().clone()).await;
    let reply = ask(running.addrs[0], "GET", "/metrics").await;
    assert_eq!(reply.status(), 200);
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(reply.header("vary"), Some("accept, accept-encoding"));
    assert!(Exposition::parse(reply.text()).series_of("eth") > 0);

    let length = reply.bytes.len().to_string();
    let same = ask(running.addrs[0], "HEAD", "/metrics").await;
    assert_eq!(
        (same.status(), same.header("content-length")),
        (200, Some(length.as_str()))
    );
    assert!(same.bytes.is_empty());

    // with nothing but what is of the process, too
    drop(pool);
    let reply = ask(running.addrs[0], "GET", "/metrics?name=x").await;
    assert!(
        reply
            .header("content-type")
            .is_some_and(|kind| kind.contains("version=0.0.4"))
    );
    assert_eq!(reply.status(), 200);
    assert!(!reply.text().contains("pool="), "{}", reply.text());
}

/// The lines that hold samples, with bounds of buckets as OpenMetrics writes them.
fn samples(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let canonical = |line: &str| match line.split_once("le=\"") {
        Some((before, after)) => {
            let (bound, after) = after.split_once('"').unwrap();
            match bound {
                "+Inf" => line.to_owned(),
                bound => format!("{before}le=\"{:?}\"{after}", bound.parse::<f64>().unwrap()),
            }
        }
        None => line.to_owned(),
    };
    let mut all: Vec<_> = lines.map(canonical).collect();
    all.sort();
    all
}

#[tokio::test]
async fn open_metrics_say_the_same_under_the_same_names() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a", "b"]);
    let endpoints = pool.register(bridge.metrics());
    endpoints[0].attempt_ended(std::time::Duration::from_micros(12_345), None);
    pool.set(|now| now.endpoints[1].errors[3] = 17);
    let running = serve(&bridge).await;
    let text = ask(running.addrs[0], "GET", "/metrics").await;
    let accept = [(
        "accept",
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    )];
    let open = ask_with(running.addrs[0], "GET", "/metrics", &accept).await;
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert_eq!(samples(open.text()), samples(text.text()));
    assert!(open.text().ends_with("\n# EOF\n") && !open.text().contains("\n\n"));
    // every metric of the catalogue is declared, once, with its type, and with the name that the standard wants
    for metric in METRICS {
        let (name, kind) = match metric.kind {
            Kind::Counter => (metric.name.strip_suffix("_total").expect(metric.name), "counter"),
            Kind::Gauge => (metric.name, "gauge"),
            Kind::Histogram => (metric.name, "histogram"),
        };
        let declared = format!("# TYPE {name} ");
        let found: Vec<_> = open
            .text()
            .lines()
            .filter(|line| line.starts_with(&declared))
            .collect();
        assert_eq!(found, [format!("{declared}{kind}")]);
    }
}

#[tokio::test]
async fn bodies_are_packed_for_those_who_want_it() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a", "b", "c"]);
    pool.register(bridge.metrics());
    let running = serve(&bridge).await;
    let plain = ask(running.addrs[0], "GET", "/metrics").await;
    for path in ["/metrics", "/pools", "/"] {
        let plain = ask(running.addrs[0], "GET", path).await;
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let packed = ask_with(running.addrs[0], "GET", path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert!(packed.bytes.len() < plain.bytes.len() / 2, "{path}");
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&*packed.bytes)
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked.len(), plain.bytes.len(), "{path}");
    }
    let refused = ask_with(
        running.addrs[0],
        "GET",
        "/metrics",
        &[("accept-encoding", "gzip;q=0, br")],
    )
    .await;
    assert_eq!(refused.text(), plain.text());
}

#[tokio::test]
async fn a_scraper_that_gives_up_is_told_so_and_the_next_one_is_served() {
    let slow = Slow::default();
    let _release = Release(slow.clone());
    let registry = Registry::new();
    registry.register(Box::new(slow.clone())).unwrap();
    let running = serve(registry).await;
    let hurry = [("x-prometheus-scrape-timeout-seconds", "0.1")];
    let reply = ask_with(running.addrs[0], "GET", "/metrics", &hurry).await;
    assert_eq!(reply.status(), 504);
    assert!(
        reply.text().starts_with("no answer within 100ms"),
        "{}",
        reply.text()
    );
    slow.go.store(true, Ordering::SeqCst);
    let reply = ask(running.addrs[0], "GET", "/metrics").await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn further_scrapes_wait_and_all_are_answered() {
    let slow = Slow::default();
    let _release = Release(slow.clone());
    let registry = Registry::new();
    registry.register(Box::new(slow.clone())).unwrap();
    let running = serve(registry).await;
    let addr = running.addrs[0];
    let scrapes: Vec<_> = (0..10)
        .map(|_| tokio::spawn(ask(addr, "GET", "/metrics")))
        .collect();
    until(|| slow.now.load(Ordering::SeqCst) == 4).await;
    // gatherings block no async worker, although this runtime has only one
    let reply = ask(addr, "GET", "/healthz").await;
    assert_eq!(reply.status(), 200);
    slow.go.store(true, Ordering::SeqCst);
    for scrape in scrapes {
        let reply = scrape.await.unwrap();
        assert_eq!(reply.status(), 200);
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
    assert_eq!(slow.total.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn a_gathering_that_panics_is_a_500_and_the_next_one_works() {
    struct Moody(AtomicBool);
    impl Collector for Moody {
        fn desc(&self) -> Vec<&Desc> {
            Vec::new()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            assert!(self.0.swap(true, Ordering::SeqCst), "on purpose");
            Vec::new()
        }
    }
    let registry = Registry::new();
    registry
        .register(Box::new(Moody(AtomicBool::new(false))))
        .unwrap();
    let running = serve(registry).await;
    let reply = ask(running.addrs[0], "GET", "/metrics").await;
    assert_eq!(reply.status(), 500);
    let reply = ask(running.addrs[0], "GET", "/metrics").await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn impatient_clients_start_no_more_gatherings_than_others() {
    let slow = Slow::default();
    let _release = Release(slow.clone());
    let registry = Registry::new();
    registry.register(Box::new(slow.clone())).unwrap();
    let running = serve(registry).await;
    let addr = running.addrs[0];
    for _ in 0..12 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n")
            .await
            .unwrap();
        drop(stream);
    }
    until(|| slow.now.load(Ordering::SeqCst) == 4).await;
    // plenty of turns for the server to notice that its clients are gone, and to start more if it would
    for _ in 0..50 {
        ask(addr, "GET", "/healthz").await;
        assert_eq!(slow.most.load(Ordering::SeqCst), 4);
    }
    slow.go.store(true, Ordering::SeqCst);
    until(|| slow.now.load(Ordering::SeqCst) == 0).await;
}
