//! Who may serve a request at all: named endpoints, and what endpoints offer.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::collections::BTreeSet;

use common::*;
use pool_core::*;
use tokio::time::Instant;

fn need(number: u32) -> Request {
    Request::new().need(Need::new(number))
}

/// An endpoint that was found not to offer the method.
fn lacking() -> Verdict {
    Verdict::of(ErrorType::Unsupported)
        .with_maybe_executed(false)
        .with_lacks(true)
}

/// The endpoints that so many requests are given.
async fn given(pool: &Pool<Fake>, request: &Request, times: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..times {
        let lease = pool.acquire_with(request).await.unwrap();
        seen.insert(lease.endpoint().to_string());
        lease.succeed();
    }
    seen
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

fn reasons(result: Result<Lease<Fake>, AcquireError<Oops>>) -> Vec<NotUsable> {
    match result {
        Err(AcquireError::NoHealthyEndpoint { reasons, .. }) => {
            reasons.0.into_iter().map(|unusable| unusable.reason).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn only_and_never_hold_whatever_else_is_down() {
    let nodes = nodes::<3>();
    let pool = pool(&nodes, 2, |_| {}).await;
    let [e0, e1, e2] = nodes.each_ref().map(Node::id);
    let only = Request::new().only(e0.clone()).only(e1.clone());
    assert_eq!(given(&pool, &only, 30).await, names(["e0", "e1"]));
    let never = Request::new().never(e0.clone());
    assert_eq!(given(&pool, &never, 30).await, names(["e1", "e2"]));
    let both = only.clone().never(e0.clone());
    assert_eq!(given(&pool, &both, 10).await, names(["e1"]));

    // to be avoided is weaker: it gives way, this does not
    let stuck = Request::new().only(e2.clone()).never(e2.clone());
    let begun = Instant::now();
    let why = reasons(pool.acquire_with(&stuck).await);
    assert_eq!(
        why,
        [NotUsable::Excluded, NotUsable::Excluded, NotUsable::Excluded]
    );
    let unknown = Request::new().only(EndpointId::new("nobody").unwrap());
    assert_eq!(reasons(pool.acquire_with(&unknown).await).len(), 3);
    assert_eq!(begun.elapsed(), ms(0), "waiting could not help");

    assert_eq!(pool.candidates(&only).len(), 2);
    let avoiding = Request::new().avoid(e1.clone());
    assert_eq!(pool.candidates(&avoiding).last(), Some(&e1));
    let on_e0 = Request::new().only(e0.clone());
    let held = (
        pool.acquire_with(&on_e0).await.unwrap(),
        pool.acquire_with(&on_e0).await.unwrap(),
    );
    assert_eq!(
        pool.candidates(&Request::new()).last(),
        Some(&e0),
        "it has nothing to give"
    );
    drop(held);
    let all: BTreeSet<_> = pool.candidates(&Request::new()).into_iter().collect();
    assert_eq!(all, BTreeSet::from([e0, e1, e2]));
    all_returned(&pool, &nodes, "afterwards");
}

/// Each in line gets the endpoint that it may use, and nobody waits behind a stricter neighbour.
#[tokio::test(start_paused = true)]
async fn those_in_line_are_served_on_their_own_terms() {
    let nodes = nodes::<2>();
    nodes[0].set(|script| script.lacks = vec![7]);
    let pool = pool(&nodes, 1, |_| {}).await;
    let on_0 = pool
        .acquire_with(&Request::new().only(nodes[0].id()))
        .await
        .unwrap();
    let on_1 = pool
        .acquire_with(&Request::new().only(nodes[1].id()))
        .await
        .unwrap();
    let join = |request: Request| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let lease = pool.acquire_with(&request.timeout(s(60))).await.unwrap();
            lease.endpoint().to_string()
        })
    };
    let needy = join(need(7));
    settle().await;
    let strict = join(Request::new().never(nodes[0].id()));
    settle().await;
    let easy = join(Request::new());
    settle().await;
    assert_eq!(pool.snapshot().queue_size, 3);
    on_0.succeed();
    settle().await;
    assert!(easy.is_finished() && !needy.is_finished() && !strict.is_finished());
    on_1.succeed();
    assert_eq!(needy.await.unwrap(), "e1");
    assert_eq!(strict.await.unwrap(), "e1");
    assert_eq!(easy.await.unwrap(), "e0");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_offers_is_asked_once_and_remembered() {
    let nodes = nodes::<3>();
    nodes[1].set(|script| script.lacks = vec![1]);
    let pool = pool(&nodes, 2, |_| {}).await;
    assert_eq!(given(&pool, &need(1), 30).await, names(["e0", "e2"]));
    assert_eq!(given(&pool, &need(2), 30).await, names(["e0", "e1", "e2"]));
    assert_eq!(given(&pool, &Request::new(), 30).await, names(["e0", "e1", "e2"]));
    for node in &nodes {
        assert_eq!(node.asked(), 2, "once for each need");
    }
    for node in &nodes {
        node.set(|script| script.lacks = vec![3]);
    }
    let why = reasons(pool.acquire_with(&need(3)).await);
    assert_eq!(why, vec![NotUsable::Lacks { wait: None }; 3]);
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_is_found_to_lack_is_asked_elsewhere_for_a_while() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 2, |config| config.lacks_for = s(60)).await;
    let request = need(5);
    nodes[0].set(|script| {
        script.call = Act::Error(ErrorType::Unsupported);
        script.lacking = true;
    });
    for _ in 0..50 {
        assert_eq!(pool.run(&Call, &request).await.unwrap(), "e1");
    }
    assert_eq!(nodes[0].calls(), 1, "never twice");
    let endpoint = &pool.snapshot().endpoints[0];
    assert_eq!(endpoint.errors[ErrorType::Unsupported.index()], 1);
    assert_eq!(endpoint.breaker_opened, 0);
    // only for this need
    nodes[0].set(|script| script.call = Act::Ok);
    assert_eq!(given(&pool, &need(6), 20).await, names(["e0", "e1"]));
    // when the other is away there is nobody, and a known end to it
    let other = pool.acquire_with(&request.clone().never(nodes[1].id())).await;
    let why = reasons(other);
    assert!(
        matches!(why[0], NotUsable::Lacks { wait: Some(wait) } if wait <= s(60)),
        "{why:?}"
    );
    tokio::time::sleep(s(61)).await;
    assert_eq!(
        given(&pool, &request, 20).await,
        names(["e0", "e1"]),
        "it may have changed"
    );
    all_returned(&pool, &nodes, "afterwards");
}

/// Time alone makes it usable, and those in line must hear of it.
#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_is_served_when_it_is_forgotten() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |config| config.lacks_for = s(3)).await;
    let request = need(5);
    let lease = pool
        .acquire_with(&request.clone().only(nodes[0].id()))
        .await
        .unwrap();
    lease.fail_with(&lacking());
    let held = pool.acquire_with(&request).await.unwrap();
    assert_eq!(held.endpoint(), &nodes[1].id());
    let begun = Instant::now();
    let waited = pool.acquire_with(&request.timeout(s(10))).await.unwrap();
    assert_eq!(
        (waited.endpoint(), begun.elapsed().as_secs()),
        (&nodes[0].id(), 3)
    );
    drop((held, waited));
    all_returned(&pool, &nodes, "afterwards");
}

/// Whoever stood in line before it was known that the endpoint lacks something is not given that endpoint.
#[tokio::test(start_paused = true)]
async fn what_is_learned_while_callers_wait_holds_for_them() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let request = need(5);
    let first = pool
        .acquire_with(&request.clone().only(nodes[0].id()))
        .await
        .unwrap();
    let second = pool
        .acquire_with(&request.clone().only(nodes[1].id()))
        .await
        .unwrap();
    let join = |request: Request| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let lease = pool.acquire_with(&request.timeout(s(60))).await.unwrap();
            let endpoint = lease.endpoint().to_string();
            lease.succeed();
            endpoint
        })
    };
    let needy = join(request);
    settle().await;
    let easy = join(Request::new());
    settle().await;
    first.fail_with(&lacking());
    settle().await;
    assert!(!needy.is_finished(), "the free slot is of no use to it");
    assert_eq!(easy.await.unwrap(), "e0", "but to the one behind");
    second.succeed();
    assert_eq!(needy.await.unwrap(), "e1");
    all_returned(&pool, &nodes, "afterwards");
}

/// Something learned wrong must not become an outage.
#[tokio::test(start_paused = true)]
async fn what_all_endpoints_lack_is_asked_of_all_anew() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 2, |_| {}).await;
    for node in &nodes {
        node.set(|script| {
            script.call = Act::Error(ErrorType::Unsupported);
            script.lacking = true;
        });
    }
    for _ in 0..3 {
        let error = pool.run(&Call, &need(5)).await.unwrap_err();
        assert!(matches!(error, RunError::Failed { .. }), "{error}");
    }
    nodes.iter().for_each(|node| {
        node.set(|script| script.call = Act::Ok);
    });
    pool.run(&Call, &need(5)).await.unwrap();
}

/// An endpoint that joins is asked what it offers, also when callers wait already.
#[tokio::test(start_paused = true)]
async fn one_that_joins_is_asked_before_it_is_used() {
    let [old, new] = nodes::<2>();
    new.set(|script| script.lacks = vec![4]);
    let pool = pool(std::slice::from_ref(&old), 1, |_| {}).await;
    let held = pool.acquire_with(&need(4)).await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move {
            let lease = pool.acquire_with(&need(4).timeout(s(60))).await.unwrap();
            lease.endpoint().to_string()
        }
    });
    settle().await;
    let update = PoolUpdate::new(PoolConfig::default())
        .keep(old.id(), EndpointConfig::default().max_connections(1))
        .endpoint(new.id(), Fake(new.clone()), EndpointConfig::default());
    pool.apply(update).unwrap();
    tokio::time::sleep(s(1)).await;
    assert!(!waiting.is_finished(), "the new one does not offer it");
    assert_eq!(given(&pool, &Request::new(), 5).await, names(["e1"]));
    held.succeed();
    assert_eq!(waiting.await.unwrap(), "e0");
}

/// Waiting for others' answers is not the endpoint's slowness, and a contradicted answer is its fault.
#[tokio::test(start_paused = true)]
async fn an_answer_is_judged_later_by_those_who_know_more() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| config.breaker.slow_call = Some(ms(500))).await;
    for _ in 0..50 {
        let mut lease = pool.acquire().await.unwrap();
        tokio::time::sleep(ms(10)).await;
        lease.answered();
        tokio::time::sleep(s(1)).await;
        lease.succeed();
    }
    assert_eq!(
        pool.snapshot().endpoints[0].breaker_opened,
        0,
        "none of them was slow"
    );
    let verdict = Verdict::of(ErrorType::Malformed).with_keep_connection(true);
    while pool.snapshot().endpoints[0].breaker_opened == 0 {
        pool.acquire().await.unwrap().fail_with(&verdict);
    }
    let endpoint = &pool.snapshot().endpoints[0];
    assert!(endpoint.errors[ErrorType::Malformed.index()] > 0);
}
