//! Random operations through the public API, against a plain account of what is held.
//!
//! `POOL_CORE_SEED=7 cargo test -p pool-core --test model` replays one run; `POOL_CORE_RUNS` sets how many there are.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{collections::HashMap, task::Poll, time::Duration};

use common::*;
use pool_core::*;
use tokio_test::task::Spawn;

type Acquire = std::pin::Pin<Box<dyn Future<Output = Result<Lease<Fake>, AcquireError<Oops>>> + Send>>;

const SLOTS: u32 = 2;

struct World {
    pool: Pool<Fake>,
    nodes: [Node; 3],
    rng: fastrand::Rng,
    held: Vec<Lease<Fake>>,
    /// Those who ask, and the position that they demand.
    asking: Vec<(Spawn<Acquire>, Option<u64>)>,
    ended: HashMap<EndpointId, u64>,
    /// The newest height of any node.
    height: u64,
}

impl World {
    async fn new(seed: u64) -> Self {
        let nodes = nodes::<3>();
        let mut rng = fastrand::Rng::with_seed(seed);
        if rng.bool() {
            nodes[1].set(|script| script.lanes = 3);
        }
        let (rarely, short) = (rng.bool(), rng.bool());
        let pool = pool(&nodes, SLOTS, |config| {
            if rarely {
                let mut outlier = OutlierConfig::default();
                outlier.interval = s(1);
                (outlier.minimum_requests, outlier.minimum_endpoints) = (1, 2);
                (outlier.consecutive, outlier.stdev_factor) = (1, 0.0);
                (outlier.ejection_base, outlier.ejection_max) = (s(2), s(4));
                outlier.max_ejected_share = 1.0;
                config.outlier = Some(outlier);
                config.health.max_concurrent = 1;
            }
            config.panic_threshold = short.then_some(0.7);
            config.keepalive = Some(s(2));
            config.max_waiters = 10;
            config.acquire_timeout = s(8);
            config.connect_timeout = s(1);
            config.idle_timeout = s(5);
            config.max_lifetime = s(40);
            config.breaker.consecutive_failures = 3;
            config.breaker.probe_lease = s(4);
            config.breaker.open_max = s(6);
        })
        .await;
        Self {
            pool,
            nodes,
            rng,
            held: Vec::new(),
            asking: Vec::new(),
            ended: HashMap::new(),
            height: 100,
        }
    }

    fn ask(&mut self) {
        let pool = self.pool.clone();
        let within = Duration::from_millis(self.rng.u64(1..8_000));
        let priority = [Priority::High, Priority::Normal, Priority::Low][self.rng.usize(..3)];
        let mut request = Request::new().timeout(within).priority(priority);
        if self.rng.u8(..3) == 0 {
            request = request.min_position(self.rng.u64(100..=self.height + 3));
        }
        if self.rng.u8(..4) == 0 {
            request = request.avoid(self.nodes[self.rng.usize(..3)].id());
        }
        let min_position = request.requirements.min_position;
        let acquire: Acquire = Box::pin(async move { pool.acquire_with(&request).await });
        self.asking.push((tokio_test::task::spawn(acquire), min_position));
    }

    fn poll(&mut self) {
        if self.asking.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.asking.len());
        if let Poll::Ready(result) = self.asking[at].0.poll() {
            let (_, min_position) = self.asking.swap_remove(at);
            match result {
                Ok(lease) => {
                    let snapshot = self.pool.snapshot();
                    let mut endpoints = snapshot.endpoints.iter();
                    let endpoint = endpoints.find(|endpoint| endpoint.id == *lease.endpoint());
                    // heights only rise here, so what was good enough still is
                    assert!(min_position <= endpoint.unwrap().position || min_position.is_none());
                    self.held.push(lease);
                }
                // failed connects are attempts too
                Err(AcquireError::Closed { .. }) => panic!("nobody has closed the pool"),
                Err(_) => {}
            }
        }
    }

    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut lease = self.held.swap_remove(self.rng.usize(..self.held.len()));
        if self.rng.bool() {
            lease.number += 1;
        }
        let endpoint = lease.endpoint().clone();
        let error_type = ErrorType::ALL[self.rng.usize(..ErrorType::ALL.len())];
        match self.rng.u8(..8) {
            0..4 => lease.succeed(),
            4..6 => drop(lease.fail(&Oops(Verdict::of(error_type)))),
            6 => return lease.neutral(),
            _ => return drop(lease),
        }
        *self.ended.entry(endpoint).or_default() += 1;
    }

    fn disturb(&mut self) {
        let acts = [
            Act::Ok,
            Act::Ok,
            Act::Error(ErrorType::Connect),
            Act::Slow(ms(300)),
            Act::Hang,
        ];
        let act = acts[self.rng.usize(..acts.len())];
        let which = self.rng.u8(..7);
        self.height += 1;
        let height = self.height;
        let node = &self.nodes[self.rng.usize(..3)];
        node.set(|script| match which {
            0 => script.connect = act,
            1 => script.open = act,
            2 => script.recycle = act,
            3 => script.check = act,
            4 | 5 => script.position = Some(height),
            _ => script.unfit = (act == Act::Hang).then_some(Unfit::Syncing),
        });
    }

    async fn step(&mut self) {
        match self.rng.u8(..16) {
            0..4 => {
                if self.asking.len() < 20 {
                    self.ask();
                }
            }
            4..9 => self.poll(),
            9 => {
                if !self.asking.is_empty() {
                    drop(self.asking.swap_remove(self.rng.usize(..self.asking.len())));
                }
            }
            10..13 => self.release(),
            13 => self.disturb(),
            _ => tokio::time::sleep(Duration::from_millis(self.rng.u64(..700))).await,
        }
    }

    fn invariants(&self) {
        let snapshot = self.pool.snapshot();
        for (endpoint, node) in snapshot.endpoints.iter().zip(&self.nodes) {
            let held = self.held.iter().filter(|lease| *lease.endpoint() == endpoint.id);
            let held = held.count() as u64;
            assert!(
                held <= endpoint.slots_active && endpoint.slots_active <= SLOTS.into(),
                "{endpoint:?}: {held} held"
            );
            assert!(
                endpoint.slots_active <= held + self.asking.len() as u64,
                "a slot that nobody has: {endpoint:?}"
            );
            assert_eq!(
                endpoint.connections_total() as i64,
                node.sockets(),
                "{endpoint:?}"
            );
            assert!(endpoint.connections_total() <= SLOTS.into(), "{endpoint:?}");
            assert!(
                endpoint.connections_active <= endpoint.slots_active,
                "{endpoint:?}"
            );
            let ended = self.ended.get(&endpoint.id).copied().unwrap_or(0);
            assert!(endpoint.requests >= ended, "{endpoint:?}: {ended} ended");
        }
        assert!(snapshot.queue_size <= self.asking.len() as u64);
    }

    async fn recovers(mut self) {
        self.asking.clear();
        self.held.clear();
        for node in &self.nodes {
            node.set(|script| {
                (script.connect, script.open) = (Act::Ok, Act::Ok);
                (script.recycle, script.check) = (Act::Ok, Act::Ok);
                script.unfit = None;
            });
        }
        tokio::time::sleep(s(60)).await;
        all_returned(&self.pool, &self.nodes, "afterwards");
        let snapshot = self.pool.snapshot();
        assert_eq!(
            snapshot.slots_free,
            3 * u64::from(SLOTS),
            "{:?}",
            self.pool.explain()
        );
        for _ in 0..3 * SLOTS {
            self.held.push(self.pool.acquire_within(ms(1)).await.unwrap());
        }
        drop(self.held);
        all_returned(&self.pool, &self.nodes, "in the end");
    }
}

fn replay(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for _ in 0..1_500 {
            world.step().await;
            world.invariants();
        }
        world.recovers().await;
    });
}

#[test]
fn random_operations_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("POOL_CORE_SEED") {
        return replay(seed);
    }
    let first = fastrand::u64(..u64::MAX / 2);
    for seed in first..first + number("POOL_CORE_RUNS").unwrap_or(40) {
        let run = std::panic::catch_unwind(|| replay(seed));
        assert!(run.is_ok(), "failed with POOL_CORE_SEED={seed}");
    }
}
