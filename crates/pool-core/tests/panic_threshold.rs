//! Endpoints with a poor record, while too few others are left.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use pool_core::{breaker::BreakerState, health::HealthStatus, *};

fn wrong_chain() -> Option<Unfit> {
    let (expected, found) = ("1".to_owned(), "56".to_owned());
    Some(Unfit::WrongChain { expected, found })
}

fn calls<const N: usize>(nodes: &[Node; N]) -> [u64; N] {
    std::array::from_fn(|i| nodes[i].calls())
}

/// So many requests, each of its own; who got how many.
async fn spread<const N: usize>(pool: &Pool<Fake>, nodes: &[Node; N], requests: u64) -> [u64; N] {
    let before = calls(nodes);
    for _ in 0..requests {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    let after = calls(nodes);
    std::array::from_fn(|i| after[i] - before[i])
}

#[tokio::test(start_paused = true)]
async fn with_too_few_usable_those_with_failing_checks_share_the_load() {
    for threshold in [None, Some(0.5)] {
        let nodes = nodes::<4>();
        let pool = pool(&nodes, 4, |config| {
            config.panic_threshold = threshold;
            // checks open and close breakers meanwhile; that is looked at elsewhere
            config.slow_start = ms(0);
        })
        .await;
        for node in &nodes[..2] {
            node.set(|script| script.check = Act::Hang);
        }
        tokio::time::sleep(s(30)).await;
        assert_eq!(
            spread(&pool, &nodes, 40).await,
            [0, 0, 20, 20],
            "half is not below a half"
        );
        assert!(!pool.snapshot().panicking);
        nodes[2].set(|script| script.check = Act::Hang);
        tokio::time::sleep(s(30)).await;
        let snapshot = pool.snapshot();
        assert_eq!(snapshot.panicking, threshold.is_some());
        assert_eq!(
            snapshot.endpoints[0].health,
            HealthStatus::Unhealthy,
            "that has not changed"
        );
        assert_eq!(snapshot.slots_usable, 4, "nor what can be counted on");
        let shares = spread(&pool, &nodes, 40).await;
        if threshold.is_some() {
            assert!(shares.iter().all(|share| *share >= 5), "{shares:?}");
        } else {
            assert_eq!(shares, [0, 0, 0, 40]);
        }
        for node in &nodes {
            node.set(|script| script.check = Act::Ok);
        }
        tokio::time::sleep(s(200)).await;
        assert!(!pool.snapshot().panicking);
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_chain_lag_syncing_throttled_and_never_seen_are_left_whatever_else_fails() {
    let nodes = nodes::<7>();
    for node in &nodes {
        node.set(|script| script.position = Some(100));
    }
    nodes[4].set(|script| script.check = Act::Hang);
    let pool = pool(&nodes, 4, |config| {
        config.panic_threshold = Some(1.0);
        config.health.max_lag = Some(5);
    })
    .await;
    tokio::time::sleep(s(10)).await;
    nodes[0].set(|script| script.unfit = wrong_chain());
    nodes[1].set(|script| script.unfit = Some(Unfit::Syncing));
    for node in nodes.iter().filter(|node| node.id() != nodes[2].id()) {
        node.set(|script| script.position = Some(200));
    }
    nodes[3].set(|script| {
        script.call = Act::Error(ErrorType::RateLimited);
        script.throttle = Some(s(3_600));
    });
    while pool.snapshot().endpoints[3].throttled_until.is_none() {
        let _throttled = pool.run(&Call, &Request::new()).await;
    }
    tokio::time::sleep(s(20)).await;
    // from here on nothing is heard of any: what was said before still holds
    for node in &nodes {
        node.set(|script| script.check = Act::Hang);
    }
    tokio::time::sleep(s(60)).await;
    let snapshot = pool.snapshot();
    assert!(snapshot.panicking);
    assert!(
        snapshot
            .endpoints
            .iter()
            .all(|endpoint| endpoint.health == HealthStatus::Unhealthy || endpoint.throttled_until.is_some()),
        "{snapshot:?}"
    );
    let shares = spread(&pool, &nodes, 60).await;
    assert_eq!(shares[..5], [0; 5], "{shares:?}");
    assert!(shares[5] > 10 && shares[6] > 10, "{shares:?}");
    let explained = pool.explain();
    let usable: Vec<_> = explained.iter().map(Explanation::is_usable).collect();
    assert_eq!(usable, [false, false, false, false, false, true, true]);
    // when those two lag as well nobody is left, and that is said at once
    for node in &nodes[5..] {
        node.set(|script| {
            script.check = Act::Ok;
            script.unfit = wrong_chain();
        });
    }
    tokio::time::sleep(s(20)).await;
    assert!(!pool.snapshot().panicking, "there is nobody to be used");
    let refused = pool.acquire_within(ms(1)).await.unwrap_err();
    assert!(
        matches!(refused, AcquireError::NoHealthyEndpoint { .. }),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn past_an_open_breaker_nothing_is_held_for_or_against_it() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 4, |config| {
        config.panic_threshold = Some(1.0);
        config.breaker.open_min = s(10);
        config.breaker.jitter = 0.0;
        config.max_attempts = 1;
        config.health.interval = s(3_600);
        config.slow_start = ms(0);
    })
    .await;
    let only_first = Request::new().avoid(nodes[1].id()).max_attempts(1);
    nodes[0].set(|script| script.call = Act::Error(ErrorType::NodeInternal));
    for _ in 0..5 {
        assert!(pool.run(&Call, &only_first).await.is_err());
    }
    let open = pool.snapshot().endpoints[0].breaker;
    assert!(matches!(open, BreakerState::Open { .. }) && pool.snapshot().panicking);
    for act in [Act::Error(ErrorType::NodeInternal), Act::Ok] {
        nodes[0].set(|script| script.call = act);
        for _ in 0..20 {
            assert_eq!(pool.run(&Call, &only_first).await.is_ok(), act == Act::Ok);
        }
        let endpoint = &pool.snapshot().endpoints[0];
        assert_eq!((endpoint.breaker, endpoint.breaker_opened), (open, 1), "{act:?}");
    }
    // leases from before the breaker turns half-open report into the void, whatever they say
    let before: Vec<_> = [
        pool.acquire_with(&only_first).await.unwrap(),
        pool.acquire_with(&only_first).await.unwrap(),
    ]
    .into();
    tokio::time::sleep(s(11)).await;
    assert_eq!(pool.snapshot().endpoints[0].breaker, BreakerState::HalfOpen);
    for lease in before {
        lease.succeed();
    }
    assert_eq!(pool.snapshot().endpoints[0].breaker, BreakerState::HalfOpen);
    // the first is the one probe; the others go past it, and their failures don't open it again
    let probe = pool.acquire_with(&only_first).await.unwrap();
    let past = pool.acquire_with(&only_first).await.unwrap();
    assert_eq!(
        (probe.endpoint(), past.endpoint()),
        (&nodes[0].id(), &nodes[0].id())
    );
    past.fail(&Oops(Verdict::of(ErrorType::Transport)));
    assert_eq!(pool.snapshot().endpoints[0].breaker, BreakerState::HalfOpen);
    probe.succeed();
    pool.acquire_with(&only_first).await.unwrap().succeed();
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.endpoints[0].breaker, BreakerState::Closed);
    assert_eq!(snapshot.endpoints[0].breaker_opened, 1);
    assert!(!snapshot.panicking);
    all_returned(&pool, &nodes, "afterwards");
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

#[derive(Debug)]
struct Deaf;

impl EndpointObserver for Deaf {
    fn attempt_ended(&self, _: std::time::Duration, _: Option<ErrorType>) {}
}

impl Observer for Heard {
    fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
        Arc::new(Deaf)
    }
    fn event(&self, _: &PoolId, event: &Event) {
        let line = match event {
            Event::PanicBegan { usable, endpoints } => format!("began {usable}/{endpoints}"),
            Event::PanicEnded { usable, endpoints } => format!("ended {usable}/{endpoints}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test(start_paused = true)]
async fn beginning_and_end_are_told_once_and_a_start_is_no_panic() {
    let nodes = nodes::<2>();
    for node in &nodes {
        node.set(|script| script.check = Act::Slow(s(1)));
    }
    let heard = Arc::new(Heard::default());
    let mut config = PoolConfig::default();
    config.panic_threshold = Some(0.6);
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .config(config.clone())
        .observer(Arc::clone(&heard) as _)
        .seed(7);
    for node in &nodes {
        builder = builder.endpoint(node.id(), Fake(node.clone()), EndpointConfig::default());
    }
    let pool = builder.build().unwrap();
    tokio::time::sleep(s(10)).await;
    assert!(heard.0.lock().unwrap().is_empty());
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    tokio::time::sleep(s(30)).await;
    nodes[0].set(|script| script.check = Act::Ok);
    tokio::time::sleep(s(90)).await;
    // the breaker too, which the checks had opened
    assert_eq!(*heard.0.lock().unwrap(), ["began 1/2", "ended 2/2"]);
    // switched off while it holds
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    tokio::time::sleep(s(30)).await;
    assert!(pool.snapshot().panicking);
    config.panic_threshold = None;
    let update = nodes.iter().fold(PoolUpdate::new(config), |update, node| {
        update.keep(node.id(), EndpointConfig::default())
    });
    pool.apply(update).unwrap();
    assert!(!pool.snapshot().panicking);
    assert_eq!(spread(&pool, &nodes, 10).await, [0, 10]);
    assert_eq!(heard.0.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_throttle_to_end_is_not_told_that_it_is_hopeless() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 4, |config| {
        config.panic_threshold = Some(1.0);
        config.breaker.open_min = s(60);
        config.health.interval = s(3_600);
    })
    .await;
    for _ in 0..5 {
        let lease = pool.acquire().await.unwrap();
        lease.fail(&Oops(Verdict::of(ErrorType::Transport)));
    }
    let lease = pool.acquire().await.unwrap();
    let verdict = Verdict::of(ErrorType::Transport).with_throttle(Some(s(2)));
    lease.fail(&Oops(verdict));
    // the breaker is open for a minute, and passed by; the throttle of two seconds is not
    let before = tokio::time::Instant::now();
    pool.acquire_within(s(3)).await.unwrap().succeed();
    assert_eq!(before.elapsed().as_secs(), 2);
}
