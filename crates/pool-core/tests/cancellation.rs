//! A future dropped at any await gives everything back.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{future::Future, pin::Pin, task::Poll};

use common::*;
use pool_core::*;

/// Polls the future `polls` times, letting the others run and `step` of time pass in between, and drops it. Returns
/// whether it ended before.
async fn drop_after<F: Future>(mut future: Pin<Box<F>>, polls: usize, step: std::time::Duration) -> bool {
    for _ in 0..polls {
        let ended = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if ended {
            return true;
        }
        tokio::time::sleep(step).await;
        settle().await;
    }
    false
}

/// Name, and what the nodes do.
type Scenario = (&'static str, fn(&mut Script));

/// The scenarios: each makes another await the one that takes long.
fn scenarios() -> Vec<Scenario> {
    vec![
        ("all is well", |_| {}),
        ("slow connect", |script| script.connect = Act::Slow(ms(25))),
        ("slow open", |script| script.open = Act::Slow(ms(25))),
        ("slow recycle", |script| {
            script.recycle = Act::Slow(ms(25));
            script.clean = false;
        }),
        ("slow call", |script| script.call = Act::Slow(ms(25))),
        ("everything slow", |script| {
            (script.connect, script.open) = (Act::Slow(ms(15)), Act::Slow(ms(15)));
            (script.recycle, script.call) = (Act::Slow(ms(15)), Act::Slow(ms(15)));
            script.clean = false;
        }),
        ("connect fails", |script| script.connect = Act::SlowError(ms(15))),
        ("call fails", |script| script.call = Act::SlowError(ms(15))),
        ("recycle fails", |script| {
            script.recycle = Act::SlowError(ms(15));
            script.clean = false;
        }),
    ]
}

#[tokio::test(start_paused = true)]
async fn dropped_after_any_number_of_polls_nothing_is_lost() {
    for (name, script) in scenarios() {
        for busy in [false, true] {
            for run in [false, true] {
                let mut ended = 0;
                for polls in 0..24 {
                    let what = format!("{name}, busy: {busy}, run: {run}, dropped after {polls} polls");
                    ended += usize::from(one(&what, script, busy, run, polls).await);
                }
                assert!(
                    ended > 0 || name == "connect fails",
                    "{name}, busy: {busy}, run: {run}: never came to its end, so not every await was met"
                );
            }
        }
    }
}

async fn one(what: &str, script: fn(&mut Script), busy: bool, run: bool, polls: usize) -> bool {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |config| {
        config.breaker.consecutive_failures = 0;
        config.breaker.failure_ratio = 1.0;
        config.health.interval = s(3600);
    })
    .await;
    // an idle connection each, so that recycling comes into it
    let warm: Vec<_> = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()]
        .into_iter()
        .collect();
    for mut lease in warm {
        lease.call().await.unwrap();
        lease.succeed();
    }
    tokio::time::sleep(s(1)).await;
    for node in &nodes {
        node.set(script);
    }
    let holders = if busy {
        vec![pool.acquire().await.ok(), pool.acquire().await.ok()]
    } else {
        vec![]
    };
    let releaser = tokio::spawn(async move {
        tokio::time::sleep(ms(35)).await;
        drop(holders);
    });
    let ended = if run {
        let request = Request::new();
        drop_after(Box::pin(pool.run(&Call, &request)), polls, ms(10)).await
    } else {
        drop_after(
            Box::pin(async { pool.acquire().await.map(Lease::succeed) }),
            polls,
            ms(10),
        )
        .await
    };
    releaser.await.unwrap();
    tokio::time::sleep(s(1)).await;
    all_returned(&pool, &nodes, what);
    // and whatever was cancelled, all slots can be had again
    for node in &nodes {
        node.set(|script| {
            (script.connect, script.open) = (Act::Ok, Act::Ok);
            (script.recycle, script.call) = (Act::Ok, Act::Ok);
        });
    }
    let both = [
        pool.acquire_within(s(1)).await.expect(what),
        pool.acquire_within(s(1)).await.expect(what),
    ];
    both.into_iter().for_each(Lease::succeed);
    all_returned(&pool, &nodes, what);
    ended
}

/// A waiter cancelled at any moment, with others before and behind it: nobody starves, order holds.
#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_costs_nobody_its_turn() {
    for victim in 0..5 {
        for releases_before in 0..5 {
            let nodes = nodes::<1>();
            let pool = pool(&nodes, 1, |_| {}).await;
            let mut held = Some(pool.acquire().await.unwrap());
            let mut line: Vec<_> = (0..5)
                .map(|_| Some(tokio_test::task::spawn(pool.acquire())))
                .collect();
            for waiter in line.iter_mut().flatten() {
                assert!(waiter.poll().is_pending());
            }
            let mut served = Vec::new();
            for round in 0..=5 {
                if round == releases_before {
                    if let Some(lease) = held.take() {
                        lease.succeed();
                    }
                    line[victim] = None;
                }
                if let Some(lease) = held.take() {
                    lease.succeed();
                }
                for (number, waiter) in line.iter_mut().enumerate() {
                    let Some(task) = waiter else { continue };
                    if task.is_woken()
                        && let Poll::Ready(lease) = task.poll()
                    {
                        held = Some(lease.unwrap());
                        served.push(number);
                        *waiter = None;
                        break;
                    }
                }
            }
            drop(held);
            let case = format!("victim {victim}, after {releases_before} releases: {served:?}");
            assert!(served.is_sorted(), "{case}");
            let others = (0..5).filter(|number| *number != victim);
            assert!(others.clone().all(|number| served.contains(&number)), "{case}");
            all_returned(&pool, &nodes, &case);
        }
    }
}
