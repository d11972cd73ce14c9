//! What the pools are given to do.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Waker},
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{sync::Barrier, time::Instant};

use super::sides::{SLOTS, Side};

/// One caller, never a queue.
pub(super) async fn uncontended<S: Side>(side: &S, operations: u64) -> Result<()> {
    for _ in 0..operations {
        S::put(black_box(side.get().await?));
    }
    Ok(())
}

/// Every connection is held; a caller joins the line, and goes away again.
pub(super) async fn cancelled<S: Side>(side: &S, operations: u64) -> Result<()> {
    let mut held = Vec::new();
    for _ in 0..SLOTS {
        held.push(side.get().await?);
    }
    for _ in 0..operations {
        let mut waiter = pin!(side.get());
        let polled = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        ensure!(polled.is_pending(), "more connections than {SLOTS}");
    }
    held.into_iter().for_each(S::put);
    Ok(())
}

/// Nanoseconds for each operation.
pub(super) async fn timed(operations: u64, work: impl Future<Output = Result<()>>) -> Result<f64> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed().as_nanos() as f64 / operations as f64)
}

/// What a crowd saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// Nanoseconds for each operation, over all tasks.
    pub(super) nanos: f64,
    /// 99th percentile of the wait by its median.
    pub(super) spread: f64,
    /// Operations of the busiest task by those of the idlest.
    pub(super) unfairness: f64,
}

/// So many tasks, each of which yields once while it holds a connection, for so long. They begin together.
pub(super) async fn crowd<S: Side>(side: &S, tasks: usize, time: Duration) -> Result<Crowd> {
    let stop = Arc::new(AtomicBool::new(false));
    let begin = Arc::new(Barrier::new(tasks + 1));
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (side, stop, begin) = (side.clone(), Arc::clone(&stop), Arc::clone(&begin));
            tokio::spawn(async move {
                begin.wait().await;
                let (mut waits, mut operations) = (Vec::new(), 0_u64);
                while !stop.load(Relaxed) {
                    let asked = operations.is_multiple_of(8).then(Instant::now);
                    let held = side.get().await?;
                    waits.extend(asked.map(|asked| asked.elapsed()));
                    tokio::task::yield_now().await;
                    S::put(held);
                    operations += 1;
                }
                Ok::<_, anyhow::Error>((waits, operations))
            })
        })
        .collect();
    begin.wait().await;
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    stop.store(true, Relaxed);
    let (mut waits, mut all, mut most, mut fewest) = (Vec::new(), 0, 0, u64::MAX);
    for worker in workers {
        let (own, operations) = worker.await??;
        waits.extend(own);
        all += operations;
        (most, fewest) = (most.max(operations), fewest.min(operations));
    }
    let nanos = begun.elapsed().as_nanos() as f64;
    waits.sort_unstable();
    let at = |share: f64| waits.get(((waits.len().max(1) - 1) as f64 * share) as usize);
    let wait = |share: f64| at(share).map_or(f64::NAN, |wait| wait.as_nanos() as f64);
    Ok(Crowd {
        nanos: nanos / all as f64,
        spread: wait(0.99) / wait(0.5).max(1.0),
        unfairness: most as f64 / fewest.max(1) as f64,
    })
}

/// What a storm left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    /// Requests that were served, for each second.
    pub(super) served: f64,
    /// Share of the impatient that went away without.
    pub(super) gone: f64,
    /// Connections that can be had afterwards: 16, or some were lost.
    pub(super) left: u32,
}

/// 256 tasks hold a connection for a millisecond each; every other one waits for a millisecond only, and so most of these
/// go away while they wait.
pub(super) async fn storm<S: Side>(side: &S, time: Duration) -> Result<Storm> {
    const TASKS: u64 = 256;
    const HELD: Duration = Duration::from_millis(1);
    let stop = Arc::new(AtomicBool::new(false));
    let (served, asked, gone) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let begun = Instant::now();
    let workers: Vec<_> = (0..TASKS)
        .map(|number| {
            let (side, stop) = (side.clone(), Arc::clone(&stop));
            let (served, asked, gone) = (Arc::clone(&served), Arc::clone(&asked), Arc::clone(&gone));
            let impatient = number.is_multiple_of(2);
            let patience = if impatient { HELD } else { Duration::from_secs(10) };
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    asked.fetch_add(u64::from(impatient), Relaxed);
                    match side.get_within(patience).await {
                        Ok(held) => {
                            tokio::time::sleep(HELD).await;
                            S::put(held);
                            served.fetch_add(1, Relaxed);
                        }
                        Err(_) => {
                            gone.fetch_add(u64::from(impatient), Relaxed);
                        }
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Relaxed);
    let (all, lost) = (served.load(Relaxed), gone.load(Relaxed));
    let elapsed = begun.elapsed();
    for worker in workers {
        worker.await?;
    }
    let mut held = Vec::new();
    while let Ok(one) = side.get_within(Duration::from_millis(50)).await {
        held.push(one);
        ensure!(held.len() <= SLOTS as usize, "more connections than {SLOTS}");
    }
    let left = held.len() as u32;
    held.into_iter().for_each(S::put);
    Ok(Storm {
        served: all as f64 / elapsed.as_secs_f64(),
        gone: lost as f64 / asked.load(Relaxed).max(1) as f64,
        left,
    })
}
