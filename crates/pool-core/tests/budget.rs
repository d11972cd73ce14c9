//! The budget of retries through the pool: who may try again when everything fails.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::*;
use pool_core::*;
use tokio::time::Instant;

fn tune(config: &mut PoolConfig) {
    config.health.interval = s(24 * 3600);
    config.breaker.consecutive_failures = 0;
    config.breaker.failure_ratio = 1.0;
    config.budget = BudgetConfig::default().share(0.2).floor(0);
}

fn fail_all(nodes: &[Node]) {
    for node in nodes {
        node.set(|script| script.call = Act::Error(ErrorType::NodeInternal));
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_load_grows_by_the_share_and_not_by_the_attempts() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 16, tune).await;
    fail_all(&nodes);
    let begun = Instant::now();
    let mut alone = 0;
    for _ in 0..100 {
        let error = pool.run(&Call, &Request::new()).await.unwrap_err();
        let RunError::Failed { attempts, source, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(source.0.error_type, ErrorType::NodeInternal);
        alone += u64::from(attempts == 1);
    }
    assert!(begun.elapsed() < s(9), "all within one window");
    let calls: u64 = nodes.iter().map(Node::calls).sum();
    let snapshot = pool.snapshot();
    assert_eq!(calls, 120, "20 % more, where three attempts each would be 300");
    assert_eq!(snapshot.retries, 20);
    assert!(snapshot.budget_exhausted >= alone && alone >= 80, "{alone}");
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn the_floor_lets_a_quiet_pool_use_all_its_attempts() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |config| {
        tune(config);
        config.budget = BudgetConfig::default().share(0.0).floor(1);
    })
    .await;
    fail_all(&nodes);
    for _ in 0..4 {
        let error = pool.run(&Call, &Request::new()).await.unwrap_err();
        assert!(matches!(error, RunError::Failed { attempts: 3, .. }), "{error}");
    }
    assert_eq!(pool.snapshot().budget_exhausted, 0);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_before_the_retry_gives_it_back() {
    let nodes = nodes::<2>();
    let pool = pool(&nodes, 1, |config| {
        tune(config);
        // one retry in ten seconds, and a long pause before it
        config.budget = BudgetConfig::default().share(0.05).floor(0);
        config.backoff_min = s(1);
    })
    .await;
    for _ in 0..20 {
        pool.run(&Call, &Request::new()).await.unwrap();
    }
    fail_all(&nodes);
    let before: u64 = nodes.iter().map(Node::calls).sum();
    for _ in 0..5 {
        let request = Request::new();
        let mut run = tokio_test::task::spawn(pool.run(&Call, &request));
        assert!(run.poll().is_pending(), "it pauses before its retry");
        drop(run);
    }
    let calls: u64 = nodes.iter().map(Node::calls).sum();
    assert_eq!(calls, before + 5);
    assert_eq!(
        (pool.snapshot().retries, pool.snapshot().budget_exhausted),
        (0, 0)
    );
    let error = pool.run(&Call, &Request::new()).await.unwrap_err();
    assert!(matches!(error, RunError::Failed { attempts: 2, .. }), "{error}");
    assert_eq!(
        (pool.snapshot().retries, pool.snapshot().budget_exhausted),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn connecting_again_is_paid_for_too() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 1, |config| {
        tune(config);
        config.budget = BudgetConfig::default().share(0.0).floor(0);
    })
    .await;
    nodes[0].set(|script| script.connect = Act::Error(ErrorType::Connect));
    let error = pool.run(&Call, &Request::new()).await.unwrap_err();
    assert!(
        matches!(error, RunError::Acquire(AcquireError::Connect { .. })),
        "{error}"
    );
    assert_eq!(nodes[0].connects(), 1);
    assert_eq!(
        (pool.snapshot().retries, pool.snapshot().budget_exhausted),
        (0, 1)
    );
}
