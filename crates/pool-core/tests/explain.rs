//! What the pool says of its choice.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::Arc;

use common::*;
use pool_core::{breaker::BreakerState, health::HealthStatus, *};

async fn with(nodes: &[Node], slots: &[u32], balancer: Arc<dyn Balancer>) -> Pool<Fake> {
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .balancer(balancer)
        .seed(7);
    for (node, slots) in nodes.iter().zip(slots) {
        let settings = EndpointConfig::default().max_connections(*slots);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    let pool = builder.build().unwrap();
    settle().await;
    pool
}

fn next(explained: &[Explanation]) -> Option<EndpointId> {
    let mut next = explained.iter().filter(|endpoint| endpoint.next);
    let first = next.next().map(|endpoint| endpoint.endpoint.clone());
    assert!(next.next().is_none(), "{explained:?}");
    first
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_has_its_reason() {
    let nodes = nodes::<6>();
    for node in &nodes {
        node.set(|script| script.position = Some(100));
    }
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    let pool = with(&nodes, &[1, 2, 1, 1, 9, 4], Arc::new(LeastRequests::new())).await;
    let at = |i: usize| {
        let mut request = Request::new();
        for other in nodes.iter().filter(|node| node.id() != nodes[i].id()) {
            request = request.avoid(other.id());
        }
        request
    };
    let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(60)));
    pool.acquire_with(&at(1)).await.unwrap().fail(&Oops(verdict));
    for _ in 0..5 {
        let lease = pool.acquire_with(&at(2)).await.unwrap();
        lease.fail(&Oops(Verdict::of(ErrorType::Transport)));
    }
    let full = pool.acquire_with(&at(3)).await.unwrap();
    let one = pool.acquire_with(&at(5)).await.unwrap();
    let request = Request::new().min_position(100).avoid(nodes[4].id());
    let explained = pool.explain_for(&request);
    let reasons: Vec<_> = explained.iter().map(|endpoint| &endpoint.not_usable).collect();
    assert!(
        matches!(
            reasons[..],
            [
                Some(NotUsable::Unhealthy { .. }),
                Some(NotUsable::Throttled { .. }),
                Some(NotUsable::BreakerOpen { wait: Some(_) }),
                Some(NotUsable::Full { slots: 1 }),
                None,
                None,
            ]
        ),
        "{reasons:?}"
    );
    let ids: Vec<_> = explained
        .iter()
        .map(|endpoint| endpoint.endpoint.clone())
        .collect();
    assert_eq!(ids, nodes.iter().map(Node::id).collect::<Vec<_>>());
    assert_eq!(explained[0].health, HealthStatus::Unhealthy);
    assert!(explained[2].failing && matches!(explained[2].breaker, BreakerState::Open { .. }));
    let last = &explained[5];
    assert_eq!(
        (last.slots_active, last.slots_max, last.position),
        (1, 4, Some(100))
    );
    assert_eq!(next(&explained), Some(nodes[5].id()), "the idle one is avoided");
    assert!(explained[4].avoided && !explained[5].avoided);
    assert_eq!(
        last.to_string(),
        "e5: next; weight 1, 1 of 4 slots taken, about 30.0ms"
    );
    assert!(
        explained[1].to_string().starts_with("e1: throttled for"),
        "{}",
        explained[1]
    );
    let demanding = pool.explain_for(&Request::new().min_position(101));
    assert_eq!(next(&demanding), None);
    assert!(matches!(
        demanding[5].not_usable,
        Some(NotUsable::Behind {
            position: Some(100),
            needed: 101
        })
    ));
    full.succeed();
    one.succeed();
}

/// Also that being asked changes nothing.
#[tokio::test(start_paused = true)]
async fn the_next_is_the_one_that_is_picked() {
    let balancers: [Arc<dyn Balancer>; 4] = [
        Arc::new(LeastRequests::new()),
        Arc::new(RoundRobin::new()),
        Arc::new(BoundedHash::new()),
        Arc::new(Prequal::new()),
    ];
    for (kind, balancer) in balancers.into_iter().enumerate() {
        let nodes = nodes::<3>();
        for (node, millis) in nodes.iter().zip([10, 5, 20]) {
            node.set(|script| script.call = Act::Slow(ms(millis)));
        }
        let pool = with(&nodes, &[4, 2, 3], balancer).await;
        let mut held = Vec::new();
        for round in 0..9 {
            let request = Request::new().key(round);
            for _ in 0..3 {
                let _nothing = pool.explain();
            }
            let told = next(&pool.explain_for(&request));
            // estimates of idle endpoints are all alike, and then Prequal draws
            let lease = pool.acquire_with(&request).await.unwrap();
            if kind != 3 {
                assert_eq!(
                    told.as_ref(),
                    Some(lease.endpoint()),
                    "balancer {kind}, round {round}"
                );
            }
            assert!(told.is_some());
            held.push(lease);
        }
        // all are full: who comes waits, whoever it is
        assert_eq!(next(&pool.explain()), None);
        held.into_iter().for_each(Lease::neutral);
    }
}

#[tokio::test(start_paused = true)]
async fn where_chance_decides_or_others_wait_nobody_is_named() {
    let nodes = nodes::<3>();
    for balancer in [Arc::new(Random::new()) as Arc<dyn Balancer>, Arc::new(P2c::new())] {
        let pool = with(&nodes, &[2, 2, 2], balancer).await;
        let explained = pool.explain();
        assert!(explained.iter().all(Explanation::is_usable));
        assert_eq!(next(&explained), None);
    }
    let pool = with(&nodes, &[1, 1, 1], Arc::new(LeastRequests::new())).await;
    let strict = Request::new().min_position(7).timeout(s(3));
    for node in &nodes {
        node.set(|script| script.position = Some(1));
    }
    tokio::time::sleep(s(10)).await;
    assert!(next(&pool.explain()).is_some());
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire_with(&strict.timeout(s(60))).await.is_ok() }
    });
    settle().await;
    assert_eq!(pool.snapshot().queue_size, 1);
    assert_eq!(next(&pool.explain()), None, "somebody was first");
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn the_first_tier_with_room_is_told() {
    let nodes = nodes::<2>();
    let mut builder = Pool::builder(PoolId::new("test").unwrap()).seed(7);
    for (node, tier) in nodes.iter().zip([1, 0]) {
        let settings = EndpointConfig::default().max_connections(1).tier(tier);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    let pool = builder.build().unwrap();
    settle().await;
    assert_eq!(next(&pool.explain()), Some(nodes[1].id()));
    let lease = pool.acquire().await.unwrap();
    assert_eq!(next(&pool.explain()), Some(nodes[0].id()));
    assert_eq!(pool.explain()[0].tier, 1);
    lease.neutral();
}
