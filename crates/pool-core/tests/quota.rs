//! Quotas and providers: who is throttled, who is woken, what is paid and what comes back.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};

use common::*;
use pool_core::*;
use tokio::{task::JoinSet, time::Instant};

fn id(name: &str) -> ProviderId {
    ProviderId::new(name).unwrap()
}

fn provider(name: &str, quota: Option<QuotaConfig>) -> Provider {
    let mut config = ProviderConfig::default();
    config.quota = quota;
    Provider::new(id(name), &config).unwrap()
}

/// A pool of nodes, each with its provider and its own quota.
struct Plan {
    config: PoolConfig,
    builder: PoolBuilder<Fake>,
}

impl Plan {
    fn new(name: &str, providers: &[&Provider]) -> Self {
        let builder = Pool::builder(PoolId::new(name).unwrap()).seed(7);
        let builder = providers
            .iter()
            .fold(builder, |builder, provider| builder.provider((*provider).clone()));
        Self {
            config: PoolConfig::default(),
            builder,
        }
    }

    fn tune(mut self, tune: impl FnOnce(&mut PoolConfig)) -> Self {
        tune(&mut self.config);
        self
    }

    fn node(mut self, node: &Node, provider: Option<&str>, tune: impl FnOnce(&mut EndpointConfig)) -> Self {
        let mut settings = EndpointConfig::default();
        settings.provider = provider.map(id);
        tune(&mut settings);
        self.builder = self.builder.endpoint(node.id(), Fake(node.clone()), settings);
        self
    }

    async fn build(self) -> Pool<Fake> {
        let pool = self.builder.config(self.config).build().unwrap();
        settle().await;
        pool
    }
}

fn not_usable(pool: &Pool<Fake>) -> Vec<(EndpointId, NotUsable)> {
    let all = pool.explain().into_iter();
    all.filter_map(|one| Some((one.endpoint, one.not_usable?)))
        .collect()
}

/// Health checks cost a unit each; most tests count without them.
fn no_checks(config: &mut PoolConfig) {
    config.health.interval = s(7 * 24 * 3600);
}

fn quota(per_second: f64, burst: u32) -> QuotaConfig {
    QuotaConfig::per_second(per_second).burst(burst)
}

#[tokio::test(start_paused = true)]
async fn a_spent_quota_throttles_and_nothing_else() {
    let nodes = nodes::<1>();
    let plan = Plan::new("test", &[]).tune(no_checks);
    // one unit goes to the first check
    let pool = plan
        .node(&nodes[0], None, |settings| settings.quota = Some(quota(1.0, 3)))
        .build()
        .await;
    for left in [1, 0] {
        pool.run(&Call, &Request::new()).await.unwrap();
        assert_eq!(pool.snapshot().endpoints[0].quota_left, Some(left));
    }
    let snapshot = pool.snapshot();
    let endpoint = &snapshot.endpoints[0];
    assert_eq!(endpoint.throttled_until, Some(Instant::now() + s(1)));
    assert_eq!(
        (endpoint.quota_limit, endpoint.throttles),
        (Some(3), [0, 0, 1, 0])
    );
    assert_eq!(endpoint.throttled_by, Some(ThrottleCause::Quota));
    assert_eq!(endpoint.health, health::HealthStatus::Healthy);
    assert!(endpoint.breaker.is_closed());
    assert_eq!((snapshot.slots_usable, endpoint.weight), (0, 0.0));
    let reasons = not_usable(&pool);
    let expected = NotUsable::Throttled {
        wait: s(1),
        cause: ThrottleCause::Quota,
    };
    assert_eq!(reasons[0].1, expected);
    assert_eq!(reasons[0].1.to_string(), "throttled for 1.0s: its quota is spent");

    // who cannot wait so long is told at once
    let error = pool.acquire_within(ms(999)).await.unwrap_err();
    assert!(matches!(error, AcquireError::NoHealthyEndpoint { .. }), "{error}");
    assert_eq!(error.retry_after(), Some(s(1)));
    let begun = Instant::now();
    pool.acquire_within(s(2)).await.unwrap().succeed();
    assert_eq!(begun.elapsed(), s(1));
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn waiters_of_another_pool_are_served_as_it_refills_without_any_release() {
    let [a, b] = nodes::<2>();
    let acme = provider("acme", Some(quota(100.0, 50)));
    let one = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |settings| settings.max_connections = 200)
        .build()
        .await;
    let other = Plan::new("b", &[&acme])
        .tune(no_checks)
        .node(&b, Some("acme"), |settings| settings.max_connections = 200)
        .build()
        .await;
    let mut held = Vec::new();
    while acme.snapshot().spent_until.is_none() {
        held.push(one.acquire().await.unwrap());
    }
    assert_eq!(held.len(), 48, "all but what the two first checks took");
    let begun = Instant::now();
    let mut waiters = JoinSet::new();
    for _ in 0..100 {
        let other = other.clone();
        // kept: nothing is released
        waiters.spawn(async move { other.acquire_within(s(5)).await });
    }
    settle().await;
    assert_eq!(other.snapshot().queue_size, 100);
    let leases: Vec<_> = waiters.join_all().await.into_iter().map(Result::unwrap).collect();
    let took = begun.elapsed();
    assert!(
        (ms(999)..=ms(1_010)).contains(&took),
        "a hundred in a second: {took:?}"
    );
    leases.into_iter().for_each(Lease::succeed);
    held.into_iter().for_each(Lease::succeed);
    all_returned(&other, &[b], "afterwards");
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_the_last_unit_taken_by_another_pool_goes_elsewhere() {
    let [a, b, c] = nodes::<3>();
    let acme = provider("acme", Some(quota(0.1, 4)));
    let one = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |_| {})
        .build()
        .await;
    let other = Plan::new("b", &[&acme])
        .tune(no_checks)
        .node(&b, Some("acme"), |settings| settings.weight = 100.0)
        .node(&c, None, |_| {})
        .build()
        .await;
    for _ in 0..2 {
        one.run(&Call, &Request::new()).await.unwrap();
    }
    // the other pool does not know yet that its favourite is out
    assert_eq!(other.run(&Call, &Request::new()).await.unwrap(), "e2");
    assert_eq!(other.snapshot().queue_size, 0);
    assert_eq!(b.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cool_down_holds_for_all_endpoints_of_the_provider_in_all_pools() {
    let [a, b, c, d] = nodes::<4>();
    let (acme, own) = (provider("acme", None), provider("own", None));
    let one = Plan::new("a", &[&acme, &own])
        .tune(no_checks)
        .node(&a, Some("acme"), |_| {})
        .node(&b, Some("acme"), |_| {})
        .node(&c, Some("own"), |_| {})
        .build()
        .await;
    let other = Plan::new("b", &[&acme])
        .tune(no_checks)
        .node(&d, Some("acme"), |_| {})
        .build()
        .await;
    let lease = loop {
        let lease = one.acquire().await.unwrap();
        if lease.provider() == Some(id("acme")) {
            break lease;
        }
    };
    // an overloaded node speaks for itself alone
    let verdict = Verdict::of(ErrorType::NodeInternal).with_throttle(Some(s(1)));
    assert!(!verdict.throttles_provider);
    lease.fail(&Oops(verdict));
    assert_eq!(not_usable(&one).len(), 1);
    assert_eq!(not_usable(&other), []);
    tokio::time::sleep(s(1)).await;

    let lease = loop {
        let lease = one.acquire().await.unwrap();
        if lease.provider() == Some(id("acme")) {
            break lease;
        }
    };
    lease.fail(&Oops(
        Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(10))),
    ));
    let begun = Instant::now();
    let throttled: Vec<_> = not_usable(&one)
        .into_iter()
        .map(|(endpoint, _)| endpoint)
        .collect();
    assert_eq!(throttled, [a.id(), b.id()]);
    assert_eq!(
        not_usable(&other)[0].1,
        NotUsable::Throttled {
            wait: s(10),
            cause: ThrottleCause::ProviderCoolDown
        }
    );
    assert_eq!(acme.snapshot().cools_until, Some(begun + s(10)));
    let counted: u64 = one
        .snapshot()
        .endpoints
        .iter()
        .map(|endpoint| endpoint.throttles[ThrottleCause::ProviderCoolDown.index()])
        .sum();
    assert_eq!(counted, 1, "once, where it was asked for");
    assert_eq!(one.acquire().await.unwrap().provider(), Some(id("own")));
    // the other pool was told: who cannot wait so long does not, and who can is served in time
    assert!(matches!(
        other.acquire_within(s(9)).await,
        Err(AcquireError::NoHealthyEndpoint { .. })
    ));
    assert_eq!(begun.elapsed(), s(0));
    other.acquire_within(s(11)).await.unwrap().succeed();
    assert_eq!(begun.elapsed(), s(10));
}

#[tokio::test(start_paused = true)]
async fn a_cool_down_elsewhere_ends_a_wait_that_has_become_hopeless() {
    let [a, b] = nodes::<2>();
    let acme = provider("acme", None);
    let one = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |_| {})
        .build()
        .await;
    let other = Plan::new("b", &[&acme])
        .tune(no_checks)
        .node(&b, Some("acme"), |settings| settings.max_connections = 1)
        .build()
        .await;
    let held = other.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let other = other.clone();
        async move { other.acquire_within(s(5)).await.map(drop) }
    });
    settle().await;
    let begun = Instant::now();
    let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(60)));
    one.acquire().await.unwrap().fail(&Oops(verdict));
    let error = waiter.await.unwrap().unwrap_err();
    assert!(matches!(error, AcquireError::NoHealthyEndpoint { .. }), "{error}");
    assert_eq!(begun.elapsed(), s(0));
    held.succeed();
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_counts_each_endpoint_by_itself_can_be_told_so() {
    let [a, b] = nodes::<2>();
    let config = ProviderConfig::default().shared_cool_down(false);
    let acme = Provider::new(id("acme"), &config).unwrap();
    let pool = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |_| {})
        .node(&b, Some("acme"), |_| {})
        .build()
        .await;
    let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(10)));
    pool.acquire().await.unwrap().fail(&Oops(verdict));
    assert_eq!(not_usable(&pool).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_that_says_that_nothing_is_left_cools_the_provider_down() {
    let [a, b] = nodes::<2>();
    let acme = provider("acme", None);
    let pool = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |settings| settings.weight = 1_000.0)
        .node(&b, Some("acme"), |_| {})
        .build()
        .await;
    a.set(|script| script.pause = Some(s(30)));
    pool.run(&Call, &Request::new()).await.unwrap();
    assert_eq!(acme.snapshot().cools_until, Some(Instant::now() + s(30)));
    assert_eq!(not_usable(&pool).len(), 2);
    let endpoint = &pool.snapshot().endpoints[0];
    assert_eq!((endpoint.requests, endpoint.errors.iter().sum::<u64>()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_is_not_paid() {
    let [a] = nodes::<1>();
    let acme = provider("acme", Some(quota(0.001, 10)));
    let pool = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |settings| settings.max_connections = 1)
        .build()
        .await;
    let left = || acme.snapshot().quota_left.unwrap();
    assert_eq!(left(), 9);
    let dear = Request::new().cost(5);
    // nobody looked at the connection
    let lease = pool.acquire_with(&dear).await.unwrap();
    assert_eq!(left(), 4);
    drop(lease);
    assert_eq!(left(), 9);
    pool.acquire_with(&dear).await.unwrap().neutral();
    assert_eq!(left(), 9);
    // no connection was had
    a.set(|script| script.connect = Act::Error(ErrorType::Connect));
    a.set(|script| script.recycle = Act::Error(ErrorType::Transport));
    tokio::time::advance(s(1)).await;
    assert!(pool.acquire_with(&dear).await.is_err());
    assert_eq!(left(), 9);
    // the caller has gone away
    a.set(|script| script.connect = Act::Slow(s(1)));
    {
        let acquire = pool.acquire_with(&dear);
        assert!(tokio::time::timeout(ms(1), acquire).await.is_err());
    }
    assert_eq!(left(), 9);
    a.set(|script| script.recycle = Act::Ok);
    tokio::time::advance(s(2)).await;
    // who was given a slot and has gone
    let held = pool.acquire().await.unwrap();
    assert_eq!(left(), 8);
    let waiter = tokio::spawn({
        let (pool, dear) = (pool.clone(), dear.clone());
        async move { pool.acquire_with(&dear).await.map(drop) }
    });
    settle().await;
    held.succeed();
    assert_eq!(left(), 3, "paid when it was given");
    waiter.abort();
    settle().await;
    assert_eq!(left(), 8);
    // what was sent is paid, however it ended
    let mut lease = pool.acquire().await.unwrap();
    lease.call().await.unwrap();
    drop(lease);
    assert_eq!(left(), 7);
    all_returned(&pool, &[a], "afterwards");
}

#[tokio::test(start_paused = true)]
async fn connections_that_lie_ready_or_are_handed_over_are_paid_for_too() {
    let [a] = nodes::<1>();
    let plan = Plan::new("test", &[]).tune(no_checks);
    let pool = plan
        .node(&a, None, |settings| {
            settings.max_connections = 1;
            settings.quota = Some(quota(0.001, 100));
        })
        .build()
        .await;
    let left = || pool.snapshot().endpoints[0].quota_left.unwrap();
    assert_eq!(left(), 99);
    for used in 1..=3 {
        pool.run(&Call, &Request::new().cost(2)).await.unwrap();
        assert_eq!(left(), 99 - 2 * used);
    }
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(&Call, &Request::new().cost(7)).await.unwrap() }
    });
    settle().await;
    assert_eq!(left(), 92);
    held.succeed();
    assert_eq!(left(), 85, "paid with the handover");
    waiter.await.unwrap();
    assert_eq!(left(), 85);
    assert_eq!(pool.snapshot().endpoints[0].connections_created, 1);
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_spent_for_a_moment_makes_nobody_else_more_welcome() {
    let nodes = nodes::<3>();
    let plan = Plan::new("test", &[]).tune(|config| {
        no_checks(config);
        config.panic_threshold = Some(0.5);
        config.breaker.open_min = s(60);
    });
    let spent = |settings: &mut EndpointConfig| settings.quota = Some(quota(1.0, 2));
    let pool = plan
        .node(&nodes[0], None, spent)
        .node(&nodes[1], None, |_| {})
        .node(&nodes[2], None, |_| {})
        .build()
        .await;
    let only = |key: usize| {
        let others = nodes.iter().filter(|node| node.id() != nodes[key].id());
        others.fold(Request::new(), |request, other| request.avoid(other.id()))
    };
    while pool.snapshot().endpoints[2].breaker.is_closed() {
        let lease = pool.acquire_with(&only(2)).await.unwrap();
        lease.fail(&Oops(Verdict::of(ErrorType::Transport)));
    }
    // one of three is out, and another for a moment
    pool.acquire_with(&only(0)).await.unwrap().succeed();
    assert!(pool.snapshot().endpoints[0].throttled_until.is_some());
    assert!(!pool.snapshot().panicking);
    // a pause that it asked for does count
    tokio::time::sleep(s(1)).await;
    let verdict = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(5)));
    pool.acquire_with(&only(0)).await.unwrap().fail(&Oops(verdict));
    assert!(pool.snapshot().panicking);
}

#[tokio::test(start_paused = true)]
async fn a_refund_serves_those_who_wait_for_quota_in_the_other_pool_too() {
    let [a, b] = nodes::<2>();
    let acme = provider("acme", Some(quota(0.01, 10)));
    let one = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |_| {})
        .build()
        .await;
    let other = Plan::new("b", &[&acme])
        .tune(|config| {
            no_checks(config);
            config.acquire_timeout = s(2_000);
        })
        .node(&b, Some("acme"), |_| {})
        .build()
        .await;
    let held = one.acquire_with(&Request::new().cost(20)).await.unwrap();
    let waiters: Vec<_> = [&one, &other]
        .into_iter()
        .map(|pool| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire_within(s(2_000)).await.unwrap().succeed() })
        })
        .collect();
    settle().await;
    let begun = Instant::now();
    drop(held);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(begun.elapsed(), s(0));
}

#[tokio::test(start_paused = true)]
async fn a_request_dearer_than_the_burst_is_served_and_paid_off() {
    let [a] = nodes::<1>();
    let acme = provider("acme", Some(quota(10.0, 5)));
    let pool = Plan::new("a", &[&acme])
        .tune(no_checks)
        .node(&a, Some("acme"), |_| {})
        .build()
        .await;
    tokio::time::sleep(s(1)).await;
    let begun = Instant::now();
    // another currency
    let cost = Cost::units(1).at(id("acme"), 25);
    pool.run(&Call, &Request::new().cost(cost)).await.unwrap();
    assert_eq!(begun.elapsed(), s(0));
    pool.run(&Call, &Request::new()).await.unwrap();
    assert_eq!(begun.elapsed(), ms(2_100), "20 owed and one to spend");
}

#[tokio::test(start_paused = true)]
async fn health_checks_pay_and_wait_for_a_day_but_not_for_a_second() {
    let [a, b] = nodes::<2>();
    let clock = WallClock::new({
        let begun = Instant::now();
        // noon, and it goes with ours
        move || s(12 * 3600) + begun.elapsed()
    });
    let day = ProviderConfig::default().quota(QuotaConfig::per_day(3));
    let day = Provider::with_clock(id("day"), &day, clock).unwrap();
    let pool = Plan::new("a", &[&day])
        .tune(|config| config.health.interval = s(5))
        .node(&a, Some("day"), |_| {})
        .node(&b, None, |settings| settings.quota = Some(quota(0.1, 1)))
        .build()
        .await;
    tokio::time::sleep(s(60)).await;
    let checks = |node: &Node| node.counts().checks.load(SeqCst);
    assert_eq!(
        checks(&a),
        3,
        "the day's budget went to checks, so there are no more"
    );
    assert!(
        checks(&b) >= 9,
        "it is checked although it is always used up: {}",
        checks(&b)
    );
    assert_eq!(
        pool.snapshot().endpoints[0]
            .throttled_until
            .map(|at| at.elapsed().is_zero()),
        Some(true)
    );
    tokio::time::sleep(s(12 * 3600)).await;
    assert!(checks(&a) > 3, "a new day");
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_another_provider_first_then_to_another_endpoint() {
    let [a, b, c] = nodes::<3>();
    let (acme, other) = (provider("acme", None), provider("other", None));
    let build = |third: bool| {
        let plan = Plan::new("a", &[&acme, &other])
            .tune(|config| {
                no_checks(config);
                config.max_attempts = 2;
            })
            .node(&a, Some("acme"), |settings| settings.weight = 1_000.0)
            .node(&b, Some("acme"), |settings| settings.weight = 100.0);
        if third {
            plan.node(&c, Some("other"), |_| {})
        } else {
            plan
        }
    };
    a.set(|script| script.call = Act::Error(ErrorType::Transport));
    let pool = build(true).build().await;
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e2");
    assert_eq!(a.calls(), 1, "it was the favourite");
    // none of another provider: another endpoint is better than the same
    let pool = build(false).build().await;
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_goes_to_another_provider_first() {
    let [a, b, c] = nodes::<3>();
    let (acme, other) = (provider("acme", None), provider("other", None));
    let pool = Plan::new("a", &[&acme, &other])
        .tune(|config| {
            no_checks(config);
            config.hedge = Some(HedgeConfig::default().delay(ms(20), ms(20)).min_samples(1));
        })
        .node(&a, Some("acme"), |settings| settings.weight = 1_000.0)
        .node(&b, Some("acme"), |settings| settings.weight = 100.0)
        .node(&c, Some("other"), |_| {})
        .build()
        .await;
    pool.run(&Call, &Request::new()).await.unwrap();
    a.set(|script| script.call = Act::Hang);
    let request = Request::new().timeout(s(1));
    assert_eq!(pool.run(&Call, &request).await.unwrap(), "e2");
    assert_eq!((b.calls(), c.calls()), (0, 1));
    // none of another provider: another endpoint is better than none
    other.cool_down(s(60));
    assert_eq!(pool.run(&Call, &request).await.unwrap(), "e1");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_provider_is_refused_by_name() {
    let [a] = nodes::<1>();
    let acme = provider("acme", None);
    let plan = Plan::new("a", &[&acme]).node(&a, Some("acne"), |_| {});
    let error = plan.builder.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool a, endpoint e0: provider acne was not given to the pool"
    );
    let bad = ProviderConfig::default().quota(QuotaConfig::per_second(-1.0));
    let error = Provider::new(id("acme"), &bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        "quota.per_second is -1; allowed: 0.001 to 1000000"
    );
}

#[tokio::test(start_paused = true)]
async fn settings_change_while_callers_wait() {
    let [a, b] = nodes::<2>();
    let acme = provider("acme", Some(quota(0.001, 1)));
    let pool = Plan::new("a", &[&acme])
        .tune(|config| {
            no_checks(config);
            config.acquire_timeout = s(5_000);
        })
        .node(&a, Some("acme"), |_| {})
        .build()
        .await;
    let wait = |pool: &Pool<Fake>| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.acquire_within(s(5_000)).await.unwrap().succeed() })
    };
    let first = wait(&pool);
    settle().await;
    let begun = Instant::now();
    // what the check took stays taken
    acme.configure(&ProviderConfig::default().quota(quota(1.0, 1)))
        .unwrap();
    first.await.unwrap();
    assert_eq!(begun.elapsed(), s(1));

    acme.configure(&ProviderConfig::default().quota(quota(0.001, 1)))
        .unwrap();
    let second = wait(&pool);
    settle().await;
    assert_eq!(pool.snapshot().queue_size, 1);
    // it changes over to another provider, which the update brings
    let other = provider("other", None);
    let settings = || EndpointConfig::default().provider(id("other"));
    let mut config = PoolConfig::default();
    no_checks(&mut config);
    let update = PoolUpdate::new(config.clone()).keep(a.id(), settings());
    assert!(matches!(
        pool.apply(update),
        Err(BuildError::UnknownProvider { .. })
    ));
    let update = PoolUpdate::new(config.clone())
        .provider(other.clone())
        .keep(a.id(), settings());
    pool.apply(update).unwrap();
    second.await.unwrap();
    assert_eq!(pool.snapshot().endpoints[0].provider, Some(id("other")));
    // it is known from now on
    let update = PoolUpdate::new(config.clone())
        .keep(a.id(), settings().quota(quota(1.0, 2)))
        .endpoint(b.id(), Fake(b.clone()), settings());
    pool.apply(update).unwrap();
    settle().await;
    assert_eq!(pool.snapshot().endpoints[0].quota_left, Some(2));
    assert_eq!(pool.snapshot().endpoints[1].provider, Some(id("other")));
    // a quota that stays is not full again
    for _ in 0..2 {
        let request = Request::new().avoid(b.id());
        pool.run(&Call, &request).await.unwrap();
    }
    let update = PoolUpdate::new(config)
        .keep(a.id(), settings().quota(quota(2.0, 2)))
        .keep(b.id(), settings());
    pool.apply(update).unwrap();
    assert_eq!(pool.snapshot().endpoints[0].quota_left, Some(0));
}

#[derive(Default)]
struct Ears(Mutex<Vec<String>>);

impl Observer for Ears {
    fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
        struct Deaf;
        impl EndpointObserver for Deaf {
            fn attempt_ended(&self, _: Duration, _: Option<ErrorType>) {}
        }
        Arc::new(Deaf)
    }

    fn event(&self, _: &PoolId, event: &Event) {
        if let Event::Throttled { wait, cause, .. } = event {
            self.0.lock().unwrap().push(format!("{wait:?}: {cause}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_spent_again_and_again_is_told_of_now_and_then() {
    let [a] = nodes::<1>();
    let ears = Arc::new(Ears::default());
    let plan = Plan::new("a", &[]).tune(no_checks);
    let mut plan = plan.node(&a, None, |settings| settings.quota = Some(quota(10.0, 1)));
    plan.builder = plan.builder.observer(Arc::clone(&ears) as _);
    let pool = plan.build().await;
    for _ in 0..150 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    let throttles = pool.snapshot().endpoints[0].throttles;
    assert_eq!(throttles[ThrottleCause::Quota.index()], 150);
    assert_eq!(*ears.0.lock().unwrap(), ["100ms: its quota is spent"; 2]);
}

/// Several pools of one account on real threads: what all of them send together is within the quota, and nobody hangs.
#[test]
fn pools_on_real_threads_share_one_quota() {
    const RATE: f64 = 2_000.0;
    const BURST: u32 = 100;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let acme = provider("acme", Some(quota(RATE, BURST)));
        let nodes = nodes::<4>();
        let mut pools = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let plan = Plan::new(&format!("p{number}"), &[&acme]).tune(no_checks);
            let plan = plan.node(node, Some("acme"), |settings| settings.max_connections = 8);
            let pool = plan.builder.config(plan.config).build().unwrap();
            assert!(pool.ready(s(10)).await);
            pools.push(pool);
        }
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for task in 0..64 {
            let pool = pools[task % 4].clone();
            tasks.spawn(async move {
                for step in 0..50 {
                    match (task + step) % 8 {
                        // goes away, in line or in hand
                        0 => drop(tokio::time::timeout(ms(1), pool.acquire()).await),
                        1 => drop(pool.acquire().await),
                        _ => drop(pool.run(&Call, &Request::new()).await.unwrap()),
                    }
                }
            });
        }
        let all = async { while tasks.join_next().await.transpose().unwrap().is_some() {} };
        tokio::time::timeout(s(60), all).await.expect("nobody hangs");
        let sent: u64 = nodes.iter().map(Node::calls).sum();
        let most = f64::from(BURST) + RATE * begun.elapsed().as_secs_f64();
        assert!(sent as f64 <= most, "{sent} of {most}");
        assert!(sent >= 64 * 37, "{sent}");
        for (pool, node) in pools.iter().zip(&nodes) {
            settle().await;
            all_returned(pool, std::slice::from_ref(node), "afterwards");
        }
    });
}
