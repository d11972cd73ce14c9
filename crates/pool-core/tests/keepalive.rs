//! Connections that have rested are tried before anybody needs them.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::atomic::Ordering::SeqCst;

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

fn tried(node: &Node) -> u64 {
    node.counts().recycles.load(SeqCst)
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_open_is_tried_in_turn_and_stays() {
    for lanes in [1, 3] {
        let nodes = nodes::<1>();
        nodes[0].set(|script| {
            script.lanes = lanes;
            script.recycle = Act::Slow(ms(300));
        });
        let pool = warm(&nodes[0], 3, |_| {}).await;
        tokio::time::sleep(ms(1_500)).await;
        assert_eq!((nodes[0].connects(), tried(&nodes[0])), (3, 0));
        let mut before = 0;
        for second in 0..300 {
            tokio::time::sleep(s(1)).await;
            let now = tried(&nodes[0]);
            assert!(now <= before + 1, "one at a time, in second {second}");
            before = now;
            assert_eq!(nodes[0].sockets(), 3);
            assert_eq!(pool.snapshot().endpoints[0].connections_idle, 3);
        }
        // each once in 24 to 30 s, and a second and a half for the look and the trial
        assert!((3 * 9..=3 * 13).contains(&before), "{before} with {lanes} lanes");
        assert_eq!(nodes[0].connects(), 3);
        let lease = pool.acquire().await.unwrap();
        assert_eq!(nodes[0].connects(), 3, "it serves who comes");
        lease.succeed();
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_died_is_replaced_before_anybody_comes() {
    for (dead, used) in [
        (Act::Error(ErrorType::Transport), false),
        (Act::Error(ErrorType::Transport), true),
        (Act::Hang, false),
        (Act::Hang, true),
        (Act::Panic, true),
    ] {
        let nodes = nodes::<1>();
        let pool = warm(&nodes[0], 2, |_| {}).await;
        tokio::time::sleep(ms(1_100)).await;
        if used {
            let both = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
            both.into_iter().for_each(Lease::succeed);
        }
        tokio::time::sleep(s(10)).await;
        assert_eq!(nodes[0].sockets(), 2);
        let before = tried(&nodes[0]);
        nodes[0].set(|script| script.recycle = dead);
        while tried(&nodes[0]) == before {
            tokio::time::sleep(ms(100)).await;
        }
        nodes[0].set(|script| script.recycle = Act::Ok);
        tokio::time::sleep(s(3)).await;
        assert_eq!(nodes[0].sockets(), 2, "{dead:?}");
        let connects = if dead == Act::Panic { 3 } else { 4 };
        assert_eq!(
            nodes[0].connects(),
            connects,
            "{dead:?}, used: {used}: what has rested as long is dead as well"
        );
        let endpoint = &pool.snapshot().endpoints[0];
        assert_eq!(endpoint.breaker_opened, 0);
        assert_eq!(
            endpoint.errors,
            [0; ErrorType::ALL.len()],
            "no caller has noticed"
        );
        let trials = tried(&nodes[0]);
        tokio::time::sleep(s(60)).await;
        assert!(tried(&nodes[0]) > trials, "{dead:?}: it goes on");
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_that_is_closed_soon_nor_while_throttled_nor_when_off() {
    let nodes = nodes::<1>();
    let pool = warm(&nodes[0], 0, |_| {}).await;
    pool.acquire().await.unwrap().succeed();
    tokio::time::sleep(s(300)).await;
    assert_eq!(
        (tried(&nodes[0]), nodes[0].sockets()),
        (0, 0),
        "the idle time-out was first"
    );
    let pool = warm(&nodes[0], 2, |config| config.keepalive = None).await;
    tokio::time::sleep(s(300)).await;
    assert_eq!(tried(&nodes[0]), 0, "off");
    pool.close(s(1)).await;
    let pool = warm(&nodes[0], 2, |_| {}).await;
    tokio::time::sleep(s(2)).await;
    let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(200)));
    pool.acquire().await.unwrap().fail(&Oops(verdict));
    let before = tried(&nodes[0]);
    tokio::time::sleep(s(198)).await;
    assert_eq!(tried(&nodes[0]), before, "throttled");
    tokio::time::sleep(s(10)).await;
    assert!(tried(&nodes[0]) > before);
}

#[tokio::test(start_paused = true)]
async fn a_long_idle_time_out_is_lived_through_and_kept() {
    let nodes = nodes::<1>();
    let pool = warm(&nodes[0], 0, |config| config.idle_timeout = s(600)).await;
    pool.acquire().await.unwrap().succeed();
    tokio::time::sleep(s(590)).await;
    let trials = tried(&nodes[0]);
    assert!((15..=25).contains(&trials), "{trials}");
    assert_eq!(nodes[0].sockets(), 1);
    tokio::time::sleep(s(15)).await;
    assert_eq!(nodes[0].sockets(), 0, "a trial is no use");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn who_needs_the_one_that_is_tried_waits_for_that_and_no_longer() {
    for (recycle, connects) in [(Act::Slow(ms(400)), 1), (Act::Hang, 2)] {
        let nodes = nodes::<1>();
        nodes[0].set(|script| script.recycle = recycle);
        let mut config = PoolConfig::default();
        config.keepalive = Some(s(5));
        let settings = EndpointConfig::default().max_connections(1).min_idle(1);
        let pool = Pool::builder(PoolId::new("test").unwrap())
            .config(config)
            .seed(7)
            .endpoint(nodes[0].id(), Fake(nodes[0].clone()), settings)
            .build()
            .unwrap();
        while tried(&nodes[0]) == 0 {
            tokio::time::sleep(ms(10)).await;
        }
        assert_eq!(pool.snapshot().slots_free, 1, "a trial takes no slot");
        let before = tokio::time::Instant::now();
        let lease = pool.acquire_within(s(3)).await.unwrap();
        assert!(before.elapsed() <= ms(1_050), "{:?}", before.elapsed());
        assert_eq!((nodes[0].connects(), nodes[0].sockets()), (connects, 1));
        lease.succeed();
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_while_the_endpoint_fails_or_the_pool_closes_is_closed() {
    for close in [false, true] {
        let nodes = nodes::<1>();
        nodes[0].set(|script| script.recycle = Act::Slow(ms(900)));
        let pool = warm(&nodes[0], 1, |config| config.health.interval = s(3_600)).await;
        while tried(&nodes[0]) == 0 {
            tokio::time::sleep(ms(10)).await;
        }
        assert_eq!(nodes[0].sockets(), 1);
        nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
        if close {
            pool.close(s(1)).await;
            settle().await;
            assert_eq!(nodes[0].sockets(), 0, "at once");
        } else {
            for _ in 0..5 {
                // no other connection is to be had, which opens the breaker
                assert!(pool.acquire().await.is_err());
            }
            assert!(pool.snapshot().endpoints[0].breaker_opened > 0);
        }
        tokio::time::sleep(s(2)).await;
        assert_eq!(nodes[0].sockets(), 0, "closed: {close}");
        assert_eq!(pool.snapshot().endpoints[0].connections_total(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_goes_first_when_less_may_be_open() {
    let nodes = nodes::<1>();
    let pool = warm(&nodes[0], 3, |_| {}).await;
    tokio::time::sleep(s(100)).await;
    assert!(tried(&nodes[0]) >= 3 && nodes[0].sockets() == 3);
    let settings = EndpointConfig::default().max_connections(1).min_idle(0);
    let update = PoolUpdate::new(PoolConfig::default()).keep(nodes[0].id(), settings);
    pool.apply(update).unwrap();
    assert_eq!(nodes[0].sockets(), 1);
    all_returned(&pool, &nodes, "afterwards");
}
