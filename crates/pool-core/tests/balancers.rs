//! What balancers are for, through the whole pool: latency, failures, tiers, keys, slow start, feedback.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use common::*;
use pool_core::*;

type Tune = fn(usize, EndpointConfig) -> EndpointConfig;

/// A pool whose breakers never open, so that only its balancer protects it.
async fn pool_of(nodes: &[Node], balancer: Arc<dyn Balancer>, seed: u64, tune: Tune) -> Pool<Fake> {
    let mut config = PoolConfig::default();
    config.breaker.consecutive_failures = 0;
    config.breaker.failure_ratio = 1.0;
    let mut builder = Pool::builder(PoolId::new("chosen").unwrap())
        .config(config)
        .balancer(balancer)
        .seed(seed);
    for (i, node) in nodes.iter().enumerate() {
        let settings = tune(i, EndpointConfig::default().max_connections(64));
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    let pool = builder.build().unwrap();
    settle().await;
    pool
}

fn alike(_: usize, config: EndpointConfig) -> EndpointConfig {
    config
}

/// So many tasks make one attempt after the other; the share of each node is returned.
async fn shares(pool: &Pool<Fake>, nodes: &[Node], tasks: usize, each: usize) -> Vec<f64> {
    let before: Vec<_> = nodes.iter().map(Node::calls).collect();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    let _failures_too = pool.run(&Call, &Request::new().max_attempts(1)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let calls: Vec<_> = nodes
        .iter()
        .zip(before)
        .map(|(node, before)| node.calls() - before)
        .collect();
    let all: u64 = calls.iter().sum();
    calls.iter().map(|calls| *calls as f64 / all as f64).collect()
}

/// One endpoint of three fails in 1 ms, the others work in 40 ms. A balancer that takes it for fast sends it two thirds
/// of everything.
#[tokio::test(start_paused = true)]
async fn failing_fast_is_not_being_fast() {
    for kind in [
        BalancerKind::PeakEwma,
        BalancerKind::Prequal,
        BalancerKind::ShortestDelay,
    ] {
        for seed in 1..=5 {
            for tasks in [1, 8, 64] {
                let nodes = nodes::<3>();
                nodes[0].set(|script| script.call = Act::SlowError(ms(1)));
                nodes[1].set(|script| script.call = Act::Slow(ms(40)));
                nodes[2].set(|script| script.call = Act::Slow(ms(40)));
                let pool = pool_of(&nodes, kind.build(), seed, alike).await;
                let shares = shares(&pool, &nodes, tasks, 500).await;
                println!("{kind}, seed {seed}, {tasks} tasks: {shares:.3?}");
                assert!(
                    shares[0] <= 0.05,
                    "{kind}, seed {seed}, {tasks} tasks: {shares:?}"
                );
                all_returned(&pool, &nodes, kind.as_str());
            }
        }
    }
}

/// Nor do those fall for it that look at load alone: an endpoint that fails at once is always the least loaded.
#[tokio::test(start_paused = true)]
async fn without_a_breaker_load_too_tells_failing_from_fast() {
    use BalancerKind::{LeastRequests, P2c, SampledLeastRequests};
    for kind in [LeastRequests, SampledLeastRequests, P2c] {
        let nodes = nodes::<3>();
        nodes[0].set(|script| script.call = Act::SlowError(ms(1)));
        nodes[1].set(|script| script.call = Act::Slow(ms(40)));
        nodes[2].set(|script| script.call = Act::Slow(ms(40)));
        let pool = pool_of(&nodes, kind.build(), 1, alike).await;
        let shares = shares(&pool, &nodes, 8, 500).await;
        // drawn thrice in a row it is taken all the same
        assert!(shares[0] < 0.08, "{kind}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_faster_gets_more() {
    for kind in [
        BalancerKind::PeakEwma,
        BalancerKind::Prequal,
        BalancerKind::ShortestDelay,
    ] {
        let nodes = nodes::<3>();
        for (node, millis) in nodes.iter().zip([20, 40, 200]) {
            node.set(|script| script.call = Act::Slow(ms(millis)));
        }
        let pool = pool_of(&nodes, kind.build(), 1, alike).await;
        let shares = shares(&pool, &nodes, 12, 300).await;
        println!("{kind}: {shares:.3?}");
        assert!(
            shares[0] > shares[1] && shares[1] > shares[2] && shares[2] < 0.1,
            "{kind}: {shares:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_that_becomes_fast_is_found_again() {
    for kind in [
        BalancerKind::PeakEwma,
        BalancerKind::Prequal,
        BalancerKind::ShortestDelay,
    ] {
        let nodes = nodes::<2>();
        nodes[0].set(|script| script.call = Act::Slow(ms(2_000)));
        nodes[1].set(|script| script.call = Act::Slow(ms(50)));
        let pool = pool_of(&nodes, kind.build(), 1, alike).await;
        let slow = shares(&pool, &nodes, 2, 200).await;
        nodes[0].set(|script| script.call = Act::Slow(ms(10)));
        tokio::time::sleep(s(60)).await;
        let fast = shares(&pool, &nodes, 2, 200).await;
        assert!(slow[0] < 0.1 && fast[0] > 0.4, "{kind}: {slow:?} {fast:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_higher_tier_is_used_only_when_the_lower_is_full_or_down() {
    for kind in BalancerKind::ALL {
        let nodes = nodes::<3>();
        for node in &nodes {
            node.set(|script| script.call = Act::Slow(ms(20)));
        }
        let last_first = |i: usize, config: EndpointConfig| config.tier(2 - i as u8).max_connections(4);
        let pool = pool_of(&nodes, kind.build(), 1, last_first).await;
        assert_eq!(shares(&pool, &nodes, 4, 50).await, [0.0, 0.0, 1.0], "{kind}");
        let overflow = shares(&pool, &nodes, 6, 50).await;
        assert!(
            overflow[0] == 0.0 && overflow[1] > 0.2 && overflow[2] > 0.5,
            "{kind}: {overflow:?}"
        );
        nodes[2].set(|script| script.unfit = Some(Unfit::Syncing));
        tokio::time::sleep(s(10)).await;
        assert_eq!(shares(&pool, &nodes, 4, 50).await, [0.0, 1.0, 0.0], "{kind}");
        nodes[2].set(|script| script.unfit = None);
        tokio::time::sleep(s(30)).await;
        assert_eq!(
            shares(&pool, &nodes, 4, 50).await,
            [0.0, 0.0, 1.0],
            "{kind}: fail-back"
        );
        all_returned(&pool, &nodes, kind.as_str());
    }
}

/// Those who waited in line are served from the lowest tier first, too.
#[tokio::test(start_paused = true)]
async fn the_line_prefers_the_lower_tier() {
    let nodes = nodes::<2>();
    let second_first = |i: usize, config: EndpointConfig| config.tier(1 - i as u8).max_connections(8);
    for node in &nodes {
        node.set(|script| script.throttle = Some(s(1)));
    }
    let pool = pool_of(&nodes, BalancerKind::Random.build(), 1, second_first).await;
    for _ in 0..2 {
        let lease = pool.acquire().await.unwrap();
        let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(1)));
        lease.fail(&Oops(verdict));
    }
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await.unwrap() }
            })
        })
        .collect();
    settle().await;
    assert_eq!(pool.snapshot().queue_size, 8);
    tokio::time::sleep(ms(1_100)).await;
    for waiter in waiting {
        assert_eq!(waiter.await.unwrap().endpoint().as_str(), "e1");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_one_key_go_to_one_endpoint() {
    let nodes = nodes::<4>();
    let pool = pool_of(&nodes, BalancerKind::BoundedHash.build(), 1, alike).await;
    for key in 0..40 {
        let mut names = Vec::new();
        for _ in 0..5 {
            names.push(pool.run(&Call, &Request::new().key(key)).await.unwrap());
        }
        assert!(names.iter().all(|name| *name == names[0]), "key {key}: {names:?}");
    }
    assert!(
        nodes.iter().all(|node| node.calls() >= 10),
        "keys share: {nodes:?}"
    );
    // one key alone: the bound spreads what is under way at once
    for node in &nodes {
        node.set(|script| script.call = Act::Slow(ms(50)));
    }
    let before: Vec<_> = nodes.iter().map(Node::calls).collect();
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(&Call, &Request::new().key(7)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let calls: Vec<_> = nodes
        .iter()
        .zip(before)
        .map(|(node, before)| node.calls() - before)
        .collect();
    assert!(
        calls.iter().all(|calls| *calls <= 13),
        "1.25 times 10, rounded up: {calls:?}"
    );
    // a key whose endpoint fails goes elsewhere
    let home = pool.run(&Call, &Request::new().key(1)).await.unwrap();
    let node = nodes.iter().find(|node| node.id().as_str() == home).unwrap();
    node.set(|script| script.call = Act::Error(ErrorType::NodeInternal));
    assert_ne!(pool.run(&Call, &Request::new().key(1)).await.unwrap(), home);
}

fn weights(pool: &Pool<Fake>) -> Vec<f64> {
    pool.snapshot()
        .endpoints
        .iter()
        .map(|endpoint| endpoint.weight)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn after_a_recovery_weight_and_share_rise_slowly() {
    let nodes = nodes::<3>();
    for node in &nodes {
        node.set(|script| script.call = Act::Slow(ms(10)));
    }
    let twice = |i: usize, config: EndpointConfig| config.weight(if i == 0 { 2.0 } else { 1.0 });
    let pool = pool_of(&nodes, BalancerKind::Random.build(), 1, twice).await;
    assert_eq!(weights(&pool), [2.0, 1.0, 1.0], "not at the start");
    nodes[0].set(|script| script.unfit = Some(Unfit::Syncing));
    tokio::time::sleep(s(10)).await;
    assert_eq!(weights(&pool), [0.0, 1.0, 1.0]);
    nodes[0].set(|script| script.unfit = None);
    while weights(&pool)[0] == 0.0 {
        tokio::time::sleep(ms(10)).await;
    }
    let first = weights(&pool)[0];
    assert!((0.2..0.21).contains(&first), "{first}");
    let early = shares(&pool, &nodes, 40, 20).await;
    tokio::time::sleep(ms(4_800)).await;
    let half = weights(&pool)[0];
    assert!((1.0..1.2).contains(&half), "{half}");
    tokio::time::sleep(s(6)).await;
    assert_eq!(weights(&pool), [2.0, 1.0, 1.0]);
    let late = shares(&pool, &nodes, 40, 20).await;
    assert!(early[0] < 0.16 && late[0] > 0.4, "{early:?} {late:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_breaker_has_closed_too_and_never_when_switched_off() {
    for (slow_start, expected) in [(s(10), 0.1), (s(0), 1.0)] {
        let nodes = nodes::<2>();
        let pool = pool(&nodes, 4, |config| {
            config.slow_start = slow_start;
            config.breaker.consecutive_failures = 1;
            config.health.interval = s(3_600);
        })
        .await;
        nodes[0].set(|script| script.call = Act::Error(ErrorType::NodeInternal));
        while weights(&pool)[0] > 0.0 {
            let _failure = pool.run(&Call, &Request::new()).await;
        }
        nodes[0].set(|script| script.call = Act::Ok);
        tokio::time::sleep(s(2)).await;
        while pool.snapshot().endpoints[0].breaker != breaker::BreakerState::Closed {
            pool.run(&Call, &Request::new()).await.unwrap();
        }
        assert_eq!(weights(&pool), [expected, 1.0]);
    }
}

/// Purpose, attempts, endpoints tried, key.
type Seen = (Purpose, u32, usize, Option<u64>);

/// Writes down what it hears.
#[derive(Default)]
struct Listener {
    heard: Mutex<Vec<(usize, Feedback)>>,
    picks: Mutex<Vec<Seen>>,
    panics: AtomicU64,
}

impl Balancer for Listener {
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let seen = (cx.purpose(), cx.attempts(), cx.tried(), cx.key());
        self.picks.lock().unwrap().push(seen);
        (!among.is_empty()).then_some(0)
    }

    fn observe(&self, key: usize, what: &Feedback) {
        self.heard.lock().unwrap().push((key, *what));
        if self.panics.load(SeqCst) > 0 {
            panic!("scripted panic");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_hears_of_every_slot_once() {
    let nodes = nodes::<2>();
    let listener = Arc::new(Listener::default());
    let pool = pool_of(&nodes, listener.clone(), 1, alike).await;
    nodes[0].set(|script| script.call = Act::SlowError(ms(5)));
    nodes[1].set(|script| script.call = Act::Slow(ms(7)));
    pool.run(&Call, &Request::new().key(9)).await.unwrap();
    drop(pool.acquire().await.unwrap());
    pool.acquire().await.unwrap().neutral();
    let mut touched = pool.acquire().await.unwrap();
    assert!(tokio::time::timeout(ms(1), touched.call()).await.is_err());
    drop(touched);
    nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
    pool.acquire().await.unwrap().succeed();
    let done = |millis, outcome| Feedback::Done {
        latency: ms(millis),
        outcome,
    };
    let failed = Outcome::Failure(ErrorType::Transport);
    assert!(failed.is_nodes_fault() && !Outcome::Success.is_nodes_fault());
    let heard = std::mem::take(&mut *listener.heard.lock().unwrap());
    let expected = [
        (0, Feedback::Started),
        (0, done(5, failed)),
        (1, Feedback::Started),
        (1, done(7, Outcome::Success)),
        (0, Feedback::Started),
        (0, Feedback::Cancelled),
        (0, Feedback::Started),
        (0, Feedback::Cancelled),
        (0, Feedback::Started),
        (0, Feedback::Cancelled),
        (0, Feedback::Started),
        (0, Feedback::NoConnection),
        (1, Feedback::Started),
        (1, done(0, Outcome::Success)),
    ];
    assert_eq!(heard, expected);
    let picks = listener.picks.lock().unwrap()[..2].to_vec();
    assert_eq!(
        picks,
        [(Purpose::First, 0, 0, Some(9)), (Purpose::Retry, 1, 1, Some(9))]
    );
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_panics_in_observe_loses_nothing() {
    let nodes = nodes::<2>();
    let listener = Arc::new(Listener::default());
    let pool = pool_of(&nodes, listener.clone(), 1, alike).await;
    listener.panics.store(1, SeqCst);
    for _ in 0..3 {
        pool.run(&Call, &Request::new()).await.unwrap();
        drop(pool.acquire().await.unwrap());
    }
    assert_eq!(listener.heard.lock().unwrap().len(), 12);
    all_returned(&pool, &nodes, "afterwards");
}
