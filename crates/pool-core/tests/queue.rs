//! The line: first in, first out, bounded, in time, and nobody is lost in it.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use pool_core::*;
use tokio::time::Instant;

type Order = Arc<Mutex<Vec<usize>>>;

fn spawn_waiter(pool: &Pool<Fake>, number: usize, order: &Order) -> tokio::task::JoinHandle<()> {
    let (pool, order) = (pool.clone(), Arc::clone(order));
    tokio::spawn(async move {
        let lease = pool.acquire().await.unwrap();
        order.lock().unwrap().push(number);
        tokio::task::yield_now().await;
        lease.succeed();
    })
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waiters_on_one_slot_are_served_in_order() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let order = Order::default();
    let mut tasks = Vec::new();
    for number in 0..100 {
        tasks.push(spawn_waiter(&pool, number, &order));
        settle().await;
    }
    assert_eq!(pool.snapshot().queue_size, 100);
    held.succeed();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    assert_eq!(nodes[0].connects(), 1, "one connection went from hand to hand");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_never_overtakes_the_line() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let order = Order::default();
    let waiter = spawn_waiter(&pool, 0, &order);
    settle().await;
    // the slot is given to the waiter, which has not run yet; the newcomer asks in this very moment
    held.succeed();
    let newcomer = {
        let order = Arc::clone(&order);
        let acquire = pool.acquire();
        async move {
            let lease = acquire.await.unwrap();
            order.lock().unwrap().push(1);
            lease.succeed();
        }
    };
    newcomer.await;
    waiter.await.unwrap();
    assert_eq!(*order.lock().unwrap(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_more_than_the_line_holds_is_rejected_at_once() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| config.max_waiters = 2).await;
    let held = pool.acquire().await.unwrap();
    let order = Order::default();
    let waiters = [0, 1].map(|number| spawn_waiter(&pool, number, &order));
    settle().await;
    let before = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    assert!(
        matches!(error, AcquireError::QueueFull { max_waiters: 2, .. }),
        "{error}"
    );
    assert_eq!(Instant::now(), before);
    assert_eq!(pool.snapshot().queue_rejections, 1);
    held.succeed();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert!(pool.acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_waiting_is_switched_off() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| config.max_waiters = 0).await;
    let held = pool.acquire().await.unwrap();
    assert!(matches!(
        pool.acquire().await,
        Err(AcquireError::QueueFull { .. })
    ));
    held.succeed();
    assert!(pool.acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_and_counted() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let before = Instant::now();
    let error = pool.acquire_within(ms(300)).await.unwrap_err();
    let AcquireError::QueueTimeout { waited, .. } = &error else {
        panic!("{error}")
    };
    assert!(*waited >= ms(300) && *waited < ms(310), "{waited:?}");
    assert!(before.elapsed() >= ms(300));
    assert!(error.is_retryable());
    assert_eq!(error.fault(), Fault::Local);
    let snapshot = pool.snapshot();
    assert_eq!((snapshot.queue_timeouts, snapshot.queue_size), (1, 0));
    held.succeed();
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_or_after_its_turn_came_hands_on() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    for granted in [false, true] {
        let held = pool.acquire().await.unwrap();
        let mut leaver = tokio_test::task::spawn(pool.acquire());
        assert!(leaver.poll().is_pending());
        let mut stayer = tokio_test::task::spawn(pool.acquire());
        assert!(stayer.poll().is_pending());
        if granted {
            held.succeed();
            assert!(
                leaver.is_woken() && !stayer.is_woken(),
                "it was the leaver's turn"
            );
            drop(leaver);
        } else {
            drop(leaver);
            held.succeed();
        }
        assert!(stayer.is_woken(), "granted: {granted}");
        let tokio_test_ready = stayer.poll();
        let std::task::Poll::Ready(Ok(lease)) = tokio_test_ready else {
            panic!("granted: {granted}: the next in line was not served")
        };
        lease.succeed();
        drop(stayer);
        all_returned(&pool, &nodes, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_served_when_time_alone_makes_slots_usable_again() {
    let nodes = nodes::<3>();
    let pool = pool(&nodes, 2, |_| {}).await;
    for node in &nodes {
        node.set(|script| {
            script.call = Act::Error(ErrorType::RateLimited);
            script.throttle = Some(s(1));
        });
    }
    let once = Request::new().max_attempts(3);
    assert!(pool.run(&Call, &once).await.is_err());
    assert!(
        pool.explain().iter().all(|endpoint| !endpoint.is_usable()),
        "all are throttled: {:?}",
        pool.explain()
    );
    assert_eq!(pool.snapshot().slots_usable, 0);
    let throttled = Instant::now();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(Lease::succeed) })
        })
        .collect();
    settle().await;
    assert_eq!(
        pool.snapshot().queue_size,
        100,
        "all slots are free, and all wait"
    );
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let waited = throttled.elapsed();
    assert!(waited >= ms(800) && waited <= ms(1100), "{waited:?}");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_as_soon_as_waiting_becomes_pointless() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let waiter = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.acquire_within(s(2)).await.map(Lease::succeed) })
    };
    let patient = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.acquire_within(s(60)).await.map(Lease::succeed) })
    };
    settle().await;
    let before = Instant::now();
    held.fail(&Oops(
        Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(30))),
    ));
    let error = waiter.await.unwrap().unwrap_err();
    assert!(matches!(error, AcquireError::NoHealthyEndpoint { .. }), "{error}");
    assert_eq!(
        Instant::now(),
        before,
        "it did not wait for what cannot come in time"
    );
    assert_eq!(error.retry_after(), Some(s(30)));
    // nor may being told early hide what operators are woken by: both would have run out of time
    let hasty = pool.acquire_within(s(2)).await.map(Lease::succeed);
    assert!(matches!(hasty, Err(AcquireError::NoHealthyEndpoint { .. })));
    assert_eq!(pool.snapshot().queue_timeouts, 2);
    patient.await.unwrap().unwrap();
    assert!(
        before.elapsed() >= s(30),
        "who has the time is served when the throttle ends"
    );
}

#[tokio::test(start_paused = true)]
async fn the_longest_deadline_is_none() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    pool.acquire_within(std::time::Duration::MAX)
        .await
        .unwrap()
        .succeed();
    let forever = Request::new().timeout(std::time::Duration::MAX);
    pool.run(&Call, &forever).await.unwrap();
    // an absurd Retry-After must not bring the accounting down either
    pool.acquire().await.unwrap().fail(&Oops(
        Verdict::of(ErrorType::RateLimited).with_throttle(Some(std::time::Duration::MAX)),
    ));
    all_returned(&pool, &nodes, "afterwards");
    assert!(matches!(
        pool.acquire().await,
        Err(AcquireError::NoHealthyEndpoint { .. })
    ));
}
