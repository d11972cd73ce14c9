//! Reconfiguration while requests run.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::*;
use pool_core::*;
use tokio::time::Instant;

fn slots(connections: u32) -> EndpointConfig {
    EndpointConfig::default().max_connections(connections)
}

/// The pool as `build` makes it, with these endpoints and limits.
fn update(kept: &[(&Node, u32)]) -> PoolUpdate<Fake> {
    let update = PoolUpdate::new(PoolConfig::default());
    kept.iter().fold(update, |update, (node, connections)| {
        update.keep(node.id(), slots(*connections))
    })
}

fn ids(nodes: &[&Node]) -> Vec<EndpointId> {
    nodes.iter().map(|node| node.id()).collect()
}

fn listed(pool: &Pool<Fake>) -> Vec<EndpointId> {
    pool.snapshot()
        .endpoints
        .into_iter()
        .map(|endpoint| endpoint.id)
        .collect()
}

fn of<'a>(snapshot: &'a PoolSnapshot, node: &Node) -> &'a EndpointSnapshot {
    snapshot
        .endpoints
        .iter()
        .find(|endpoint| endpoint.id == node.id())
        .unwrap()
}

/// As many as are given at once.
async fn take_all(pool: &Pool<Fake>) -> Vec<Lease<Fake>> {
    let mut held = Vec::new();
    while let Ok(lease) = pool.acquire_within(ms(1)).await {
        held.push(lease);
    }
    held
}

async fn call(pool: &Pool<Fake>) -> String {
    pool.run(&Call, &Request::new()).await.unwrap()
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn endpoint(&self, _: &PoolId, id: &EndpointId) -> Arc<dyn EndpointObserver> {
        self.0.lock().unwrap().push(format!("joins {id}"));
        struct Nothing;
        impl EndpointObserver for Nothing {
            fn attempt_ended(&self, _: Duration, _: Option<ErrorType>) {}
        }
        Arc::new(Nothing)
    }

    fn event(&self, _: &PoolId, event: &Event) {
        match event {
            Event::Reconfigured(applied) => {
                let list =
                    |ids: &[EndpointId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                self.0.lock().unwrap().push(format!(
                    "added [{}] replaced [{}] changed [{}] removed [{}]",
                    list(&applied.added),
                    list(&applied.replaced),
                    list(&applied.changed),
                    list(&applied.removed),
                ));
            }
            Event::Drained { endpoint } => self.0.lock().unwrap().push(format!("drained {endpoint}")),
            _ => {}
        }
    }
}

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn observed(nodes: &[Node]) -> (Pool<Fake>, Arc<Told>) {
    let told = Arc::new(Told::default());
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .observer(Arc::clone(&told) as _)
        .seed(7);
    for node in nodes {
        builder = builder.endpoint(node.id(), Fake(node.clone()), slots(2));
    }
    let pool = builder.build().unwrap();
    told.take();
    (pool, told)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_joins_is_checked_and_then_used() {
    let [a, b] = nodes();
    let pool = pool(std::slice::from_ref(&a), 1, |_| {}).await;
    b.set(|script| script.check = Act::Slow(s(1)));
    let joined = update(&[(&a, 1)]).endpoint(b.id(), Fake(b.clone()), slots(1));
    let applied = pool.apply(joined).unwrap();
    assert_eq!((applied.added, applied.settings), (ids(&[&b]), false));
    assert_eq!(listed(&pool), ids(&[&a, &b]));
    settle().await;
    let first = take_all(&pool).await;
    assert_eq!(first.len(), 1, "the new one has not been checked");
    tokio::time::sleep(s(1)).await;
    let second = pool.acquire_within(ms(1)).await.unwrap();
    assert_eq!(*second.endpoint(), b.id());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_served_by_an_endpoint_that_joins() {
    let [a, b] = nodes();
    let pool = pool(std::slice::from_ref(&a), 1, |_| {}).await;
    let _held = take_all(&pool).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move {
            pool.acquire_within(s(2))
                .await
                .map(|lease| lease.endpoint().clone())
        }
    });
    settle().await;
    pool.apply(update(&[(&a, 1)]).endpoint(b.id(), Fake(b.clone()), slots(1)))
        .unwrap();
    assert_eq!(waiter.await.unwrap().unwrap(), b.id());
}

#[tokio::test(start_paused = true)]
async fn a_removed_endpoint_drains() {
    let nodes = nodes::<2>();
    let [a, b] = &nodes;
    let (pool, told) = observed(&nodes);
    settle().await;
    let held = take_all(&pool).await;
    assert_eq!(held.len(), 4);
    let (on_a, on_b): (Vec<_>, Vec<_>) = held.into_iter().partition(|lease| *lease.endpoint() == a.id());
    drop(on_b);
    assert_eq!((a.sockets(), b.sockets()), (2, 2), "two idle");

    let applied = pool.apply(update(&[(a, 2)])).unwrap();
    assert_eq!(applied.removed, ids(&[b]));
    assert_eq!(listed(&pool), ids(&[a]));
    assert_eq!(b.sockets(), 0, "idle ones are closed at once");
    let applied = pool.apply(update(&[(b, 2)]).keep(a.id(), slots(2)));
    assert!(matches!(applied, Err(BuildError::Unknown { endpoint, .. }) if endpoint == b.id()));
    drop(on_a);
    assert_eq!(a.sockets(), 2);
    tokio::time::sleep(s(2)).await;

    // now with requests under way
    let mut held = take_all(&pool).await;
    pool.apply(PoolUpdate::new(PoolConfig::default()).endpoint(b.id(), Fake(b.clone()), slots(2)))
        .unwrap();
    assert_eq!(listed(&pool), ids(&[b]));
    settle().await;
    assert_eq!(call(&pool).await, "e1");
    assert_eq!(a.sockets(), 2, "they are under way");
    let mut first = held.pop().unwrap();
    first.call().await.unwrap();
    first.succeed();
    assert_eq!(a.sockets(), 1, "what comes back is closed");
    tokio::time::sleep(s(2)).await;
    let expected = [
        "added [] replaced [] changed [] removed [e1]",
        "drained e1",
        "joins e1",
        "added [e1] replaced [] changed [] removed [e0]",
    ];
    assert_eq!(told.take(), expected, "e0 has not drained yet");
    drop(held);
    tokio::time::sleep(s(2)).await;
    assert_eq!(told.take(), ["drained e0"]);
    assert_eq!(a.sockets(), 0);
}

#[tokio::test(start_paused = true)]
async fn places_are_used_again_and_nothing_of_the_old_counts_for_the_new() {
    let pool = pool(&nodes::<2>(), 2, |config| config.health.max_lag = Some(10)).await;
    let mut config = PoolConfig::default();
    config.health.max_lag = Some(10);
    for round in 0..50 {
        let fresh = [Node::new(&format!("f{round}a")), Node::new(&format!("f{round}b"))];
        // a check that is under way when its endpoint leaves
        fresh[1].set(|script| script.check = if round % 2 == 0 { Act::Hang } else { Act::Ok });
        let update = fresh
            .iter()
            .fold(PoolUpdate::new(config.clone()), |update, node| {
                update.endpoint(node.id(), Fake(node.clone()), slots(2))
            });
        let held = pool.acquire_within(s(1)).await.unwrap();
        pool.apply(update).unwrap();
        assert_eq!(listed(&pool), ids(&[&fresh[0], &fresh[1]]));
        settle().await;
        let snapshot = pool.snapshot();
        let healthy = |node| of(&snapshot, node).health == health::HealthStatus::Healthy;
        assert_eq!((healthy(&fresh[0]), healthy(&fresh[1])), (true, round % 2 == 1));
        drop(held);
        tokio::time::sleep(s(2)).await;
        let snapshot = pool.snapshot();
        assert_eq!(snapshot.endpoints.iter().map(|e| e.slots_active).sum::<u64>(), 0);
    }
    // the numbers that balancers see stay small
    struct Largest(Mutex<usize>);
    impl Balancer for Largest {
        fn pick(&self, among: &Candidates<'_>, _: &PickCx) -> Option<usize> {
            let largest = (0..among.len())
                .filter_map(|i| among.get(i))
                .map(|c| c.key())
                .max()?;
            *self.0.lock().unwrap() = largest;
            Some(0)
        }
    }
    let largest = Arc::new(Largest(Mutex::new(0)));
    let kept = listed(&pool);
    let update = kept
        .into_iter()
        .fold(PoolUpdate::new(config), |update, id| update.keep(id, slots(2)));
    pool.apply(update.balancer(Arc::clone(&largest) as _)).unwrap();
    drop(pool.acquire().await.unwrap());
    assert!(*largest.0.lock().unwrap() < 6, "{:?}", largest.0);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_replaced_keeps_its_counts_and_nothing_else() {
    let nodes = nodes::<1>();
    let [a] = &nodes;
    let (pool, told) = observed(&nodes);
    settle().await;
    for _ in 0..3 {
        call(&pool).await;
    }
    a.set(|script| script.call = Act::Error(ErrorType::Transport));
    pool.run(&Call, &Request::new().max_attempts(1))
        .await
        .unwrap_err();
    let held = take_all(&pool).await;
    let old = of(&pool.snapshot(), a).clone();

    let successor = Node::new("e0");
    successor.set(|script| script.check = Act::Slow(ms(500)));
    let update = PoolUpdate::new(PoolConfig::default());
    let applied = pool
        .apply(update.endpoint(a.id(), Fake(successor.clone()), slots(2)))
        .unwrap();
    assert_eq!((applied.replaced, applied.added), (ids(&[a]), vec![]));
    assert_eq!(
        told.take(),
        ["added [] replaced [e0] changed [] removed []"],
        "it is observed as before"
    );
    let new = of(&pool.snapshot(), a).clone();
    assert_eq!(
        new.health,
        health::HealthStatus::Unknown,
        "it has to show that it works"
    );
    assert_eq!((new.requests, new.errors), (old.requests, old.errors));
    assert_eq!(new.connections_created, old.connections_created);
    tokio::time::sleep(s(1)).await;
    assert_eq!(call(&pool).await, "e0");
    assert_eq!(
        (successor.calls(), a.calls()),
        (1, 4),
        "on the successor, though the old one has all its connections"
    );
    drop(held);
    assert_eq!(a.sockets(), 0);
    let new = of(&pool.snapshot(), a).clone();
    assert_eq!(new.requests, old.requests + 1);
    assert_eq!(new.connections_created - new.connections_destroyed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_predecessor_is_not_held_against_its_successor() {
    let [a, b] = nodes();
    let pool = Pool::builder(PoolId::new("test").unwrap())
        .endpoint(a.id(), Fake(a.clone()), slots(4))
        .endpoint(b.id(), Fake(b.clone()), slots(4))
        .balancer(BalancerKind::PeakEwma.build())
        .build()
        .unwrap();
    settle().await;
    a.set(|script| script.call = Act::Slow(s(3)));
    b.set(|script| script.call = Act::Slow(ms(100)));
    while a.calls() == 0 {
        call(&pool).await;
    }
    let new = Node::new("e0");
    let update = PoolUpdate::new(PoolConfig::default()).endpoint(a.id(), Fake(new.clone()), slots(4));
    pool.apply(update.keep(b.id(), slots(4))).unwrap();
    settle().await;
    for _ in 0..40 {
        call(&pool).await;
    }
    assert!(new.calls() > 5, "{} of 40", new.calls());
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_goes_on_counting() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 1, |_| {}).await;
    let _busy = take_all(&pool).await;
    drop(_busy);
    let counted = of(&pool.snapshot(), &b).connections_created;
    assert!(counted > 0);
    pool.apply(update(&[(&a, 1)])).unwrap();
    tokio::time::sleep(s(2)).await;
    pool.apply(update(&[(&a, 1)]).endpoint(b.id(), Fake(b.clone()), slots(1)))
        .unwrap();
    let again = of(&pool.snapshot(), &b).clone();
    assert_eq!(
        (again.connections_created, again.connections_destroyed),
        (counted, counted)
    );
}

/// deadpool's `resize` leaves 16 to be held at once here, and 10 below.
#[tokio::test(start_paused = true)]
async fn a_lowered_limit_holds_whatever_was_open_or_in_use() {
    let [a] = nodes();
    let one = || std::slice::from_ref(&a);
    let never_used = pool(one(), 16, |_| {}).await;
    never_used.apply(update(&[(&a, 2)])).unwrap();
    assert_eq!(take_all(&never_used).await.len(), 2);

    let [b] = nodes();
    let in_use = pool(std::slice::from_ref(&b), 10, |_| {}).await;
    drop(take_all(&in_use).await);
    assert_eq!(b.sockets(), 10);
    let held = in_use.acquire().await.unwrap();
    in_use.apply(update(&[(&b, 1)])).unwrap();
    assert_eq!(b.sockets(), 1, "idle ones above the limit are closed");
    assert!(take_all(&in_use).await.is_empty());
    drop(held);
    assert_eq!(take_all(&in_use).await.len(), 1);

    // all in use: none is cut, and what comes back is not given out again before there is room
    let [c] = nodes();
    let all = pool(std::slice::from_ref(&c), 6, |_| {}).await;
    let mut held = take_all(&all).await;
    all.apply(update(&[(&c, 2)])).unwrap();
    let snapshot = all.snapshot();
    let endpoint = of(&snapshot, &c);
    assert_eq!((endpoint.slots_active, endpoint.slots_max), (6, 2));
    let waiter = tokio::spawn({
        let pool = all.clone();
        async move { pool.acquire_within(s(9)).await.map(pool_core::Lease::succeed) }
    });
    settle().await;
    while held.len() > 1 {
        let mut lease = held.pop().unwrap();
        lease.call().await.unwrap();
        lease.succeed();
        settle().await;
        assert_eq!(waiter.is_finished(), held.len() < 2, "{} held", held.len());
        assert!(
            c.sockets() <= held.len().max(2) as i64,
            "what comes back is closed while there are too many"
        );
    }
    waiter.await.unwrap().unwrap();
    drop(held);
    let again = take_all(&all).await;
    assert_eq!((again.len(), c.sockets()), (2, 2));
    drop(again);

    // and up again, beyond where it began
    all.apply(update(&[(&c, 9)])).unwrap();
    assert_eq!(take_all(&all).await.len(), 9);
    all_returned(&all, &[c], "in the end");
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_serves_those_who_wait_without_a_release() {
    let [a] = nodes();
    let pool = pool(std::slice::from_ref(&a), 1, |_| {}).await;
    let _held = take_all(&pool).await;
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire_within(s(1)).await })
        })
        .collect();
    settle().await;
    pool.apply(update(&[(&a, 4)])).unwrap();
    for waiter in waiters {
        drop(waiter.await.unwrap().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn weights_shift_shares_and_are_shown() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 100, |_| {}).await;
    let reweighted = PoolUpdate::new(PoolConfig::default())
        .keep(a.id(), slots(100).weight(4.0))
        .keep(b.id(), slots(100));
    let applied = pool.apply(reweighted).unwrap();
    assert_eq!(applied.changed, ids(&[&a]));
    let snapshot = pool.snapshot();
    assert_eq!((of(&snapshot, &a).weight, of(&snapshot, &b).weight), (4.0, 1.0));
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(pool.acquire().await.unwrap());
    }
    let on_a = held.iter().filter(|lease| *lease.endpoint() == a.id()).count();
    assert_eq!(on_a, 40);
}

#[tokio::test(start_paused = true)]
async fn tiers_come_and_go() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 1, |_| {}).await;
    let tiered = PoolUpdate::new(PoolConfig::default())
        .keep(a.id(), slots(1).tier(1))
        .keep(b.id(), slots(1));
    pool.apply(tiered).unwrap();
    for _ in 0..5 {
        assert_eq!(call(&pool).await, "e1");
    }
    let turned = PoolUpdate::new(PoolConfig::default())
        .keep(a.id(), slots(1))
        .keep(b.id(), slots(1).tier(1));
    pool.apply(turned).unwrap();
    for _ in 0..5 {
        assert_eq!(call(&pool).await, "e0");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_count_from_now_on() {
    let [a] = nodes();
    let pool = pool(std::slice::from_ref(&a), 1, |config| {
        config.acquire_timeout = s(60);
        config.health.interval = s(600);
    })
    .await;
    let checks = a.counts().checks.load(std::sync::atomic::Ordering::SeqCst);
    let mut config = PoolConfig::default();
    config.acquire_timeout = ms(100);
    config.max_waiters = 1;
    config.health.interval = s(1);
    config.breaker.consecutive_failures = 1;
    config.leak_after = Some(s(3));
    let applied = pool
        .apply(PoolUpdate::new(config.clone()).keep(a.id(), slots(1)))
        .unwrap();
    assert!(applied.settings && applied.changed.is_empty());
    let nothing = pool
        .apply(PoolUpdate::new(config).keep(a.id(), slots(1)))
        .unwrap();
    assert!(nothing.is_nothing(), "{nothing:?}");

    let held = pool.acquire().await.unwrap();
    let began = Instant::now();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap_err() }
    });
    settle().await;
    assert!(matches!(
        pool.acquire().await,
        Err(AcquireError::QueueFull { max_waiters: 1, .. })
    ));
    assert!(matches!(
        waiting.await.unwrap(),
        AcquireError::QueueTimeout { .. }
    ));
    assert_eq!(began.elapsed(), ms(100));

    tokio::time::sleep(s(5)).await;
    let checked = a.counts().checks.load(std::sync::atomic::Ordering::SeqCst) - checks;
    assert!((4..=6).contains(&checked), "{checked} checks");
    assert_eq!(pool.snapshot().leaks, 1);
    held.fail(&Oops(Verdict::of(ErrorType::Transport)));
    assert!(!of(&pool.snapshot(), &a).breaker.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_and_health_is_not_forgotten() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 2, |config| {
        config.breaker.consecutive_failures = 1;
    })
    .await;
    while of(&pool.snapshot(), &a).breaker.is_closed() {
        let lease = pool.acquire().await.unwrap();
        if *lease.endpoint() == a.id() {
            lease.fail(&Oops(Verdict::of(ErrorType::Transport)));
        }
    }
    let before = of(&pool.snapshot(), &a).clone();
    pool.apply(update(&[(&a, 3), (&b, 3)])).unwrap();
    let after = of(&pool.snapshot(), &a).clone();
    assert_eq!((after.breaker, after.health), (before.breaker, before.health));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_changes_nothing() {
    let nodes = nodes::<2>();
    let [a, b] = &nodes;
    let (pool, told) = observed(&nodes);
    settle().await;
    let (stranger, config) = (Node::new("stranger"), PoolConfig::default());
    let mut impossible = config.clone();
    impossible.max_attempts = 0;
    let both = |config: &PoolConfig| {
        PoolUpdate::new(config.clone())
            .keep(a.id(), slots(7))
            .keep(b.id(), slots(7))
    };
    let refused = [
        (
            both(&impossible),
            "pool test: max_attempts is 0; allowed: 1 to 100",
        ),
        (PoolUpdate::new(config.clone()), "pool test has no endpoints"),
        (
            both(&config).keep(a.id(), slots(7)),
            "pool test: two endpoints are called e0",
        ),
        (
            both(&config).keep(stranger.id(), slots(1)),
            "pool test has no endpoint stranger to keep",
        ),
        (
            both(&config).endpoint(stranger.id(), Fake(stranger.clone()), slots(0)),
            "pool test, endpoint stranger: max_connections is 0; allowed: 1 to 100000",
        ),
    ];
    let before = format!("{:?}", pool.snapshot().endpoints);
    for (update, message) in refused {
        assert_eq!(pool.apply(update).unwrap_err().to_string(), message);
        assert_eq!(format!("{:?}", pool.snapshot().endpoints), before);
        assert_eq!(told.take(), Vec::<String>::new());
    }
    let elsewhere = pool.clone();
    let outside = std::thread::spawn(move || elsewhere.apply(PoolUpdate::new(config.clone())))
        .join()
        .unwrap();
    assert!(matches!(outside, Err(BuildError::Empty(_))));
    let elsewhere = pool.clone();
    let (id, keep) = (a.id(), slots(2));
    let outside =
        std::thread::spawn(move || elsewhere.apply(PoolUpdate::new(PoolConfig::default()).keep(id, keep)));
    assert_eq!(outside.join().unwrap(), Err(BuildError::NoRuntime));
    pool.close(s(1)).await;
    assert!(matches!(
        pool.apply(update(&[(a, 2), (b, 2)])),
        Err(BuildError::Closed(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_connects_to_one_that_is_removed_goes_to_another() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 1, |_| {}).await;
    a.set(|script| script.connect = Act::Hang);
    b.set(|script| script.connect = Act::Slow(s(1)));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.acquire_within(s(4))
                    .await
                    .map(|lease| lease.endpoint().clone())
            })
        })
        .collect();
    settle().await;
    pool.apply(update(&[(&b, 1)])).unwrap();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), b.id());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_one_that_is_removed_is_told_at_once() {
    let [a, b] = nodes();
    b.set(|script| script.check = Act::Error(ErrorType::Transport));
    let pool = pool(&[a.clone(), b.clone()], 1, |config| {
        config.health.interval = s(60);
    })
    .await;
    let held = take_all(&pool).await;
    assert_eq!(held.len(), 1);
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire_within(s(9)).await.unwrap_err() }
    });
    settle().await;
    let began = Instant::now();
    let mut config = PoolConfig::default();
    config.health.interval = s(60);
    pool.apply(PoolUpdate::new(config).keep(b.id(), slots(1)))
        .unwrap();
    let error = waiter.await.unwrap();
    assert!(
        matches!(&error, AcquireError::NoHealthyEndpoint { reasons, .. } if reasons.0.len() == 1),
        "{error}"
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_limit_over_the_pool_closes_idle_connections_elsewhere_rather_than_starve() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 4, |config| {
        config.max_connections = Some(4);
    })
    .await;
    let snapshot = pool.snapshot();
    assert_eq!((snapshot.slots_usable, snapshot.slots_free), (4, 4));
    let held = take_all(&pool).await;
    assert_eq!((held.len(), a.sockets() + b.sockets()), (4, 4));
    assert_eq!(pool.snapshot().slots_free, 0);
    drop(held);
    assert_eq!((a.sockets(), b.sockets()), (2, 2));

    // all of them on one
    a.set(|script| script.unfit = Some(Unfit::Syncing));
    tokio::time::sleep(s(7)).await;
    let held = take_all(&pool).await;
    assert!(held.iter().all(|lease| *lease.endpoint() == b.id()));
    assert_eq!((held.len(), a.sockets(), b.sockets()), (4, 0, 4));
    drop(held);
    a.set(|script| script.unfit = None);
    b.set(|script| script.unfit = Some(Unfit::Syncing));
    tokio::time::sleep(ms(12_500)).await;
    let most = a.counts().most_sockets.load(std::sync::atomic::Ordering::SeqCst);
    assert!(most <= 4);
    b.set(|script| script.unfit = None);
    let held = take_all(&pool).await;
    assert_eq!(held.len(), 4, "nobody starves");
    assert_eq!(a.sockets() + b.sockets(), 4);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_elsewhere_make_room_and_are_not_missed_by_the_limit() {
    let [a, b] = nodes();
    let pool = pool(&[a.clone(), b.clone()], 3, |config| {
        config.max_connections = Some(3);
    })
    .await;
    // three idle on the first
    let avoid = |node: &Node| Request::new().avoid(node.id());
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.acquire_with(&avoid(&b)).await.unwrap());
    }
    drop(held);
    assert_eq!((a.sockets(), b.sockets()), (3, 0));
    // a slow connect reserves its room before it is open
    b.set(|script| script.connect = Act::Slow(ms(100)));
    let began = Instant::now();
    let lease = pool.acquire_with(&avoid(&a)).await.unwrap();
    assert_eq!((began.elapsed(), lease.endpoint().clone()), (ms(100), b.id()));
    assert_eq!((a.sockets(), b.sockets()), (2, 1));
    drop(lease);
    // lowered: what is idle goes at once
    let mut config = PoolConfig::default();
    config.max_connections = Some(1);
    pool.apply(
        PoolUpdate::new(config)
            .keep(a.id(), slots(3))
            .keep(b.id(), slots(3)),
    )
    .unwrap();
    assert_eq!(a.sockets() + b.sockets(), 1);
    assert_eq!(take_all(&pool).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn lanes_give_more_slots_than_connections() {
    let [a] = nodes();
    a.set(|script| (script.lanes, script.connect) = (10, Act::Slow(ms(50))));
    let many = slots(2).max_requests(15);
    let pool = Pool::builder(PoolId::new("test").unwrap())
        .endpoint(a.id(), Fake(a.clone()), many)
        .build()
        .unwrap();
    settle().await;
    assert_eq!(pool.snapshot().slots_usable, 15);
    // one connect serves as many as a connection carries
    let few: Vec<_> = (0..5)
        .map(|_| pool.acquire_within(s(1)))
        .map(Box::pin)
        .map(tokio_test::task::spawn)
        .collect();
    let mut few: Vec<_> = few;
    for caller in &mut few {
        assert!(caller.poll().is_pending());
    }
    tokio::time::sleep(ms(50)).await;
    for caller in &mut few {
        while caller.poll().is_pending() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(a.connects(), 1);
    drop(few);
    let callers: Vec<_> = (0..15)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire_within(s(1)).await })
        })
        .collect();
    let mut held = Vec::new();
    for caller in callers {
        held.push(caller.await.unwrap().unwrap());
    }
    let snapshot = pool.snapshot();
    let endpoint = of(&snapshot, &a);
    assert_eq!((endpoint.connections_active, endpoint.slots_active), (2, 15));
    assert_eq!(
        a.connects(),
        2,
        "one connect serves as many as a connection carries"
    );
    drop(held);
    let lease = pool.acquire().await.unwrap();
    assert_eq!(of(&pool.snapshot(), &a).connections_active, 1);
    drop(lease);
}

#[test]
fn more_requests_than_connections_and_not_fewer() {
    assert!(slots(2).max_requests(2).validate().is_ok());
    let error = slots(2).max_requests(1).validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "max_requests is 1; allowed: max_connections to 100000"
    );
}

/// Callers on four threads while the pool is turned over; limits are never passed and nothing is lost.
#[test]
fn under_load_from_several_threads() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let nodes = nodes::<4>();
        let pool = pool(&nodes, 3, |config| config.max_waiters = 100).await;
        assert!(pool.ready(s(5)).await);
        let callers: Vec<_> = (0..24)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let mut served = 0_u64;
                    for _ in 0..400 {
                        if let Ok(mut lease) = pool.acquire_within(s(5)).await {
                            lease.call().await.unwrap();
                            tokio::task::yield_now().await;
                            lease.succeed();
                            served += 1;
                        }
                    }
                    served
                })
            })
            .collect();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut present = vec![true; 4];
        while !callers.iter().all(tokio::task::JoinHandle::is_finished) {
            let mut config = PoolConfig::default();
            config.max_waiters = 100;
            config.max_connections = rng.bool().then(|| rng.u32(2..12));
            let mut update = PoolUpdate::new(config);
            let mut next = vec![false; 4];
            for (i, node) in nodes.iter().enumerate() {
                let settings = slots(rng.u32(1..5)).weight(f64::from(rng.u32(1..4)));
                match (present[i], rng.u8(..4)) {
                    (_, 0) if i > 0 => continue,
                    (true, 1..) => update = update.keep(node.id(), settings),
                    _ => update = update.endpoint(node.id(), Fake(node.clone()), settings),
                }
                next[i] = true;
            }
            pool.apply(update).unwrap();
            present = next;
            tokio::time::sleep(ms(1)).await;
        }
        let mut served = 0;
        for caller in callers {
            served += caller.await.unwrap();
        }
        assert_eq!(served, 24 * 400, "nobody was refused");
        let update = update(&[]);
        let update = nodes
            .iter()
            .zip(&present)
            .fold(update, |update, (node, present)| match present {
                true => update.keep(node.id(), slots(2)),
                false => update.endpoint(node.id(), Fake(node.clone()), slots(2)),
            });
        pool.apply(update).unwrap();
        let begun = Instant::now();
        loop {
            let snapshot = pool.snapshot();
            let good = snapshot.slots_free == 8
                && nodes
                    .iter()
                    .all(|node| node.sockets() == of(&snapshot, node).connections_total() as i64)
                && nodes.iter().all(|node| node.sockets() <= 2);
            if good {
                break;
            }
            assert!(begun.elapsed() < s(30), "{snapshot:?}");
            tokio::time::sleep(ms(50)).await;
        }
    });
}
