//! A fake endpoint whose behaviour at each extension point can be set while it runs, and what the tests share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use pool_core::*;

/// What a node does when asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Ok,
    Error(ErrorType),
    /// Succeeds after so long.
    Slow(Duration),
    /// Fails after so long.
    SlowError(Duration),
    Hang,
    Panic,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) connect: Act,
    pub(crate) open: Act,
    pub(crate) recycle: Act,
    pub(crate) check: Act,
    pub(crate) call: Act,
    pub(crate) position: Option<u64>,
    /// How old its head is.
    pub(crate) age: Option<Duration>,
    pub(crate) unfit: Option<Unfit>,
    pub(crate) lanes: u32,
    /// A connection outlives a request that was broken off.
    pub(crate) survives: bool,
    pub(crate) clean: bool,
    pub(crate) throttle: Option<Duration>,
    pub(crate) maybe_executed: bool,
    /// Needs that it says it does not offer.
    pub(crate) lacks: Vec<u32>,
    /// Its errors mean that it lacks what was needed.
    pub(crate) lacking: bool,
    /// What a good answer says of the quota.
    pub(crate) pause: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connects: AtomicU64,
    pub(crate) connected: AtomicU64,
    /// Connects under way.
    pub(crate) connecting: AtomicI64,
    pub(crate) opens: AtomicU64,
    pub(crate) recycles: AtomicU64,
    pub(crate) checks: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) asked: AtomicU64,
    pub(crate) sockets: AtomicI64,
    pub(crate) most_sockets: AtomicI64,
    pub(crate) lines: AtomicI64,
}

/// A node, as the test sees it.
#[derive(Clone, Debug)]
pub(crate) struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    script: Mutex<Script>,
    counts: Counts,
}

impl Node {
    pub(crate) fn new(name: &str) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            script: Mutex::new(Script {
                connect: Act::Ok,
                open: Act::Ok,
                recycle: Act::Ok,
                check: Act::Ok,
                call: Act::Ok,
                position: None,
                age: None,
                unfit: None,
                lanes: 1,
                survives: false,
                clean: true,
                throttle: None,
                maybe_executed: true,
                lacks: Vec::new(),
                lacking: false,
                pause: None,
            }),
            counts: Counts::default(),
        }))
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Script)) -> &Self {
        change(&mut self.0.script.lock().unwrap());
        self
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap()
    }

    pub(crate) fn id(&self) -> EndpointId {
        EndpointId::new(&self.0.name).unwrap()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.counts.calls.load(SeqCst)
    }

    /// How often it was asked what it offers.
    pub(crate) fn asked(&self) -> u64 {
        self.0.counts.asked.load(SeqCst)
    }

    pub(crate) fn connects(&self) -> u64 {
        self.0.counts.connects.load(SeqCst)
    }

    pub(crate) fn sockets(&self) -> i64 {
        self.0.counts.sockets.load(SeqCst)
    }

    async fn act(&self, act: Act) -> Result<(), Oops> {
        let fail = |error_type| {
            let script = self.script();
            let verdict = Verdict::of(error_type);
            let verdict = match script.throttle {
                Some(wait) => verdict.with_throttle(Some(wait)),
                None => verdict,
            };
            let maybe = verdict.maybe_executed && script.maybe_executed;
            let verdict = verdict.with_lacks(script.lacking);
            Err(Oops(verdict.with_maybe_executed(maybe)))
        };
        match act {
            Act::Ok => Ok(()),
            Act::Error(error_type) => fail(error_type),
            Act::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Act::SlowError(time) => {
                tokio::time::sleep(time).await;
                fail(ErrorType::Transport)
            }
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("scripted panic"),
        }
    }
}

/// The pool's side of a node.
#[derive(Debug)]
pub(crate) struct Fake(pub(crate) Node);

/// A physical connection.
#[derive(Debug)]
pub(crate) struct Socket(Node);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.counts().sockets.fetch_sub(1, SeqCst);
    }
}

struct Connecting<'a>(&'a Node);

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.counts().connecting.fetch_sub(1, SeqCst);
    }
}

/// A lane.
#[derive(Debug)]
pub(crate) struct Line {
    node: Node,
    socket: Arc<Socket>,
    pub(crate) number: u64,
    clean: bool,
}

impl Line {
    pub(crate) async fn call(&mut self) -> Result<(), Oops> {
        self.node.counts().calls.fetch_add(1, SeqCst);
        let act = self.node.script().call;
        self.clean = false;
        let result = self.node.act(act).await;
        self.clean = self.node.script().clean;
        result
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.node.counts().lines.fetch_sub(1, SeqCst);
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Oops(pub(crate) Verdict);

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oops: {}", self.0.error_type.as_str())
    }
}

impl std::error::Error for Oops {}

impl Endpoint for Fake {
    type Transport = Arc<Socket>;
    type Conn = Line;
    type Error = Oops;

    async fn connect(&self, _: &ConnectCx) -> Result<Arc<Socket>, Oops> {
        let node = &self.0;
        node.counts().connects.fetch_add(1, SeqCst);
        node.counts().connecting.fetch_add(1, SeqCst);
        let _until_it_ends = Connecting(node);
        let act = node.script().connect;
        node.act(act).await?;
        node.counts().connected.fetch_add(1, SeqCst);
        let now = node.counts().sockets.fetch_add(1, SeqCst) + 1;
        node.counts().most_sockets.fetch_max(now, SeqCst);
        Ok(Arc::new(Socket(node.clone())))
    }

    fn lanes(&self, _: &Arc<Socket>) -> u32 {
        self.0.script().lanes
    }

    async fn open(&self, socket: &Arc<Arc<Socket>>) -> Result<Line, Oops> {
        let node = &self.0;
        let act = node.script().open;
        node.act(act).await?;
        node.counts().lines.fetch_add(1, SeqCst);
        Ok(Line {
            node: node.clone(),
            socket: Arc::clone(socket),
            number: node.counts().opens.fetch_add(1, SeqCst),
            clean: true,
        })
    }

    fn is_clean(&self, line: &Line) -> bool {
        line.clean
    }

    fn survives(&self, _: &Line) -> bool {
        self.0.script().survives
    }

    async fn recycle(&self, line: &mut Line, _: &RecycleCx) -> Result<(), Oops> {
        self.0.counts().recycles.fetch_add(1, SeqCst);
        let act = self.0.script().recycle;
        self.0.act(act).await?;
        line.clean = true;
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, Oops> {
        self.0.counts().checks.fetch_add(1, SeqCst);
        let act = self.0.script().check;
        self.0.act(act).await?;
        let script = self.0.script();
        let report = match &script.unfit {
            Some(unfit) => Report::unfit(script.position, unfit.clone()),
            None => Report::fit(script.position),
        };
        Ok(report.with_age(script.age))
    }

    fn offers(&self, need: Need) -> bool {
        self.0.counts().asked.fetch_add(1, SeqCst);
        !self.0.script().lacks.contains(&need.number())
    }

    fn classify(&self, error: &Oops) -> Verdict {
        error.0.clone()
    }

    fn pause(&self, line: &mut Line) -> Option<Duration> {
        line.node.script().pause
    }
}

/// The operation that calls the node.
#[derive(Debug, Default)]
pub(crate) struct Call;

impl Operation<Fake> for Call {
    type Output = String;

    async fn call(&self, line: &mut Line) -> Result<String, Oops> {
        line.call().await?;
        Ok(line.node.0.name.clone())
    }
}

pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn nodes<const N: usize>() -> [Node; N] {
    std::array::from_fn(|i| Node::new(&format!("e{i}")))
}

/// Built, with so many slots for each node, and not yet checked.
pub(crate) fn build(nodes: &[Node], slots: u32, tune: impl FnOnce(&mut PoolConfig)) -> Pool<Fake> {
    let mut config = PoolConfig::default();
    tune(&mut config);
    let mut builder = Pool::builder(PoolId::new("test").unwrap()).config(config).seed(7);
    // tests count on whose turn it is; the default draws among equals
    builder = builder.balancer(Arc::new(LeastRequests::new()));
    for node in nodes {
        let settings = EndpointConfig::default().max_connections(slots);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    builder.build().unwrap()
}

/// Built, and every node has had its first check.
pub(crate) async fn pool(nodes: &[Node], slots: u32, tune: impl FnOnce(&mut PoolConfig)) -> Pool<Fake> {
    let pool = build(nodes, slots, tune);
    settle().await;
    pool
}

/// Lets everything run that can run without time passing.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Everything has been returned: no slot taken, nobody waits, no active connection, sums hold.
#[track_caller]
pub(crate) fn all_returned(pool: &Pool<Fake>, nodes: &[Node], what: &str) {
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.queue_size, 0, "{what}: nobody waits");
    for (endpoint, node) in snapshot.endpoints.iter().zip(nodes) {
        assert_eq!(endpoint.slots_active, 0, "{what}: slots of {}", endpoint.id);
        assert_eq!(
            endpoint.connections_active, 0,
            "{what}: connections of {}",
            endpoint.id
        );
        let open = node.sockets();
        assert_eq!(endpoint.connections_total() as i64, open, "{what}: what is open");
        assert!(
            open <= endpoint.connections_max as i64,
            "{what}: within the limit"
        );
        assert_eq!(
            endpoint.connections_created - endpoint.connections_destroyed,
            endpoint.connections_total(),
            "{what}: opened less closed is open"
        );
    }
}
