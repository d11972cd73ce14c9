//! Leases: what goes back, what is destroyed, and that a drop needs no runtime.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::*;
use pool_core::*;

#[tokio::test(start_paused = true)]
async fn what_was_not_touched_goes_back_and_what_was_is_destroyed() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    drop(pool.acquire().await.unwrap());
    assert_eq!(nodes[0].sockets(), 1, "untouched: kept");

    let mut lease = pool.acquire().await.unwrap();
    lease.number += 1;
    drop(lease);
    assert_eq!(nodes[0].sockets(), 0, "touched: destroyed");

    let lease = pool.acquire().await.unwrap();
    let _number = lease.number;
    drop(lease);
    assert_eq!(
        nodes[0].sockets(),
        0,
        "many clients send through a shared reference"
    );

    let mut lease = pool.acquire().await.unwrap();
    lease.call().await.unwrap();
    lease.succeed();
    assert_eq!(nodes[0].sockets(), 1, "reported: kept");

    let snapshot = pool.snapshot();
    let endpoint = &snapshot.endpoints[0];
    assert_eq!(endpoint.requests, 1, "cancelled ones are not counted");
    assert_eq!(endpoint.errors.iter().sum::<u64>(), 0);
    assert_eq!(endpoint.breaker_opened, 0);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_connection_only_if_that_is_safe() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    for (error_type, kept) in [
        (ErrorType::Reverted, 1),
        (ErrorType::NodeInternal, 1),
        (ErrorType::Transport, 0),
        (ErrorType::Timeout, 0),
    ] {
        let verdict = pool.acquire().await.unwrap().fail(&Oops(Verdict::of(error_type)));
        assert_eq!(verdict.error_type, error_type);
        assert_eq!(nodes[0].sockets(), kept, "{error_type:?}");
    }
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.endpoints[0].requests, 4);
    assert_eq!(snapshot.endpoints[0].errors[ErrorType::Timeout.index()], 1);
    assert_eq!(snapshot.endpoints[0].errors.iter().sum::<u64>(), 4);
}

#[test]
fn a_drop_needs_no_runtime() {
    let nodes = nodes::<1>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (pool, touched, untouched) = runtime.block_on(async {
        let pool = pool(&nodes, 2, |_| {}).await;
        let mut touched = pool.acquire().await.unwrap();
        touched.number += 1;
        let untouched = pool.acquire().await.unwrap();
        (pool, touched, untouched)
    });
    drop(touched);
    drop(untouched);
    all_returned(&pool, &nodes, "outside the runtime");
    assert_eq!(nodes[0].sockets(), 1);
    // a lease may also outlive its pool and its runtime
    let lease = runtime.block_on(async { pool.acquire().await.unwrap() });
    drop(pool);
    drop(runtime);
    lease.succeed();
    assert_eq!(nodes[0].sockets(), 0, "nothing outlives pool and lease");
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_last_handle() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 2, |_| {}).await;
    for _ in 0..4 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    let checks = |node: &Node| node.counts().checks.load(std::sync::atomic::Ordering::SeqCst);
    let clone = pool.clone();
    drop(pool);
    tokio::time::sleep(s(20)).await;
    let before = checks(&nodes[0]);
    assert!(before >= 3, "a clone keeps the checks going");
    drop(clone);
    settle().await;
    tokio::time::sleep(s(60)).await;
    assert_eq!(checks(&nodes[0]), before, "the background tasks have ended");
    assert_eq!(nodes[0].sockets() + nodes[1].sockets(), 0);
}

/// Leases cross tasks and threads.
#[test]
fn leases_and_pools_are_send_and_static() {
    fn check<T: Send + 'static>() {}
    fn shared<T: Send + Sync + 'static>() {}
    check::<Lease<Fake>>();
    shared::<Pool<Fake>>();
    shared::<AcquireError<Oops>>();
}
