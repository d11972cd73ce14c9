//! Weights, capacities and shared transports through the whole pool.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::{Arc, atomic::Ordering::SeqCst};

use common::*;
use pool_core::*;

fn weighted(nodes: &[Node], weights: &[f64], slots: &[u32], balancer: Arc<dyn Balancer>) -> Pool<Fake> {
    let mut builder = Pool::builder(PoolId::new("weights").unwrap())
        .balancer(balancer)
        .seed(3);
    for ((node, weight), slots) in nodes.iter().zip(weights).zip(slots) {
        let settings = EndpointConfig::default().weight(*weight).max_connections(*slots);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    builder.build().unwrap()
}

/// So many tasks work for a while; the share of each node is returned.
async fn shares(pool: &Pool<Fake>, nodes: &[Node], tasks: usize) -> Vec<f64> {
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    pool.run(&Call, &Request::new()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all: u64 = nodes.iter().map(Node::calls).sum();
    nodes
        .iter()
        .map(|node| node.calls() as f64 / all as f64)
        .collect()
}

/// Those whose shares follow the weights, and by how much they may be off.
fn by_weight() -> [(BalancerKind, f64); 5] {
    [
        (BalancerKind::LeastRequests, 0.03),
        (BalancerKind::RoundRobin, 0.03),
        (BalancerKind::Random, 0.03),
        (BalancerKind::P2c, 0.03),
        (BalancerKind::SampledLeastRequests, 0.03),
    ]
}

#[tokio::test(start_paused = true)]
async fn traffic_follows_the_weights() {
    for (name, tolerance) in by_weight() {
        let nodes = nodes::<3>();
        for node in &nodes {
            node.set(|script| script.call = Act::Slow(ms(20)));
        }
        let pool = weighted(&nodes, &[4.0, 2.0, 1.0], &[64, 64, 64], name.build());
        settle().await;
        let shares = shares(&pool, &nodes, 28).await;
        for (share, expected) in shares.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
            assert!((share - expected).abs() < tolerance, "{name}: {shares:?}");
        }
        all_returned(&pool, &nodes, name.as_str());
    }
}

/// When all is taken and everybody waits, each works as fast as its slots allow.
#[tokio::test(start_paused = true)]
async fn under_load_each_works_at_its_capacity() {
    for name in BalancerKind::ALL {
        let nodes = nodes::<2>();
        for node in &nodes {
            node.set(|script| script.call = Act::Slow(ms(20)));
        }
        let pool = weighted(&nodes, &[1.0, 1.0], &[12, 4], name.build());
        settle().await;
        let shares = shares(&pool, &nodes, 64).await;
        assert!((shares[0] - 0.75).abs() < 0.03, "{name}: {shares:?}");
        let snapshot = pool.snapshot();
        assert_eq!((snapshot.slots_usable, snapshot.slots_free), (16, 16));
    }
}

/// The preferred endpoint may be full while others are free: nobody waits then.
#[tokio::test(start_paused = true)]
async fn nobody_waits_while_any_slot_is_free() {
    for name in BalancerKind::ALL {
        let nodes = nodes::<3>();
        let pool = weighted(&nodes, &[100.0, 1.0, 1.0], &[2, 5, 3], name.build());
        settle().await;
        let mut leases = Vec::new();
        for _ in 0..10 {
            let lease = pool.acquire_within(ms(1)).await;
            leases.push(lease.unwrap_or_else(|error| panic!("{name}: {error}")));
        }
        assert_eq!(pool.snapshot().slots_free, 0);
        assert!(pool.acquire_within(ms(1)).await.is_err());
        drop(leases);
        all_returned(&pool, &nodes, name.as_str());
    }
}

/// A transport with four lanes is one connection, active while any of them is leased.
#[tokio::test(start_paused = true)]
async fn lanes_share_a_connection_and_it_is_counted_once() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.lanes = 4);
    let pool = pool(&nodes, 8, |_| {}).await;
    let connections = || {
        let endpoint = pool.snapshot().endpoints.remove(0);
        (
            endpoint.connections_active,
            endpoint.connections_idle,
            endpoint.slots_active,
        )
    };
    let mut leases = Vec::new();
    for taken in 1..=8 {
        leases.push(pool.acquire().await.unwrap());
        let used = u64::from(taken > 4) + 1;
        assert_eq!(connections(), (used, 0, taken));
    }
    assert_eq!(nodes[0].connects(), 2);
    assert!(
        pool.acquire_within(ms(1)).await.is_err(),
        "slots, not lanes, are the limit"
    );
    let first = leases.remove(0);
    leases.drain(..3).for_each(Lease::succeed);
    assert_eq!(connections(), (2, 0, 5), "one lane of the first is still leased");
    first.succeed();
    assert_eq!(connections(), (1, 1, 4));
    leases.into_iter().for_each(Lease::succeed);
    assert_eq!(connections(), (0, 2, 0));
    tokio::time::sleep(s(120)).await;
    assert_eq!((connections(), nodes[0].sockets()), ((0, 0, 0), 0));
    all_returned(&pool, &nodes, "afterwards");
}

/// A request that is broken off costs its connection, unless that says that it survives.
#[tokio::test(start_paused = true)]
async fn a_connection_may_survive_a_request_that_is_broken_off() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 4, |_| {}).await;
    for survives in [false, true] {
        for broken_off in [true, false] {
            nodes[0]
                .set(|script| (script.survives, script.call, script.clean) = (survives, Act::Hang, false));
            let mut lease = pool.acquire().await.unwrap();
            let cancelled = tokio::time::timeout(ms(5), lease.call()).await;
            assert!(cancelled.is_err());
            if broken_off {
                drop(lease);
            } else {
                lease.fail(&Oops(Verdict::of(ErrorType::Timeout)));
            }
            let (recycles, sockets) = (nodes[0].counts().recycles.load(SeqCst), nodes[0].sockets());
            assert_eq!(sockets, i64::from(survives), "{broken_off}");
            // it comes back unclean: the endpoint has a look before it is used again
            nodes[0].set(|script| (script.call, script.clean) = (Act::Ok, true));
            pool.acquire().await.unwrap().succeed();
            let looked = nodes[0].counts().recycles.load(SeqCst) - recycles;
            assert_eq!(looked, u64::from(survives), "{broken_off}");
            all_returned(&pool, &nodes, "afterwards");
        }
    }
}

/// A connection that the other side has closed is no idle one.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_takes_no_more_lanes_is_closed() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.lanes = 3);
    let pool = pool(&nodes, 4, |_| {}).await;
    let leases = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    leases.into_iter().for_each(Lease::succeed);
    assert_eq!(pool.snapshot().endpoints[0].connections_idle, 1);
    nodes[0].set(|script| script.lanes = 0);
    tokio::time::sleep(ms(1100)).await;
    assert_eq!(pool.snapshot().endpoints[0].connections_idle, 0);
    all_returned(&pool, &nodes, "afterwards");
}

/// GOAWAY: a transport that takes no more lanes is replaced, and lives until its last lane is gone.
#[tokio::test(start_paused = true)]
async fn a_transport_that_takes_no_more_lanes_drains() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.lanes = 2);
    let pool = pool(&nodes, 4, |_| {}).await;
    let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!(nodes[0].sockets(), 1);
    nodes[0].set(|script| script.lanes = 0);
    a.succeed();
    nodes[0].set(|script| script.lanes = 1);
    let c = pool.acquire().await.unwrap();
    let d = pool.acquire().await.unwrap();
    assert_eq!(nodes[0].sockets(), 2, "no third lane on the first");
    b.succeed();
    c.succeed();
    d.succeed();
    all_returned(&pool, &nodes, "afterwards");
}
