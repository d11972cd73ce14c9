//! Connects that several callers count on, where a connection carries several lanes.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use common::*;
use pool_core::*;
use tokio::{task::JoinHandle, time::Instant};

/// Two connections for each node, with eight lanes each.
const CONNECTIONS: u32 = 2;
const LANES: u32 = 8;

/// Half of the callers come to each node.
async fn shared(nodes: &[Node], tune: impl FnOnce(&mut PoolConfig)) -> Pool<Fake> {
    let mut config = PoolConfig::default();
    config.connect_timeout = s(1);
    config.acquire_timeout = s(30);
    config.health.interval = s(3600);
    tune(&mut config);
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .config(config)
        .balancer(BalancerKind::RoundRobin.build())
        .seed(7);
    for node in nodes {
        node.set(|script| script.lanes = LANES);
        let settings = EndpointConfig::default()
            .max_connections(CONNECTIONS)
            .max_requests(CONNECTIONS * LANES);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    let pool = builder.build().unwrap();
    settle().await;
    pool
}

/// A caller, and how long it waited for its lease or its error.
type Asking = JoinHandle<(Duration, Result<(), AcquireError<Oops>>)>;

async fn ask(pool: &Pool<Fake>, callers: u32) -> Vec<Asking> {
    let begin = |_| {
        let (pool, since) = (pool.clone(), Instant::now());
        tokio::spawn(async move {
            let result = pool.acquire().await.map(Lease::succeed);
            (since.elapsed(), result)
        })
    };
    let asking = (0..callers).map(begin).collect();
    settle().await;
    asking
}

/// Every one of them was told of a connect that failed after so long.
async fn told(asking: Vec<Asking>, after: Duration, what: &str) -> Vec<AcquireError<Oops>> {
    let mut errors = Vec::new();
    for (number, caller) in asking.into_iter().enumerate() {
        let (waited, result) = caller.await.unwrap();
        let error = result.unwrap_err();
        assert!(error.is_connect(), "{what}, caller {number}: {error}");
        assert!(
            waited <= after + ms(2),
            "{what}, caller {number} waited {waited:?}"
        );
        errors.push(error);
    }
    errors
}

#[tokio::test(start_paused = true)]
async fn all_who_count_on_a_connect_that_fails_go_elsewhere_at_once() {
    for (act, after) in [
        (Act::Hang, s(1)),
        (Act::SlowError(ms(300)), ms(300)),
        (Act::Error(ErrorType::Connect), Duration::ZERO),
        (Act::Panic, Duration::ZERO),
    ] {
        let nodes = nodes::<2>();
        let pool = shared(&nodes, |_| {}).await;
        nodes[0].set(|script| script.connect = act);
        let callers: Vec<_> = (0..2 * CONNECTIONS * LANES)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let begun = Instant::now();
                    let request = Request::new().timeout(s(20));
                    let node = pool.run(&Call, &request).await.unwrap();
                    (node, begun.elapsed())
                })
            })
            .collect();
        for (number, caller) in callers.into_iter().enumerate() {
            let (node, took) = caller.await.unwrap();
            assert_eq!(node, "e1");
            // a pause or two between attempts come on top
            assert!(
                took <= after + ms(300),
                "{act:?}, caller {number} waited {took:?}"
            );
        }
        let connects = nodes[0].connects();
        assert!(connects <= 4, "{act:?}: {connects} connects");
        let failing = &pool.snapshot().endpoints[0];
        assert_eq!(
            failing.breaker_opened, 0,
            "{act:?}: {connects} failures, not one of each caller"
        );
        all_returned(&pool, &nodes, &format!("{act:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_told_the_same_error() {
    let nodes = nodes::<1>();
    let pool = shared(&nodes, |_| {}).await;
    nodes[0].set(|script| script.connect = Act::SlowError(ms(100)));
    let asking = ask(&pool, LANES).await;
    let errors = told(asking, ms(100), "one connect").await;
    let source = |error: &AcquireError<Oops>| match error {
        AcquireError::Connect { source, .. } => Arc::clone(source),
        _ => panic!("{error}"),
    };
    let first = source(&errors[0]);
    assert!(errors.iter().all(|error| Arc::ptr_eq(&source(error), &first)));
    assert!(std::error::Error::source(&errors[0]).is_some_and(<dyn std::error::Error>::is::<Oops>));
    assert_eq!(nodes[0].connects(), 1);
    let snapshot = &pool.snapshot().endpoints[0];
    assert_eq!(
        snapshot.errors.iter().sum::<u64>(),
        u64::from(LANES),
        "each was an attempt"
    );
}

/// One whose connection is closed as soon as it is opened has failed, too.
#[tokio::test(start_paused = true)]
async fn a_connection_without_lanes_is_a_failure_for_all() {
    let nodes = nodes::<1>();
    let pool = shared(&nodes, |_| {}).await;
    nodes[0].set(|script| (script.connect, script.lanes) = (Act::Slow(ms(100)), 0));
    let errors = told(ask(&pool, LANES).await, ms(100), "no lanes").await;
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, AcquireError::NoConnection { .. }))
    );
    assert_eq!(nodes[0].connects(), 1);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn who_counts_on_another_connect_goes_on_waiting_for_that() {
    // be they as many as that one carries, or so few that it could serve some of the first
    for later in [LANES, 1] {
        let what = format!("{later} later");
        let nodes = nodes::<1>();
        let pool = shared(&nodes, |_| {}).await;
        nodes[0].set(|script| script.connect = Act::Hang);
        let first = ask(&pool, LANES).await;
        tokio::time::sleep(ms(500)).await;
        nodes[0].set(|script| script.connect = Act::Slow(ms(900)));
        let second = ask(&pool, later).await;
        assert_eq!(nodes[0].connects(), 2, "{what}");
        told(first, s(1), &what).await;
        for caller in second {
            let (waited, result) = caller.await.unwrap();
            result.unwrap();
            assert!(waited <= ms(902), "{what}: {waited:?}");
        }
        assert_eq!(nodes[0].connects(), 2, "{what}");
        all_returned(&pool, &nodes, &what);
    }
}

/// Its connections carry less than they should, so that one connect is all there is room for.
#[tokio::test(start_paused = true)]
async fn all_are_told_where_no_other_connect_is_under_way() {
    let nodes = nodes::<1>();
    let pool = shared(&nodes, |_| {}).await;
    nodes[0].set(|script| (script.lanes, script.survives) = (2, true));
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    assert_eq!(nodes[0].sockets(), 1);
    nodes[0].set(|script| script.connect = Act::Hang);
    let asking = ask(&pool, CONNECTIONS * LANES - 2).await;
    assert_eq!(nodes[0].connects(), 2, "there is room for one more");
    told(asking, s(1), "all").await;
    assert_eq!(nodes[0].connects(), 2);
    held.into_iter().for_each(Lease::succeed);
    all_returned(&pool, &nodes, "afterwards");
}

/// One failed handshake is one failure, be there callers, none any more, or none that has looked.
#[tokio::test(start_paused = true)]
async fn a_connect_fails_once_whoever_counted_on_it() {
    for gone in [0, 1, LANES - 1, LANES] {
        for looks in [false, true] {
            let what = format!("{gone} gone, after they were told: {looks}");
            let nodes = nodes::<1>();
            let pool = shared(&nodes, |config| config.breaker.consecutive_failures = 3).await;
            nodes[0].set(|script| script.connect = Act::SlowError(ms(100)));
            for round in 1..=3 {
                let mut callers: Vec<_> = (0..LANES)
                    .map(|_| tokio_test::task::spawn(pool.acquire()))
                    .collect();
                for caller in &mut callers {
                    assert!(caller.poll().is_pending());
                }
                if !looks {
                    callers.drain(..gone as usize);
                }
                tokio::time::sleep(ms(150)).await;
                if looks {
                    assert!(callers.iter().all(tokio_test::task::Spawn::is_woken), "{what}");
                    callers.drain(..gone as usize);
                }
                for mut caller in callers {
                    let answer = caller.poll();
                    assert!(
                        matches!(answer, std::task::Poll::Ready(Err(AcquireError::Connect { .. }))),
                        "{what}"
                    );
                }
                let opened = pool.snapshot().endpoints[0].breaker_opened;
                assert_eq!(opened, u64::from(round == 3), "{what}, round {round}");
                assert_eq!(nodes[0].connects(), round, "{what}");
                all_returned(&pool, &nodes, &what);
            }
        }
    }
}

/// A straggler from before the breaker opened is told first, and decides nothing; the probe beside it does.
#[tokio::test(start_paused = true)]
async fn a_probe_that_shares_a_failed_connect_has_failed() {
    let nodes = nodes::<1>();
    let pool = shared(&nodes, |config| {
        config.connect_timeout = s(3);
        config.breaker.consecutive_failures = 1;
        config.breaker.open_min = s(1);
        config.breaker.jitter = 0.0;
    })
    .await;
    // the only lane is taken, so that the next needs a connect
    nodes[0].set(|script| script.lanes = 1);
    let held = pool.acquire().await.unwrap();
    nodes[0].set(|script| script.connect = Act::Hang);
    let straggler = ask(&pool, 1).await;
    held.fail(&Oops(Verdict::of(ErrorType::Transport)));
    let opened = || pool.snapshot().endpoints[0].breaker_opened;
    assert_eq!(opened(), 1);
    let probe = ask(&pool, 1).await;
    tokio::time::sleep(ms(1_500)).await;
    assert_eq!(nodes[0].connects(), 2, "both count on the same");
    assert_eq!(pool.snapshot().endpoints[0].slots_active, 2);
    told(straggler, s(3), "the straggler").await;
    told(probe, s(3), "the probe").await;
    assert_eq!(opened(), 2);
    all_returned(&pool, &nodes, "afterwards");
}

/// Callers come and go at random while connects fail and succeed: nothing is lost, and afterwards all lanes can be had.
#[tokio::test(start_paused = true)]
async fn callers_who_come_and_go_lose_nothing() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let nodes = nodes::<2>();
        let pool = shared(&nodes, |config| {
            config.breaker.consecutive_failures = 0;
            config.breaker.failure_ratio = 1.0;
        })
        .await;
        let mut tasks = Vec::new();
        for _ in 0..60 {
            let act = [Act::Hang, Act::SlowError(ms(50)), Act::Slow(ms(50)), Act::Ok];
            nodes[rng.usize(..2)].set(|script| script.connect = act[rng.usize(..4)]);
            for _ in 0..rng.u32(..8) {
                let (pool, patience) = (pool.clone(), ms(rng.u64(..1_500)));
                tasks.push(tokio::spawn(async move {
                    let held = ms(patience.as_millis() as u64 / 7);
                    if let Ok(Ok(lease)) = tokio::time::timeout(patience, pool.acquire()).await {
                        tokio::time::sleep(held).await;
                        match held.as_millis() % 3 {
                            0 => drop(lease),
                            _ => lease.succeed(),
                        }
                    }
                }));
            }
            tokio::time::sleep(ms(rng.u64(..60))).await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        tokio::time::sleep(s(2)).await;
        let what = format!("seed {seed}");
        all_returned(&pool, &nodes, &what);
        for node in &nodes {
            node.set(|script| script.connect = Act::Ok);
            assert_eq!(node.counts().connecting.load(SeqCst), 0, "{what}");
            assert!(
                node.counts().most_sockets.load(SeqCst) <= i64::from(CONNECTIONS),
                "{what}"
            );
        }
        let mut leases = Vec::new();
        for _ in 0..2 * CONNECTIONS * LANES {
            leases.push(pool.acquire_within(s(1)).await.expect(&what));
        }
        leases.into_iter().for_each(Lease::succeed);
        all_returned(&pool, &nodes, &what);
    }
}
