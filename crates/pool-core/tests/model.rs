//! Random operations through the public API, against a plain account of who asked for what, in which order, and what of
//! it is held.
//!
//! ```text
//! cargo test -p pool-core --test model                                             60,000 operations
//! POOL_CORE_RUNS=6800 cargo test --release -p pool-core --test model               more than 10 million
//! POOL_CORE_SEED=7 cargo test -p pool-core --test model                            one run again
//! ```
//!
//! A run is of one of two kinds, by its seed. Where callers are *prompt*, each runs as soon as it is woken, as tasks do;
//! then the account is exact: who waits, who holds or opens a connection, who had to be served before whom, and every
//! counter. Where they are *sluggish*, what they were given may lie about for a while, and operations run and are cut
//! off on the side; then the account is of limits, and of nothing being lost.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

#[path = "model/account.rs"]
mod account;
#[path = "model/callers.rs"]
mod callers;
#[path = "model/changes.rs"]
mod changes;
mod common;
#[path = "model/world.rs"]
mod world;

use world::World;

/// Operations of one run.
const STEPS: usize = 1_500;

fn replay(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        world.ends().await;
    });
}

#[test]
fn random_operations_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("POOL_CORE_SEED") {
        return replay(seed);
    }
    let first = fastrand::u64(..u64::MAX / 2);
    let runs = number("POOL_CORE_RUNS").unwrap_or(40);
    println!("{} operations, seeds from {first}", runs * STEPS as u64);
    for seed in first..first + runs {
        let run = std::panic::catch_unwind(|| replay(seed));
        assert!(run.is_ok(), "failed with POOL_CORE_SEED={seed}");
    }
}
