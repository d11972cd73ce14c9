//! Several threads at once: every snapshot adds up, and afterwards everything is back.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use common::*;
use pool_core::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_snapshot_adds_up_under_load() {
    for lanes in [1, 3] {
        let seed = fastrand::u64(..);
        println!("lanes {lanes}, seed {seed}");
        let nodes = nodes::<3>();
        for node in &nodes {
            node.set(|script| (script.lanes, script.survives) = (lanes, lanes > 1));
        }
        nodes[2].set(|script| script.clean = false);
        let pool = build(&nodes, 4, |config| {
            config.acquire_timeout = s(30);
            config.breaker.consecutive_failures = 0;
        });
        assert!(pool.ready(s(10)).await);
        let over = Arc::new(AtomicBool::new(false));
        let watcher = {
            let (pool, over) = (pool.clone(), Arc::clone(&over));
            tokio::task::spawn_blocking(move || {
                let mut looks = 0_u64;
                while !over.load(SeqCst) {
                    adds_up(&pool.snapshot());
                    looks += 1;
                }
                looks
            })
        };
        let served = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let (pool, served) = (pool.clone(), Arc::clone(&served));
                tokio::spawn(work(pool, served, seed.wrapping_add(number)))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        over.store(true, SeqCst);
        assert!(watcher.await.unwrap() > 0);
        assert!(served.load(SeqCst) > 0);
        for node in &nodes {
            let most = node.counts().most_sockets.load(SeqCst);
            assert!(most <= 4, "{most} connections at once");
        }
        all_returned(&pool, &nodes, &format!("lanes {lanes}, seed {seed}"));
    }
}

fn adds_up(snapshot: &PoolSnapshot) {
    let mut free = 0;
    for endpoint in &snapshot.endpoints {
        assert!(endpoint.slots_active <= endpoint.slots_max, "{endpoint:?}");
        assert!(
            endpoint.connections_total() <= endpoint.connections_max,
            "{endpoint:?}"
        );
        assert!(
            endpoint.errors.iter().sum::<u64>() <= endpoint.requests,
            "{endpoint:?}"
        );
        free += endpoint.slots_max - endpoint.slots_active;
    }
    assert!(snapshot.slots_free <= snapshot.slots_usable && snapshot.slots_free <= free);
    assert!(snapshot.queue_size <= snapshot.queue_limit);
}

async fn work(pool: Pool<Fake>, served: Arc<AtomicU64>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..400 {
        match rng.u8(..8) {
            // gives up at once, or when it was given something
            0 => drop(
                pool.acquire_within(std::time::Duration::from_micros(rng.u64(..50)))
                    .await,
            ),
            1 => {
                let mut waiting = Box::pin(pool.acquire());
                let _dropped = std::future::poll_fn(|cx| {
                    std::task::Poll::Ready(std::future::Future::poll(waiting.as_mut(), cx))
                })
                .await;
            }
            2 => {
                let lease = pool.acquire().await.unwrap();
                lease.fail(&Oops(Verdict::of(ErrorType::Transport)));
            }
            3 => drop(pool.acquire().await.unwrap()),
            _ => {
                pool.run(&Call, &Request::new()).await.unwrap();
            }
        }
        served.fetch_add(1, SeqCst);
        if rng.bool() {
            tokio::task::yield_now().await;
        }
    }
}
