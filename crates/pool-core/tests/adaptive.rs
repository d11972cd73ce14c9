//! Nodes that work on so many requests at once and no more: the pool finds out, and gives each about so many.
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use pool_core::*;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

const SEED: u64 = 1;
const SLOTS: u64 = 16;
/// What a request takes, on average.
const WORK: Duration = Duration::from_millis(50);

/// A node in front of whose slots requests queue. It is connection and endpoint at once.
#[derive(Clone)]
struct Queue(Arc<Semaphore>);

impl Endpoint for Queue {
    type Transport = ();
    type Conn = Self;
    type Error = io::Error;

    async fn connect(&self, _: &ConnectCx) -> Result<(), io::Error> {
        Ok(())
    }

    async fn open(&self, _: &Arc<()>) -> Result<Self, io::Error> {
        Ok(self.clone())
    }

    fn is_clean(&self, _: &Self) -> bool {
        true
    }

    async fn recycle(&self, _: &mut Self, _: &RecycleCx) -> Result<(), io::Error> {
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, io::Error> {
        Ok(Report::fit(None))
    }

    fn classify(&self, _: &io::Error) -> Verdict {
        Verdict::of(ErrorType::Transport)
    }
}

/// A request that takes the node so long.
struct Work(Duration);

impl Operation<Queue> for Work {
    type Output = ();

    async fn call(&self, node: &mut Queue) -> Result<(), io::Error> {
        let _slot = node.0.acquire().await.unwrap();
        tokio::time::sleep(self.0).await;
        Ok(())
    }
}

/// Callers of a pool over nodes that work on so many requests at once.
struct Callers {
    pool: Pool<Queue>,
    rng: Mutex<fastrand::Rng>,
}

impl Callers {
    async fn new(slots: &[usize], config: PoolConfig) -> Self {
        let mut builder = Pool::builder(PoolId::new("adaptive").unwrap())
            .config(config)
            .seed(SEED);
        for (place, slots) in slots.iter().enumerate() {
            let node = Queue(Arc::new(Semaphore::new(*slots)));
            let settings = EndpointConfig::default().max_connections(SLOTS as u32);
            builder = builder.endpoint(EndpointId::new(format!("e{place}")).unwrap(), node, settings);
        }
        let pool = builder.build().unwrap();
        assert!(pool.ready(Duration::from_secs(1)).await);
        Self {
            pool,
            rng: Mutex::new(fastrand::Rng::with_seed(SEED)),
        }
    }

    fn drawn(&self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.rng.lock().unwrap().f64()).ln())
    }

    /// So many requests a second on average, for so long; all must succeed. Returns what one took on average.
    async fn come(&self, rate: f64, span: Duration) -> Duration {
        let (end, mut calls) = (Instant::now() + span, JoinSet::new());
        while Instant::now() < end {
            tokio::time::sleep(self.drawn(Duration::from_secs_f64(1.0 / rate))).await;
            let (pool, work, came) = (self.pool.clone(), Work(self.drawn(WORK)), Instant::now());
            calls.spawn(async move {
                pool.run(&work, &Request::new()).await.unwrap();
                came.elapsed()
            });
        }
        let took = calls.join_all().await;
        took.iter().sum::<Duration>() / took.len() as u32
    }

    fn apply(&self, config: PoolConfig) {
        let mut update = PoolUpdate::new(config);
        for endpoint in self.pool.snapshot().endpoints {
            update = update.keep(
                endpoint.id,
                EndpointConfig::default().max_connections(SLOTS as u32),
            );
        }
        self.pool.apply(update).unwrap();
    }

    fn limits(&self) -> Vec<u64> {
        let endpoints = self.pool.snapshot().endpoints;
        endpoints
            .iter()
            .map(|endpoint| endpoint.concurrency_limit)
            .collect()
    }
}

/// Requests a second that nodes with so many slots get done.
fn most(slots: usize) -> f64 {
    slots as f64 / WORK.as_secs_f64()
}

fn off() -> PoolConfig {
    let mut config = PoolConfig::default();
    config.adaptive_concurrency = None;
    config
}

#[tokio::test(start_paused = true)]
async fn what_each_node_bears_is_learned_and_shown_and_forgotten_when_told() {
    let callers = Callers::new(&[2, 6, 16], PoolConfig::default()).await;
    assert_eq!(callers.limits(), [SLOTS; 3], "nothing is known");
    callers.come(0.9 * most(24), Duration::from_secs(60)).await;
    let limits = callers.limits();
    let [small, middle, large] = limits[..] else {
        panic!("{limits:?}")
    };
    assert!(
        (2..=5).contains(&small) && (6..=10).contains(&middle),
        "{limits:?}"
    );
    assert_eq!(large, SLOTS);

    let explained = callers.pool.explain();
    assert_eq!(explained[0].concurrency_limit, small);
    assert!(
        explained[0]
            .to_string()
            .contains(&format!("of 16 slots taken, bears {small},")),
        "{}",
        explained[0]
    );
    assert!(!explained[2].to_string().contains("bears"), "{}", explained[2]);

    callers.apply(off());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(callers.limits(), [SLOTS; 3]);
    // and nothing is learned any more
    callers.come(0.9 * most(24), Duration::from_secs(20)).await;
    assert_eq!(callers.limits(), [SLOTS; 3]);
}

#[tokio::test(start_paused = true)]
async fn nearly_full_nodes_answer_sooner_for_it() {
    let rate = 0.95 * most(14);
    let (mut with, mut without) = (Duration::MAX, Duration::MAX);
    for (config, took) in [(PoolConfig::default(), &mut with), (off(), &mut without)] {
        let callers = Callers::new(&[2, 4, 8], config).await;
        callers.come(rate, Duration::from_secs(20)).await;
        *took = callers.come(rate, Duration::from_secs(100)).await;
    }
    assert!(with < without.mul_f64(0.9), "{with:?} with, {without:?} without");
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_kept_when_settings_change_and_nobody_gets_more_than_is_configured() {
    let callers = Callers::new(&[2, 16], PoolConfig::default()).await;
    callers.come(0.9 * most(18), Duration::from_secs(60)).await;
    let before = callers.limits();
    assert!(before[0] <= 5, "{before:?}");
    let mut other = PoolConfig::default();
    other.max_waiters = 7;
    callers.apply(other);
    assert_eq!(callers.limits(), before);
}

/// Answers may get slower with more requests at once for another reason than their number: calls one by one are cheap here,
/// and those that come together are dear. The nodes would bear them all.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_too_low_costs_little() {
    let callers = Callers::new(&[1_000, 1_000, 1_000], PoolConfig::default()).await;
    let (cheap, dear) = (Duration::from_millis(10), Duration::from_millis(400));
    let (mut limited, mut worst, mut sum) = (false, Duration::ZERO, Duration::ZERO);
    const ROUNDS: u32 = 120;
    for _ in 0..ROUNDS {
        for _ in 0..20 {
            callers.pool.run(&Work(cheap), &Request::new()).await.unwrap();
        }
        let begun = Instant::now();
        let mut burst = JoinSet::new();
        for _ in 0..24 {
            let pool = callers.pool.clone();
            burst.spawn(async move { pool.run(&Work(dear), &Request::new()).await.unwrap() });
        }
        burst.join_all().await;
        worst = worst.max(begun.elapsed());
        sum += begun.elapsed();
        limited |= callers.limits().iter().any(|limit| *limit < SLOTS);
    }
    // else this shows nothing
    assert!(limited);
    // twice in a while; what those tell who had to wait makes it seldom
    assert!(worst <= 2 * dear, "{worst:?}");
    let mean = sum / ROUNDS;
    assert!(mean < dear.mul_f64(1.3), "{mean:?}");
    println!("{mean:?} on average, {worst:?} at worst, for {dear:?}");
}
