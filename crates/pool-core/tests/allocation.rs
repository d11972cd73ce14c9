//! The way from acquire to release does not allocate once it is warm, whatever the balancer.
//!
//! A test binary of its own, because the counter replaces the allocator. It counts what the measured thread allocates;
//! on a current-thread runtime that is everything.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    future::Future,
    task::{Context, Waker},
};

use allocation_counter::{AllocationInfo, measure};
use common::*;
use pool_core::*;

/// What so many acquires and releases allocate.
fn cost(runtime: &tokio::runtime::Runtime, pool: &Pool<Fake>, rounds: usize) -> AllocationInfo {
    measure(|| {
        runtime.block_on(async {
            for _ in 0..rounds {
                pool.acquire().await.unwrap().succeed();
            }
        });
    })
}

fn check(
    what: &str,
    balancer: std::sync::Arc<dyn Balancer>,
    tune: fn(usize, EndpointConfig) -> EndpointConfig,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let nodes = nodes::<3>();
    let pool = runtime.block_on(async {
        let mut builder = Pool::builder(PoolId::new("lean").unwrap())
            .balancer(balancer)
            .seed(1);
        for (i, node) in nodes.iter().enumerate() {
            builder = builder.endpoint(node.id(), Fake(node.clone()), tune(i, EndpointConfig::default()));
        }
        let pool = builder.build().unwrap();
        settle().await;
        // every slot gets its connection
        let leases = leases(&pool, 48).await;
        leases.into_iter().for_each(Lease::succeed);
        pool
    });
    cost(&runtime, &pool, 200);
    let idle = cost(&runtime, &pool, 0);
    let busy = cost(&runtime, &pool, 1_000);
    assert_eq!(busy.count_total, idle.count_total, "{what}: {busy:?}");
    assert!(
        nodes.iter().map(Node::connects).sum::<u64>() <= 48,
        "{what}: nothing was reconnected"
    );
}

async fn leases(pool: &Pool<Fake>, count: usize) -> Vec<Lease<Fake>> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(pool.acquire().await.unwrap());
    }
    leases
}

#[test]
fn no_balancer_makes_an_acquire_allocate() {
    for kind in BalancerKind::ALL {
        check(kind.as_str(), kind.build(), |_, config| config);
        let uneven = |i: usize, config: EndpointConfig| config.weight(1.0 + 100.0 * i as f64);
        check(&format!("{kind}, weighted"), kind.build(), uneven);
        let tiers = |i: usize, config: EndpointConfig| config.tier(i as u8 % 2);
        check(&format!("{kind}, in tiers"), kind.build(), tiers);
    }
}

/// A need that every endpoint offers costs nothing either, once they have been asked.
#[test]
fn a_need_that_all_offer_does_not_allocate() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let nodes = nodes::<3>();
    let request = Request::new().need(Need::new(3));
    let pool = runtime.block_on(async {
        let pool = pool(&nodes, 16, |_| {}).await;
        let leases = leases(&pool, 48).await;
        leases.into_iter().for_each(Lease::succeed);
        pool
    });
    let cost = |rounds: usize| {
        measure(|| {
            runtime.block_on(async {
                for _ in 0..rounds {
                    pool.acquire_with(&request).await.unwrap().succeed();
                }
            });
        })
    };
    cost(200);
    let (idle, busy) = (cost(0), cost(1_000));
    assert_eq!(busy.count_total, idle.count_total, "{busy:?}");
}

/// What 100,000 callers in line cost, beside their futures.
#[test]
fn a_caller_in_line_costs_less_than_two_hundred_bytes() {
    const CALLERS: u32 = 100_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let nodes = nodes::<1>();
    let pool = runtime.block_on(async {
        let settings = EndpointConfig::default().max_connections(1);
        let mut config = PoolConfig::default();
        config.max_waiters = CALLERS;
        let pool = Pool::builder(PoolId::new("long").unwrap())
            .config(config)
            .endpoint(nodes[0].id(), Fake(nodes[0].clone()), settings)
            .build()
            .unwrap();
        settle().await;
        pool
    });
    let lease = runtime.block_on(pool.acquire()).unwrap();
    let mut callers: Vec<_> = (0..CALLERS).map(|_| Box::pin(pool.acquire())).collect();
    let future = size_of_val(&*callers[0]);
    let cost = measure(|| {
        runtime.block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            for caller in &mut callers {
                assert!(caller.as_mut().poll(&mut cx).is_pending());
            }
        });
    });
    assert_eq!(pool.snapshot().queue_size, u64::from(CALLERS));
    let each = cost.bytes_current as f64 / f64::from(CALLERS);
    println!("{each:.0} bytes for each, and {future} for its future");
    assert!(each < 200.0, "{each} bytes for each");
    drop(callers);
    lease.succeed();
}

/// A pool may outlive many runtimes that wait on it; its timer on each of them is gone with it.
#[test]
fn a_runtime_that_has_ended_is_not_kept() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let long = runtime();
    let nodes = nodes::<1>();
    let pool = long.block_on(pool(&nodes, 1, |_| {}));
    let lease = long.block_on(pool.acquire()).unwrap();
    let waits_on_another = || {
        let short = runtime();
        let waits = pool.clone();
        short.spawn(async move { drop(waits.acquire().await) });
        short.block_on(settle());
        assert_eq!(pool.snapshot().queue_size, 1);
    };
    waits_on_another();
    let kept = measure(|| (0..100).for_each(|_| waits_on_another())).bytes_current;
    assert!(kept < 10_000, "{kept} bytes of 100 runtimes");
    lease.succeed();
}

/// The first test can fail.
#[test]
#[should_panic(expected = "wasteful")]
fn one_that_allocates_is_found() {
    struct Wasteful;
    impl Balancer for Wasteful {
        fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
            let all: Vec<_> = among.iter().collect();
            Some(cx.below(all.len()))
        }
    }
    check("wasteful", std::sync::Arc::new(Wasteful), |_, config| config);
}
