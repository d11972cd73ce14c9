//! Whether all who wait get their turn as often.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use pool_core::LeastRequests;

use super::{
    Failure, SLOTS, Side, ours,
    table::{own, row},
    theirs,
};

/// Long enough for each of 1024 tasks to have hundreds of turns.
const FAIR_FOR: Duration = Duration::from_secs(2);
const FAIR_ROUNDS: usize = 3;
const FAIR: f64 = 1.3;

/// So many tasks on the slots of one endpoint, all on one thread; the most operations of any by the fewest of any. They
/// begin together, and are counted from then on.
async fn fairness<S: Side>(side: &S, tasks: usize) -> Result<f64, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let begin = Arc::new(tokio::sync::Barrier::new(tasks + 1));
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (side, stop, begin) = (side.clone(), Arc::clone(&stop), Arc::clone(&begin));
            tokio::spawn(async move {
                begin.wait().await;
                let mut operations = 0_u64;
                while !stop.load(Relaxed) {
                    let held = side.get().await?;
                    tokio::task::yield_now().await;
                    S::put(held);
                    operations += 1;
                }
                Ok::<_, Failure>(operations)
            })
        })
        .collect();
    begin.wait().await;
    tokio::time::sleep(FAIR_FOR).await;
    stop.store(true, Relaxed);
    let (mut most, mut fewest) = (0, u64::MAX);
    for worker in workers {
        let operations = worker.await??;
        (most, fewest) = (most.max(operations), fewest.min(operations));
    }
    Ok(most as f64 / fewest as f64)
}

/// Whether it is fair in the worst round.
pub(super) async fn compare() -> Result<bool, Failure> {
    let (theirs, ours) = (theirs()?, ours(1, Arc::new(LeastRequests::new())).await?);
    let mut fair = true;
    for tasks in [64, 1024] {
        let (mut their_ratios, mut our_ratios) = (Vec::new(), Vec::new());
        for _ in 0..FAIR_ROUNDS {
            their_ratios.push(fairness(&theirs, tasks).await?);
            our_ratios.push(fairness(&ours, tasks).await?);
        }
        let worst = our_ratios.iter().copied().fold(0.0, f64::max);
        let name = format!("{tasks} tasks on {SLOTS} slots, 1 thread");
        row(&name, (their_ratios, our_ratios), "max/min", None);
        fair &= own("  the worst round", worst, "max/min", Some(FAIR));
    }
    Ok(fair)
}
