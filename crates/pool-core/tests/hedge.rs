//! Hedges: when one is sent, who wins, and that nothing is left behind or counted twice.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{sync::Arc, time::Duration};

use common::*;
use pool_core::*;
use tokio::time::Instant;

/// The first that is offered, so that the first attempt goes to e0 and the hedge to e1.
struct First;

impl Balancer for First {
    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        (!among.is_empty()).then_some(0)
    }
}

/// The delay after fast calls: the least.
const DELAY: Duration = Duration::from_millis(20);

async fn hedging(nodes: &[Node], slots: u32, tune: impl FnOnce(&mut PoolConfig)) -> Pool<Fake> {
    let mut config = PoolConfig::default();
    config.health.interval = s(24 * 3600);
    config.hedge = Some(HedgeConfig::default().min_samples(10));
    tune(&mut config);
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .config(config)
        .seed(7)
        .balancer(Arc::new(First));
    for node in nodes {
        let settings = EndpointConfig::default().max_connections(slots);
        builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
    }
    let pool = builder.build().unwrap();
    settle().await;
    for _ in 0..10 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    pool
}

fn hedges(pool: &Pool<Fake>) -> (u64, u64) {
    let snapshot = pool.snapshot();
    (snapshot.hedges, snapshot.hedges_won)
}

#[tokio::test(start_paused = true)]
async fn a_hedge_overtakes_a_slow_first_attempt() {
    let nodes = nodes::<2>();
    let pool = hedging(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| script.call = Act::Slow(s(5)));
    nodes[1].set(|script| script.call = Act::Slow(ms(30)));
    let begun = Instant::now();
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
    assert_eq!(begun.elapsed(), DELAY + ms(30));
    assert_eq!(hedges(&pool), (1, 1));
    let snapshot = pool.snapshot();
    assert_eq!(
        (snapshot.endpoints[0].requests, snapshot.endpoints[1].requests),
        (10, 1)
    );
    assert_eq!(
        nodes[0].sockets(),
        0,
        "half a request may be on the loser's connection"
    );
    assert_eq!(nodes[1].sockets(), 1, "the winner's is clean");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn the_delay_follows_the_latency() {
    let nodes = nodes::<2>();
    let pool = hedging(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| script.call = Act::Slow(ms(400)));
    // those ten fast ones have left the window; a beaten attempt says nothing yet of how slow it would have been
    tokio::time::sleep(s(70)).await;
    for _ in 0..10 {
        assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e0");
    }
    assert_eq!(hedges(&pool), (0, 0), "too little is known");
    nodes[0].set(|script| script.call = Act::Slow(s(5)));
    let begun = Instant::now();
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
    let took = begun.elapsed();
    assert!(took >= ms(400) && took <= ms(450), "{took:?}");
    assert_eq!(hedges(&pool), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn hedges_that_win_do_not_make_the_next_come_earlier() {
    let nodes = nodes::<2>();
    let pool = hedging(&nodes, 1, |config| {
        config.budget = BudgetConfig::default().share(10.0);
    })
    .await;
    tokio::time::sleep(s(70)).await;
    nodes[0].set(|script| script.call = Act::Slow(ms(400)));
    for _ in 0..10 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    nodes[0].set(|script| script.call = Act::Slow(s(5)));
    for _ in 0..40 {
        let begun = Instant::now();
        assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
        assert!(begun.elapsed() >= ms(400), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_hedged_is_not() {
    let slow = |config: &mut PoolConfig| config.acquire_timeout = s(60);
    let request = Request::new();
    for (name, tune, request) in [
        (
            "off",
            (|config| config.hedge = None) as fn(&mut PoolConfig),
            request.clone(),
        ),
        ("not idempotent", slow, request.clone().idempotent(false)),
        ("no attempt left", slow, request.clone().max_attempts(1)),
        (
            "too few samples",
            |config| config.hedge = Some(HedgeConfig::default().min_samples(11)),
            request.clone(),
        ),
        (
            "no budget",
            |config| config.budget = BudgetConfig::default().share(0.0).floor(0),
            request,
        ),
    ] {
        let nodes = nodes::<2>();
        let pool = hedging(&nodes, 1, tune).await;
        nodes[0].set(|script| script.call = Act::Slow(s(5)));
        assert_eq!(pool.run(&Call, &request).await.unwrap(), "e0", "{name}");
        assert_eq!(hedges(&pool), (0, 0), "{name}");
        assert_eq!(nodes[1].calls(), 0, "{name}");
        assert_eq!(
            pool.snapshot().budget_exhausted,
            u64::from(name == "no budget"),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn never_to_the_same_endpoint_and_never_into_the_queue() {
    // alone
    let one = nodes::<1>();
    let pool = hedging(&one, 4, |_| {}).await;
    one[0].set(|script| script.call = Act::Slow(s(1)));
    pool.run(&Call, &Request::new()).await.unwrap();
    assert_eq!((one[0].calls(), hedges(&pool)), (11, (0, 0)));
    // the other one is full
    let two = nodes::<2>();
    let pool = hedging(&two, 1, |_| {}).await;
    two[0].set(|script| script.call = Act::Slow(s(1)));
    let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!((a.endpoint(), b.endpoint()), (&two[0].id(), &two[1].id()));
    a.neutral();
    let budget_before = pool.snapshot().budget_exhausted;
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e0");
    assert_eq!((two[1].calls(), hedges(&pool)), (0, (0, 0)));
    assert_eq!(pool.snapshot().budget_exhausted, budget_before);
    b.neutral();
    all_returned(&pool, &two, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_callers_fault_is_an_answer() {
    let nodes = nodes::<2>();
    let pool = hedging(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| script.call = Act::Slow(s(5)));
    nodes[1].set(|script| script.call = Act::Error(ErrorType::Reverted));
    let begun = Instant::now();
    let error = pool.run(&Call, &Request::new()).await.unwrap_err();
    assert_eq!(begun.elapsed(), DELAY);
    assert!(
        matches!(&error, RunError::Failed { endpoint, .. } if *endpoint == nodes[1].id()),
        "{error}"
    );
    assert_eq!(hedges(&pool), (1, 0));
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_cannot_connect_does_not_disturb_the_first_attempt() {
    for connect in [Act::Error(ErrorType::Connect), Act::Hang] {
        let nodes = nodes::<2>();
        let pool = hedging(&nodes, 1, |_| {}).await;
        nodes[0].set(|script| script.call = Act::Slow(s(1)));
        nodes[1].set(|script| script.connect = connect);
        assert_eq!(
            pool.run(&Call, &Request::new()).await.unwrap(),
            "e0",
            "{connect:?}"
        );
        assert_eq!(hedges(&pool), (0, 0));
        tokio::time::sleep(s(10)).await;
        all_returned(&pool, &nodes, "afterwards");
    }
}

/// How each of the two may go.
const ACTS: [Act; 6] = [
    Act::Ok,
    Act::Error(ErrorType::Transport),
    Act::Slow(Duration::from_millis(60)),
    Act::SlowError(Duration::from_millis(50)),
    Act::SlowError(Duration::from_millis(90)),
    Act::Hang,
];

/// Each way for the first attempt with each for the hedge, cancelled at different moments and not at all.
#[tokio::test(start_paused = true)]
async fn every_combination_leaves_nothing_behind_and_counts_what_ended() {
    let mut hedged = 0;
    for primary in ACTS {
        for hedge in ACTS {
            for cancel in [None, Some(ms(10)), Some(ms(30)), Some(ms(75)), Some(ms(130))] {
                hedged += one(primary, hedge, cancel).await;
            }
        }
    }
    assert!(
        hedged >= 60,
        "{hedged}: the test must not pass for want of hedges"
    );
}

async fn one(primary: Act, hedge: Act, cancel: Option<Duration>) -> u64 {
    let what = format!("first {primary:?}, hedge {hedge:?}, cancelled after {cancel:?}");
    let nodes = nodes::<2>();
    let pool = hedging(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| script.call = primary);
    nodes[1].set(|script| script.call = hedge);
    // one attempt beside the hedge, so that what is counted is known
    let request = Request::new().timeout(ms(300)).max_attempts(2);
    let run = pool.run(&Call, &request);
    let begun = Instant::now();
    let ended = match cancel {
        Some(after) => tokio::time::timeout(after, run).await.ok(),
        None => Some(run.await),
    };
    let took = begun.elapsed();
    assert!(took <= ms(300), "{what}: {took:?}");
    all_returned(&pool, &nodes, &what);
    let snapshot = pool.snapshot();
    let counted: u64 = snapshot.endpoints.iter().map(|endpoint| endpoint.requests).sum();
    let errors: u64 = snapshot
        .endpoints
        .iter()
        .flat_map(|endpoint| endpoint.errors)
        .sum();
    let (hedges, won) = hedges(&pool);
    let calls = nodes[0].calls() + nodes[1].calls();
    assert!(won <= hedges && hedges <= 1, "{what}");
    assert_eq!(
        calls,
        11 + hedges + snapshot.retries,
        "{what}: every call is accounted for"
    );
    assert!(errors <= counted && counted <= calls, "{what}");
    match &ended {
        // what was cancelled is counted nowhere; what had failed before it was, is
        None => assert_eq!(counted - errors, 10, "{what}"),
        Some(Ok(winner)) => {
            assert_eq!(counted - errors, 11, "{what}: one success");
            assert_eq!(won, u64::from(hedges == 1 && winner == "e1"), "{what}");
        }
        Some(Err(_)) => {
            assert_eq!(counted - errors, 10, "{what}");
            assert_eq!(
                (won, counted),
                (0, calls),
                "{what}: nobody won, so all have ended"
            );
        }
    }
    let can_succeed = |act| matches!(act, Act::Ok | Act::Slow(_));
    if cancel.is_none() {
        assert_eq!(
            ended.is_some_and(|ended| ended.is_ok()),
            can_succeed(primary) || can_succeed(hedge),
            "{what}"
        );
    }
    for node in &nodes {
        node.set(|script| script.call = Act::Ok);
    }
    tokio::time::sleep(s(1)).await;
    let both = [
        pool.acquire().await.expect(&what),
        pool.acquire().await.expect(&what),
    ];
    both.into_iter().for_each(Lease::neutral);
    all_returned(&pool, &nodes, &what);
    hedges
}

/// Hedges that win must not keep the slow endpoint's secret: its estimate would stay what it was, and every request would
/// go there first.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_always_beaten_is_left() {
    for kind in [BalancerKind::ShortestDelay, BalancerKind::PeakEwma] {
        let nodes = nodes::<3>();
        let mut config = PoolConfig::default();
        config.hedge = Some(HedgeConfig::default().min_samples(10).delay(DELAY, DELAY));
        let mut builder = Pool::builder(PoolId::new("test").unwrap())
            .config(config)
            .seed(7)
            .balancer(kind.build());
        for node in &nodes {
            node.set(|script| script.call = Act::Slow(ms(10)));
            builder = builder.endpoint(node.id(), Fake(node.clone()), EndpointConfig::default());
        }
        let pool = builder.build().unwrap();
        settle().await;
        nodes[0].set(|script| script.call = Act::Slow(ms(5)));
        let run = async |times| {
            for _ in 0..times {
                pool.run(&Call, &Request::new()).await.unwrap();
            }
        };
        run(200).await;
        nodes[0].set(|script| script.call = Act::Slow(ms(500)));
        let before = nodes[0].calls();
        run(300).await;
        let slow = nodes[0].calls() - before;
        assert!(slow < 45, "{kind}: {slow} of 300 went to the slow one first");
    }
}
