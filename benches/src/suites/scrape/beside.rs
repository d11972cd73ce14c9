//! What scrapes do to the requests that run beside them.
//!
//! A real pool of a hundred endpoints on two workers; each request holds its connection for 1 to 5 ms, as one to a near node
//! does. Each stretch with a scrape a second stands between two without, so that what else the machine does meets both alike;
//! how far those two are apart is the noise, and nothing smaller than it can be seen. The medians of all rounds count.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use pool_core::{EndpointConfig, EndpointId, Pool, PoolId};
use pool_metrics::PrometheusBridge;
use prometheus::TextEncoder;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::Instant};

use crate::{
    frame::{Effort, Goal, Series},
    suites::numbers::Numbers,
};

/// By how much the 99th percentile may move.
const MOST: f64 = 0.1;

const ENDPOINTS: usize = 100;
const WORKERS: usize = 2;
/// Requests under way at once.
const CALLERS: u64 = 64;
const STRETCH: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);

/// The next of a course of numbers that look random and are the same in every run.
fn next(number: &mut u64) -> u64 {
    *number = number
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *number >> 33
}

/// What each request of one caller took, in seconds.
async fn call(pool: Pool<Numbers>, caller: u64, until: Instant) -> Result<Vec<f64>> {
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
    pool: &Pool<Numbers>,
    bridge: Option<&PrometheusBridge>,
) -> Result<(f64, usize)> {
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
        let p99 = all.get(all.len() * 99 / 100).context("no request ended")?;
        Ok((p99 * 1e3, all.len()))
    })
}

/// What came out.
#[derive(Debug)]
pub(super) struct Beside {
    /// 99th percentiles in milliseconds, round by round: before, with scrapes, after.
    before: Series,
    scraped: Series,
    after: Series,
    requests: usize,
}

impl Beside {
    /// By how much the percentile moves.
    fn moved(&self) -> f64 {
        let rounds = self.before.rounds().iter().zip(self.after.rounds());
        let quiet = Series::new(rounds.map(|(before, after)| before.midpoint(*after)));
        self.scraped.ratio_to(&quiet).median() - 1.0
    }

    /// How far two stretches without scrapes are apart.
    fn noise(&self) -> f64 {
        let ratio = self.after.ratio_to(&self.before);
        Series::new(ratio.rounds().iter().map(|ratio| (ratio - 1.0).abs())).median()
    }

    pub(super) fn goal(&self) -> Goal {
        Goal::at_most(
            "p99 of running requests, scraped each second: moves by",
            MOST,
            // where the noise is as great, nothing can be said
            if self.noise() < MOST {
                self.moved()
            } else {
                f64::NAN
            },
        )
    }

    pub(super) fn text(&self) -> String {
        format!(
            "Beside scrapes of {ENDPOINTS} endpoints each second, the 99th percentile of {} requests is {:.2} ms; without, {:.2} ms. It \
             moves by {:+.1} %, where two stretches without scrapes are {:.1} % apart.\n\n",
            self.requests,
            self.scraped.median(),
            self.before.median().midpoint(self.after.median()),
            self.moved() * 100.0,
            self.noise() * 100.0
        )
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "before_ms": self.before.rounds(),
            "scraped_ms": self.scraped.rounds(),
            "after_ms": self.after.rounds(),
            "moved": self.moved(),
            "noise": self.noise(),
        })
    }
}

/// Runs requests, with scrapes and without.
pub(super) fn measure(effort: &Effort) -> Result<Beside> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    let bridge = PrometheusBridge::new()?;
    let pool = runtime.block_on(async {
        let mut builder = Pool::builder(PoolId::new("near")?).observer(Arc::new(bridge.metrics().clone()));
        for number in 0..ENDPOINTS {
            let id = EndpointId::new(format!("endpoint-{number}"))?;
            builder = builder.endpoint(id, Numbers, EndpointConfig::default());
        }
        Ok::<_, anyhow::Error>(builder.build()?)
    })?;
    // connections are opened, caches are warm
    stretch(&runtime, &pool, Some(&bridge))?;
    let (mut before, mut scraped, mut after, mut requests) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..effort.rounds {
        for (into, bridge) in [
            (&mut before, None),
            (&mut scraped, Some(&bridge)),
            (&mut after, None),
        ] {
            let (p99, count) = stretch(&runtime, &pool, bridge)?;
            into.push(p99);
            requests += count;
        }
    }
    Ok(Beside {
        before: Series::new(before),
        scraped: Series::new(scraped),
        after: Series::new(after),
        requests,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(before: f64, scraped: f64, after: f64) -> Beside {
        let series = |figure| Series::new([figure; 3]);
        Beside {
            before: series(before),
            scraped: series(scraped),
            after: series(after),
            requests: 1,
        }
    }

    #[test]
    fn what_moves_more_than_the_noise_is_told_and_what_does_not_is_not() {
        assert!(beside(5.0, 5.2, 5.1).goal().met());
        assert!(!beside(5.0, 6.0, 5.1).goal().met());
        // quiet stretches that differ by a fifth show nothing
        assert!(!beside(5.0, 5.2, 6.0).goal().met());
    }
}
