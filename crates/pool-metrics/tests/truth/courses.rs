//! The courses.

use std::time::Duration;

use pool_core::{
    EndpointId, ErrorType, HedgeConfig, OutlierConfig, PoolConfig, PoolUpdate, QuotaConfig, Request, Verdict,
};
use tokio::time::sleep;

use crate::{Act, Call, Course, Fake, Node, Oops, ms, nodes, s, settle};

pub(crate) async fn all() {
    attempts_and_connections().await;
    the_queue().await;
    a_breaker().await;
    retries_and_budget().await;
    hedges().await;
    changes().await;
    throttles_lags_and_leaks().await;
    head_ages().await;
    panic().await;
    an_outlier().await;
    a_quota().await;
}

fn oops(error_type: ErrorType) -> Oops {
    Oops(Verdict::of(error_type))
}

/// Attempts that end in each way, and what becomes of their connections.
async fn attempts_and_connections() {
    let mut course = Course::new(2);
    let nodes = nodes::<1>();
    let id = nodes[0].id();
    nodes[0].set(|script| script.connect = Act::Slow(ms(30)));
    let pool = course.pool(&nodes, |_| {}).await;
    course.check("before anything");

    let lease = pool.acquire().await.unwrap();
    course
        .of(&id, "connections_total", 1.0)
        .of(&id, "connections_active", 1.0)
        .of(&id, "connections_created_total", 1.0)
        .of(&id, "connect_duration_seconds_count", 1.0)
        .of(&id, "connect_duration_seconds_sum", 0.03)
        .of(&id, "slots_active", 1.0)
        .of_pool("slots_free", 1.0);
    course.check("one lease");
    sleep(ms(100)).await;
    lease.succeed();
    course
        .of(&id, "connections_active", 0.0)
        .of(&id, "connections_idle", 1.0)
        .of(&id, "slots_active", 0.0)
        .of_pool("slots_free", 2.0)
        .of(&id, "requests_total", 1.0)
        .of(&id, "request_duration_ms_count", 1.0)
        .of(&id, "request_duration_ms_sum", 100.0);
    course.check("a success");

    let lease = pool.acquire().await.unwrap();
    sleep(ms(50)).await;
    lease.fail(&oops(ErrorType::Transport));
    let mut lease = pool.acquire().await.unwrap();
    let _half_a_request = &mut *lease;
    drop(lease);
    let lease = pool.acquire().await.unwrap();
    sleep(ms(10)).await;
    lease.fail(&oops(ErrorType::Reverted));
    course
        .of(&id, "requests_total", 3.0)
        .of(&id, "request_duration_ms_count", 3.0)
        .of(&id, "request_duration_ms_sum", 160.0)
        .by(&id, "errors_total", "error_type=transport", 1.0)
        .by(&id, "errors_total", "error_type=reverted", 1.0)
        .of(&id, "connections_created_total", 3.0)
        .of(&id, "connections_destroyed_total", 2.0)
        .by(&id, "connections_closed_total", "reason=broken", 1.0)
        .by(&id, "connections_closed_total", "reason=cancelled", 1.0)
        .of(&id, "connect_duration_seconds_count", 3.0)
        .of(&id, "connect_duration_seconds_sum", 0.09);
    course.check("a failure, a cancellation and a revert");

    // the other side has closed it
    sleep(ms(600)).await;
    nodes[0].set(|script| script.recycle = Act::Error(ErrorType::Transport));
    pool.acquire().await.unwrap().neutral();
    nodes[0].set(|script| script.recycle = Act::Ok);
    course
        .of(&id, "connections_created_total", 4.0)
        .of(&id, "connections_destroyed_total", 3.0)
        .by(&id, "connections_closed_total", "reason=dead", 1.0)
        .of(&id, "connect_duration_seconds_count", 4.0)
        .of(&id, "connect_duration_seconds_sum", 0.12);
    course.check("a dead connection");

    sleep(s(62)).await;
    course
        .of(&id, "connections_total", 0.0)
        .of(&id, "connections_idle", 0.0)
        .of(&id, "connections_destroyed_total", 4.0)
        .by(&id, "connections_closed_total", "reason=idle", 1.0);
    course.check("a minute later");

    nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
    pool.acquire().await.unwrap_err();
    nodes[0].set(|script| script.connect = Act::Slow(s(3600)));
    pool.acquire_within(s(1)).await.unwrap_err();
    sleep(s(10)).await;
    course
        .of(&id, "requests_total", 4.0)
        .by(&id, "errors_total", "error_type=connect", 1.0)
        .of_pool_by("rejections_total", "reason=connect", 1.0)
        .of_pool_by("rejections_total", "reason=deadline", 1.0)
        // refused at once, and given up by the pool after its five seconds
        .of(&id, "connect_duration_seconds_count", 6.0)
        .of(&id, "connect_duration_seconds_sum", 5.12);
    course.check("connects that fail");

    nodes[0].set(|script| script.connect = Act::Ok);
    pool.acquire().await.unwrap().succeed();
    assert_eq!(pool.close(s(1)).await.unfinished, 0);
    pool.acquire().await.unwrap_err();
    course
        .of(&id, "requests_total", 5.0)
        .of(&id, "request_duration_ms_count", 4.0)
        .of(&id, "connect_duration_seconds_count", 7.0)
        .of(&id, "connections_created_total", 5.0)
        .of(&id, "connections_destroyed_total", 5.0)
        .by(&id, "connections_closed_total", "reason=shutdown", 1.0)
        .of_pool_by("rejections_total", "reason=closed", 1.0)
        .of_pool("slots_free", 0.0);
    course.check("closed");
    drop(pool);
    course.expected.clear();
    settle().await;
    course.check("dropped");
}

/// Waiting, running out of time, and finding no place to wait.
async fn the_queue() {
    let mut course = Course::new(1);
    let nodes = nodes::<1>();
    let id = nodes[0].id();
    let pool = course.pool(&nodes, |config| config.max_waiters = 1).await;
    let lease = pool.acquire().await.unwrap();
    let patient = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap().neutral() }
    });
    settle().await;
    pool.acquire().await.unwrap_err();
    course
        .of(&id, "connections_total", 1.0)
        .of(&id, "connections_active", 1.0)
        .of(&id, "connections_created_total", 1.0)
        .of(&id, "connect_duration_seconds_count", 1.0)
        .of(&id, "slots_active", 1.0)
        .of_pool("slots_free", 0.0)
        .of_pool("queue_size", 1.0)
        .of_pool_by("rejections_total", "reason=queue_full", 1.0);
    course.check("one waits, and one found no place");
    sleep(ms(200)).await;
    lease.neutral();
    patient.await.unwrap();
    let lease = pool.acquire().await.unwrap();
    pool.acquire_within(ms(300)).await.unwrap_err();
    lease.neutral();
    course
        .of(&id, "connections_active", 0.0)
        .of(&id, "connections_idle", 1.0)
        .of(&id, "slots_active", 0.0)
        .of_pool("slots_free", 1.0)
        .of_pool("queue_size", 0.0)
        .of_pool("queue_wait_seconds_count", 2.0)
        .of_pool("queue_wait_seconds_sum", 0.5)
        .of_pool("queue_timeouts_total", 1.0)
        .of_pool_by("rejections_total", "reason=queue_timeout", 1.0);
    course.check("one was served, one ran out of time");
}

/// Open, half-open, closed; refused meanwhile. Its counts outlive a replacement.
async fn a_breaker() {
    let mut course = Course::new(1);
    let nodes = nodes::<1>();
    let id = nodes[0].id();
    let mut settings = PoolConfig::default();
    let pool = course
        .pool(&nodes, |config| {
            config.breaker.consecutive_failures = 2;
            config.breaker.open_min = s(10);
            config.breaker.jitter = 0.0;
            config.breaker.close_after = 1;
            config.slow_start = ms(0);
            settings = config.clone();
        })
        .await;
    for _ in 0..2 {
        pool.acquire().await.unwrap().fail(&oops(ErrorType::Timeout));
    }
    pool.acquire_within(s(1)).await.unwrap_err();
    course
        .of(&id, "requests_total", 2.0)
        .of(&id, "request_duration_ms_count", 2.0)
        .by(&id, "errors_total", "error_type=timeout", 2.0)
        .of(&id, "connections_created_total", 2.0)
        .of(&id, "connections_destroyed_total", 2.0)
        .of(&id, "connect_duration_seconds_count", 2.0)
        .by(&id, "connections_closed_total", "reason=broken", 2.0)
        .of(&id, "circuit_breaker_status", 1.0)
        .by(&id, "circuit_breaker_state", "state=closed", 0.0)
        .by(&id, "circuit_breaker_state", "state=open", 1.0)
        .of(&id, "circuit_breaker_opened_total", 1.0)
        .by(&id, "circuit_breaker_transitions_total", "state=open", 1.0)
        .of(&id, "endpoint_weight", 0.0)
        .of_pool("slots_usable", 0.0)
        .of_pool("slots_free", 0.0)
        .of_pool("queue_timeouts_total", 1.0)
        .of_pool_by("rejections_total", "reason=no_endpoint", 1.0);
    course.check("open");
    sleep(s(10)).await;
    settle().await;
    course
        .by(&id, "circuit_breaker_state", "state=open", 0.0)
        .by(&id, "circuit_breaker_state", "state=half_open", 1.0)
        .by(&id, "circuit_breaker_transitions_total", "state=half_open", 1.0)
        .of(&id, "endpoint_weight", 1.0);
    course.check("half-open");
    pool.acquire().await.unwrap().succeed();
    course
        .of(&id, "requests_total", 3.0)
        .of(&id, "request_duration_ms_count", 3.0)
        .of(&id, "connections_created_total", 3.0)
        .of(&id, "connections_total", 1.0)
        .of(&id, "connections_idle", 1.0)
        .of(&id, "connect_duration_seconds_count", 3.0)
        .of(&id, "circuit_breaker_status", 0.0)
        .by(&id, "circuit_breaker_state", "state=half_open", 0.0)
        .by(&id, "circuit_breaker_state", "state=closed", 1.0)
        .by(&id, "circuit_breaker_transitions_total", "state=closed", 1.0)
        .of_pool("slots_usable", 1.0)
        .of_pool("slots_free", 1.0);
    course.check("closed again");
    let another = Fake(Node::new(id.as_str()));
    pool.apply(PoolUpdate::new(settings).endpoint(id.clone(), another, course.settings()))
        .unwrap();
    settle().await;
    course
        .of(&id, "health_check_duration_seconds_count", 2.0)
        .of(&id, "connections_total", 0.0)
        .of(&id, "connections_idle", 0.0)
        .of(&id, "connections_destroyed_total", 3.0)
        .by(&id, "connections_closed_total", "reason=shutdown", 1.0)
        .of_pool_by("reconfigurations_total", "result=applied", 1.0);
    course.check("replaced");
}

/// Further attempts, until the budget is spent.
async fn retries_and_budget() {
    let mut course = Course::new(1);
    let nodes = nodes::<2>();
    let ids = [nodes[0].id(), nodes[1].id()];
    let pool = course
        .pool(&nodes, |config| {
            config.budget = config.budget.clone().share(0.0).floor(1);
            config.breaker.consecutive_failures = 0;
        })
        .await;
    nodes[0].set(|script| {
        script.call = Act::Error(ErrorType::NodeInternal);
        script.maybe_executed = false;
    });
    // ten of a floor of one a second over ten seconds, then none
    for attempt in 1..=11 {
        let done = pool.run(&Call, &Request::new()).await;
        assert_eq!(done.is_ok(), attempt <= 10, "{attempt}");
    }
    for (id, requests) in ids.iter().zip([11.0, 10.0]) {
        course
            .of(id, "requests_total", requests)
            .of(id, "request_duration_ms_count", requests);
    }
    let reused = pool.snapshot().endpoints[0].connections_created;
    assert_eq!(reused, nodes[0].connects(), "by the node's own count");
    let [first, second] = &ids;
    let closed = reused as f64 - nodes[0].sockets() as f64;
    course
        .by(first, "errors_total", "error_type=node_internal", 11.0)
        .of(first, "connections_created_total", reused as f64)
        .of(first, "connect_duration_seconds_count", reused as f64)
        .of(first, "connections_destroyed_total", closed)
        .by(first, "connections_closed_total", "reason=broken", closed)
        .of(first, "connections_total", nodes[0].sockets() as f64)
        .of(first, "connections_idle", nodes[0].sockets() as f64)
        .of(second, "connections_created_total", 1.0)
        .of(second, "connect_duration_seconds_count", 1.0)
        .of(second, "connections_total", 1.0)
        .of(second, "connections_idle", 1.0)
        .of_pool("retries_total", 10.0)
        .of_pool("retry_budget_exhausted_total", 1.0);
    course.check("eleven failures");
}

/// A hedge that wins, one that loses, one that is given up with its caller, and one that the budget refuses.
async fn hedges() {
    let mut course = Course::new(1);
    let nodes = nodes::<2>();
    let [first, second] = [nodes[0].id(), nodes[1].id()];
    let pool = course
        .pool(&nodes, |config| {
            config.hedge = Some(HedgeConfig::default().min_samples(1).delay(ms(20), ms(20)));
            config.budget = config.budget.clone().share(0.0).floor(0);
        })
        .await;
    pool.run(&Call, &Request::new()).await.unwrap();
    nodes[0].set(|script| script.call = Act::Slow(ms(40)));
    pool.run(&Call, &Request::new()).await.unwrap();
    course
        .of(&first, "requests_total", 2.0)
        .of(&first, "request_duration_ms_count", 2.0)
        .of(&first, "request_duration_ms_sum", 40.0)
        .of(&first, "connections_created_total", 1.0)
        .of(&first, "connect_duration_seconds_count", 1.0)
        .of(&first, "connections_total", 1.0)
        .of(&first, "connections_idle", 1.0)
        .of_pool("hedge_budget_exhausted_total", 1.0)
        .of_pool("retry_budget_exhausted_total", 1.0);
    course.check("one was refused");

    let mut config = PoolConfig::default();
    config.health.interval = s(24 * 3600);
    config.keepalive = None;
    config.hedge = Some(HedgeConfig::default().min_samples(1).delay(ms(20), ms(20)));
    let update = PoolUpdate::new(config)
        .keep(first.clone(), course.settings())
        .keep(second.clone(), course.settings());
    pool.apply(update).unwrap();
    nodes[0].set(|script| script.call = Act::Slow(s(5)));
    nodes[1].set(|script| script.call = Act::Slow(ms(30)));
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
    nodes[0].set(|script| script.call = Act::Slow(ms(40)));
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e0");
    nodes[0].set(|script| script.call = Act::Slow(s(5)));
    nodes[1].set(|script| script.call = Act::Slow(s(5)));
    tokio::time::timeout(ms(100), pool.run(&Call, &Request::new()))
        .await
        .unwrap_err();
    settle().await;
    course
        .of_pool_by("reconfigurations_total", "result=applied", 1.0)
        .of_pool("hedges_total", 3.0)
        .of_pool("hedges_won_total", 1.0)
        .of_pool("hedges_lost_total", 2.0)
        // the beaten ones are attempts of nobody
        .of(&first, "requests_total", 3.0)
        .of(&first, "request_duration_ms_count", 3.0)
        .of(&first, "request_duration_ms_sum", 80.0)
        .of(&first, "connections_created_total", 2.0)
        .of(&first, "connect_duration_seconds_count", 2.0)
        .of(&first, "connections_destroyed_total", 2.0)
        .by(&first, "connections_closed_total", "reason=cancelled", 2.0)
        .of(&first, "connections_total", 0.0)
        .of(&first, "connections_idle", 0.0)
        .of(&second, "requests_total", 1.0)
        .of(&second, "request_duration_ms_count", 1.0)
        .of(&second, "request_duration_ms_sum", 30.0)
        .of(&second, "connections_created_total", 2.0)
        .of(&second, "connect_duration_seconds_count", 2.0)
        .of(&second, "connections_destroyed_total", 2.0)
        .by(&second, "connections_closed_total", "reason=cancelled", 2.0);
    course.check("one won, one lost, one was given up");
}

/// Endpoints that leave and return, limits that fall, settings that are refused.
async fn changes() {
    let mut course = Course::new(2);
    let nodes = nodes::<2>();
    let ids = [nodes[0].id(), nodes[1].id()];
    let mut settings = PoolConfig::default();
    let pool = course.pool(&nodes, |config| settings = config.clone()).await;
    let leases = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    for lease in leases {
        lease.succeed();
    }
    let one = course.settings().max_connections(1);
    let update = PoolUpdate::new(settings.clone())
        .keep(ids[0].clone(), one.clone())
        .keep(ids[1].clone(), course.settings());
    pool.apply(update).unwrap();
    let unknown = EndpointId::new("unknown").unwrap();
    let update = PoolUpdate::new(settings.clone()).keep(unknown, one.clone());
    pool.apply(update).unwrap_err();
    settle().await;
    course
        .of(&ids[0], "requests_total", 2.0)
        .of(&ids[0], "request_duration_ms_count", 2.0)
        .of(&ids[0], "connections_created_total", 2.0)
        .of(&ids[0], "connect_duration_seconds_count", 2.0)
        .of(&ids[0], "connections_destroyed_total", 1.0)
        .by(&ids[0], "connections_closed_total", "reason=surplus", 1.0)
        .of(&ids[0], "connections_total", 1.0)
        .of(&ids[0], "connections_idle", 1.0)
        .of(&ids[0], "connections_max", 1.0)
        .of(&ids[0], "slots_max", 1.0)
        .of(&ids[0], "concurrency_limit", 1.0)
        .of_pool("slots_usable", 3.0)
        .of_pool("slots_free", 3.0)
        .of_pool_by("reconfigurations_total", "result=applied", 1.0)
        .of_pool_by("reconfigurations_total", "result=refused", 1.0);
    course.check("one change, one refusal");

    let update = PoolUpdate::new(settings.clone()).keep(ids[1].clone(), course.settings());
    pool.apply(update).unwrap();
    let before = course.expected.clone();
    course.forget(&ids[0]);
    course
        .of_pool("slots_usable", 2.0)
        .of_pool("slots_free", 2.0)
        .of_pool_by("reconfigurations_total", "result=applied", 2.0);
    course.check("one has left");

    sleep(s(2)).await;
    settings.connect_timeout = s(121);
    let update = PoolUpdate::new(settings)
        .endpoint(ids[0].clone(), Fake(nodes[0].clone()), one)
        .keep(ids[1].clone(), course.settings());
    pool.apply(update).unwrap();
    settle().await;
    course.expected = before;
    course
        .of(&ids[0], "connections_total", 0.0)
        .of(&ids[0], "connections_idle", 0.0)
        .of(&ids[0], "connections_destroyed_total", 2.0)
        .by(&ids[0], "connections_closed_total", "reason=shutdown", 1.0)
        .of(&ids[0], "health_check_duration_seconds_count", 2.0)
        .of_pool("timeouts_beyond_buckets", 1.0)
        .of_pool_by("reconfigurations_total", "result=applied", 3.0);
    course.check("it has returned, and goes on where it was");
}

/// A provider that asks for a pause, a node that is behind, a lease that is forgotten, a lifetime that ends.
async fn throttles_lags_and_leaks() {
    let mut course = Course::new(1);
    let nodes = nodes::<2>();
    let [first, second] = [nodes[0].id(), nodes[1].id()];
    nodes[0].set(|script| script.position = Some(100));
    nodes[1].set(|script| script.position = Some(90));
    let pool = course
        .pool(&nodes, |config| {
            config.health.interval = s(3600);
            config.health.jitter = 0.0;
            config.leak_after = Some(s(5));
            config.max_lifetime = s(60);
            config.idle_timeout = s(600);
        })
        .await;
    // a lag is what the other one's newest position says when it is checked
    sleep(s(3601)).await;
    course
        .of(&first, "block_height", 100.0)
        .of(&second, "block_height", 90.0);
    for node in &nodes {
        course.of(&node.id(), "health_check_duration_seconds_count", 2.0);
    }
    // of two the lower one is the reference: nobody can tell which is right
    course.check("two do not tell who is behind");

    let lease = pool.acquire().await.unwrap();
    sleep(s(7)).await;
    course
        .of(&first, "connections_total", 1.0)
        .of(&first, "connections_active", 1.0)
        .of(&first, "connections_created_total", 1.0)
        .of(&first, "connect_duration_seconds_count", 1.0)
        .of(&first, "slots_active", 1.0)
        .of_pool("slots_free", 1.0)
        .of_pool("lease_leaks_total", 1.0);
    course.check("a leak");
    let limited = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(30)));
    lease.fail(&Oops(limited));
    course
        .of(&first, "connections_active", 0.0)
        .of(&first, "connections_idle", 1.0)
        .of(&first, "slots_active", 0.0)
        .of(&first, "requests_total", 1.0)
        .of(&first, "request_duration_ms_count", 1.0)
        .of(&first, "request_duration_ms_sum", 7000.0)
        .by(&first, "errors_total", "error_type=rate_limited", 1.0)
        .of(&first, "throttle_status", 1.0)
        .by(&first, "throttles_total", "cause=cool_down", 1.0)
        .of(&first, "endpoint_weight", 0.0)
        .of_pool("slots_usable", 1.0);
    course.check("throttled");
    sleep(s(60)).await;
    course
        .of(&first, "throttle_status", 0.0)
        .of(&first, "endpoint_weight", 1.0)
        .of(&first, "connections_total", 0.0)
        .of(&first, "connections_idle", 0.0)
        .of(&first, "connections_destroyed_total", 1.0)
        .by(&first, "connections_closed_total", "reason=expired", 1.0)
        .of_pool("slots_usable", 2.0)
        .of_pool("slots_free", 2.0);
    course.check("a minute later");
}

/// Three nodes of one height, of which one has an old head; and all heads grow older.
async fn head_ages() {
    let mut course = Course::new(1);
    let nodes = nodes::<3>();
    for (node, age) in nodes.iter().zip([10, 12, 70]) {
        node.set(|script| (script.position, script.age) = (Some(100), Some(s(age))));
    }
    // a limit, so that ages are asked for; nobody is beyond it
    let _pool = course
        .pool(&nodes, |config| config.health.max_lag_time = Some(s(600)))
        .await;
    sleep(s(5)).await;
    for (node, age) in nodes.iter().zip([15.0, 17.0, 75.0]) {
        course
            .of(&node.id(), "block_height", 100.0)
            .of(&node.id(), "head_age_seconds", age);
    }
    course.of_pool("reference_head_age_seconds", 17.0);
    course.check("five seconds after the checks");
}

/// Checks fail, and with too few left the pool panics.
async fn panic() {
    let mut course = Course::new(1);
    let nodes = nodes::<3>();
    for (node, position) in nodes.iter().zip([100, 100, 93]) {
        node.set(|script| script.position = Some(position));
    }
    let pool = course
        .pool(&nodes, |config| {
            config.health.interval = s(100);
            config.health.jitter = 0.0;
            config.panic_threshold = Some(0.5);
            config.breaker.consecutive_failures = 0;
        })
        .await;
    pool.acquire().await.unwrap().neutral();
    for node in &nodes[..2] {
        node.set(|script| script.check = Act::Slow(s(3600)));
    }
    // the second failure in a row is the one that counts; each has its three seconds
    sleep(s(215)).await;
    for node in &nodes[..2] {
        course
            .of(&node.id(), "health_status", 1.0)
            .of(&node.id(), "health_check_failures_total", 2.0)
            .of(&node.id(), "health_check_duration_seconds_count", 3.0)
            .of(&node.id(), "health_check_duration_seconds_sum", 6.0);
    }
    let [first, _, third] = [nodes[0].id(), nodes[1].id(), nodes[2].id()];
    course
        .of(&third, "health_check_duration_seconds_count", 3.0)
        .of(&first, "block_height", 100.0)
        .of(&nodes[1].id(), "block_height", 100.0)
        .of(&third, "block_height", 93.0)
        .of(&third, "block_lag", 7.0)
        .of(&first, "connections_created_total", 1.0)
        .of(&first, "connect_duration_seconds_count", 1.0)
        .of(&first, "connections_destroyed_total", 1.0)
        .by(&first, "connections_closed_total", "reason=idle", 1.0)
        .of_pool("panic_threshold_active", 1.0)
        .of_pool("slots_usable", 1.0)
        .of_pool("slots_free", 1.0);
    course.check("panic");
}

/// One of three that errs is left out.
async fn an_outlier() {
    let mut course = Course::new(64);
    let nodes = nodes::<3>();
    let pool = course
        .pool(&nodes, |config| {
            config.outlier = Some(OutlierConfig::default());
            config.breaker.consecutive_failures = 0;
        })
        .await;
    for request in 0..30 * 25 {
        let node = &nodes[request % 3];
        let fails = request % 3 == 1 && request % 30 < 10;
        let avoid = nodes.iter().filter(|other| other.id() != node.id());
        let request = avoid.fold(Request::new(), |request, other| request.avoid(other.id()));
        if pool.snapshot().endpoints[1].ejected_until.is_some() {
            break;
        }
        let lease = pool.acquire_with(&request).await.unwrap();
        assert_eq!(lease.endpoint(), &node.id());
        if fails {
            lease.fail(&Oops(
                Verdict::of(ErrorType::NodeInternal).with_keep_connection(true),
            ));
        } else {
            lease.succeed();
        }
        sleep(Duration::from_micros(33_333)).await;
    }
    let snapshot = pool.snapshot();
    assert!(snapshot.endpoints[1].ejected_until.is_some(), "{snapshot:?}");
    for (node, endpoint) in nodes.iter().zip(&snapshot.endpoints) {
        let id = node.id();
        course
            .of(&id, "requests_total", endpoint.requests as f64)
            .of(&id, "request_duration_ms_count", endpoint.requests as f64)
            .of(&id, "connections_created_total", node.connects() as f64)
            .of(&id, "connect_duration_seconds_count", node.connects() as f64)
            .of(&id, "connections_total", node.sockets() as f64)
            .of(&id, "connections_idle", node.sockets() as f64);
    }
    let failed: u64 = snapshot.endpoints[1].errors.iter().sum();
    let out = nodes[1].id();
    course
        .by(&out, "errors_total", "error_type=node_internal", failed as f64)
        .of(&out, "ejection_status", 1.0)
        .of(&out, "ejections_total", 1.0)
        .of(&out, "endpoint_weight", 0.0)
        .of_pool("slots_usable", 128.0)
        .of_pool("slots_free", 128.0);
    course.check("left out");
}

/// A quota of three units, one of which goes to the first check.
async fn a_quota() {
    let mut course = Course::new(4);
    course.quota = Some(QuotaConfig::per_second(1.0).burst(3));
    let nodes = nodes::<1>();
    let id = nodes[0].id();
    let pool = course.pool(&nodes, |_| {}).await;
    pool.run(&Call, &Request::new()).await.unwrap();
    course
        .of(&id, "requests_total", 1.0)
        .of(&id, "request_duration_ms_count", 1.0)
        .of(&id, "connections_created_total", 1.0)
        .of(&id, "connect_duration_seconds_count", 1.0)
        .of(&id, "connections_total", 1.0)
        .of(&id, "connections_idle", 1.0)
        .of(&id, "quota_left", 1.0)
        .of(&id, "quota_limit", 3.0);
    course.check("one unit is left");
    pool.run(&Call, &Request::new()).await.unwrap();
    course
        .of(&id, "requests_total", 2.0)
        .of(&id, "request_duration_ms_count", 2.0)
        .of(&id, "quota_left", 0.0)
        .of(&id, "throttle_status", 1.0)
        .by(&id, "throttles_total", "cause=quota", 1.0)
        .of(&id, "endpoint_weight", 0.0)
        .of_pool("slots_usable", 0.0)
        .of_pool("slots_free", 0.0);
    course.check("none is left");
}
