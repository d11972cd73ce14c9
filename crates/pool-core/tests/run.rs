//! `Pool::run`: where it tries again, where it must not, and that one deadline covers all.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::*;
use pool_core::*;
use tokio::time::Instant;

/// Name, what the nodes do, slots of each.
type Case = (&'static str, fn(&mut Script), u32);

fn rare_checks(config: &mut PoolConfig) {
    config.health.interval = s(24 * 3600);
}

/// Would go to the same endpoint for ever.
struct First;

impl Balancer for First {
    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        (!among.is_empty()).then_some(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_elsewhere() {
    let nodes = nodes::<3>();
    let mut builder = Pool::builder(PoolId::new("elsewhere").unwrap()).balancer(std::sync::Arc::new(First));
    for node in &nodes {
        builder = builder.endpoint(node.id(), Fake(node.clone()), EndpointConfig::default());
    }
    let pool = builder.build().unwrap();
    settle().await;
    for node in &nodes[..2] {
        node.set(|script| script.call = Act::Error(ErrorType::NodeInternal));
    }
    assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e2");
    let calls: Vec<_> = nodes.iter().map(Node::calls).collect();
    assert_eq!(calls, [1, 1, 1], "never the same one while there are others");
}

/// Also when the other endpoints are busy: it waits for one of them rather than go to the one that failed.
#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_another_rather_than_go_to_the_same() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, rare_checks).await;
    let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let (free, busy) = if *a.endpoint() == nodes[0].id() {
        (a, b)
    } else {
        (b, a)
    };
    nodes[0].set(|script| script.call = Act::Error(ErrorType::Transport));
    free.succeed();
    let task = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.run(&Call, &Request::new()).await })
    };
    tokio::time::sleep(s(1)).await;
    assert_eq!((nodes[0].calls(), nodes[1].calls()), (1, 0));
    // whoever has not been failed by e0 is not held up by the one in front
    let lease = pool.acquire_within(ms(1)).await.unwrap();
    assert_eq!(*lease.endpoint(), nodes[0].id());
    lease.neutral();
    busy.succeed();
    assert_eq!(task.await.unwrap().unwrap(), "e1");
    assert_eq!(nodes[0].calls(), 1);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn with_one_endpoint_it_is_tried_again_where_that_can_help() {
    for (error_type, calls) in [
        (ErrorType::Transport, 3),
        (ErrorType::RateLimited, 1),
        (ErrorType::Unauthorized, 1),
    ] {
        let nodes = nodes::<1>();
        let pool = pool(&nodes, 1, rare_checks).await;
        nodes[0].set(|script| script.call = Act::Error(error_type));
        let error = pool.run(&Call, &Request::new()).await.unwrap_err();
        let RunError::Failed {
            attempts,
            source,
            verdict,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(
            (nodes[0].calls(), attempts),
            (calls, calls as u32),
            "{error_type:?}"
        );
        assert_eq!(source.0.error_type, verdict.error_type);
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_fault_is_not_tried_again() {
    for error_type in [
        ErrorType::Reverted,
        ErrorType::InvalidRequest,
        ErrorType::TxRejected,
        ErrorType::Local,
    ] {
        let nodes = nodes::<3>();
        let pool = pool(&nodes, 1, rare_checks).await;
        for node in &nodes {
            node.set(|script| script.call = Act::Error(error_type));
        }
        let error = pool.run(&Call, &Request::new()).await.unwrap_err();
        assert!(matches!(error, RunError::Failed { attempts: 1, .. }), "{error}");
        assert!(!error.is_retryable());
        assert_eq!(nodes.iter().map(Node::calls).sum::<u64>(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_idempotent_is_tried_again_only_if_nothing_was_sent() {
    for (maybe_executed, calls) in [(true, 1), (false, 2)] {
        let nodes = nodes::<2>();
        let pool = pool(&nodes, 1, rare_checks).await;
        for node in &nodes {
            node.set(|script| {
                script.call = Act::Error(ErrorType::NodeInternal);
                script.maybe_executed = maybe_executed;
            });
        }
        let request = Request::new().idempotent(false).max_attempts(2);
        assert!(pool.run(&Call, &request).await.is_err());
        assert_eq!(nodes.iter().map(Node::calls).sum::<u64>(), calls);
    }
    // a failed connect sent nothing
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, rare_checks).await;
    nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
    let request = Request::new().idempotent(false);
    for _ in 0..4 {
        assert_eq!(pool.run(&Call, &request).await.unwrap(), "e1");
    }
}

#[tokio::test(start_paused = true)]
async fn one_deadline_covers_queue_connect_attempts_and_pauses() {
    let cases: [Case; 4] = [
        ("connect hangs", |script| script.connect = Act::Hang, 4),
        ("open hangs", |script| script.open = Act::Hang, 4),
        ("call hangs", |script| script.call = Act::Hang, 4),
        (
            "calls fail slowly",
            |script| script.call = Act::SlowError(ms(300)),
            1,
        ),
    ];
    for (name, script, slots) in cases {
        for wait_in_line in [false, true] {
            let nodes = nodes::<2>();
            let pool = pool(&nodes, slots, rare_checks).await;
            let mut held = Vec::new();
            if wait_in_line {
                for _ in 0..slots * 2 {
                    held.push(pool.acquire().await.unwrap());
                }
            }
            for node in &nodes {
                node.set(script);
            }
            let releaser = tokio::spawn(async move {
                tokio::time::sleep(ms(400)).await;
                for mut lease in held {
                    lease.number = 0;
                    drop(lease);
                }
            });
            let request = Request::new().timeout(s(1)).max_attempts(50);
            let before = Instant::now();
            let error = pool.run(&Call, &request).await.unwrap_err();
            let took = before.elapsed();
            assert!(
                took <= ms(1005) && took >= ms(700),
                "{name}, line: {wait_in_line}: {took:?}: {error}"
            );
            releaser.await.unwrap();
            tokio::time::sleep(s(10)).await;
            all_returned(&pool, &nodes, name);
        }
    }
}

/// The timer for them stays set: for the one before, which may have had more time or less.
#[tokio::test(start_paused = true)]
async fn each_call_on_a_connection_has_a_deadline_of_its_own() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, rare_checks).await;
    for (round, patience) in (1..).zip([30, 5, 60, 59, 1]) {
        for _ in 0..20 {
            nodes[0].set(|script| script.call = Act::Slow(ms(1)));
            pool.run(&Call, &Request::new().timeout(s(patience + 7)))
                .await
                .unwrap();
        }
        assert_eq!(nodes[0].connects(), round, "all on one connection");
        nodes[0].set(|script| script.call = Act::Hang);
        let begun = Instant::now();
        let error = pool.run(&Call, &Request::new().timeout(s(patience))).await;
        assert!(matches!(error, Err(RunError::Deadline { .. })), "{error:?}");
        assert_eq!(begun.elapsed(), s(patience));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_keeps_the_error_before_it() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, rare_checks).await;
    let first = pool.acquire().await.unwrap();
    let second = pool.acquire().await.unwrap();
    let (fails, hangs) = (first.endpoint().clone(), second.endpoint().clone());
    second.neutral();
    for node in &nodes {
        let act = if node.id() == fails {
            Act::Hang
        } else {
            Act::Error(ErrorType::Unavailable)
        };
        node.set(|script| script.call = act);
    }
    let release = tokio::spawn(async move {
        tokio::time::sleep(ms(100)).await;
        first.neutral();
    });
    let error = pool.run(&Call, &Request::new().timeout(s(1))).await.unwrap_err();
    release.await.unwrap();
    let RunError::Deadline {
        phase: Phase::Attempt,
        attempts: 2,
        last: Some(last),
    } = &error
    else {
        panic!("{error:?} (first {hangs})")
    };
    assert_eq!(last.0.error_type, ErrorType::Unavailable);
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test(start_paused = true)]
async fn retry_after_keeps_the_endpoint_out_for_so_long() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 4, rare_checks).await;
    nodes[0].set(|script| {
        script.call = Act::Error(ErrorType::RateLimited);
        script.throttle = Some(s(30));
    });
    for _ in 0..4 {
        assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
    }
    assert_eq!(nodes[0].calls(), 1);
    assert!(pool.snapshot().endpoints[0].throttled_until.is_some());
    nodes[0].set(|script| script.call = Act::Ok);
    tokio::time::sleep(ms(29_900)).await;
    for _ in 0..4 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    assert_eq!(nodes[0].calls(), 1);
    tokio::time::sleep(ms(200)).await;
    for _ in 0..4 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    assert!(nodes[0].calls() >= 2);
}

/// A provider may refuse the connection itself with a Retry-After.
#[tokio::test(start_paused = true)]
async fn retry_after_of_a_refused_connect_is_respected_too() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 4, rare_checks).await;
    nodes[0].set(|script| {
        script.connect = Act::Error(ErrorType::RateLimited);
        script.throttle = Some(s(30));
    });
    for _ in 0..8 {
        assert_eq!(pool.run(&Call, &Request::new()).await.unwrap(), "e1");
    }
    assert_eq!(nodes[0].connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_counted_once_and_cancelled_ones_not_at_all() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 4, rare_checks).await;
    nodes[0].set(|script| script.call = Act::Error(ErrorType::Unavailable));
    for _ in 0..10 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    let snapshot = pool.snapshot();
    for (endpoint, node) in snapshot.endpoints.iter().zip(&nodes) {
        assert_eq!(endpoint.requests, node.calls(), "{}", endpoint.id);
    }
    assert_eq!(snapshot.endpoints[1].requests, 10);
    assert_eq!(
        snapshot.endpoints[0].errors[ErrorType::Unavailable.index()],
        nodes[0].calls()
    );
    nodes[1].set(|script| script.call = Act::Hang);
    let request = Request::new();
    let mut cancelled = tokio_test::task::spawn(pool.run(&Call, &request));
    for _ in 0..20 {
        let _pending = cancelled.poll();
        tokio::time::sleep(ms(50)).await;
    }
    let hung = nodes[1].calls();
    drop(cancelled);
    assert_eq!(hung, 11);
    assert_eq!(pool.snapshot().endpoints[1].requests, 10);
    all_returned(&pool, &nodes, "afterwards");
}
