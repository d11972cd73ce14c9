//! What scrapes do to the requests that run beside them.
//!
//! A real pool of a hundred endpoints on two workers; each request holds its connection for 1 to 5 ms, as one to a near node
//! does. Each stretch with a scrape a second stands between two without, so that what else the machine does meets both alike;
//! how far those two are apart is the noise, and nothing smaller than it can be seen. The medians of all rounds count.

use std::{convert::Infallible, sync::Arc, time::Duration};

use pool_core::{
    CheckCx, ConnectCx, Endpoint, EndpointConfig, EndpointId, Pool, PoolId, RecycleCx, Report, Verdict,
};
use pool_metrics::PrometheusBridge;
use prometheus::TextEncoder;
use tokio::{runtime::Runtime, time::Instant};

use super::Failure;

/// By how much the 99th percentile may move.
const MOST: f64 = 0.1;

const ENDPOINTS: usize = 100;
const WORKERS: usize = 2;
/// Requests under way at once.
const CALLERS: u64 = 64;
const ROUNDS: usize = 9;
const STRETCH: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);

/// A node that needs no network.
struct Near;

impl Endpoint for Near {
    type Transport = ();
    type Conn = ();
    type Error = Infallible;

    async fn connect(&self, _: &ConnectCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn open(&self, _: &Arc<()>) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_clean(&self, (): &()) -> bool {
        true
    }

    async fn recycle(&self, (): &mut (), _: &RecycleCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, Infallible> {
        Ok(Report::fit(None))
    }

    fn classify(&self, error: &Infallible) -> Verdict {
        match *error {}
    }
}

/// The next of a course of numbers that look random and are the same in every run.
fn next(number: &mut u64) -> u64 {
    *number = number
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *number >> 33
}

/// What each request of one caller took, in seconds.
async fn call(pool: Pool<Near>, caller: u64, until: Instant) -> Result<Vec<f64>, Failure> {
    let mut number = caller;
    let mut took = Vec::new();
    while Instant::now() < until {
        let held = Duration::from_micros(1000 + next(&mut number) % 4000);
        let begun = Instant::now();
        let lease = pool.acquire().await?;
        tokio::time::sleep(held).await;
        lease.succeed();
        took.push(begun.elapsed().as_secs_f64());
    }
    Ok(took)
}

/// The 99th percentile of all requests of a stretch, in milliseconds, and how many there were.
fn stretch(
    runtime: &Runtime,
    pool: &Pool<Near>,
    bridge: Option<&PrometheusBridge>,
) -> Result<(f64, usize), Failure> {
    let until = Instant::now() + STRETCH;
    runtime.block_on(async {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| tokio::spawn(call(pool.clone(), caller, until)))
            .collect();
        if let Some(bridge) = bridge {
            let mut due = tokio::time::interval_at(until - STRETCH + EVERY / 2, EVERY);
            while due.tick().await < until {
                // as the server does it: on a thread of its own
                let registry = bridge.registry().clone();
                let scrape = move || TextEncoder::new().encode_to_string(&registry.gather());
                tokio::task::spawn_blocking(scrape).await??;
            }
        }
        let mut all = Vec::new();
        for caller in callers {
            all.extend(caller.await??);
        }
        all.sort_by(f64::total_cmp);
        let p99 = all.get(all.len() * 99 / 100).ok_or("no request ended")?;
        Ok((p99 * 1e3, all.len()))
    })
}

/// Prints by how much the percentile moves.
pub(crate) fn show() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    let bridge = PrometheusBridge::new()?;
    let pool = runtime.block_on(async {
        let mut builder = Pool::builder(PoolId::new("near")?).observer(Arc::new(bridge.metrics().clone()));
        for number in 0..ENDPOINTS {
            let id = EndpointId::new(format!("endpoint-{number}"))?;
            builder = builder.endpoint(id, Near, EndpointConfig::default());
        }
        Ok::<_, Failure>(builder.build()?)
    })?;
    // connections are opened, caches are warm
    stretch(&runtime, &pool, Some(&bridge))?;
    println!(
        "\n{:<36} {:>8} {:>10} {:>8} {:>9}",
        format!("p99 beside scrapes of {ENDPOINTS} endpoints"),
        "quiet ms",
        "scraped ms",
        "quiet ms",
        "requests"
    );
    let (mut moves, mut noises) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (before, first) = stretch(&runtime, &pool, None)?;
        let (scraped, second) = stretch(&runtime, &pool, Some(&bridge))?;
        let (after, third) = stretch(&runtime, &pool, None)?;
        moves.push(scraped / before.midpoint(after) - 1.0);
        noises.push((after / before - 1.0).abs());
        println!(
            "{:<36} {before:>8.2} {scraped:>10.2} {after:>8.2} {:>9}",
            format!("round {round}"),
            first + second + third
        );
    }
    let (moved, noise) = (median(moves), median(noises));
    println!(
        "moved by {:.1} %, where the machine's own noise is {:.1} %; goal: less than {:.0} %: {}",
        moved * 100.0,
        noise * 100.0,
        MOST * 100.0,
        // on a busy machine neither can be said
        if noise < MOST {
            super::verdict(moved, MOST)
        } else {
            "too noisy to tell"
        }
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
