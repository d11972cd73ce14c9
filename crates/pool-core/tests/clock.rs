//! Who waits in line gives up in time, on whatever runtime it waits, and whatever becomes of the others.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::Poll,
    time::Duration,
};

use common::*;
use pool_core::*;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

type Caller = Pin<Box<dyn Future<Output = Result<Lease<Fake>, AcquireError<Oops>>> + Send>>;

fn caller(pool: &Pool<Fake>, patience: Duration) -> Caller {
    let pool = pool.clone();
    Box::pin(async move { pool.acquire_within(patience).await })
}

/// Stands in line on the runtime that it is called on.
async fn stand(caller: &mut Caller) {
    poll_fn(|cx| {
        assert!(caller.as_mut().poll(cx).is_pending(), "there is no slot");
        Poll::Ready(())
    })
    .await;
}

fn has_run_out_of_time(result: Result<Lease<Fake>, AcquireError<Oops>>) -> Duration {
    match result {
        Err(AcquireError::QueueTimeout { waited, .. }) => waited,
        other => panic!("{other:?}"),
    }
}

/// A runtime with a clock that is not paused, and a pool on it whose only slot is held.
fn busy_pool() -> (Runtime, Pool<Fake>, Lease<Fake>) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (pool, held) = runtime.block_on(async {
        let pool = build(&nodes::<1>(), 1, |_| {});
        assert!(pool.ready(s(20)).await);
        let held = pool.acquire_within(s(20)).await.unwrap();
        (pool, held)
    });
    (runtime, pool, held)
}

fn another() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// In good time, on a busy machine too; a lost time-out lasts a minute or more.
const SOON: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn each_of_many_gives_up_at_its_own_deadline() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| config.max_waiters = 10_000).await;
    let held = pool.acquire().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut rng = fastrand::Rng::with_seed(7);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..2_000)
        .map(|_| {
            let patience = ms(rng.u64(1..30_000));
            let (pool, order) = (pool.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                let waited = has_run_out_of_time(pool.acquire_within(patience).await);
                assert!(
                    waited >= patience && waited <= patience + ms(1),
                    "{waited:?} of {patience:?}"
                );
                order.lock().unwrap().push(patience);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(order.lock().unwrap().is_sorted());
    assert!(begun.elapsed() <= s(30) + ms(1));
    assert_eq!(pool.snapshot().queue_timeouts, 2_000);
    held.succeed();
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_already_is_over_at_once() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let before = Instant::now();
    assert_eq!(
        has_run_out_of_time(pool.acquire_within(Duration::ZERO).await),
        Duration::ZERO
    );
    assert_eq!(before.elapsed(), Duration::ZERO);
    // and those who come after it are on time
    let waited = has_run_out_of_time(pool.acquire_within(s(3)).await);
    assert!(waited >= s(3) && waited <= s(3) + ms(1), "{waited:?}");
    held.succeed();
}

/// The task has no share of time left when the timer is set.
#[tokio::test(start_paused = true)]
async fn a_caller_who_has_used_up_its_share_of_time_gives_up_in_time() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |_| {}).await;
    let held = pool.acquire().await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut waiter = caller(&pool, s(3));
        poll_fn(|cx| {
            while tokio::task::coop::has_budget_remaining() {
                if let Poll::Ready(spend) = tokio::task::coop::poll_proceed(cx) {
                    spend.made_progress();
                }
            }
            Poll::Ready(())
        })
        .await;
        stand(&mut waiter).await;
        has_run_out_of_time(waiter.await)
    });
    let waited = tokio::time::timeout(s(30), waiting).await.unwrap().unwrap();
    assert!(waited <= s(3) + ms(1), "{waited:?}");
    held.succeed();
}

/// It is given a slot that may not be used any more when it looks, stands in line again, and others come first.
#[tokio::test(start_paused = true)]
async fn who_stands_in_line_again_gives_up_in_time() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 2, |_| {}).await;
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut waiter = caller(&pool, s(3));
    stand(&mut waiter).await;
    let begun = Instant::now();
    first.succeed();
    let throttled = Verdict::of(ErrorType::RateLimited).with_throttle(Some(s(1)));
    second.fail(&Oops(throttled));
    stand(&mut waiter).await;
    let urgent = || {
        let pool = pool.clone();
        tokio::spawn(async move {
            let request = Request::new().priority(Priority::High);
            pool.acquire_with(&request).await
        })
    };
    let urgent = [urgent(), urgent()];
    tokio::time::sleep(ms(1_500)).await;
    has_run_out_of_time(tokio::time::timeout(s(30), waiter).await.unwrap());
    assert!(begun.elapsed() >= s(3) && begun.elapsed() <= s(3) + ms(1));
    for lease in urgent {
        lease.await.unwrap().unwrap().succeed();
    }
    all_returned(&pool, &nodes, "afterwards");
}

#[test]
fn a_runtime_that_nobody_drives_delays_nobody_elsewhere() {
    let (runtime, pool, held) = busy_pool();
    let idle = another();
    // the first to set a timer, and the first to give up, on a runtime that is not driven from then on
    let mut stuck = caller(&pool, ms(20));
    idle.block_on(stand(&mut stuck));
    let waited = runtime.block_on(async {
        let waiting = tokio::spawn(caller(&pool, ms(50)));
        tokio::time::timeout(SOON, waiting).await
    });
    has_run_out_of_time(waited.unwrap().unwrap());
    // once it is driven, it gives up too
    has_run_out_of_time(
        idle.block_on(async { tokio::time::timeout(SOON, stuck).await })
            .unwrap(),
    );
    held.succeed();
}

#[test]
fn a_runtime_that_ends_delays_nobody_elsewhere() {
    let (runtime, pool, held) = busy_pool();
    for round in 0..3 {
        let short = another();
        short.spawn(caller(&pool, ms(20)));
        let mut waiter = caller(&pool, MINUTE);
        short.block_on(stand(&mut waiter));
        if round == 1 {
            short.shutdown_background();
        } else {
            drop(short);
        }
        drop(waiter);
        assert_eq!(pool.snapshot().queue_size, 0);
        let waited = runtime.block_on(async {
            let waiting = tokio::spawn(caller(&pool, ms(20)));
            tokio::time::timeout(SOON, waiting).await
        });
        has_run_out_of_time(waited.unwrap().unwrap());
    }
    held.succeed();
}

/// Its runtime ends, and it goes on elsewhere.
#[test]
fn who_moves_to_another_runtime_gives_up_there_in_time() {
    let (runtime, pool, held) = busy_pool();
    let first = another();
    let mut waiter = caller(&pool, ms(100));
    first.block_on(stand(&mut waiter));
    let moved = runtime.spawn(waiter);
    drop(first);
    let waited = runtime.block_on(async { tokio::time::timeout(SOON, moved).await });
    has_run_out_of_time(waited.unwrap().unwrap());
    held.succeed();
}

/// As everybody who sleeps there.
#[test]
fn who_waits_where_no_timer_runs_panics_and_leaves_nothing_behind() {
    let (runtime, pool, held) = busy_pool();
    let timeless = Builder::new_current_thread().build().unwrap();
    let ended = another();
    let handle = ended.handle().clone();
    drop(ended);
    let waits: [&dyn Fn(); 3] = [
        &|| drop(timeless.block_on(caller(&pool, MINUTE))),
        &|| drop(handle.block_on(caller(&pool, MINUTE))),
        &|| {
            let waker = std::task::Waker::noop();
            let _pending = caller(&pool, MINUTE)
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
        },
    ];
    let panicked = waits.map(|wait| catch_unwind(AssertUnwindSafe(wait)).is_err());
    assert_eq!(panicked, [true; 3]);
    assert_eq!(pool.snapshot().queue_size, 0);
    let waited = runtime.block_on(async { tokio::time::timeout(SOON, caller(&pool, ms(20))).await });
    has_run_out_of_time(waited.unwrap());
    held.succeed();
}

/// Many runtimes, one after the other, as tests have them that share a pool.
#[test]
fn a_pool_outlives_many_runtimes_that_wait_on_it() {
    let (_runtime, pool, held) = busy_pool();
    for _ in 0..200 {
        let short = another();
        let tasks: Vec<_> = (0..3).map(|_| short.spawn(caller(&pool, MINUTE))).collect();
        short.block_on(tokio::task::yield_now());
        assert_eq!(pool.snapshot().queue_size, 3);
        drop(short);
        drop(tasks);
        assert_eq!(pool.snapshot().queue_size, 0);
    }
    held.succeed();
}

/// A timer that is still set keeps nothing of a pool that is gone.
#[tokio::test(start_paused = true)]
async fn a_timer_does_not_keep_the_pool() {
    #[derive(Default)]
    struct Sees(Mutex<Option<Weak<dyn Source>>>);
    impl EndpointObserver for Sees {
        fn attempt_ended(&self, _: Duration, _: Option<ErrorType>) {}
    }
    impl Observer for Sees {
        fn attached(&self, _: &PoolId, source: Weak<dyn Source>) {
            *self.0.lock().unwrap() = Some(source);
        }
        fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
            Arc::new(Self::default())
        }
    }
    let nodes = nodes::<1>();
    let sees = Arc::new(Sees::default());
    let pool = Pool::builder(PoolId::new("gone").unwrap())
        .endpoint(
            nodes[0].id(),
            Fake(nodes[0].clone()),
            EndpointConfig::default().max_connections(1),
        )
        .observer(Arc::clone(&sees) as _)
        .build()
        .unwrap();
    settle().await;
    let held = pool.acquire().await.unwrap();
    let mut waiter = caller(&pool, MINUTE);
    stand(&mut waiter).await;
    drop((waiter, held, pool));
    settle().await;
    let source = sees.0.lock().unwrap().take().unwrap();
    assert!(source.upgrade().is_none(), "something keeps it");
    tokio::time::sleep(2 * MINUTE).await;
}
