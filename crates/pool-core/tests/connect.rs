//! Connecting: connects outlive their callers, dead connections cost one look, old ones go.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use common::*;
use pool_core::*;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn connects_slower_than_every_callers_deadline_converge() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.connect = Act::Slow(ms(100)));
    let pool = pool(&nodes, 4, |_| {}).await;
    let mut served = 0;
    for round in 0..100 {
        match pool.acquire_within(ms(50)).await {
            Ok(lease) => {
                served += 1;
                lease.succeed();
            }
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        AcquireError::Deadline {
                            phase: Phase::Connect,
                            ..
                        }
                    ),
                    "{error}"
                );
                assert!(round < 5, "round {round}: still no connection");
            }
        }
    }
    assert!(served >= 95, "{served} of 100");
    assert!(nodes[0].connects() <= 4, "{} connects", nodes[0].connects());
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn many_callers_that_give_up_begin_no_more_connects_than_the_limit() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.connect = Act::Slow(s(1)));
    let pool = pool(&nodes, 4, |_| {}).await;
    for _ in 0..50 {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.acquire_within(ms(10)).await.map(Lease::succeed) })
            })
            .collect();
        for task in tasks {
            let _in_time_or_not = task.await.unwrap();
        }
    }
    assert!(nodes[0].connects() <= 4, "{} connects", nodes[0].connects());
    tokio::time::sleep(s(1)).await;
    pool.acquire_within(ms(10)).await.unwrap().succeed();
    assert!(nodes[0].counts().most_sockets.load(SeqCst) <= 4);
    all_returned(&pool, &nodes, "afterwards");
}

/// The connection has been delivered, and its caller is dropped before it looks.
#[tokio::test(start_paused = true)]
async fn a_connection_that_arrives_for_nobody_is_kept() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.connect = Act::Slow(ms(100)));
    let pool = pool(&nodes, 1, |_| {}).await;
    let mut caller = tokio_test::task::spawn(pool.acquire());
    assert!(caller.poll().is_pending());
    tokio::time::sleep(ms(150)).await;
    assert!(caller.is_woken(), "the connection is there");
    drop(caller);
    assert_eq!(nodes[0].sockets(), 1, "and stays");
    let before = Instant::now();
    pool.acquire().await.unwrap().succeed();
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(nodes[0].connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_that_nobody_waits_for_counts_for_the_breaker() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| {
        config.breaker.consecutive_failures = 3;
        config.health.interval = s(3600);
    })
    .await;
    nodes[0].set(|script| script.connect = Act::SlowError(ms(100)));
    for _ in 0..3 {
        assert!(pool.acquire_within(ms(10)).await.is_err());
        tokio::time::sleep(ms(200)).await;
    }
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.endpoints[0].breaker_opened, 1, "{snapshot:?}");
}

/// Eight idle connections are opened.
async fn with_idle(pool: &Pool<Fake>) {
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(pool.acquire().await.unwrap());
    }
    leases.into_iter().for_each(Lease::succeed);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_dead_idle_connections_costs_one_look() {
    for (act, limit) in [
        (Act::SlowError(ms(100)), ms(101)),
        // deadpool's own time-outs would make eight seconds of this
        (Act::Hang, ms(1001)),
    ] {
        let nodes = nodes::<1>();
        let pool = pool(&nodes, 8, |_| {}).await;
        with_idle(&pool).await;
        tokio::time::sleep(s(2)).await;
        nodes[0].set(|script| script.recycle = act);
        let before = Instant::now();
        pool.acquire().await.unwrap().succeed();
        assert!(before.elapsed() <= limit, "{act:?}: {:?}", before.elapsed());
        assert_eq!(nodes[0].counts().recycles.load(SeqCst), 1, "{act:?}");
        assert_eq!(
            nodes[0].sockets(),
            1,
            "{act:?}: the dead are gone, one new is there"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_of_dead_idle_connections_costs_one_deadline_even_of_hasty_callers() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 8, |_| {}).await;
    with_idle(&pool).await;
    tokio::time::sleep(s(2)).await;
    nodes[0].set(|script| script.recycle = Act::Hang);
    assert!(pool.acquire_within(ms(200)).await.is_err());
    pool.acquire_within(ms(200)).await.unwrap().succeed();
    assert_eq!(nodes[0].counts().recycles.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_looked_at_only_when_it_was_idle_for_long_or_is_not_clean() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let recycles = || nodes[0].counts().recycles.load(SeqCst);
    pool.acquire().await.unwrap().succeed();
    tokio::time::sleep(ms(400)).await;
    pool.acquire().await.unwrap().succeed();
    assert_eq!(recycles(), 0, "it was used a moment ago");
    tokio::time::sleep(ms(600)).await;
    pool.acquire().await.unwrap().succeed();
    assert_eq!(recycles(), 1);
    nodes[0].set(|script| script.clean = false);
    pool.run(&Call, &Request::new()).await.unwrap();
    pool.run(&Call, &Request::new()).await.unwrap();
    assert_eq!(recycles(), 2, "the first left it unclean");
    assert_eq!(nodes[0].connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_in_time() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 8, |config| config.idle_timeout = s(10)).await;
    with_idle(&pool).await;
    assert_eq!(nodes[0].sockets(), 8);
    tokio::time::sleep(ms(9_500)).await;
    assert_eq!(nodes[0].sockets(), 8);
    tokio::time::sleep(ms(2_000)).await;
    assert_eq!(nodes[0].sockets(), 0);
    assert_eq!(pool.snapshot().endpoints[0].connections_destroyed, 8);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn connections_opened_together_do_not_expire_together() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 64, |config| {
        config.max_lifetime = s(1000);
        config.idle_timeout = s(5000);
    })
    .await;
    let mut leases = Vec::new();
    for _ in 0..64 {
        leases.push(pool.acquire().await.unwrap());
    }
    leases.into_iter().for_each(Lease::succeed);
    tokio::time::sleep(s(745)).await;
    assert_eq!(nodes[0].sockets(), 64, "none goes before three quarters");
    let mut left = Vec::new();
    for _ in 0..5 {
        tokio::time::sleep(s(32)).await;
        left.push(nodes[0].sockets());
    }
    assert_eq!(left[4], 0, "all are gone at nine tenths: {left:?}");
    assert!(
        left[0] > 32 && left[3] < 32,
        "they go one after the other: {left:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_connection_is_closed_when_it_comes_back() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| config.max_lifetime = s(10)).await;
    let lease = pool.acquire().await.unwrap();
    tokio::time::sleep(s(20)).await;
    assert_eq!(nodes[0].sockets(), 1, "it is in use");
    lease.succeed();
    assert_eq!(nodes[0].sockets(), 0);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_never_opens_is_a_failure() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.open = Act::Hang);
    let pool = pool(&nodes, 1, |config| config.connect_timeout = s(1)).await;
    let error = pool.acquire_within(s(30)).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout { .. }), "{error}");
    all_returned(&pool, &nodes, "afterwards");
}

/// Neither a panic nor a connection that closes at once may lose a slot, wedge the connects or go on for ever.
#[tokio::test(start_paused = true)]
async fn connects_that_give_nothing_are_failures_and_leave_nothing_behind() {
    for broken in ["panics", "closes at once"] {
        let nodes = nodes::<1>();
        let pool = pool(&nodes, 2, |config| config.health.interval = s(3600)).await;
        nodes[0].set(|script| match broken {
            "panics" => script.connect = Act::Panic,
            _ => script.lanes = 0,
        });
        for _ in 0..4 {
            let error = pool.acquire().await.unwrap_err();
            assert!(
                matches!(error, AcquireError::NoConnection { .. }),
                "{broken}: {error}"
            );
        }
        assert_eq!(nodes[0].connects(), 4, "{broken}: one for each caller");
        nodes[0].set(|script| (script.connect, script.lanes) = (Act::Ok, 1));
        let both = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        both.into_iter().for_each(Lease::succeed);
        all_returned(&pool, &nodes, broken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_fails_is_tried_on_the_next_endpoint() {
    let nodes = nodes::<3>();
    let pool = pool(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
    nodes[1].set(|script| script.connect = Act::Error(ErrorType::Connect));
    for _ in 0..3 {
        let lease = pool.acquire().await.unwrap();
        assert_eq!(*lease.endpoint(), nodes[2].id());
        lease.succeed();
    }
    nodes[2].set(|script| script.recycle = Act::Error(ErrorType::Connect));
    nodes[2].set(|script| script.connect = Act::Error(ErrorType::Connect));
    tokio::time::sleep(s(1)).await;
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect { .. }), "{error}");
    assert!(std::error::Error::source(&error).is_some(), "the source is kept");
    all_returned(&pool, &nodes, "afterwards");
}

/// A connection of several lanes that arrived for nobody and was then used by others is full, not closed.
#[tokio::test(start_paused = true)]
async fn a_kept_connection_whose_lanes_are_taken_is_no_failure() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| {
        script.lanes = 2;
        script.connect = Act::Slow(ms(100));
    });
    let pool = pool(&nodes, 3, |_| {}).await;
    assert!(pool.acquire_within(ms(10)).await.is_err());
    tokio::time::sleep(s(1)).await;
    assert_eq!(nodes[0].sockets(), 1, "it is kept");
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(pool.acquire().await.unwrap());
    }
    assert_eq!(nodes[0].sockets(), 2);
    leases.into_iter().for_each(Lease::succeed);
    assert_eq!(pool.snapshot().endpoints[0].errors.iter().sum::<u64>(), 0);
    all_returned(&pool, &nodes, "afterwards");
}
