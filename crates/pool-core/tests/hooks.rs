//! What an endpoint is asked synchronously, and what its connections do when they are dropped, in all combinations of
//! being right, wrong, busy (so long that others use the pool meanwhile) and panicking; with operations that succeed,
//! fail, panic and are cancelled. One invariant: everything comes back, and once all is well every slot can be had.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;
#[path = "common/visitor.rs"]
mod visitor;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
};

use common::{Act, Oops, ms, s, settle};
use pool_core::*;
use visitor::{Visitor, Way};

/// What is asked, by its index in [`Ways`].
#[derive(Clone, Copy)]
enum Hook {
    IsClean,
    Lanes,
    Classify,
    /// Of a connection.
    Drop,
    /// Of a physical connection.
    Close,
}

type Ways = [Way; 5];

const RIGHT: Ways = [Way::Right; 5];

#[derive(Debug)]
struct Node {
    visitor: Visitor,
    ways: Mutex<Ways>,
    call: Mutex<Act>,
    asked: [AtomicU64; 5],
    sockets: AtomicI64,
}

impl Node {
    fn asked(&self, hook: Hook) -> Way {
        self.asked[hook as usize].fetch_add(1, SeqCst);
        let way = self.ways.lock().unwrap()[hook as usize];
        self.visitor.act(way);
        way
    }
}

struct Hooked(Arc<Node>);

struct Socket(Arc<Node>);

struct Line {
    node: Arc<Node>,
    clean: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.node.asked(Hook::Drop);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, SeqCst);
        self.0.asked(Hook::Close);
    }
}

impl Endpoint for Hooked {
    type Transport = Socket;
    type Conn = Line;
    type Error = Oops;

    async fn connect(&self, _: &ConnectCx) -> Result<Socket, Oops> {
        self.0.sockets.fetch_add(1, SeqCst);
        Ok(Socket(Arc::clone(&self.0)))
    }

    fn lanes(&self, _: &Socket) -> u32 {
        if self.0.asked(Hook::Lanes) == Way::Wrong {
            0
        } else {
            2
        }
    }

    async fn open(&self, _: &Arc<Socket>) -> Result<Line, Oops> {
        Ok(Line {
            node: Arc::clone(&self.0),
            clean: true,
        })
    }

    fn is_clean(&self, line: &Line) -> bool {
        self.0.asked(Hook::IsClean) != Way::Wrong && line.clean
    }

    async fn recycle(&self, line: &mut Line, _: &RecycleCx) -> Result<(), Oops> {
        line.clean = true;
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, Oops> {
        Ok(Report::fit(None))
    }

    fn classify(&self, error: &Oops) -> Verdict {
        if self.0.asked(Hook::Classify) == Way::Wrong {
            return Verdict::of(ErrorType::RateLimited).with_throttle(Some(ms(50)));
        }
        error.0.clone()
    }
}

struct Call;

impl Operation<Hooked> for Call {
    type Output = ();

    async fn call(&self, line: &mut Line) -> Result<(), Oops> {
        let act = *line.node.call.lock().unwrap();
        line.clean = false;
        match act {
            Act::Ok => line.clean = true,
            Act::Error(error_type) => return Err(Oops(Verdict::of(error_type))),
            Act::Slow(time) => tokio::time::sleep(time).await,
            Act::Panic => panic!("scripted panic"),
            other => unreachable!("{other:?}"),
        }
        Ok(())
    }
}

struct Case {
    ways: Ways,
    call: Act,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [is_clean, lanes, classify, drop, close] = self.ways;
        write!(
            f,
            "is_clean {is_clean:?}, lanes {lanes:?}, classify {classify:?}, drop {drop:?}, close {close:?}, call {:?}",
            self.call
        )
    }
}

const CALLS: [Act; 4] = [
    Act::Ok,
    Act::Error(ErrorType::Transport),
    // longer than the caller waits
    Act::Slow(std::time::Duration::from_secs(3)),
    Act::Panic,
];

/// For a hook that answers nothing there is no wrong.
const SILENT: [Way; 3] = [Way::Right, Way::Busy, Way::Panic];

fn hush_scripted_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"scripted panic") {
            usual(info);
        }
    }));
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_whatever_the_endpoint_answers() {
    hush_scripted_panics();
    let (mut cases, mut visits) = (0, 0);
    for is_clean in Way::ALL {
        for lanes in Way::ALL {
            for classify in Way::ALL {
                for drop in SILENT {
                    for close in SILENT {
                        for call in CALLS {
                            let ways = [is_clean, lanes, classify, drop, close];
                            // a drop that panics during another panic ends the process, whoever drops
                            let panics = ways.iter().filter(|way| **way == Way::Panic).count();
                            if panics > 1 && ways[Hook::Drop as usize..].contains(&Way::Panic) {
                                continue;
                            }
                            visits += one(Case { ways, call }).await;
                            cases += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, (4 * 4 * 4 * (2 * 2) + 3 * 3 * 3 * (2 + 2)) * 4);
    assert!(visits > 1_000, "{visits}");
}

fn check(pool: &Pool<Hooked>, node: &Node, what: &Case) {
    let snapshot = pool.snapshot();
    let endpoint = &snapshot.endpoints[0];
    assert_eq!((snapshot.queue_size, endpoint.slots_active), (0, 0), "{what}");
    assert_eq!(endpoint.connections_active, 0, "{what}");
    let open = node.sockets.load(SeqCst);
    assert_eq!(endpoint.connections_total() as i64, open, "{what}");
    let counted = endpoint.connections_created - endpoint.connections_destroyed;
    assert_eq!(counted as i64, open, "{what}");
    assert!(open <= 3, "{what}: {open}");
}

async fn one(case: Case) -> u64 {
    let node = Arc::new(Node {
        visitor: Visitor::new(),
        ways: Mutex::new(RIGHT),
        call: Mutex::new(Act::Ok),
        asked: Default::default(),
        sockets: AtomicI64::new(0),
    });
    let mut config = PoolConfig::default();
    config.acquire_timeout = ms(300);
    config.breaker.open_max = s(1);
    config.idle_timeout = s(2);
    config.health.interval = s(1);
    let settings = EndpointConfig::default().max_connections(3);
    let pool = Pool::builder(PoolId::new("hooked").unwrap())
        .config(config)
        .seed(7)
        .endpoint(
            EndpointId::new("e0").unwrap(),
            Hooked(Arc::clone(&node)),
            settings,
        )
        .build()
        .unwrap();
    node.visitor.begin(&pool);
    settle().await;
    for lease in [pool.acquire().await, pool.acquire().await] {
        lease.unwrap().succeed();
    }
    *node.ways.lock().unwrap() = case.ways;
    *node.call.lock().unwrap() = case.call;
    let tasks: Vec<_> = (0..5)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                // one after the other, and then together
                tokio::time::sleep(ms(number / 2)).await;
                for _ in 0..2 {
                    let request = Request::new().timeout(ms(200));
                    let run = pool.run(&Call, &request);
                    let _either = tokio::time::timeout(ms(100 + 200 * (number % 2)), run).await;
                }
            })
        })
        .collect();
    let mut panicked = 0;
    for task in tasks {
        panicked += usize::from(task.await.is_err());
    }
    let allowed = case.call == Act::Panic || case.ways.contains(&Way::Panic);
    assert!(panicked == 0 || allowed, "{case}");
    // idle connections are looked through, checks go on
    tokio::time::sleep(s(5)).await;
    check(&pool, &node, &case);
    *node.ways.lock().unwrap() = RIGHT;
    *node.call.lock().unwrap() = Act::Ok;
    tokio::time::sleep(s(10)).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        let lease = pool.acquire().await;
        leases.push(lease.unwrap_or_else(|error| panic!("{case}: {error}: {:?}", pool.explain())));
    }
    leases.into_iter().for_each(Lease::succeed);
    check(&pool, &node, &case);
    tokio::time::sleep(s(5)).await;
    let idle = node.sockets.load(SeqCst);
    assert_eq!(idle, 0, "{case}: what looks through idle connections has ended");
    node.visitor.end(&case.to_string())
}
