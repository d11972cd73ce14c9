//! Each way to misbehave at each extension point, combined, with one invariant: everything comes back, and once all is
//! well again every slot can be had.
//!
//! Connect, open, recycle, check and operation go through all combinations of five acts. Balancer and observer are
//! synchronous: where the others hang or are slow, they take so long that others use the pool meanwhile, which must not
//! wait for them. Their four ways each, and the three ways in which callers give up (never, early, late), take turns, so
//! that each combination of the two with each act of each other extension point occurs.
//! `POOL_CORE_FULL=1 cargo test --release -p pool-core --test misbehaviour` multiplies them all out.
//!
//! What an endpoint is asked synchronously is in `hooks.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;
#[path = "common/visitor.rs"]
mod visitor;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering::SeqCst},
    time::Duration,
};

use common::*;
use pool_core::*;
use visitor::{Visitor, Way};

const ACTS: [Act; 5] = [
    Act::Ok,
    Act::Error(ErrorType::Transport),
    Act::Slow(ms_const(40)),
    Act::Hang,
    Act::Panic,
];

const CANCELS: [Option<Duration>; 3] = [None, Some(ms_const(15)), Some(ms_const(90))];

const fn ms_const(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Quiet: hundreds of scripted panics would bury the one message that matters.
fn hush_scripted_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let scripted = info.payload().downcast_ref::<&str>() == Some(&"scripted panic");
            if !scripted {
                usual(info);
            }
        }));
    });
}

/// What is not the node's.
#[derive(Clone, Copy, Debug)]
struct Around {
    balancer: Way,
    observer: Way,
    cancel: Option<Duration>,
}

impl Around {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for cancel in CANCELS {
            for balancer in Way::ALL {
                for observer in Way::ALL {
                    all.push(Self {
                        balancer,
                        observer,
                        cancel,
                    });
                }
            }
        }
        all
    }
}

/// All that the other extension points can do while connecting does this.
async fn all_while_connect(connect: Act) {
    hush_scripted_panics();
    let full = std::env::var_os("POOL_CORE_FULL").is_some();
    let arounds = Around::all();
    let mut combinations = 0_usize;
    // extension point, its act, what is around
    let mut met = BTreeSet::new();
    let mut visits = 0;
    for (o, open) in ACTS.into_iter().enumerate() {
        for (r, recycle) in ACTS.into_iter().enumerate() {
            for (c, check) in ACTS.into_iter().enumerate() {
                for (l, call) in ACTS.into_iter().enumerate() {
                    let script = Script {
                        connect,
                        open,
                        recycle,
                        check,
                        call,
                        ..sound()
                    };
                    // 48 has no divisor in common with 5, so turns meet all
                    let turn = combinations % arounds.len();
                    combinations += 1;
                    let chosen = if full { 0..arounds.len() } else { turn..turn + 1 };
                    for around in chosen {
                        visits += one(&script, arounds[around]).await;
                        met.extend([(0, o), (1, r), (2, c), (3, l)].map(|(point, act)| (point, act, around)));
                    }
                }
            }
        }
    }
    assert_eq!(combinations, 5_usize.pow(4));
    assert_eq!(met.len(), 4 * ACTS.len() * arounds.len());
    assert!(visits > 0, "nobody visited");
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_succeed() {
    all_while_connect(Act::Ok).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_fail() {
    all_while_connect(ACTS[1]).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_are_slow() {
    all_while_connect(ACTS[2]).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_hang() {
    all_while_connect(Act::Hang).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_panic() {
    all_while_connect(Act::Panic).await;
}

fn sound() -> Script {
    Script {
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
        // so that every return goes through a recycle
        clean: false,
        throttle: None,
        pause: None,
        maybe_executed: true,
        lacks: Vec::new(),
        lacking: false,
    }
}

/// Balancer and observer. They go their way from the first.
struct Hooks {
    around: Around,
    visitor: Visitor,
    picks: AtomicU64,
    heard: AtomicU64,
    attempts: AtomicU64,
}

struct Both(Arc<Hooks>);

impl Balancer for Both {
    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        let hooks = &self.0;
        let turn = hooks.picks.fetch_add(1, SeqCst);
        hooks.visitor.act(hooks.around.balancer);
        if hooks.around.balancer == Way::Wrong {
            return turn.is_multiple_of(2).then_some(usize::MAX);
        }
        (!among.is_empty()).then(|| turn as usize % among.len())
    }

    fn observe(&self, _: usize, _: &Feedback) {
        self.0.heard.fetch_add(1, SeqCst);
        self.0.visitor.act(self.0.around.balancer);
    }
}

impl Observer for Both {
    fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
        Arc::new(Self(Arc::clone(&self.0)))
    }

    fn event(&self, _: &PoolId, _: &Event) {
        self.0.visitor.act(self.0.around.observer);
    }
}

impl EndpointObserver for Both {
    fn attempt_ended(&self, _: Duration, _: Option<ErrorType>) {
        self.0.attempts.fetch_add(1, SeqCst);
        self.0.visitor.act(self.0.around.observer);
    }
}

async fn built(nodes: &[Node], hooks: &Arc<Hooks>) -> Pool<Fake> {
    let mut config = PoolConfig::default();
    config.acquire_timeout = ms(300);
    config.connect_timeout = ms(200);
    config.recycle_timeout = ms(100);
    config.health.interval = ms(100);
    config.health.timeout = ms(100);
    config.breaker.open_max = s(1);
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .config(config)
        .balancer(Arc::new(Both(Arc::clone(hooks))))
        .observer(Arc::new(Both(Arc::clone(hooks))))
        .seed(7);
    for node in nodes {
        let settings = EndpointConfig::default().max_connections(1);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    let pool = builder.build().unwrap();
    hooks.visitor.begin(&pool);
    settle().await;
    pool
}

/// Returns how often somebody used the pool while a hook took its time.
async fn one(script: &Script, around: Around) -> u64 {
    let what = format!("{script:?}, {around:?}");
    let nodes = nodes::<2>();
    let hooks = Arc::new(Hooks {
        around,
        visitor: Visitor::new(),
        picks: AtomicU64::new(0),
        heard: AtomicU64::new(0),
        attempts: AtomicU64::new(0),
    });
    let pool = built(&nodes, &hooks).await;
    let warm = [pool.acquire().await, pool.acquire().await];
    for lease in warm {
        lease.expect(&what).succeed();
    }
    // one misbehaves, and the other is well
    nodes[0].set(|all| *all = script.clone());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..3 {
                    let request = Request::new().timeout(ms(500));
                    let run = pool.run(&Call, &request);
                    match around.cancel {
                        Some(after) => drop(tokio::time::timeout(after, run).await),
                        None => drop(run.await),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        let ended = task.await;
        let panicked = script.call == Act::Panic || script.open == Act::Panic || script.recycle == Act::Panic;
        assert!(ended.is_ok() || panicked, "{what}");
    }
    // in the middle of whatever is going on, then after it
    tokio::time::sleep(s(1)).await;
    all_returned(&pool, &nodes, &what);
    nodes[0].set(|all| *all = sound());
    tokio::time::sleep(s(10)).await;
    let both = [pool.acquire().await, pool.acquire().await];
    for lease in both {
        lease.unwrap_or_else(|error| panic!("{what}: {error}")).succeed();
    }
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.slots_free, 2, "{what}: {:?}", pool.explain());
    all_returned(&pool, &nodes, &what);
    let [picks, heard, attempts] =
        [&hooks.picks, &hooks.heard, &hooks.attempts].map(|count| count.load(SeqCst));
    // each slot is told of twice, when it is taken and when it is free, whatever came of the first telling
    assert!(
        picks > 0 && attempts >= 4 && heard.is_multiple_of(2),
        "{what}: {hooks:?}"
    );
    hooks.visitor.end(&what)
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = (&self.picks, &self.heard, &self.attempts);
        write!(f, "picks, heard, attempts: {counts:?}")
    }
}

/// An observer that panics while a pool is built keeps it from being built, and nothing of it stays behind.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_observer_during_the_build_is_the_builders() {
    struct Broken {
        attached: bool,
    }
    impl Observer for Broken {
        fn attached(&self, _: &PoolId, source: std::sync::Weak<dyn Source>) {
            assert_eq!(source.upgrade().unwrap().snapshot().endpoints.len(), 1);
            assert!(!self.attached, "scripted panic");
        }
        fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
            panic!("scripted panic")
        }
    }
    hush_scripted_panics();
    for attached in [false, true] {
        let node = Node::new("e0");
        let builder = Pool::builder(PoolId::new("never").unwrap())
            .endpoint(node.id(), Fake(node.clone()), EndpointConfig::default())
            .observer(Arc::new(Broken { attached }));
        let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.build()));
        assert!(built.is_err());
        settle().await;
        tokio::time::sleep(s(60)).await;
        let checks = node.counts().checks.load(SeqCst);
        assert_eq!((checks, node.connects()), (0, 0), "nothing works on");
    }
}
