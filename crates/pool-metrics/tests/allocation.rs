//! Recording allocates nothing.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{hint::black_box, time::Duration};

use pool_core::{EndpointId, ErrorType, Observer, PoolId};
use pool_metrics::PrometheusBridge;

#[test]
fn what_is_recorded_for_a_request_allocates_nothing() {
    let bridge = PrometheusBridge::new().unwrap();
    let (pool, endpoint) = (PoolId::new("eth").unwrap(), EndpointId::new("a").unwrap());
    let waits = bridge.metrics().pool(&pool).unwrap();
    let observer = bridge.metrics().endpoint(&pool, &endpoint);
    let counted = allocation_counter::measure(|| {
        for micros in 0..1000 {
            let elapsed = black_box(Duration::from_micros(micros * 37));
            observer.attempt_ended(elapsed, None);
            observer.attempt_ended(elapsed, Some(ErrorType::Timeout));
            observer.connect_ended(elapsed, true);
            observer.check_ended(elapsed, true);
            waits.waited(elapsed);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    // and the counter counts
    assert!(allocation_counter::measure(|| drop(black_box(Box::new(1)))).count_total > 0);
}
