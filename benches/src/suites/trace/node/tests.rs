//! The model by itself.

use super::{
    clock::{BLOCK_MS, FIRST_BLOCK},
    *,
};

fn spec(faults: Vec<Fault>) -> Spec {
    Spec {
        slots: 2,
        queue: 1,
        median_ms: 40.0,
        provider: 0,
        joins: None,
        faults,
    }
}

fn call(id: u64) -> Call {
    Call { id, block: needed(0) }
}

#[tokio::test(start_paused = true)]
async fn a_full_node_queues_and_then_refuses() {
    let node = Node::new(0, spec(vec![]), 1, Clock::start());
    let begun: Vec<u64> = (0..3)
        .map(|id| {
            let plan = node.forecast(call(id));
            let mut state = node.state();
            node.take_on(&mut state, call(id), 1.0, 0);
            plan.begins
        })
        .collect();
    assert_eq!(begun[..2], [0, 0]);
    assert!(begun[2] > 0, "the third waits for a slot");
    assert_eq!(node.serve(call(3)).await, Err(NodeError::TooMany(None)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_breaks_what_is_under_way_and_is_over_when_it_is_over() {
    let down = Fault {
        from: 5,
        to: 500,
        effect: Effect::Down,
    };
    let node = Node::new(0, spec(vec![down]), 1, Clock::start());
    assert_eq!(node.serve(call(1)).await, Err(NodeError::Reset));
    assert_eq!(node.serve(call(2)).await, Err(NodeError::Refused));
    tokio::time::advance(Duration::from_millis(600)).await;
    assert!(node.serve(call(3)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_node_answers_from_old_state() {
    let stuck = Fault {
        from: 0,
        to: 100_000,
        effect: Effect::Stuck,
    };
    let node = Node::new(0, spec(vec![stuck]), 1, Clock::start());
    tokio::time::advance(Duration::from_millis(3 * BLOCK_MS)).await;
    let now = node.clock.now();
    let plan = node.forecast(Call {
        id: 1,
        block: needed(now),
    });
    assert!(!plan.is_right(
        Call {
            id: 1,
            block: needed(now)
        },
        now + 5_000
    ));
    assert_eq!(node.check().await.map(|answer| answer.block), Ok(FIRST_BLOCK));
}

#[tokio::test(start_paused = true)]
async fn a_quota_refuses_what_is_above_it() {
    let quota = Fault {
        from: 0,
        to: 100_000,
        effect: Effect::Quota(2.0, 3_000),
    };
    let node = Node::new(
        0,
        Spec {
            slots: 100,
            ..spec(vec![quota])
        },
        1,
        Clock::start(),
    );
    for _ in 0..5 {
        let calls = (0..10).map(|id| node.forecast(call(id)).ends.is_some());
        assert_eq!(calls.count(), 10);
        tokio::time::advance(Duration::from_secs(1)).await;
        let (a, b, c) = tokio::join!(node.serve(call(1)), node.serve(call(2)), node.serve(call(3)));
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(c, Err(NodeError::TooMany(Some(Duration::from_secs(3)))));
    }
}

#[tokio::test(start_paused = true)]
async fn service_times_have_the_mean_that_capacities_are_computed_from() {
    let node = Node::new(0, spec(vec![]), 1, Clock::start());
    let sum: f64 = (0..50_000).map(|id| node.drawn(call(id))).sum();
    let mean = sum / 50_000.0;
    assert!((mean / node.spec.mean_ms() - 1.0).abs() < 0.02, "{mean}");
}
