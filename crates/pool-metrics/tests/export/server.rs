//! The server over real sockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use pool_metrics::{MetricsServer, PrometheusBridge, ServeError};
use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::support::{Exposition, FakePool};

const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    addrs: Vec<SocketAddr>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(server: MetricsServer) -> Running {
    let addrs = server.local_addrs();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.serve(async {
        stopped.await.ok();
    }));
    Running { addrs, stop, ended }
}

async fn serve(registry: Registry) -> Running {
    start(
        MetricsServer::bind(&["127.0.0.1:0".parse().unwrap()], registry)
            .await
            .unwrap(),
    )
    .await
}

/// Head and body of the answer.
async fn ask(addr: SocketAddr, method: &str, path: &str) -> (String, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(PATIENCE, exchange).await.expect("no answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("no head");
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn metrics_come_with_their_content_type() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["a"]);
    pool.register(bridge.metrics());
    let running = serve(bridge.registry().clone()).await;
    let (head, body) = ask(running.addrs[0], "GET", "/metrics").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    assert!(Exposition::parse(&body).series_of("eth") > 0);

    let (same, empty) = ask(running.addrs[0], "HEAD", "/metrics").await;
    assert!(same.starts_with("http/1.1 200"), "{same}");
    assert!(
        same.contains(&format!("content-length: {}", body.len())),
        "{same}"
    );
    assert_eq!(empty, "");

    // with nothing but what is of the process, too
    drop(pool);
    let (head, body) = ask(running.addrs[0], "GET", "/metrics?name=x").await;
    assert!(
        head.starts_with("http/1.1 200") && head.contains("version=0.0.4"),
        "{head}"
    );
    assert_eq!(Exposition::parse(&body).of_pools(), 0);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let running = serve(Registry::new()).await;
    for path in ["/", "/metric", "/metrics/", "/pools"] {
        let (head, _) = ask(running.addrs[0], "GET", path).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
    for method in ["POST", "DELETE", "OPTIONS"] {
        let (head, _) = ask(running.addrs[0], method, "/metrics").await;
        assert!(
            head.starts_with("http/1.1 405") && head.contains("allow: get, head"),
            "{method}: {head}"
        );
    }
    // broken requests don't end the server
    let (head, _) = ask(running.addrs[0], "\u{1}", "nonsense").await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    let (head, _) = ask(running.addrs[0], "GET", "/healthz").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn readiness_says_why_not() {
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let server = MetricsServer::bind(&["127.0.0.1:0".parse().unwrap()], Registry::new())
        .await
        .unwrap();
    let server = server.ready_when(move || {
        if asked.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("pool eth has no usable endpoint".to_owned())
        }
    });
    let running = start(server).await;
    let (head, body) = ask(running.addrs[0], "GET", "/readyz").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(body, "not ready: pool eth has no usable endpoint\n");
    let (head, _) = ask(running.addrs[0], "GET", "/healthz").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    ready.store(true, Ordering::Relaxed);
    let (head, _) = ask(running.addrs[0], "GET", "/readyz").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test]
async fn several_addresses_serve_the_same() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let running = start(MetricsServer::bind(&[any, any], Registry::new()).await.unwrap()).await;
    assert_eq!(running.addrs.len(), 2);
    for addr in &running.addrs {
        let (head, _) = ask(*addr, "GET", "/healthz").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().map(|addr| (taken, addr)).unwrap();
    let error = MetricsServer::bind(&[taken.1], Registry::new())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ServeError::Bind { addr, .. } if *addr == taken.1),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(
        said.contains(&taken.1.to_string()) && said.contains("another process listens there"),
        "{said}"
    );
    assert!(matches!(
        MetricsServer::bind(&[], Registry::new()).await,
        Err(ServeError::NoAddress)
    ));
}

/// Blocks each gathering until it is told to go on, and counts how many are under way at once.
#[derive(Clone, Default)]
struct Slow {
    go: Arc<AtomicBool>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
    desc: Vec<Desc>,
}

/// Lets all gatherings go when the test ends, however it ends: the runtime waits for its blocking threads.
struct Release(Slow);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.go.store(true, Ordering::SeqCst);
    }
}

impl Collector for Slow {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.total.fetch_add(1, Ordering::SeqCst);
        self.most
            .fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        while !self.go.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        Vec::new()
    }
}

async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("did not happen");
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
    let (head, _) = ask(addr, "GET", "/healthz").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    slow.go.store(true, Ordering::SeqCst);
    for scrape in scrapes {
        let (head, _) = scrape.await.unwrap();
        assert!(head.starts_with("http/1.1 200"), "{head}");
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
    assert_eq!(slow.total.load(Ordering::SeqCst), 10);
}

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
    let (head, _) = scrape.await.unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    timeout(PATIENCE, running.ended).await.unwrap().unwrap();
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
    let (head, _) = ask(running.addrs[0], "GET", "/metrics").await;
    assert!(head.starts_with("http/1.1 500"), "{head}");
    let (head, _) = ask(running.addrs[0], "GET", "/metrics").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
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
