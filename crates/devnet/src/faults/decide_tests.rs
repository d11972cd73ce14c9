use serde_json::json;

use super::*;
use crate::faults::{HttpError, Quota, RpcError};

fn faults(value: serde_json::Value) -> Faults {
    serde_json::from_value(value).unwrap()
}

fn plan(faults: &Faults, methods: &[&str]) -> Plan {
    decide(
        faults,
        &mut None,
        methods,
        &mut fastrand::Rng::with_seed(1),
        Instant::now(),
    )
}

#[tokio::test]
async fn no_faults_leave_a_request_alone() {
    let plan = plan(&Faults::default(), &["a", "b"]);
    assert_eq!(
        plan.reply,
        Reply::Http {
            status: 200,
            retry_after: None,
            body: HttpBody::Answer
        }
    );
    assert_eq!(plan.calls, vec![CallFault::default(); 2]);
    assert_eq!((plan.delay, plan.injected), (Duration::ZERO, vec![]));
}

/// Each fault hides those after it; taking them off one by one shows the documented order.
#[tokio::test]
async fn precedence_is_the_documented_one() {
    let mut on = faults(json!({
        "latency": {"delay": {"kind": "constant", "ms": 5}},
        "reset": {}, "hang": {}, "quota": {"per_second": 0.001, "burst": 1},
        "too_many_requests": {"retry_after_s": 9}, "http_errors": [{"status": 502}, {"status": 503}],
        "rpc_errors": [{"code": -1}, {"code": -2}], "wrong_id": {}, "garbage": {}, "truncate": {},
    }));
    let empty = || {
        let mut bucket = Bucket::full(on_quota(), Instant::now());
        bucket.take(on_quota(), 1, Instant::now()).unwrap();
        Some(bucket)
    };
    let run = |on: &Faults| {
        let plan = decide(
            on,
            &mut empty(),
            &["m"],
            &mut fastrand::Rng::with_seed(1),
            Instant::now(),
        );
        assert_eq!(plan.delay, Duration::from_millis(5));
        plan
    };
    let status = |plan: &Plan| match plan.reply {
        Reply::Http { status, .. } => status,
        _ => panic!("{plan:?}"),
    };

    assert_eq!(run(&on).injected, [Kind::Latency, Kind::Reset]);
    on.reset = None;
    assert_eq!(run(&on).injected, [Kind::Latency, Kind::Hang]);
    on.hang = None;
    let quota = run(&on);
    assert_eq!(
        quota.injected,
        [Kind::Latency, Kind::Quota, Kind::Garbage, Kind::Truncate]
    );
    assert!(
        matches!(
            quota.reply,
            Reply::Http {
                status: 429,
                retry_after: Some(1_000),
                ..
            }
        ),
        "{quota:?}"
    );
    on.quota = None;
    let busy = run(&on);
    assert!(
        matches!(
            busy.reply,
            Reply::Http {
                status: 429,
                retry_after: Some(9),
                ..
            }
        ),
        "{busy:?}"
    );
    on.too_many_requests = None;
    assert_eq!(status(&run(&on)), 502);
    on.http_errors.clear();
    let plan = run(&on);
    assert_eq!(status(&plan), 200);
    assert_eq!(plan.calls[0].error.as_ref().unwrap().code, -1);
    assert!(plan.calls[0].wrong_id && plan.garbage.is_some() && plan.truncate.is_some());
}

fn on_quota() -> &'static Quota {
    &Quota {
        per_second: 0.001,
        burst: 1.0,
        retry_after_s: None,
    }
}

#[tokio::test]
async fn a_fault_of_some_methods_hits_their_batch_but_only_their_calls() {
    let on = faults(json!({
        "hang": {"methods": ["slow"]}, "rpc_errors": [{"code": -5, "when": {"methods": ["bad"]}}],
    }));
    assert_eq!(plan(&on, &["fine", "slow"]).reply, Reply::Hang);
    let batch = plan(&on, &["fine", "bad"]);
    assert_eq!(batch.calls[0].error, None);
    assert_eq!(batch.calls[1].error.as_ref().unwrap().code, -5);
}

#[tokio::test]
async fn probability_is_met_and_the_seed_decides() {
    let on = Faults {
        http_errors: vec![HttpError {
            status: 500,
            body: HttpBody::Empty,
            when: When::sometimes(0.3),
        }],
        rpc_errors: vec![RpcError {
            when: When::sometimes(0.5),
            ..RpcError::new(-1, "x")
        }],
        ..Faults::default()
    };
    let run = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..5_000)
            .map(|_| decide(&on, &mut None, &["m"], &mut rng, Instant::now()).injected)
            .collect::<Vec<_>>()
    };
    let first = run(11);
    assert_eq!(first, run(11));
    assert_ne!(first, run(12));
    let count = |kind| first.iter().filter(|injected| injected.contains(&kind)).count();
    assert!(
        (1_400..1_600).contains(&count(Kind::HttpError)),
        "{}",
        count(Kind::HttpError)
    );
    assert!(
        (1_650..1_850).contains(&count(Kind::RpcError)),
        "{}",
        count(Kind::RpcError)
    );
}
