//! Many tasks on few slots: throughput, and how evenly they wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pool_core::LeastRequests;
use tokio::{sync::Barrier, time::Instant};

use super::{Failure, SLOTS, Side, ours, table::row, theirs};

/// So short that in most rounds the system takes no core away: else p99 is its slice of time. So there are many.
const LOADED_FOR: Duration = Duration::from_millis(25);
const LOADS: usize = 61;
/// How many times as long it may take at the most.
const SLOWER: f64 = 1.0;
/// How many times as far apart the waits may be.
const LESS_EVEN: f64 = 1.1;

/// So many tasks on the slots of one endpoint, each yielding once while it holds one. They begin together: how long it
/// takes to spawn them is no wait.
async fn loaded<S: Side>(side: &S, tasks: usize) -> Result<Loaded, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let begin = Arc::new(Barrier::new(tasks + 1));
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (side, stop, done) = (side.clone(), Arc::clone(&stop), Arc::clone(&done));
            let begin = Arc::clone(&begin);
            tokio::spawn(async move {
                begin.wait().await;
                let mut waits = Vec::new();
                let mut operations = 0_u64;
                while !stop.load(Relaxed) {
                    let sampled = operations.is_multiple_of(8);
                    let asked = sampled.then(Instant::now);
                    let held = side.get().await?;
                    waits.extend(asked.map(|asked| asked.elapsed()));
                    tokio::task::yield_now().await;
                    S::put(held);
                    operations += 1;
                }
                done.fetch_add(operations, Relaxed);
                Ok::<_, Failure>(waits)
            })
        })
        .collect();
    begin.wait().await;
    let begun = Instant::now();
    tokio::time::sleep(LOADED_FOR).await;
    stop.store(true, Relaxed);
    let mut waits = Vec::new();
    for worker in workers {
        waits.extend(worker.await??);
    }
    let nanos = begun.elapsed().as_nanos() as f64;
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_nanos() as f64;
    Ok(Loaded {
        nanos: nanos / done.load(Relaxed) as f64,
        spread: at(0.99) / at(0.5).max(1.0),
    })
}

struct Loaded {
    nanos: f64,
    /// p99 of the wait by its median.
    spread: f64,
}

/// Both pools in turn, under 256 and 1024 tasks.
pub(super) async fn compare(threads: usize) -> Result<(), Failure> {
    let (theirs, ours) = (theirs()?, ours(1, Arc::new(LeastRequests::new())).await?);
    for tasks in [256, 1024] {
        let (mut their_times, mut our_times, mut their_spread, mut our_spread) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..LOADS {
            let (a, b) = (loaded(&theirs, tasks).await?, loaded(&ours, tasks).await?);
            their_times.push(a.nanos);
            our_times.push(b.nanos);
            their_spread.push(a.spread);
            our_spread.push(b.spread);
        }
        let name = format!("{tasks} tasks on {SLOTS} slots, {threads} threads");
        row(&name, (their_times, our_times), "ns", Some(SLOWER));
        row("  wait p99/p50", (their_spread, our_spread), "", Some(LESS_EVEN));
    }
    Ok(())
}
