//! Recording allocates nothing, and an endpoint takes no more memory than is documented.

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

/// As the crate's documentation states it: 128 bytes for each lane of the histogram that many threads fill, and about a
/// kilobyte for the rest.
#[test]
fn an_endpoint_takes_the_memory_that_is_documented() {
    const ENDPOINTS: u64 = 1000;
    let processors = std::thread::available_parallelism().map_or(1, Into::into);
    let lanes = processors.next_power_of_two().min(8) as u64;
    let bridge = PrometheusBridge::new().unwrap();
    let pool = PoolId::new("eth").unwrap();
    let ids: Vec<_> = (0..ENDPOINTS)
        .map(|number| EndpointId::new(format!("endpoint-{number}")).unwrap())
        .collect();
    let mut observers = Vec::with_capacity(ids.len());
    let counted = allocation_counter::measure(|| {
        observers.extend(ids.iter().map(|id| bridge.metrics().endpoint(&pool, id)));
    });
    let each = counted.bytes_current as u64 / ENDPOINTS;
    println!("{each} bytes for each endpoint, {lanes} lanes");
    let (least, most) = (lanes * 128 + 900, lanes * 128 + 1_200);
    assert!((least..=most).contains(&each), "{each}: not {least} to {most}");
}
