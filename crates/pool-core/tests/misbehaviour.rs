//! Each way to misbehave at each extension point, in all combinations, with one invariant: everything comes back, and
//! once all is well again every slot can be had. Callers give up never, early or late, in turn: three ways against five
//! acts, so that each meets each act of each extension point.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::*;
use pool_core::*;

const ACTS: [Act; 5] = [
    Act::Ok,
    Act::Error(ErrorType::Transport),
    Act::Slow(ms_const(40)),
    Act::Hang,
    Act::Panic,
];

const fn ms_const(millis: u64) -> std::time::Duration {
    std::time::Duration::from_millis(millis)
}

/// Quiet: hundreds of scripted panics would bury the one message that matters.
fn hush_scripted_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let scripted = info.payload().downcast_ref::<&str>() == Some(&"scripted panic");
            if !scripted {
                usual(info);
            }
        }));
    });
}

/// All that the other extension points can do while connecting does this.
async fn all_while_connect(connect: Act) {
    hush_scripted_panics();
    let ways = [None, Some(ms(15)), Some(ms(90))];
    let mut combinations = 0;
    for open in ACTS {
        for recycle in ACTS {
            for check in ACTS {
                for call in ACTS {
                    let script = Script {
                        connect,
                        open,
                        recycle,
                        check,
                        call,
                        ..sound()
                    };
                    one(&script, ways[combinations % ways.len()]).await;
                    combinations += 1;
                }
            }
        }
    }
    assert_eq!(combinations, 5_usize.pow(4));
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_succeed() {
    all_while_connect(Act::Ok).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_fail() {
    all_while_connect(ACTS[1]).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_are_slow() {
    all_while_connect(ACTS[2]).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_hang() {
    all_while_connect(Act::Hang).await;
}

#[tokio::test(start_paused = true)]
async fn everything_comes_back_where_connects_panic() {
    all_while_connect(Act::Panic).await;
}

fn sound() -> Script {
    Script {
        connect: Act::Ok,
        open: Act::Ok,
        recycle: Act::Ok,
        check: Act::Ok,
        call: Act::Ok,
        position: None,
        unfit: None,
        lanes: 1,
        // so that every return goes through a recycle
        clean: false,
        throttle: None,
        pause: None,
        maybe_executed: true,
    }
}

async fn one(script: &Script, cancel: Option<std::time::Duration>) {
    let what = format!("{script:?}, cancelled after {cancel:?}");
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |config| {
        config.acquire_timeout = ms(300);
        config.connect_timeout = ms(200);
        config.recycle_timeout = ms(100);
        config.health.interval = ms(100);
        config.health.timeout = ms(100);
        config.breaker.open_max = s(1);
    })
    .await;
    let warm = [pool.acquire().await, pool.acquire().await];
    for lease in warm {
        lease.expect(&what).succeed();
    }
    // one misbehaves, and the other is well
    nodes[0].set(|all| *all = script.clone());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..3 {
                    let request = Request::new().timeout(ms(500));
                    let run = pool.run(&Call, &request);
                    match cancel {
                        Some(after) => drop(tokio::time::timeout(after, run).await),
                        None => drop(run.await),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        let ended = task.await;
        let panicked = script.call == Act::Panic || script.open == Act::Panic || script.recycle == Act::Panic;
        assert!(ended.is_ok() || panicked, "{what}");
    }
    // in the middle of whatever is going on, then after it
    tokio::time::sleep(s(1)).await;
    all_returned(&pool, &nodes, &what);
    nodes[0].set(|all| *all = sound());
    tokio::time::sleep(s(10)).await;
    let both = [pool.acquire().await, pool.acquire().await];
    for lease in both {
        lease.unwrap_or_else(|error| panic!("{what}: {error}")).succeed();
    }
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.slots_free, 2, "{what}: {:?}", pool.explain());
    all_returned(&pool, &nodes, &what);
}
