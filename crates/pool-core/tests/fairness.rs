//! Whoever has just been served is not served again before those who wait. Counted in turns of the scheduler, not in
//! time; the benchmark (`cargo bench -p pool-core --bench acquire -- --fairness`) measures the same by the clock.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{cell::RefCell, rc::Rc};

use common::*;
use tokio::task::{LocalSet, spawn_local, yield_now};

const SLOTS: usize = 16;
const EACH: usize = 40;

/// Turns of the scheduler that it took, and the largest difference there ever was between two tasks' operations.
async fn turns(tasks: usize, polite: bool) -> (usize, usize) {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, SLOTS as u32, |config| config.max_waiters = 2_000).await;
    let done = Rc::new(RefCell::new(vec![0_usize; tasks]));
    for task in 0..tasks {
        let (pool, done) = (pool.clone(), Rc::clone(&done));
        spawn_local(async move {
            for _ in 0..EACH {
                let lease = pool.acquire_within(s(3_600)).await.unwrap();
                yield_now().await;
                lease.succeed();
                done.borrow_mut()[task] += 1;
                if polite {
                    yield_now().await;
                }
            }
        });
    }
    let (mut turns, mut widest) = (0, 0);
    loop {
        // one turn: everybody who can run has run once
        yield_now().await;
        turns += 1;
        let done = done.borrow();
        let (least, most) = (done.iter().min().unwrap(), done.iter().max().unwrap());
        widest = widest.max(most - least);
        if *least == EACH {
            break;
        }
        assert!(turns < 1_000_000, "it never ends");
    }
    all_returned(&pool, &nodes, "afterwards");
    (turns, widest)
}

#[tokio::test(start_paused = true)]
async fn nobody_is_served_twice_before_the_others_are_served_once() {
    for tasks in [16, 64, 1_024] {
        for polite in [false, true] {
            let set = LocalSet::new();
            let (turns, widest) = set.run_until(turns(tasks, polite)).await;
            let what = format!("{tasks} tasks, polite: {polite}: {turns} turns, {widest} apart");
            println!("{what}");
            // a turn for each slot's next holder, and some to begin and to end
            assert!(turns <= EACH * tasks.div_ceil(SLOTS) + 2 * EACH + 2, "{what}");
            // whoever is first in a round may be done before the last has begun it
            assert!(widest <= 1, "{what}");
        }
    }
}
