//! Closing: who waits is told, who works may end, who is late is reported.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use common::*;
use pool_core::*;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_told_and_those_who_work_may_end() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let waiters: Vec<_> = (0..10)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let result = pool.acquire().await.map(Lease::succeed);
                (result, Instant::now())
            })
        })
        .collect();
    settle().await;
    let worker = tokio::spawn(async move {
        tokio::time::sleep(ms(500)).await;
        held.succeed();
    });
    let before = Instant::now();
    assert_eq!(pool.close(s(10)).await, CloseReport { unfinished: 0 });
    assert_eq!(
        before.elapsed().as_millis(),
        500,
        "as long as needed and no longer"
    );
    worker.await.unwrap();
    for waiter in waiters {
        let (result, told) = waiter.await.unwrap();
        assert_eq!(told, before, "at once");
        let error = result.unwrap_err();
        assert!(
            matches!(error, AcquireError::Closed { .. }) && !error.is_retryable(),
            "{error}"
        );
    }
    assert!(matches!(pool.acquire().await, Err(AcquireError::Closed { .. })));
    assert_eq!(nodes[0].sockets(), 0);
    assert_eq!(pool.snapshot().slots_free, 0);
    all_returned(&pool, &nodes, "afterwards");
    assert_eq!(
        pool.close(s(10)).await,
        CloseReport { unfinished: 0 },
        "twice is once"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_late_is_reported_and_leaves_nothing_behind() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 2, |_| {}).await;
    let mut late = vec![pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    late.push(pool.acquire().await.unwrap());
    late.pop().unwrap().succeed();
    let before = Instant::now();
    assert_eq!(pool.close(s(2)).await, CloseReport { unfinished: 2 });
    assert_eq!(before.elapsed().as_secs(), 2);
    assert_eq!(
        nodes[0].sockets() + nodes[1].sockets(),
        2,
        "what was idle is closed"
    );
    late.iter_mut().for_each(|lease| lease.number += 1);
    late.into_iter().for_each(Lease::succeed);
    assert_eq!(nodes[0].sockets() + nodes[1].sockets(), 0);
    all_returned(&pool, &nodes, "afterwards");
}

/// Callers whose connection is being opened are told too, and what is opened too late is closed.
#[tokio::test(start_paused = true)]
async fn connects_under_way_end() {
    for connect in [Act::Hang, Act::Slow(ms(100))] {
        let nodes = nodes::<1>();
        nodes[0].set(|script| script.connect = connect);
        let pool = pool(&nodes, 4, |_| {}).await;
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.acquire().await.map(Lease::succeed) })
            })
            .collect();
        settle().await;
        assert_eq!(nodes[0].connects(), 4);
        let before = Instant::now();
        assert_eq!(pool.close(s(10)).await, CloseReport { unfinished: 0 });
        assert_eq!(before.elapsed(), Duration::ZERO, "{connect:?}");
        for caller in callers {
            assert!(matches!(caller.await.unwrap(), Err(AcquireError::Closed { .. })));
        }
        tokio::time::sleep(s(10)).await;
        assert_eq!(nodes[0].sockets(), 0);
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_dropped_has_closed_all_the_same() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let mut closing = tokio_test::task::spawn(pool.close(s(60)));
    assert!(closing.poll().is_pending());
    drop(closing);
    assert!(matches!(pool.acquire().await, Err(AcquireError::Closed { .. })));
    held.succeed();
    assert_eq!(pool.close(Duration::ZERO).await, CloseReport { unfinished: 0 });
}

/// A connection that was handed to somebody who goes away before taking it is not kept by a closed pool.
#[tokio::test(start_paused = true)]
async fn what_was_handed_on_and_not_taken_is_closed_too() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let mut waiter = tokio_test::task::spawn(pool.acquire());
    assert!(waiter.poll().is_pending());
    held.succeed();
    assert!(waiter.is_woken(), "it was handed the connection");
    assert_eq!(pool.close(Duration::ZERO).await, CloseReport { unfinished: 1 });
    drop(waiter);
    assert_eq!(nodes[0].sockets(), 0);
    all_returned(&pool, &nodes, "afterwards");
}
