//! Against what a histogram means, and under threads that hammer.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::*;
use crate::catalogue;

static ATTEMPTS: Scale = Scale::of(&catalogue::REQUEST_DURATION_MS);
static CONNECTS: Scale = Scale::of(&catalogue::CONNECT_DURATION_SECONDS);

const SCALES: [(&Scale, catalogue::Metric); 2] = [
    (&ATTEMPTS, catalogue::REQUEST_DURATION_MS),
    (&CONNECTS, catalogue::CONNECT_DURATION_SECONDS),
];

/// One of a course of numbers that look random and are the same in every run, of all sizes up to 2^38.
fn random(number: &mut u64) -> u64 {
    *number = number
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*number >> 26) >> (*number % 39)
}

/// By the definition: the first bound that is not below, compared as a floating-point number in the metric's unit.
fn defined(metric: &catalogue::Metric, scale: &Scale, nanos: u64) -> Option<usize> {
    let value = scale.in_unit(nanos.into());
    metric.buckets.iter().position(|bound| value <= *bound)
}

#[test]
fn the_search_finds_the_bucket_of_the_definition() {
    let mut number = 1;
    for (scale, metric) in SCALES {
        let around = metric.buckets.iter().flat_map(|bound| {
            let bound = (bound * scale.unit).round() as u64;
            [bound - 1, bound, bound + 1]
        });
        let ends = [0, 1, u64::MAX >> 1];
        let others = (0..100_000).map(|_| random(&mut number));
        for nanos in around.chain(ends).chain(others.collect::<Vec<_>>()) {
            let placed = scale.place(Duration::from_nanos(nanos));
            let expected = defined(&metric, scale, nanos);
            assert_eq!(placed.map(|(bucket, _)| bucket), expected, "{nanos}");
            assert!(placed.is_none_or(|(_, placed)| placed == nanos));
        }
        assert_eq!(scale.place(Duration::MAX), None);
    }
}

/// Exact, whatever their size: no sum is rounded before it is shown.
#[test]
fn counts_and_the_sum_are_exact() {
    let histogram = Histogram::of_few(&ATTEMPTS);
    let (mut counts, mut beyond, mut nanos) = ([0; BUCKETS], 0, 0);
    let mut number = 2;
    // a tally is full by its sum after some 1,200 of the longest
    for step in 0..200_000 {
        let took = match step % 4 {
            0 => 119_999_999_999,
            1 => 7,
            _ => random(&mut number),
        };
        histogram.record(Duration::from_nanos(took));
        match defined(&catalogue::REQUEST_DURATION_MS, &ATTEMPTS, took) {
            Some(bucket) => counts[bucket] += 1,
            None => beyond += 1,
        }
        nanos += u128::from(took);
    }
    histogram.record(Duration::MAX);
    (beyond, nanos) = (beyond + 1, nanos + Duration::MAX.as_nanos());
    let expected = Reading {
        counts,
        beyond,
        nanos,
    };
    assert_eq!(histogram.read(), expected);
}

/// Threads that fill tallies by count and by sum, in one lane or in their own, against two that read: count and sum are of
/// the same records in each reading, and nothing goes back.
#[test]
fn nothing_is_torn_lost_or_twice_while_threads_hammer() {
    /// Fills a tally by its sum after some thousand, and by count in the other bucket.
    const LONG: u64 = 100_000_000_000;
    const SHORT: u64 = 10_000;
    const EACH: u64 = 150_000;
    const WRITERS: u64 = 3;
    for lanes in [1, 2] {
        let histogram = Histogram::new(&ATTEMPTS, lanes);
        let over = AtomicBool::new(false);
        let ready = Barrier::new(WRITERS as usize + 2);
        let read = || {
            ready.wait();
            let mut before = histogram.read();
            let mut readings = 0;
            while !over.load(Relaxed) {
                let now = histogram.read();
                let (short, long) = (now.counts[0], now.counts[BUCKETS - 1]);
                assert_eq!(
                    now.nanos,
                    u128::from(short * SHORT) + u128::from(long) * u128::from(LONG)
                );
                assert_eq!(now.counts.iter().sum::<u64>(), short + long);
                assert!(
                    now.counts
                        .iter()
                        .zip(&before.counts)
                        .all(|(now, before)| now >= before)
                );
                before = now;
                readings += 1;
            }
            readings
        };
        let write = || {
            ready.wait();
            for number in 0..EACH {
                let nanos = if number % 8 == 0 { LONG } else { SHORT };
                histogram.record(black_box(Duration::from_nanos(nanos)));
            }
        };
        thread::scope(|scope| {
            let readers = [scope.spawn(read), scope.spawn(read)];
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
            let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            over.store(true, Relaxed);
            assert!(ended.iter().all(Result::is_ok));
            for reader in readers {
                assert!(reader.join().unwrap() > 0);
            }
        });
        let all = histogram.read();
        assert_eq!(all.counts[0], WRITERS * EACH / 8 * 7);
        assert_eq!(all.counts[BUCKETS - 1], WRITERS * EACH / 8);
    }
}

#[test]
fn lanes_do_not_share_cache_lines() {
    let lanes = lanes();
    assert!(lanes.is_power_of_two() && lanes <= MOST_LANES);
    assert_eq!(tallies::LANE_BYTES, 128);
}
