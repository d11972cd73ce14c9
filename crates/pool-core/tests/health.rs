//! Health checks through the pool.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use common::*;
use pool_core::{breaker::BreakerState, health::HealthStatus, *};
use tokio::time::Instant;

fn healths(pool: &Pool<Fake>) -> Vec<HealthStatus> {
    let snapshot = pool.snapshot();
    snapshot
        .endpoints
        .iter()
        .map(|endpoint| endpoint.health)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_is_used_before_the_first_check_has_passed() {
    let nodes = nodes::<2>();
    nodes[0].set(|script| script.check = Act::Slow(s(1)));
    nodes[1].set(|script| script.check = Act::Slow(s(2)));
    let pool = build(&nodes, 1, |_| {});
    settle().await;
    assert_eq!(healths(&pool), [HealthStatus::Unknown; 2]);
    assert_eq!(pool.snapshot().slots_usable, 0);
    let before = Instant::now();
    let lease = pool.acquire().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 1);
    assert_eq!(*lease.endpoint(), nodes[0].id());
    assert!(pool.ready(Duration::ZERO).await);
    lease.succeed();
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_one_and_no_longer_than_asked() {
    let nodes = nodes::<2>();
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    nodes[1].set(|script| script.check = Act::Slow(s(1)));
    let pool = build(&nodes, 1, |_| {});
    let before = Instant::now();
    assert!(!pool.ready(ms(500)).await);
    assert!(before.elapsed() >= ms(500) && before.elapsed() < ms(600));
    assert!(pool.ready(s(10)).await, "some may be down");
    assert_eq!(before.elapsed().as_secs(), 1);
    pool.close(Duration::ZERO).await;
    assert!(!pool.ready(s(10)).await, "a closed pool never is");
    assert_eq!(before.elapsed().as_secs(), 1, "and says so at once");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_become_usable_in_time_each_reason_is_told_at_once() {
    let nodes = nodes::<3>();
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Connect));
    nodes[1].set(|script| {
        script.unfit = Some(Unfit::WrongChain {
            expected: "1".into(),
            found: "56".into(),
        });
    });
    nodes[2].set(|script| script.unfit = Some(Unfit::Syncing));
    let pool = pool(&nodes, 1, |_| {}).await;
    let before = Instant::now();
    let error = pool.acquire_within(s(2)).await.unwrap_err();
    assert_eq!(before.elapsed(), Duration::ZERO);
    let text = error.to_string();
    assert!(
        matches!(error, AcquireError::NoHealthyEndpoint { ref reasons, .. } if reasons.0.len() == 3),
        "{text}"
    );
    for part in [
        "e0: unhealthy (check failed: oops: connect)",
        "e1: unhealthy (wrong chain 56, expected 1)",
        "e2: unhealthy (syncing)",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // who can wait until after the next check is let wait, and served
    nodes[2].set(|script| script.unfit = None);
    pool.acquire_within(s(30)).await.unwrap().succeed();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_chain_is_left_at_once() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 4, |_| {}).await;
    nodes[0].set(|script| {
        script.unfit = Some(Unfit::WrongChain {
            expected: "1".into(),
            found: "56".into(),
        });
    });
    let checks = || nodes[0].counts().checks.load(SeqCst);
    let before = checks();
    while checks() == before {
        tokio::time::sleep(ms(100)).await;
    }
    settle().await;
    assert_eq!(
        healths(&pool),
        [HealthStatus::Unhealthy, HealthStatus::Healthy],
        "one check is enough"
    );
    let calls = nodes[0].calls();
    for _ in 0..20 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    assert_eq!(nodes[0].calls(), calls);
    assert_eq!(
        pool.snapshot().endpoints[0].breaker,
        BreakerState::Closed,
        "it works, for others"
    );
}

#[tokio::test(start_paused = true)]
async fn the_one_that_lags_behind_two_others_is_left_until_it_has_caught_up() {
    let nodes = nodes::<3>();
    for node in &nodes {
        node.set(|script| script.position = Some(100));
    }
    let pool = pool(&nodes, 1, |config| config.health.max_lag = Some(5)).await;
    tokio::time::sleep(s(10)).await;
    assert_eq!(healths(&pool), [HealthStatus::Healthy; 3]);
    for node in &nodes[..2] {
        node.set(|script| script.position = Some(110));
    }
    tokio::time::sleep(s(15)).await;
    assert_eq!(healths(&pool)[2], HealthStatus::Unhealthy);
    assert_eq!(
        pool.snapshot().endpoints[2].health_reason.as_deref(),
        Some("lagging by 10 blocks")
    );
    assert_eq!(healths(&pool)[..2], [HealthStatus::Healthy; 2]);
    nodes[2].set(|script| script.position = Some(106));
    tokio::time::sleep(s(20)).await;
    assert_eq!(
        healths(&pool)[2],
        HealthStatus::Healthy,
        "four behind is within the limit"
    );
    // one that runs ahead alone does not make the others late
    nodes[0].set(|script| script.position = Some(1_000_000));
    tokio::time::sleep(s(20)).await;
    assert_eq!(healths(&pool), [HealthStatus::Healthy; 3]);
}

#[tokio::test(start_paused = true)]
async fn the_one_whose_head_is_older_than_the_others_is_left_and_a_chain_that_stands_still_is_not() {
    let nodes = nodes::<3>();
    let heads = |ages: [u64; 3]| {
        for (node, age) in nodes.iter().zip(ages) {
            node.set(|script| script.age = Some(s(age)));
        }
    };
    heads([2, 3, 5]);
    let pool = pool(&nodes, 1, |config| config.health.max_lag_time = Some(s(30))).await;
    tokio::time::sleep(s(10)).await;
    assert_eq!(healths(&pool), [HealthStatus::Healthy; 3]);
    heads([2, 40, 3]);
    tokio::time::sleep(s(10)).await;
    let snapshot = pool.snapshot();
    assert_eq!(healths(&pool)[1], HealthStatus::Unhealthy);
    let reason = snapshot.endpoints[1].health_reason.as_deref().unwrap();
    assert!(
        reason.starts_with("its head is 40.0s old, the others' "),
        "{reason}"
    );
    let age = snapshot.head_age.unwrap();
    assert!(
        age >= s(3) && age < s(15),
        "{age:?}: time has passed since the check"
    );

    // it stands still for an hour: everybody is as far as there is to go, and the age tells
    heads([3600, 3601, 3605]);
    tokio::time::sleep(s(20)).await;
    assert_eq!(healths(&pool), [HealthStatus::Healthy; 3]);
    let snapshot = pool.snapshot();
    assert!(snapshot.head_age.unwrap() >= s(3600), "{:?}", snapshot.head_age);
    assert!(snapshot.endpoints[2].head_age.unwrap() >= s(3605));

    // one that claims a head of now alone makes nobody late
    heads([0, 3601, 3605]);
    tokio::time::sleep(s(20)).await;
    assert_eq!(healths(&pool), [HealthStatus::Healthy; 3]);
    heads([0, 0, 3605]);
    tokio::time::sleep(s(10)).await;
    assert_eq!(healths(&pool)[2], HealthStatus::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_one_provider_have_one_vote_on_where_the_head_is() {
    for (shared, late) in [(false, HealthStatus::Unhealthy), (true, HealthStatus::Healthy)] {
        let nodes = nodes::<3>();
        for (node, (position, age)) in nodes.iter().zip([(900, 0), (900, 0), (100, 60)]) {
            node.set(|script| (script.position, script.age) = (Some(position), Some(s(age))));
        }
        for of_blocks in [true, false] {
            let mut config = PoolConfig::default();
            config.health.max_lag = of_blocks.then_some(5);
            config.health.max_lag_time = (!of_blocks).then_some(s(30));
            let mut builder = Pool::builder(PoolId::new("test").unwrap()).config(config).seed(7);
            let provider = ProviderId::new("liar").unwrap();
            builder = builder.provider(Provider::new(provider.clone(), &ProviderConfig::default()).unwrap());
            for (index, node) in nodes.iter().enumerate() {
                let mut settings = EndpointConfig::default();
                settings.provider = (shared && index < 2).then(|| provider.clone());
                builder = builder.endpoint(node.id(), Fake(node.clone()), settings);
            }
            let pool = builder.build().unwrap();
            tokio::time::sleep(s(20)).await;
            assert_eq!(healths(&pool)[2], late, "shared: {shared}, blocks: {of_blocks}");
            assert_eq!(healths(&pool)[..2], [HealthStatus::Healthy; 2]);
        }
    }
}

/// No traffic at all: the breaker must show what is the matter, and must not stay open once all is well.
#[tokio::test(start_paused = true)]
async fn checks_alone_open_and_close_the_breaker_of_an_idle_pool() {
    for down in [Act::Error(ErrorType::Connect), Act::Hang, Act::Panic] {
        let nodes = nodes::<2>();
        let pool = pool(&nodes, 1, |_| {}).await;
        nodes[0].set(|script| script.check = down);
        tokio::time::sleep(s(60)).await;
        let snapshot = pool.snapshot();
        let dead = &snapshot.endpoints[0];
        assert!(!dead.breaker.is_closed(), "{down:?}: {:?}", dead.breaker);
        assert_eq!(dead.health, HealthStatus::Unhealthy, "{down:?}");
        assert!(dead.health_check_failures >= 5, "{down:?}");
        assert_eq!(dead.requests, 0);
        assert!(snapshot.endpoints[1].breaker.is_closed());
        nodes[0].set(|script| script.check = Act::Ok);
        let back = Instant::now();
        while !pool.snapshot().endpoints[0].breaker.is_closed() {
            tokio::time::sleep(ms(500)).await;
            assert!(
                back.elapsed() < s(90),
                "{down:?}: the breaker never closed: {:?}",
                pool.snapshot().endpoints[0]
            );
        }
        tokio::time::sleep(s(10)).await;
        assert_eq!(healths(&pool), [HealthStatus::Healthy; 2]);
        assert_eq!(pool.snapshot().endpoints[0].requests, 0, "without traffic");
    }
}

/// A check that is answered with 429 is no sign of a broken node.
#[tokio::test(start_paused = true)]
async fn a_throttled_check_throttles_and_opens_no_breaker() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| {
        script.check = Act::Error(ErrorType::RateLimited);
        script.throttle = Some(s(20));
    });
    tokio::time::sleep(ms(6_500)).await;
    assert!(
        pool.explain()
            .iter()
            .any(|endpoint| matches!(endpoint.not_usable, Some(NotUsable::Throttled { .. }))),
        "{:?}",
        pool.explain()
    );
    let before = nodes[0].counts().checks.load(SeqCst);
    tokio::time::sleep(s(120)).await;
    assert_eq!(pool.snapshot().endpoints[0].breaker_opened, 0);
    let checks = nodes[0].counts().checks.load(SeqCst) - before;
    assert!(
        (5..=7).contains(&checks),
        "{checks} checks in 120 s of an endpoint that asks for 20 s each time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_healthy_endpoint_is_not_given_up_for_one_failed_check() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    nodes[0].set(|script| script.check = Act::Error(ErrorType::Timeout));
    while pool.snapshot().endpoints[0].health_check_failures == 0 {
        tokio::time::sleep(ms(100)).await;
    }
    nodes[0].set(|script| script.check = Act::Ok);
    for _ in 0..100 {
        assert_eq!(healths(&pool), [HealthStatus::Healthy]);
        tokio::time::sleep(ms(200)).await;
    }
}

/// When each of these nodes was checked, as far as can be seen every 10 ms.
async fn checked(nodes: &[Node], span: Duration) -> Vec<Vec<Duration>> {
    let begun = Instant::now();
    let mut seen: Vec<u64> = nodes
        .iter()
        .map(|node| node.counts().checks.load(SeqCst))
        .collect();
    let mut moments = vec![Vec::new(); nodes.len()];
    while begun.elapsed() < span {
        tokio::time::sleep(ms(10)).await;
        for ((node, seen), moments) in nodes.iter().zip(&mut seen).zip(&mut moments) {
            let now = node.counts().checks.load(SeqCst);
            if now > std::mem::replace(seen, now) {
                moments.push(begun.elapsed());
            }
        }
    }
    moments
}

#[tokio::test(start_paused = true)]
async fn checks_come_at_uneven_times_and_not_all_together() {
    let nodes = nodes::<2>();
    let _pool = pool(&nodes, 1, |config| {
        config.health.interval = s(5);
        config.health.jitter = 0.2;
    })
    .await;
    let moments = checked(&nodes, s(1_000)).await;
    for moments in &moments {
        let gaps: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        println!("{} gaps", gaps.len());
        let (shortest, longest) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
        // a fifth either way, seen 10 ms late
        assert!(
            shortest >= ms(3_980) && longest <= ms(6_020),
            "{shortest:?} {longest:?}"
        );
        // of some 200 gaps one lies in the first and in the last quarter but once in 10^24 runs
        assert!(
            shortest < ms(4_500) && longest > ms(5_500),
            "{shortest:?} {longest:?}"
        );
    }
    let together = moments[0].iter().filter(|moment| moments[1].contains(moment));
    // by chance some 1 in 500
    assert!(together.count() < 20, "they march in step");
}

#[tokio::test(start_paused = true)]
async fn a_check_takes_no_slot_and_no_connection_from_those_who_work() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| config.health.interval = s(1)).await;
    let lease = pool.acquire().await.unwrap();
    let before = nodes[0].counts().checks.load(SeqCst);
    let mut waiter = tokio_test::task::spawn(pool.acquire_within(s(60)));
    assert!(waiter.poll().is_pending());
    tokio::time::sleep(s(20)).await;
    let checks = nodes[0].counts().checks.load(SeqCst) - before;
    assert!(checks >= 16, "{checks} checks while the only slot was held");
    let snapshot = pool.snapshot();
    assert_eq!((snapshot.queue_size, snapshot.endpoints[0].slots_active), (1, 1));
    assert_eq!((nodes[0].connects(), nodes[0].sockets()), (1, 1));
    assert_eq!(snapshot.endpoints[0].requests, 0, "a check is no request");
    assert!(!waiter.is_woken(), "a check gave it a turn");
    lease.succeed();
    assert!(waiter.is_woken());
}
