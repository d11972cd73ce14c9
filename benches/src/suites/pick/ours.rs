//! Our balancers, asked within a real pool.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, anyhow};
use pool_core::{
    Balancer, BoundedHash, Candidates, EndpointConfig, EndpointId, LeastRequests, P2c, PeakEwma, PickCx,
    Pool, PoolId, Prequal, Random, RoundRobin, SampledLeastRequests,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use super::{Make, Picker};
use crate::suites::numbers::Numbers;

/// Those with a goal.
pub(super) const P2C: &str = "**pool-core** P2C";
pub(super) const EWMA: &str = "**pool-core** P2C, peak EWMA";

/// What callgrind counts alone.
pub(super) const COUNTED: &str = "*Again*pick*";

pub(super) const PICKERS: [(&str, Make); 8] = [
    (P2C, |endpoints, threads| picker(P2c::new(), endpoints, threads)),
    (EWMA, |endpoints, threads| {
        picker(PeakEwma::new(), endpoints, threads)
    }),
    ("**pool-core** least requests", |endpoints, threads| {
        picker(LeastRequests::new(), endpoints, threads)
    }),
    ("**pool-core** least requests of three", |endpoints, threads| {
        picker(SampledLeastRequests::new(), endpoints, threads)
    }),
    ("**pool-core** round robin", |endpoints, threads| {
        picker(RoundRobin::new(), endpoints, threads)
    }),
    ("**pool-core** random", |endpoints, threads| {
        picker(Random::new(), endpoints, threads)
    }),
    ("**pool-core** Prequal", |endpoints, threads| {
        picker(Prequal::new(), endpoints, threads)
    }),
    ("**pool-core** bounded hash", |endpoints, threads| {
        picker(BoundedHash::new(), endpoints, threads)
    }),
];

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

fn picker(balancer: impl Balancer, endpoints: usize, threads: usize) -> Result<Picker> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let asked = Arc::new(Asked::default());
    let balancer = Arc::new(Again {
        inner: balancer,
        asked: Arc::clone(&asked),
    });
    let pool = runtime.block_on(pool(endpoints, balancer))?;
    Ok(Box::new(move |picks| {
        pick(&runtime, &pool, &asked, threads, picks)
    }))
}

async fn pool(endpoints: usize, balancer: Arc<dyn Balancer>) -> Result<Pool<Numbers>> {
    let mut builder = Pool::builder(PoolId::new("bench")?).balancer(balancer);
    for number in 0..endpoints {
        builder = builder.endpoint(
            EndpointId::new(format!("e{number}"))?,
            Numbers,
            EndpointConfig::default(),
        );
    }
    let pool = builder.build()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while pool
        .explain()
        .iter()
        .any(|endpoint| endpoint.not_usable.is_some())
    {
        if Instant::now() > deadline {
            return Err(anyhow!("the pool did not come up within a minute"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(pool)
}

/// One acquire on each thread, in each of which the balancer is asked so often.
fn pick(runtime: &Runtime, pool: &Pool<Numbers>, asked: &Asked, threads: usize, picks: u64) -> Result<f64> {
    asked.times.store(picks, Relaxed);
    asked.nanos.store(0, Relaxed);
    let begin = Arc::new(tokio::sync::Barrier::new(threads));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (pool, begin) = (pool.clone(), Arc::clone(&begin));
            runtime.spawn(async move {
                begin.wait().await;
                pool.acquire().await.map(pool_core::Lease::succeed)
            })
        })
        .collect();
    for worker in workers {
        runtime.block_on(worker)??;
    }
    Ok(asked.nanos.load(Relaxed) as f64 / picks as f64)
}
