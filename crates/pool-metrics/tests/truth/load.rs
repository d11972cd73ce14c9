//! Under load, with two who scrape: what belongs together adds up in each scrape, nothing that counts goes back, and no
//! series comes and goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use pool_core::{ErrorType, Pool, PoolUpdate, Request, Verdict};
use pool_metrics::catalogue::{CLOSE_REASONS, Kind, METRICS, PREFIX};
use prometheus::Registry;

use crate::{Act, Call, Course, Fake, Oops, nodes, support::Exposition};

const SCRAPES: usize = 60;
const WORKERS: usize = 8;

type Seen = BTreeMap<(String, BTreeMap<String, String>), f64>;

fn series(exposed: &Exposition) -> Seen {
    let samples = exposed.0.values().flat_map(|family| &family.samples);
    samples
        .map(|sample| ((sample.name.clone(), sample.labels.clone()), sample.value))
        .collect()
}

/// What must hold within one scrape.
fn adds_up(exposed: &Exposition) {
    for endpoint in ["e0", "e1", "e2"] {
        let labels = format!("pool=test,endpoint={endpoint}");
        let of = |name: &str| exposed.value(&format!("{PREFIX}{name}"), &labels).unwrap();
        assert_eq!(
            of("connections_total"),
            of("connections_active") + of("connections_idle"),
            "{endpoint}"
        );
        let closed = CLOSE_REASONS.iter().map(|reason| {
            let labels = format!("{labels},reason={}", reason.value);
            exposed
                .value(&format!("{PREFIX}connections_closed_total"), &labels)
                .unwrap()
        });
        assert_eq!(
            closed.sum::<f64>(),
            of("connections_destroyed_total"),
            "{endpoint}"
        );
        let errors = exposed.0[&format!("{PREFIX}errors_total")].samples.iter();
        let errors = errors.filter(|sample| sample.labels["endpoint"] == endpoint);
        assert!(errors.map(|sample| sample.value).sum::<f64>() <= of("requests_total"));
        assert!(of("slots_active") <= of("slots_max"));
    }
    let pool = |name: &str| exposed.value(&format!("{PREFIX}{name}"), "pool=test").unwrap();
    assert!(pool("slots_free") <= pool("slots_usable"));
    assert!(pool("hedges_won_total") + pool("hedges_lost_total") <= pool("hedges_total"));
}

/// Of a histogram all parts count.
fn counts(name: &str) -> bool {
    let family = METRICS.iter().find(|metric| {
        let rest = name.strip_prefix(metric.name);
        rest.is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count"))
    });
    family.is_some_and(|metric| metric.kind != Kind::Gauge)
}

fn scrape(registry: &Registry) {
    let mut before = Seen::new();
    for _ in 0..SCRAPES {
        let exposed = Exposition::gather(registry);
        adds_up(&exposed);
        let now = series(&exposed);
        if !before.is_empty() {
            let names = |seen: &Seen| seen.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(&now), names(&before), "series came or went");
        }
        for (series, value) in &now {
            let last = before.get(series).copied().unwrap_or(0.0);
            assert!(
                !counts(&series.0) || *value >= last,
                "{series:?} went back from {last} to {value}"
            );
        }
        before = now;
    }
}

/// Requests of all kinds until it is over; how many ended.
async fn work(pool: Pool<Fake>, number: usize, over: Arc<AtomicBool>) -> u64 {
    let mut ended = 0;
    for request in number.. {
        if over.load(Relaxed) {
            break;
        }
        match request % 7 {
            0 => drop(pool.acquire().await.map(|mut lease| {
                let _half_a_request = &mut *lease;
            })),
            1 => {
                if let Ok(lease) = pool.acquire().await {
                    lease.fail(&Oops(Verdict::of(ErrorType::Reverted)));
                    ended += 1;
                }
            }
            2 => drop(pool.acquire_within(Duration::from_micros(200)).await),
            _ => ended += u64::from(pool.run(&Call, &Request::new()).await.is_ok()),
        }
    }
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_scrapers_of_a_busy_pool_see_nothing_torn() {
    let mut course = Course::new(2);
    let nodes = nodes::<3>();
    let pool = course.pool(&nodes, |config| config.max_waiters = 4).await;
    assert!(pool.ready(Duration::from_secs(10)).await);
    for node in &nodes {
        node.set(|script| script.call = Act::Slow(Duration::from_micros(300)));
    }
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| tokio::spawn(work(pool.clone(), number, Arc::clone(&over))))
        .collect();
    let changes = tokio::spawn({
        let (pool, over) = (pool.clone(), Arc::clone(&over));
        let ids: Vec<_> = nodes.iter().map(crate::Node::id).collect();
        let settings = course.settings();
        async move {
            let mut config = pool_core::PoolConfig::default();
            config.max_waiters = 4;
            while !over.load(Relaxed) {
                let update = PoolUpdate::new(config.clone());
                let update = ids
                    .iter()
                    .fold(update, |update, id| update.keep(id.clone(), settings.clone()));
                pool.apply(update).unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let scrapers: Vec<_> = (0..2)
        .map(|_| {
            let registry = course.bridge.registry().clone();
            tokio::task::spawn_blocking(move || scrape(&registry))
        })
        .collect();
    let mut seen = Vec::new();
    for scraper in scrapers {
        seen.push(scraper.await);
    }
    over.store(true, Relaxed);
    changes.await.unwrap();
    let mut ended = 0;
    for worker in workers {
        ended += worker.await.unwrap();
    }
    seen.into_iter().for_each(|scraper| scraper.unwrap());
    assert!(ended > 100, "it was not busy: {ended}");
    let snapshot = pool.snapshot();
    let requests: u64 = snapshot.endpoints.iter().map(|endpoint| endpoint.requests).sum();
    assert!(requests >= ended, "{requests} of {ended}");
}
