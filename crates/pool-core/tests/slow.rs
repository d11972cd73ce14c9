//! Nodes that answer slowly, or not at all: that the breaker notices them, and does not notice the merely impatient.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::*;
use pool_core::*;

fn rare_checks(config: &mut PoolConfig) {
    config.health.interval = s(24 * 3600);
}

fn open(pool: &Pool<Fake>) -> bool {
    pool.snapshot().endpoints[0].breaker_opened > 0
}

/// Five callers, each with this deadline, at a node whose calls hang.
async fn hang(deadline: std::time::Duration, tune: impl FnOnce(&mut PoolConfig)) -> bool {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 8, |config| {
        rare_checks(config);
        tune(config);
    })
    .await;
    nodes[0].set(|script| script.call = Act::Hang);
    for _ in 0..5 {
        let error = pool
            .run(&Call, &Request::new().timeout(deadline))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                RunError::Deadline {
                    phase: Phase::Attempt,
                    ..
                }
            ),
            "{error}"
        );
    }
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.endpoints[0].errors[ErrorType::Deadline.index()], 5);
    all_returned(&pool, &nodes, "afterwards");
    open(&pool)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_past_every_deadline_is_noticed() {
    assert!(hang(s(3), |_| {}).await);
    assert!(hang(s(2), |_| {}).await, "just as long as it may");
}

#[tokio::test(start_paused = true)]
async fn impatience_is_not_held_against_the_node() {
    assert!(!hang(ms(1_900), |_| {}).await);
    assert!(!hang(s(3), |config| config.hang_after = s(4)).await);
}

#[tokio::test(start_paused = true)]
async fn what_would_have_been_slow_has_failed_when_it_is_cut_off() {
    assert!(hang(ms(600), |config| config.breaker.slow_call = Some(ms(500))).await);
    assert!(!hang(ms(400), |config| config.breaker.slow_call = Some(ms(500))).await);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_is_not_held_against_the_node() {
    let nodes = nodes::<1>();
    let pool = pool(&nodes, 8, rare_checks).await;
    nodes[0].set(|script| script.call = Act::Hang);
    for _ in 0..30 {
        let request = Request::new();
        assert!(
            tokio::time::timeout(s(3), pool.run(&Call, &request))
                .await
                .is_err()
        );
    }
    assert!(!open(&pool));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_slow_most_of_the_time_is_left_if_so_configured() {
    for (slow_call, opens) in [(None, false), (Some(ms(500)), true), (Some(ms(800)), false)] {
        let nodes = nodes::<1>();
        let pool = pool(&nodes, 8, |config| {
            rare_checks(config);
            config.breaker.slow_call = slow_call;
            config.breaker.window = s(60);
        })
        .await;
        nodes[0].set(|script| script.call = Act::Slow(ms(700)));
        for _ in 0..20 {
            let _ended = pool.run(&Call, &Request::new()).await;
        }
        assert_eq!(open(&pool), opens, "{slow_call:?}");
    }
}

#[test]
fn impossible_settings_are_named() {
    let mut config = PoolConfig::default();
    config.breaker.slow_call = Some(s(0));
    assert_eq!(config.validate().unwrap_err().field, "breaker.slow_call");
    config.breaker.slow_call = None;
    config.breaker.slow_ratio = f64::NAN;
    assert_eq!(config.validate().unwrap_err().field, "breaker.slow_ratio");
    config.breaker.slow_ratio = 1.0;
    config.hang_after = s(0);
    assert_eq!(config.validate().unwrap_err().field, "hang_after");
}
