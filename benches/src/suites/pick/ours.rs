//! Our balancers, asked within a real pool.

use std::{
    hint::black_box,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use pool_core::{
    Balancer, BoundedHash, Candidates, EndpointConfig, EndpointId, Feedback, LeastRequests, P2c, PeakEwma,
    PickCx, Pool, PoolConfig, PoolId, Prequal, Random, RoundRobin, SampledLeastRequests, ShortestDelay,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use super::{Picker, THREADS};
use crate::suites::numbers::Numbers;

/// A pool of thousands takes its time to come up, under callgrind fifty times as long.
const PATIENCE: Duration = Duration::from_secs(300);

/// Those with a goal.
pub(super) const P2C: &str = "**pool-core** P2C";
pub(super) const EWMA: &str = "**pool-core** P2C, peak EWMA";

/// What callgrind counts alone: called once for each measurement.
pub(super) const COUNTED: [&str; 2] = ["Again", "pick"];

/// All of them, as each pool of this suite has them on its [`Board`].
fn balancers(asked: &Arc<Asked>) -> Vec<(&'static str, Box<dyn Balancer>)> {
    fn again(inner: impl Balancer, asked: &Arc<Asked>) -> Box<dyn Balancer> {
        let asked = Arc::clone(asked);
        Box::new(Again { inner, asked })
    }
    vec![
        (P2C, again(P2c::new(), asked)),
        (EWMA, again(PeakEwma::new(), asked)),
        ("**pool-core** least requests", again(LeastRequests::new(), asked)),
        (
            "**pool-core** least requests of three",
            again(SampledLeastRequests::new(), asked),
        ),
        ("**pool-core** round robin", again(RoundRobin::new(), asked)),
        ("**pool-core** random", again(Random::new(), asked)),
        ("**pool-core** Prequal", again(Prequal::new(), asked)),
        ("**pool-core** shortest delay", again(ShortestDelay::new(), asked)),
        ("**pool-core** bounded hash", again(BoundedHash::new(), asked)),
    ]
}

/// Their names, in the order in which they take turns.
pub(super) fn names() -> Vec<&'static str> {
    let all = balancers(&Arc::default());
    all.into_iter().map(|(name, _)| name).collect()
}

/// Asks a balancer as often as it is told for each pick, and keeps the longest time that took.
struct Again<B> {
    inner: B,
    asked: Arc<Asked>,
}

#[derive(Default)]
struct Asked {
    times: AtomicU64,
    nanos: AtomicU64,
}

impl<B: Balancer> Balancer for Again<B> {
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let begun = Instant::now();
        for _ in 0..self.asked.times.load(Relaxed) {
            black_box(self.inner.pick(black_box(among), cx));
        }
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.asked.nanos.fetch_max(nanos, Relaxed);
        self.inner.pick(among, cx)
    }
}

/// Several balancers of which one is in use: so they share a pool, and a pool of thousands comes up once. None of ours keeps
/// anything that the pool would have to tell it, so the others miss nothing meanwhile.
struct Board {
    balancers: Vec<(&'static str, Box<dyn Balancer>)>,
    chosen: AtomicUsize,
}

impl Balancer for Board {
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        self.balancers[self.chosen.load(Relaxed)].1.pick(among, cx)
    }

    fn observes(&self) -> bool {
        self.balancers.iter().any(|(_, balancer)| balancer.observes())
    }

    fn observe(&self, key: usize, what: &Feedback) {
        for (_, balancer) in &self.balancers {
            balancer.observe(key, what);
        }
    }
}

/// A pool of so many endpoints, in which each of our balancers picks when it is its turn.
pub(super) struct Arena {
    runtime: Runtime,
    pool: Pool<Numbers>,
    board: Arc<Board>,
    asked: Arc<Asked>,
}

impl Arena {
    /// Comes back when every endpoint may be picked.
    pub(super) fn new(endpoints: usize) -> Result<Rc<Self>> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS[THREADS.len() - 1])
            .enable_all()
            .build()?;
        let asked = Arc::new(Asked::default());
        let board = Arc::new(Board {
            balancers: balancers(&asked),
            chosen: AtomicUsize::new(0),
        });
        let balancer = Arc::clone(&board);
        let pool = runtime.block_on(pool(endpoints, balancer))?;
        Ok(Rc::new(Self {
            runtime,
            pool,
            board,
            asked,
        }))
    }

    /// Each balancer, to be asked on so many threads.
    pub(super) fn pickers(self: &Rc<Self>, threads: usize) -> Vec<(&'static str, Picker)> {
        let names = self.board.balancers.iter().map(|(name, _)| *name).enumerate();
        names
            .map(|(at, name)| {
                let arena = Rc::clone(self);
                let picker: Picker = Box::new(move |picks| arena.pick(at, threads, picks));
                (name, picker)
            })
            .collect()
    }

    /// One acquire on each thread, in each of which the balancer is asked so often.
    fn pick(&self, balancer: usize, threads: usize, picks: u64) -> Result<f64> {
        self.board.chosen.store(balancer, Relaxed);
        self.asked.times.store(picks, Relaxed);
        self.asked.nanos.store(0, Relaxed);
        let begin = Arc::new(tokio::sync::Barrier::new(threads));
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (pool, begin) = (self.pool.clone(), Arc::clone(&begin));
                self.runtime.spawn(async move {
                    begin.wait().await;
                    let lease = pool.acquire_within(PATIENCE).await;
                    lease.map(pool_core::Lease::succeed)
                })
            })
            .collect();
        for worker in workers {
            self.runtime.block_on(worker)??;
        }
        Ok(self.asked.nanos.load(Relaxed) as f64 / picks as f64)
    }
}

/// Health checks come once, and then not within the run: they are no part of a choice.
async fn pool(endpoints: usize, balancer: Arc<dyn Balancer>) -> Result<Pool<Numbers>> {
    let mut config = PoolConfig::default();
    config.health.interval = Duration::from_secs(24 * 3600);
    let mut builder = Pool::builder(PoolId::new("bench")?)
        .config(config)
        .balancer(balancer);
    let settings = EndpointConfig::default();
    let slots = u64::from(settings.max_connections) * endpoints as u64;
    for number in 0..endpoints {
        builder = builder.endpoint(EndpointId::new(format!("e{number}"))?, Numbers, settings.clone());
    }
    let pool = builder.build()?;
    let deadline = Instant::now() + PATIENCE;
    while pool.snapshot().slots_usable < slots {
        ensure!(
            Instant::now() < deadline,
            "the pool of {endpoints} did not come up within {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(pool)
}
