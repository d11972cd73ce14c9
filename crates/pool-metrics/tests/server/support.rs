//! A running server, a client that is not the code under test, and pools that can be set.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use pool_core::{
    EndpointId, EndpointSnapshot, Explanation, Observer, PoolId, PoolSnapshot, Source, health::HealthStatus,
};
use pool_metrics::{MetricsServer, PoolMetrics, Routes};
use prometheus::{
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<()>,
}

pub(crate) fn start(server: MetricsServer) -> Running {
    let addrs = server.local_addrs();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.serve(async {
        stopped.await.ok();
    }));
    Running { addrs, stop, ended }
}

pub(crate) async fn serve(routes: impl Into<Routes>) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    start(MetricsServer::bind(&[any], routes).await.unwrap())
}

/// An answer, its head in lower case.
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

pub(crate) async fn ask(addr: SocketAddr, method: &str, path: &str) -> Reply {
    ask_with(addr, method, path, &[]).await
}

pub(crate) async fn ask_with(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let stream = TcpStream::connect(addr).await.unwrap();
    converse(stream, method, path, headers).await
}

pub(crate) async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // a TLS server may end without saying so
        stream.read_to_end(&mut answer).await.ok();
        answer
    };
    let answer = timeout(PATIENCE, exchange).await.expect("no answer");
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("no head");
    Reply {
        head: String::from_utf8_lossy(&answer[..end]).to_lowercase(),
        bytes: answer[end + 4..].to_vec(),
    }
}

pub(crate) async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("did not happen");
}

/// A pool whose numbers and explanations the test sets.
pub(crate) struct SetPool {
    now: Mutex<(PoolSnapshot, Vec<Explanation>)>,
}

impl Source for SetPool {
    fn snapshot(&self) -> PoolSnapshot {
        self.now.lock().unwrap().0.clone()
    }

    fn explain(&self) -> Vec<Explanation> {
        self.now.lock().unwrap().1.clone()
    }
}

impl SetPool {
    /// Healthy endpoints with ten slots each.
    pub(crate) fn attach(metrics: &PoolMetrics, id: &str, endpoints: &[&str]) -> Arc<Self> {
        let mut pool = PoolSnapshot::new(PoolId::new(id).unwrap(), Instant::now());
        pool.endpoints = endpoints
            .iter()
            .map(|id| {
                let mut endpoint = EndpointSnapshot::new(EndpointId::new(id).unwrap());
                (endpoint.health, endpoint.slots_max) = (HealthStatus::Healthy, 10);
                endpoint.concurrency_limit = 10;
                endpoint
            })
            .collect();
        pool.slots_usable = 10 * endpoints.len() as u64;
        pool.slots_free = pool.slots_usable;
        let explained = pool
            .endpoints
            .iter()
            .map(|endpoint| Explanation::new(endpoint.id.clone()));
        let explained = explained.collect();
        let set = Arc::new(Self {
            now: Mutex::new((pool, explained)),
        });
        let source: Arc<dyn Source> = Arc::clone(&set) as _;
        for endpoint in endpoints {
            let id = EndpointId::new(endpoint).unwrap();
            drop(metrics.endpoint(&set.snapshot().id, &id));
        }
        metrics.attached(&set.snapshot().id, Arc::downgrade(&source));
        set
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut PoolSnapshot, &mut Vec<Explanation>)) {
        let mut now = self.now.lock().unwrap();
        let (pool, explained) = &mut *now;
        change(pool, explained);
    }
}

/// Blocks each gathering until it is told to go on, and counts how many are under way at once.
#[derive(Clone, Default)]
pub(crate) struct Slow {
    pub(crate) go: Arc<AtomicBool>,
    pub(crate) now: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
    pub(crate) total: Arc<AtomicUsize>,
    desc: Vec<Desc>,
}

/// Lets all gatherings go when the test ends, however it ends: the runtime waits for its blocking threads.
pub(crate) struct Release(pub(crate) Slow);

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
