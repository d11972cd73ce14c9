//! Connections kept open ahead of need, and replaced before they expire.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::*;
use pool_core::*;

async fn warm(node: &Node, min_idle: u32, tune: impl FnOnce(&mut PoolConfig)) -> Pool<Fake> {
    let mut config = PoolConfig::default();
    tune(&mut config);
    let settings = EndpointConfig::default().max_connections(4).min_idle(min_idle);
    let pool = Pool::builder(PoolId::new("test").unwrap())
        .config(config)
        .seed(7)
        .endpoint(node.id(), Fake(node.clone()), settings)
        .build()
        .unwrap();
    settle().await;
    pool
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_there_before_anybody_asks_and_serve_who_does() {
    let nodes = nodes::<1>();
    let pool = warm(&nodes[0], 2, |_| {}).await;
    tokio::time::sleep(ms(1_500)).await;
    assert_eq!((nodes[0].connects(), nodes[0].sockets()), (2, 2));
    nodes[0].set(|script| script.connect = Act::Hang);
    let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!(pool.snapshot().endpoints[0].connections_active, 2);
    nodes[0].set(|script| script.connect = Act::Ok);
    tokio::time::sleep(s(10)).await;
    assert_eq!(nodes[0].sockets(), 4, "two more, while those are in use");
    a.succeed();
    b.succeed();
    tokio::time::sleep(s(300)).await;
    assert_eq!(
        nodes[0].sockets(),
        2,
        "the idle time-out leaves as many as are wanted"
    );
    let connects = nodes[0].connects();
    tokio::time::sleep(s(300)).await;
    assert_eq!(nodes[0].connects(), connects, "and they stay");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn what_expires_is_replaced_before_one_at_a_time() {
    let nodes = nodes::<1>();
    let pool = warm(&nodes[0], 3, |config| config.max_lifetime = s(600)).await;
    tokio::time::sleep(ms(1_500)).await;
    assert_eq!(nodes[0].sockets(), 3);
    // a replacement that came only after the expiry would leave a gap
    nodes[0].set(|script| script.connect = Act::Slow(s(2)));
    let mut before = nodes[0].connects();
    for _ in 0..20 * 600 {
        tokio::time::sleep(ms(100)).await;
        assert!(
            nodes[0].sockets() >= 3 && nodes[0].sockets() <= 4,
            "{}",
            nodes[0].sockets()
        );
        let now = nodes[0].connects();
        assert!(now <= before + 1, "one at a time");
        before = now;
    }
    let generations = nodes[0].connects() / 3;
    assert!(
        (2..=5).contains(&generations),
        "{generations} in 20 min of at least 7.5 min each"
    );
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_not_connected_to_for_ever() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
    let pool = warm(&nodes[0], 1, |config| config.health.interval = s(24 * 3600)).await;
    tokio::time::sleep(s(600)).await;
    assert!(pool.snapshot().endpoints[0].breaker_opened > 0);
    assert!(
        nodes[0].connects() <= 60,
        "{} in ten minutes",
        nodes[0].connects()
    );
    nodes[0].set(|script| script.connect = Act::Ok);
    pool.ready(s(1)).await;
    tokio::time::sleep(s(200)).await;
    // as soon as a caller has shown that it works again
    for _ in 0..2 {
        pool.acquire().await.unwrap().succeed();
    }
    tokio::time::sleep(s(2)).await;
    assert_eq!(nodes[0].sockets(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_died_while_it_waited_is_not_handed_out() {
    for (recycle, open) in [
        (Act::Error(ErrorType::Transport), Act::Ok),
        (Act::Hang, Act::Ok),
        (Act::Ok, Act::Error(ErrorType::Transport)),
    ] {
        let nodes = nodes::<1>();
        // so that all is over before the next look
        let pool = warm(&nodes[0], 3, |config| {
            config.recycle_timeout = ms(100);
            config.keepalive = None;
        })
        .await;
        tokio::time::sleep(ms(30_500)).await;
        assert_eq!((nodes[0].connects(), nodes[0].sockets()), (3, 3));
        nodes[0].set(|script| {
            script.recycle = recycle;
            script.open = open;
        });
        if open != Act::Ok {
            // the lane of a fresh connection opens
            let node = nodes[0].clone();
            nodes[0].set(|script| script.connect = Act::Slow(ms(100)));
            tokio::spawn(async move {
                tokio::time::sleep(ms(50)).await;
                node.set(|script| script.open = Act::Ok);
            });
        }
        let lease = pool.acquire().await.unwrap();
        assert_eq!(
            nodes[0].connects(),
            4,
            "a new one, after one look at the old ones"
        );
        assert_eq!(nodes[0].sockets(), 1, "the others are as dead");
        assert_eq!(pool.snapshot().endpoints[0].requests, 0, "no attempt has failed");
        lease.succeed();
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_opens_nothing() {
    let nodes = nodes::<1>();
    let pool = warm(&nodes[0], 2, |_| {}).await;
    tokio::time::sleep(s(2)).await;
    pool.close(s(1)).await;
    tokio::time::sleep(s(60)).await;
    assert_eq!((nodes[0].connects(), nodes[0].sockets()), (2, 0));
}
