#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    future::{pending, ready},
    pin::pin,
    time::Duration,
};

use tokio::{runtime::Builder, task::yield_now, time::advance};

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Waits for nothing, and tells how long.
async fn hang(timer: &mut ReusableTimer, patience: Duration) -> Duration {
    let begun = Instant::now();
    let nothing = timer.timeout_at(begun + patience, pin!(pending::<()>())).await;
    assert!(nothing.is_none());
    begun.elapsed()
}

/// A request that takes a while.
async fn takes(timer: &mut ReusableTimer, patience: Duration, time: Duration) -> bool {
    let request = pin!(tokio::time::sleep(time));
    timer
        .timeout_at(Instant::now() + patience, request)
        .await
        .is_some()
}

/// What the timer is set to.
fn set_to(timer: &ReusableTimer) -> Option<Instant> {
    timer.0.as_ref().map(|set| set.sleep.deadline())
}

#[tokio::test(start_paused = true)]
async fn each_deadline_is_kept_whatever_the_ones_before_were() {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut timer = ReusableTimer::new();
    for _ in 0..500 {
        let patience = Duration::from_millis(rng.u64(1..60_000));
        if rng.bool() {
            let time = Duration::from_millis(rng.u64(0..120_000));
            assert_eq!(takes(&mut timer, patience, time).await, time <= patience);
        } else {
            assert_eq!(hang(&mut timer, patience).await, patience);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_answered_set_it_once() {
    let mut timer = ReusableTimer::new();
    let first = Instant::now() + s(30);
    for _ in 0..1000 {
        assert!(takes(&mut timer, s(30), Duration::from_millis(1)).await);
        assert_eq!(set_to(&timer), Some(first));
    }
    assert_eq!(hang(&mut timer, s(60)).await, s(60), "longer than it is set to");
    assert!(takes(&mut timer, s(30), s(1)).await);
    assert_eq!(hang(&mut timer, s(5)).await, s(5), "shorter than it is set to");
}

#[tokio::test(start_paused = true)]
async fn what_is_there_at_once_needs_no_timer_and_comes_also_late() {
    let mut timer = ReusableTimer::new();
    let past = Instant::now();
    advance(s(9)).await;
    assert_eq!(timer.timeout_at(past, pin!(ready(7))).await, Some(7));
    assert!(set_to(&timer).is_none());
    assert_eq!(timer.timeout_at(past, pin!(pending::<()>())).await, None);
}

/// The one that it was last set for is long gone.
#[tokio::test(start_paused = true)]
async fn it_wakes_the_task_that_waits_now() {
    let mut timer = ReusableTimer::new();
    for _ in 0..3 {
        timer = tokio::spawn(async move {
            assert!(takes(&mut timer, s(30), s(1)).await);
            timer
        })
        .await
        .unwrap();
    }
    let begun = Instant::now();
    let hung = tokio::spawn(async move { hang(&mut timer, s(30)).await });
    // with nothing to wake it this would last for ever, and the clock would run to the day
    assert_eq!(
        tokio::time::timeout(s(24 * 3600), hung).await.unwrap().unwrap(),
        s(30)
    );
    assert_eq!(begun.elapsed(), s(30));
}

/// A timer of a runtime that nobody drives, or that is gone, never rings.
#[test]
fn it_rings_on_the_runtime_where_somebody_waits() {
    let runtime = || {
        Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (idle, gone, here) = (runtime(), runtime(), runtime());
    let mut timer = ReusableTimer::new();
    for other in [Some(gone), None] {
        let set_by = other.as_ref().unwrap_or(&idle);
        assert!(set_by.block_on(takes(&mut timer, s(5), s(1))));
        drop(other);
        assert_eq!(here.block_on(hang(&mut timer, s(30))), s(30));
    }
}

/// A future that is always busy uses up the task's share of time before the timer is asked.
#[tokio::test(start_paused = true)]
async fn a_future_that_never_rests_is_cut_off_too() {
    let busy = tokio::spawn(async {
        let mut timer = ReusableTimer::new();
        let never = pin!(async {
            loop {
                tokio::task::consume_budget().await;
            }
        });
        timer.timeout_at(Instant::now() + s(5), never).await.is_none()
    });
    yield_now().await;
    assert!(!busy.is_finished());
    advance(s(6)).await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(busy.is_finished());
    assert!(busy.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_leaves_it_fit_for_the_next() {
    let mut timer = ReusableTimer::new();
    for patience in [30, 10, 30] {
        tokio::select! {
            _ = hang(&mut timer, s(patience)) => panic!("it was given up"),
            () = tokio::time::sleep(s(1)) => {}
        }
    }
    assert_eq!(hang(&mut timer, s(20)).await, s(20));
}
