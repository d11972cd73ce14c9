//! Who comes before whom in the line, and who may use what: priorities, ageing, demanded positions.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::*;
use pool_core::*;
use tokio::{task::JoinHandle, time::Instant};

type Order = Arc<Mutex<Vec<&'static str>>>;

fn high() -> Request {
    Request::new().priority(Priority::High)
}

fn low() -> Request {
    Request::new().priority(Priority::Low)
}

/// Joins the line now; holds the slot for so long when its turn has come.
async fn join(
    pool: &Pool<Fake>,
    request: Request,
    name: &'static str,
    holds: Duration,
    order: &Order,
) -> JoinHandle<()> {
    let (pool, order) = (pool.clone(), Arc::clone(order));
    let request = request.timeout(s(60));
    let task = tokio::spawn(async move {
        let lease = pool.acquire_with(&request).await.unwrap();
        order.lock().unwrap().push(name);
        tokio::time::sleep(holds).await;
        lease.succeed();
    });
    settle().await;
    task
}

#[tokio::test(start_paused = true)]
async fn a_claim_overtakes_polling_and_equals_stay_in_order() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let order = Order::default();
    let mut tasks = Vec::new();
    for (request, name) in [
        (low(), "poll 1"),
        (Request::new(), "call 1"),
        (low(), "poll 2"),
        (high(), "claim 1"),
        (Request::new(), "call 2"),
        (high(), "claim 2"),
    ] {
        tasks.push(join(&pool, request, name, ms(1), &order).await);
    }
    held.succeed();
    for task in tasks {
        task.await.unwrap();
    }
    let expected = ["claim 1", "claim 2", "call 1", "call 2", "poll 1", "poll 2"];
    assert_eq!(*order.lock().unwrap(), expected);
    all_returned(&pool, &nodes, "afterwards");
}

/// A claim comes every 100 ms and takes all there is. What has waited a second (two for the lowest) is not overtaken by
/// those who come from then on.
#[tokio::test(start_paused = true)]
async fn a_flood_of_claims_does_not_starve_polling() {
    for (request, ageing, least, most) in [
        (Request::new(), s(1), ms(900), ms(1_300)),
        (low(), s(1), ms(1_900), ms(2_300)),
        (low(), s(3), ms(5_900), ms(6_300)),
        (low(), s(0), ms(0), ms(200)),
    ] {
        let nodes = nodes::<1>();
        let pool = pool(&nodes, 1, |config| config.priority_ageing = ageing).await;
        let held = pool.acquire().await.unwrap();
        let order = Order::default();
        let mut flood = Vec::new();
        if !ageing.is_zero() {
            flood.push(join(&pool, high(), "claim", ms(100), &order).await);
        }
        let begun = Instant::now();
        let waiter = join(&pool, request.clone(), "poll", ms(1), &order).await;
        held.succeed();
        while !waiter.is_finished() && begun.elapsed() < s(30) {
            flood.push(join(&pool, high(), "claim", ms(100), &order).await);
            tokio::time::sleep(ms(100)).await;
        }
        let waited = begun.elapsed();
        assert!(
            (least..=most).contains(&waited),
            "{:?}, ageing {ageing:?}: {waited:?}",
            request.priority
        );
        for task in flood {
            task.await.unwrap();
        }
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_behind_a_stricter_neighbour() {
    let nodes = nodes::<1>();
    nodes[0].set(|script| script.position = Some(100));
    let pool = pool(&nodes, 1, |config| config.max_waiters = 2).await;
    let order = Order::default();
    let strict = join(&pool, high().min_position(101), "strict", ms(1), &order).await;
    let stricter = join(&pool, high().min_position(102), "stricter", ms(1), &order).await;
    assert_eq!(pool.snapshot().queue_size, 2);
    // the slot is free, and the line, which is full, cannot use it: newcomers take it at once
    let before = Instant::now();
    pool.acquire().await.unwrap().succeed();
    let held = pool.acquire_with(&low().min_position(100)).await.unwrap();
    assert_eq!(Instant::now(), before);
    assert!(matches!(
        pool.acquire().await,
        Err(AcquireError::QueueFull { .. })
    ));
    drop(stricter);
    held.succeed();
    nodes[0].set(|script| script.position = Some(102));
    strict.await.unwrap();
    settle().await;
    assert_eq!(order.lock().unwrap()[0], "strict", "the older of the two first");
}

#[tokio::test(start_paused = true)]
async fn a_later_check_satisfies_who_demands_a_position() {
    let nodes = nodes::<2>();
    for (node, position) in nodes.iter().zip([100, 90]) {
        node.set(|script| script.position = Some(position));
    }
    let pool = pool(&nodes, 4, |_| {}).await;
    let demanding = Request::new().min_position(105).timeout(s(30));
    let order = Order::default();
    let begun = Instant::now();
    let waiter = join(&pool, demanding.clone(), "waiter", ms(1), &order).await;
    tokio::time::sleep(s(7)).await;
    assert!(order.lock().unwrap().is_empty(), "both are behind");
    nodes[1].set(|script| script.position = Some(105));
    waiter.await.unwrap();
    let waited = begun.elapsed();
    assert!(
        waited > s(7) && waited < s(14),
        "{waited:?}: the next check tells"
    );
    // from now on it is had at once, and only there
    for _ in 0..4 {
        let lease = pool.acquire_with(&demanding).await.unwrap();
        assert_eq!(*lease.endpoint(), nodes[1].id());
        lease.succeed();
    }
    let ran = pool.run(&Call, &demanding).await.unwrap();
    assert_eq!(ran, "e1");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_demand_that_nothing_can_meet_in_time_is_refused_with_the_reason() {
    let nodes = nodes::<2>();
    nodes[0].set(|script| script.position = Some(100));
    let pool = pool(&nodes, 1, |_| {}).await;
    let begun = Instant::now();
    let demanding = Request::new().min_position(200);
    // checks come every 5 s or so: no position is told within 1 s
    let error = pool
        .acquire_with(&demanding.clone().timeout(s(1)))
        .await
        .unwrap_err();
    assert_eq!(Instant::now(), begun, "at once");
    let text = error.to_string();
    assert!(
        text.contains("e0: at position 100, 200 needed") && text.contains("e1: position unknown, 200 needed"),
        "{text}"
    );
    let AcquireError::NoHealthyEndpoint { reasons, .. } = error else {
        panic!("{text}")
    };
    assert!(matches!(
        reasons.0[0].reason,
        NotUsable::Behind {
            position: Some(100),
            needed: 200
        }
    ));
    // with time for two checks it waits, and is told why in the end, as soon as no further check can help
    let error = pool
        .run(&Call, &demanding.max_attempts(1).timeout(s(12)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("200 needed"), "{error}");
    assert!(begun.elapsed() <= s(12));
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_avoided_is_used_only_when_there_is_nothing_else() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let request = Request::new()
        .avoid(nodes[0].id())
        .avoid(EndpointId::new("unknown").unwrap())
        .timeout(s(1));
    let held = pool.acquire_with(&request).await.unwrap();
    assert_eq!(*held.endpoint(), nodes[1].id());
    // the other is free, and it waits all the same
    assert!(matches!(
        pool.acquire_with(&request).await,
        Err(AcquireError::QueueTimeout { .. })
    ));
    held.fail(&Oops(
        Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(60))),
    ));
    let lease = pool.acquire_with(&request).await.unwrap();
    assert_eq!(*lease.endpoint(), nodes[0].id());
    lease.succeed();
    assert_eq!(pool.run(&Call, &request).await.unwrap(), "e0");
    all_returned(&pool, &nodes, "afterwards");
}

/// Callers of every priority and many demands wait for nodes of different heights that rise; all are served.
#[tokio::test(start_paused = true)]
async fn a_line_of_mixed_requirements_drains() {
    let nodes = nodes::<3>();
    for (node, position) in nodes.iter().zip([100, 110, 120]) {
        node.set(|script| script.position = Some(position));
    }
    let pool = pool(&nodes, 2, |config| config.max_waiters = 3_000).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(pool.acquire().await.unwrap());
    }
    let tasks: Vec<_> = (0..3_000_u64)
        .map(|number| {
            let pool = pool.clone();
            let mut request = [low(), Request::new(), high()][(number % 3) as usize].clone();
            if number % 2 == 0 {
                request = request.min_position(90 + number % 50);
            }
            if number % 5 == 0 {
                request = request.avoid(EndpointId::new("e2").unwrap());
            }
            tokio::spawn(async move {
                let lease = pool.acquire_with(&request.timeout(s(600))).await.unwrap();
                tokio::time::sleep(ms(1)).await;
                lease.succeed();
            })
        })
        .collect();
    settle().await;
    assert_eq!(pool.snapshot().queue_size, 3_000);
    held.into_iter().for_each(Lease::succeed);
    for height in 121..=140 {
        tokio::time::sleep(s(6)).await;
        nodes[2].set(|script| script.position = Some(height));
    }
    for task in tasks {
        task.await.unwrap();
    }
    all_returned(&pool, &nodes, "afterwards");
}
