//! The circuit breaker through the pool: who is kept out, who probes, and that nobody is wedged.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use common::*;
use pool_core::{breaker::BreakerState, *};
use tokio::time::Instant;

/// Checks that stay out of the way.
fn rare_checks(config: &mut PoolConfig) {
    config.health.interval = s(24 * 3600);
}

async fn trip(pool: &Pool<Fake>) {
    for _ in 0..5 {
        let lease = pool.acquire().await.unwrap();
        lease.fail(&Oops(Verdict::of(ErrorType::NodeInternal)));
    }
}

fn state(pool: &Pool<Fake>) -> BreakerState {
    pool.snapshot().endpoints[0].breaker
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_closes_idle_connections_and_keeps_the_endpoint_out() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 4, rare_checks).await;
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(pool.acquire().await.unwrap());
    }
    leases.into_iter().for_each(Lease::succeed);
    assert_eq!(nodes[0].sockets(), 4);
    trip(&pool).await;
    assert_eq!(nodes[0].sockets(), 0, "what is idle is probably dead too");
    let snapshot = pool.snapshot();
    assert!(matches!(snapshot.endpoints[0].breaker, BreakerState::Open { .. }));
    assert_eq!(snapshot.endpoints[0].breaker_opened, 1);
    assert_eq!(
        (
            snapshot.slots_usable,
            snapshot.slots_free,
            snapshot.endpoints[0].weight
        ),
        (0, 0, 0.0)
    );
    let before = Instant::now();
    let error = pool.acquire_within(ms(900)).await.unwrap_err();
    let AcquireError::NoHealthyEndpoint { reasons, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(reasons.0[0].reason, NotUsable::BreakerOpen { wait: Some(_) }),
        "{error}"
    );
    assert!(error.retry_after().is_some_and(|wait| wait >= s(1)));
    assert_eq!(error.fault(), Fault::Node);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_and_those_who_wait_follow() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 4, rare_checks).await;
    trip(&pool).await;
    let tripped = Instant::now();
    let mut line: Vec<_> = (0..6)
        .map(|_| tokio_test::task::spawn(pool.acquire_within(s(30))))
        .collect();
    for waiter in &mut line {
        assert!(waiter.poll().is_pending());
    }
    tokio::time::sleep(ms(1300)).await;
    assert!(tripped.elapsed() < s(2));
    assert_eq!(state(&pool), BreakerState::HalfOpen);
    let woken: Vec<_> = line.iter().map(tokio_test::task::Spawn::is_woken).collect();
    assert_eq!(
        woken,
        [true, false, false, false, false, false],
        "one probe, to the oldest"
    );
    // an abandoned probe goes to the next in line (R9)
    drop(line.remove(0));
    assert!(line[0].is_woken());
    let first = line.remove(0).await.unwrap();
    assert!(!line[0].is_woken(), "the only permit is out");
    first.succeed();
    assert!(line[0].is_woken());
    let second = line.remove(0).await.unwrap();
    assert_eq!(state(&pool), BreakerState::HalfOpen);
    second.succeed();
    assert_eq!(state(&pool), BreakerState::Closed);
    assert!(
        line.iter().all(tokio_test::task::Spawn::is_woken),
        "closed: all four slots are given"
    );
    drop(line);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_straggler_from_before_the_trip_decides_nothing() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 8, rare_checks).await;
    let bad = pool.acquire().await.unwrap();
    let good = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    trip(&pool).await;
    tokio::time::sleep(ms(1300)).await;
    assert_eq!(state(&pool), BreakerState::HalfOpen);
    bad.fail(&Oops(Verdict::of(ErrorType::Timeout)));
    assert_eq!(
        state(&pool),
        BreakerState::HalfOpen,
        "it was admitted before the trip"
    );
    good.into_iter().for_each(Lease::succeed);
    assert_eq!(state(&pool), BreakerState::HalfOpen, "neither does a success");
    assert_eq!(pool.snapshot().endpoints[0].breaker_opened, 1);
    pool.acquire().await.unwrap().succeed();
    pool.acquire().await.unwrap().succeed();
    assert_eq!(state(&pool), BreakerState::Closed);
    all_returned(&pool, &nodes, "afterwards");
}

/// R8: outcomes that say nothing must give their permits back, for ever.
#[tokio::test(start_paused = true)]
async fn probes_that_say_nothing_never_wedge_the_endpoint() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 2, rare_checks).await;
    trip(&pool).await;
    tokio::time::sleep(ms(1300)).await;
    for round in 0..500 {
        let lease = pool.acquire_within(ms(1)).await.unwrap();
        match round % 3 {
            0 => lease.neutral(),
            1 => drop(lease),
            _ => {
                lease.fail(&Oops(Verdict::of(ErrorType::RateLimited).with_throttle(None)));
            }
        }
    }
    assert_eq!(state(&pool), BreakerState::HalfOpen);
    pool.acquire_within(ms(1)).await.unwrap().succeed();
    pool.acquire_within(ms(1)).await.unwrap().succeed();
    assert_eq!(state(&pool), BreakerState::Closed);
}

/// A probe whose holder neither reports nor goes away loses its permit, and nothing spins meanwhile or afterwards.
#[tokio::test(start_paused = true)]
async fn a_probe_that_is_never_reported_loses_its_permit() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 2, rare_checks).await;
    trip(&pool).await;
    tokio::time::sleep(ms(1300)).await;
    let lost = pool.acquire().await.unwrap();
    let before = Instant::now();
    let next = pool.acquire_within(s(60)).await.unwrap();
    assert!(
        before.elapsed() >= s(29) && before.elapsed() <= s(31),
        "{:?}",
        before.elapsed()
    );
    // it too; and with nobody waiting its end must not be waited for again and again
    tokio::time::timeout(s(100), tokio::time::sleep(s(99)))
        .await
        .unwrap();
    lost.fail(&Oops(Verdict::of(ErrorType::Timeout)));
    assert_eq!(state(&pool), BreakerState::HalfOpen, "too late to count");
    next.succeed();
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_traffic_left_half_way_is_ended_by_checks() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 2, |config| config.health.interval = s(5)).await;
    trip(&pool).await;
    tokio::time::sleep(ms(1300)).await;
    pool.acquire().await.unwrap().succeed();
    assert_eq!(state(&pool), BreakerState::HalfOpen, "one more is needed");
    tokio::time::sleep(s(15)).await;
    assert_eq!(state(&pool), BreakerState::Closed);
}

/// Whatever the balancer holds against an endpoint that has failed, its probes come as soon as they may: else the breaker
/// would stay half-open until that is forgotten.
#[tokio::test(start_paused = true)]
async fn probes_find_requests_where_there_is_little_traffic() {
    let nodes = nodes::<2>();
    let mut config = PoolConfig::default();
    rare_checks(&mut config);
    let mut builder = Pool::builder(PoolId::new("quiet").unwrap())
        .config(config)
        .seed(1);
    for node in &nodes {
        node.set(|script| script.call = Act::Slow(ms(10)));
        builder = builder.endpoint(node.id(), Fake(node.clone()), EndpointConfig::default());
    }
    let pool = builder.build().unwrap();
    settle().await;
    let traffic = async |calls: u32| {
        for _ in 0..calls {
            let _either = pool.run(&Call, &Request::new()).await;
            tokio::time::sleep(ms(100)).await;
        }
    };
    traffic(50).await;
    nodes[0].set(|script| script.call = Act::SlowError(ms(1)));
    let began = Instant::now();
    while !matches!(state(&pool), BreakerState::Open { .. }) {
        assert!(began.elapsed() < s(300), "it never opened");
        traffic(1).await;
    }
    nodes[0].set(|script| script.call = Act::Slow(ms(10)));
    let began = Instant::now();
    while state(&pool) != BreakerState::Closed {
        assert!(began.elapsed() < s(5), "{:?}", state(&pool));
        traffic(1).await;
    }
}

/// R10: failing in a millisecond must not look like being fast.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_fast_gets_little_traffic() {
    let balancers: [fn() -> std::sync::Arc<dyn Balancer>; 3] = [
        || std::sync::Arc::new(ShortestDelay::new()),
        || std::sync::Arc::new(LeastRequests::new()),
        || std::sync::Arc::new(RoundRobin::new()),
    ];
    for balancer in balancers {
        let nodes = nodes::<3>();
        let mut builder = Pool::builder(PoolId::new("r10").unwrap())
            .balancer(balancer())
            .seed(1);
        for node in &nodes {
            node.set(|script| script.call = Act::Slow(ms(20)));
            builder = builder.endpoint(node.id(), Fake(node.clone()), EndpointConfig::default());
        }
        nodes[0].set(|script| script.call = Act::SlowError(ms(1)));
        let pool = builder.build().unwrap();
        settle().await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    for _ in 0..500 {
                        let _either = pool.run(&Call, &Request::new().max_attempts(1)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let calls: Vec<_> = nodes.iter().map(Node::calls).collect();
        let share = calls[0] as f64 / calls.iter().sum::<u64>() as f64;
        assert!(share <= 0.05, "{share:.3} of all calls: {calls:?}");
        assert!(calls[0] > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_fault_never_trips() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, rare_checks).await;
    for _ in 0..100 {
        for error_type in [
            ErrorType::Reverted,
            ErrorType::InvalidRequest,
            ErrorType::TxRejected,
            ErrorType::Deadline,
            ErrorType::Local,
        ] {
            let lease = pool.acquire().await.unwrap();
            lease.fail(&Oops(Verdict::of(error_type)));
        }
    }
    assert_eq!(state(&pool), BreakerState::Closed);
}

/// A grant whose endpoint goes bad before its caller looks is not used; the caller keeps its place in line.
#[tokio::test(start_paused = true)]
async fn a_grant_is_looked_at_again_before_it_is_used() {
    let throttled = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(60)));
    for bad_news in [throttled, Verdict::of(ErrorType::NodeInternal)] {
        let nodes = nodes::<2>();
        let pool = pool(&nodes, 2, |config| {
            rare_checks(config);
            config.breaker.consecutive_failures = 1;
        })
        .await;
        let mut leases = Vec::new();
        for _ in 0..4 {
            leases.push(pool.acquire().await.unwrap());
        }
        let (mut bad, mut other): (Vec<_>, Vec<_>) = leases
            .into_iter()
            .partition(|lease| *lease.endpoint() == nodes[0].id());
        let mut oldest = tokio_test::task::spawn(pool.acquire_within(s(100)));
        let mut next = tokio_test::task::spawn(pool.acquire_within(s(100)));
        assert!(oldest.poll().is_pending() && next.poll().is_pending());
        bad.pop().unwrap().succeed();
        assert!(oldest.is_woken(), "it was given a slot of e0");
        bad.pop().unwrap().fail(&Oops(bad_news));
        assert!(oldest.poll().is_pending(), "e0 went bad in between");
        other.pop().unwrap().succeed();
        assert!(oldest.is_woken() && !next.is_woken(), "it is still the oldest");
        let lease = oldest.await.unwrap();
        assert_eq!(*lease.endpoint(), nodes[1].id());
        lease.succeed();
        drop((next, other));
        all_returned(&pool, &nodes, "afterwards");
    }
}
