//! Every interleaving of threads that record, empty a tally and read.
//!
//! `RUSTFLAGS="--cfg pool_loom" cargo test -p pool-metrics --no-default-features --features export --lib loom_tests`
//!
//! Covered, within loom's memory model: two threads that fill one tally (full after two records here), or a lane each,
//! against one that reads; a record beyond the buckets among them; and two that read against one that fills. In each reading
//! count and sum are of the same records, nothing is there twice, nothing goes back, and nothing is missing in the end.
//! Bounded: one bucket, three records, three preemptions of a thread. Not covered: the number of the lane, which threads
//! take under a lock of std's.

use std::{sync::Arc, time::Duration};

use loom::thread;

use super::tallies::{Reading, Tallies};

/// What each record took. Longer than the number of records, so that a sum tells how many there were.
const NANOS: u64 = 1000;

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

fn check(now: &Reading<1>, before: &Reading<1>) {
    let count = now.counts[0] + now.beyond;
    assert_eq!(now.nanos, u128::from(count * NANOS), "{now:?}");
    assert!(now.counts[0] >= before.counts[0], "{before:?} {now:?}");
    assert!(now.beyond >= before.beyond, "{before:?} {now:?}");
}

/// Two threads that record two and one, in these lanes, against a reader.
fn against_a_reader(lanes: [usize; 2]) {
    model(move || {
        let tallies = Arc::new(Tallies::<1>::new(lanes[1] + 1));
        let spawn = |lane: usize, records: usize| {
            let tallies = Arc::clone(&tallies);
            thread::spawn(move || (0..records).for_each(|_| tallies.add(lane, 0, NANOS)))
        };
        let threads = [spawn(lanes[0], 2), spawn(lanes[1], 1)];
        let first = tallies.read();
        check(&first, &first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let last = tallies.read();
        check(&last, &first);
        assert_eq!((last.counts[0], last.beyond), (3, 0));
    });
}

#[test]
fn two_fill_one_tally() {
    against_a_reader([0, 0]);
}

#[test]
fn two_fill_a_lane_each() {
    against_a_reader([0, 1]);
}

#[test]
fn some_are_beyond_the_buckets() {
    model(|| {
        let tallies = Arc::new(Tallies::<1>::new(1));
        let other = Arc::clone(&tallies);
        let writer = thread::spawn(move || (0..2).for_each(|_| other.add(0, 0, NANOS)));
        let other = Arc::clone(&tallies);
        let beyond = thread::spawn(move || other.add_beyond(Duration::from_nanos(NANOS)));
        let first = tallies.read();
        check(&first, &first);
        writer.join().unwrap();
        beyond.join().unwrap();
        let last = tallies.read();
        check(&last, &first);
        assert_eq!((last.counts[0], last.beyond), (2, 1));
    });
}

/// As two who scrape.
#[test]
fn two_read() {
    model(|| {
        let tallies = Arc::new(Tallies::<1>::new(1));
        let other = Arc::clone(&tallies);
        let writer = thread::spawn(move || (0..3).for_each(|_| other.add(0, 0, NANOS)));
        let other = Arc::clone(&tallies);
        let reader = thread::spawn(move || {
            let (one, two) = (other.read(), other.read());
            check(&two, &one);
        });
        let (one, two) = (tallies.read(), tallies.read());
        check(&two, &one);
        writer.join().unwrap();
        reader.join().unwrap();
        let last = tallies.read();
        check(&last, &two);
        assert_eq!(last.counts[0], 3);
    });
}
