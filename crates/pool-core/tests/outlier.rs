//! Outlier detection through the pool.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::*;
use pool_core::{breaker::BreakerState, health::HealthStatus, *};
use tokio::time::Instant;

/// Three slots each, by turns, with outlier detection.
fn build_with(
    nodes: &[Node],
    observer: Option<Arc<Heard>>,
    tune: impl FnOnce(&mut PoolConfig, &mut OutlierConfig),
) -> Pool<Fake> {
    let (mut config, mut outlier) = (PoolConfig::default(), OutlierConfig::default());
    outlier.jitter = 0.0;
    tune(&mut config, &mut outlier);
    config.outlier = Some(outlier);
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .config(config)
        .balancer(Arc::new(RoundRobin::new()))
        .seed(7);
    if let Some(observer) = observer {
        builder = builder.observer(observer);
    }
    for node in nodes {
        let settings = EndpointConfig::default().max_connections(64);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    builder.build().unwrap()
}

/// Notes who is left out and let in.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn attached(&self, _: &PoolId, _: std::sync::Weak<dyn Source>) {}
    fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
        Arc::new(Deaf)
    }
    fn event(&self, _: &PoolId, event: &Event) {
        let line = match event {
            Event::Ejected {
                endpoint, wait, why, ..
            } => format!("{endpoint} out for {wait:?}: {why}"),
            Event::Readmitted { endpoint, .. } => format!("{endpoint} in"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[derive(Debug)]
struct Deaf;

impl EndpointObserver for Deaf {
    fn attempt_ended(&self, _: Duration, _: Option<ErrorType>) {}
}

/// 30 requests a second for so long, each of its own; `flaky` fail three of ten, in a row.
async fn traffic(pool: &Pool<Fake>, flaky: &[&Node], seconds: u64) {
    for _ in 0..30 * seconds {
        for node in flaky {
            let fails = node.calls() % 10 < 3;
            node.set(|script| {
                script.call = if fails {
                    Act::Error(ErrorType::NodeInternal)
                } else {
                    Act::Ok
                };
            });
        }
        let pool = pool.clone();
        tokio::spawn(async move { pool.run(&Call, &Request::new()).await });
        tokio::time::sleep(Duration::from_micros(33_333)).await;
    }
}

fn ejected(pool: &Pool<Fake>) -> Vec<bool> {
    let endpoints = pool.snapshot().endpoints;
    endpoints
        .iter()
        .map(|endpoint| endpoint.ejected_until.is_some())
        .collect()
}

fn calls<const N: usize>(nodes: &[Node; N]) -> [u64; N] {
    std::array::from_fn(|i| nodes[i].calls())
}

#[tokio::test(start_paused = true)]
async fn one_of_three_that_errs_is_left_out_and_comes_back_slowly() {
    let nodes = nodes::<3>();
    let heard = Arc::new(Heard::default());
    let pool = build_with(&nodes, Some(Arc::clone(&heard)), |_, _| {});
    settle().await;
    traffic(&pool, &[&nodes[1]], 12).await;
    assert_eq!(ejected(&pool), [false; 3], "one look is not enough");
    traffic(&pool, &[&nodes[1]], 13).await;
    assert_eq!(ejected(&pool), [false, true, false]);
    let endpoint = &pool.snapshot().endpoints[1];
    assert_eq!((endpoint.ejections, endpoint.weight), (1, 0.0));
    assert_eq!(
        (endpoint.health, endpoint.breaker),
        (HealthStatus::Healthy, BreakerState::Closed)
    );
    let reason = pool.explain()[1].not_usable.clone();
    assert!(
        matches!(reason, Some(NotUsable::Ejected { wait, .. }) if wait <= s(30) && wait > s(10)),
        "{reason:?}"
    );
    let before = calls(&nodes);
    traffic(&pool, &[&nodes[1]], 10).await;
    assert_eq!(nodes[1].calls(), before[1], "nothing is sent there");
    nodes[1].set(|script| script.call = Act::Ok);
    while ejected(&pool)[1] {
        tokio::time::sleep(ms(100)).await;
    }
    let weight = pool.snapshot().endpoints[1].weight;
    assert!((0.1..0.2).contains(&weight), "{weight}");
    let before = calls(&nodes);
    traffic(&pool, &[], 3).await;
    let after = calls(&nodes);
    let shares: Vec<_> = after.iter().zip(before).map(|(now, then)| now - then).collect();
    assert!(
        shares[1] > 0 && shares[1] * 2 < shares[0],
        "less than the others at first: {shares:?}"
    );
    traffic(&pool, &[], 60).await;
    assert_eq!(ejected(&pool), [false; 3]);
    assert_eq!(pool.snapshot().endpoints[1].ejections, 1);
    assert_eq!(pool.snapshot().endpoints[1].weight, 1.0);
    let heard = heard.0.lock().unwrap().clone();
    assert!(
        heard.len() == 2
            && heard[0].starts_with("e1 out for 30s: ")
            && heard[0].ends_with(" % of its requests succeed, 100.0 % of the others'")
            && heard[1] == "e1 in",
        "{heard:?}"
    );
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn who_errs_again_stays_out_longer() {
    let nodes = nodes::<3>();
    let pool = build_with(&nodes, None, |_, _| {});
    settle().await;
    let mut out = Vec::new();
    let mut since = None;
    for _ in 0..400 {
        traffic(&pool, &[&nodes[0]], 1).await;
        match (ejected(&pool)[0], since) {
            (true, None) => since = Some(Instant::now()),
            (false, Some(then)) => {
                out.push(then.elapsed().as_secs());
                since = None;
            }
            _ => {}
        }
    }
    assert!(out.len() >= 3, "{out:?}");
    for (times, seconds) in (1..).zip(&out).take(3) {
        assert!(
            (30 * times - 2..=30 * times).contains(seconds),
            "{times} times 30 s: {out:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_third_is_left_out() {
    let nodes = nodes::<5>();
    let pool = build_with(&nodes, None, |_, outlier| outlier.stdev_factor = 0.0);
    settle().await;
    for _ in 0..60 {
        traffic(&pool, &[&nodes[1], &nodes[3]], 1).await;
        assert!(ejected(&pool).iter().filter(|out| **out).count() <= 1);
    }
    let ejections: Vec<_> = pool.snapshot().endpoints.iter().map(|e| e.ejections).collect();
    assert!(ejections[1] + ejections[3] > 0, "{ejections:?}");
    assert_eq!(ejections[0] + ejections[2] + ejections[4], 0, "{ejections:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_out_for_another_reason_counts() {
    let nodes = nodes::<4>();
    let pool = build_with(&nodes, None, |_, _| {});
    settle().await;
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    tokio::time::sleep(s(20)).await;
    traffic(&pool, &[&nodes[1]], 60).await;
    assert_eq!(pool.snapshot().endpoints[1].ejections, 0, "one of four is out");
    nodes[0].set(|script| script.check = Act::Ok);
    tokio::time::sleep(s(20)).await;
    traffic(&pool, &[&nodes[1]], 30).await;
    assert_eq!(pool.snapshot().endpoints[1].ejections, 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_others_fail_it_is_let_back_in_at_once() {
    let nodes = nodes::<3>();
    let pool = build_with(&nodes, None, |_, outlier| {
        outlier.ejection_base = s(3_000);
        outlier.ejection_max = s(3_000);
    });
    settle().await;
    traffic(&pool, &[&nodes[1]], 25).await;
    assert_eq!(ejected(&pool), [false, true, false]);
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    tokio::time::sleep(s(20)).await;
    assert_eq!(ejected(&pool), [false, true, false], "another is left");
    nodes[2].set(|script| script.check = Act::Hang);
    let before = Instant::now();
    while pool.snapshot().endpoints[2].health == HealthStatus::Healthy {
        tokio::time::sleep(ms(10)).await;
    }
    assert_eq!(ejected(&pool), [false; 3]);
    assert!(before.elapsed() < s(30));
    nodes[1].set(|script| script.call = Act::Ok);
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_when_it_comes_back() {
    let nodes = nodes::<3>();
    let pool = build_with(&nodes, None, |_, _| {});
    settle().await;
    traffic(&pool, &[&nodes[1]], 25).await;
    assert_eq!(ejected(&pool), [false, true, false]);
    let mut held = Vec::new();
    for _ in 0..128 {
        held.push(pool.acquire().await.unwrap());
    }
    let before = Instant::now();
    let late = pool.acquire_within(s(60)).await.unwrap();
    assert_eq!(*late.endpoint(), nodes[1].id());
    assert!(before.elapsed() > s(10), "{:?}", before.elapsed());
    late.neutral();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slow_is_left_out() {
    let nodes = nodes::<3>();
    let pool = build_with(&nodes, None, |_, _| {});
    settle().await;
    for node in &nodes {
        node.set(|script| script.call = Act::Slow(ms(80)));
    }
    nodes[2].set(|script| script.call = Act::Slow(ms(1_500)));
    traffic(&pool, &[], 35).await;
    assert_eq!(ejected(&pool), [false, false, true]);
    let reason = pool.explain()[2].not_usable.clone().unwrap().to_string();
    assert!(reason.contains("takes 1.5s, the others 80.0ms"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_left_out_where_all_fail_alike_or_too_little_is_known() {
    for (flaky, gap) in [(3, 1), (1, 3)] {
        let nodes = nodes::<3>();
        let pool = build_with(&nodes, None, |_, _| {});
        settle().await;
        let flaky: Vec<_> = nodes[..flaky].iter().collect();
        for _ in 0..120 / gap {
            // one second of traffic, and a pause
            traffic(&pool, &flaky, 1).await;
            tokio::time::sleep(s(gap * 5 - 5)).await;
        }
        assert!(nodes[0].calls() > 100);
        let ejections: u64 = pool.snapshot().endpoints.iter().map(|e| e.ejections).sum();
        assert_eq!(ejections, 0, "{} flaky", flaky.len());
    }
}

#[tokio::test(start_paused = true)]
async fn callers_faults_and_throttling_are_held_against_nobody() {
    for class in [
        ErrorType::Reverted,
        ErrorType::InvalidRequest,
        ErrorType::Unavailable,
        ErrorType::Unsupported,
        ErrorType::RateLimited,
    ] {
        let nodes = nodes::<3>();
        let pool = build_with(&nodes, None, |config, _| config.max_attempts = 1);
        settle().await;
        for round in 0..60 * 30 {
            let fails = round % 9 < 4;
            nodes[1].set(|script| {
                script.throttle = Some(ms(1));
                script.call = if fails { Act::Error(class) } else { Act::Ok };
            });
            let _outcome = pool.run(&Call, &Request::new()).await;
            tokio::time::sleep(ms(33)).await;
        }
        let snapshot = pool.snapshot();
        assert!(snapshot.endpoints[1].errors[class.index()] > 100, "{class:?}");
        assert_eq!(snapshot.endpoints[1].ejections, 0, "{class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_off_by_default() {
    let nodes = nodes::<3>();
    let pool = pool(&nodes, 64, |_| {}).await;
    traffic(&pool, &[&nodes[1]], 60).await;
    assert_eq!(pool.snapshot().endpoints[1].ejections, 0);
    assert!(nodes[1].calls() > 300);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_check_is_not_told_that_an_ejection_makes_it_hopeless() {
    let nodes = nodes::<3>();
    let pool = build_with(&nodes, None, |config, outlier| {
        (outlier.ejection_base, outlier.ejection_max) = (s(3_000), s(3_000));
        config.health.rise = 1;
        config.breaker.consecutive_failures = 0;
    });
    settle().await;
    traffic(&pool, &[&nodes[1]], 25).await;
    assert_eq!(ejected(&pool), [false, true, false]);
    nodes[1].set(|script| script.check = Act::Error(ErrorType::Connect));
    while pool.snapshot().endpoints[1].health == HealthStatus::Healthy {
        tokio::time::sleep(ms(100)).await;
    }
    for _ in [0, 2] {
        let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(3_600)));
        pool.acquire().await.unwrap().fail(&Oops(verdict));
    }
    assert_eq!(ejected(&pool), [false, true, false], "it would not help");
    nodes[1].set(|script| {
        script.check = Act::Ok;
        script.call = Act::Ok;
    });
    let lease = pool.acquire_within(s(10)).await.unwrap();
    assert_eq!(*lease.endpoint(), nodes[1].id());
    lease.succeed();
}
