//! Every interleaving of threads that record, empty a tally and read.
//!
//! `RUSTFLAGS="--cfg pool_loom" cargo test -p pool-metrics --no-default-features --features export --lib loom_tests`
//!
//! Covered, exhaustively within loom's memory model: two threads that fill one tally (full after two records here) against
//! one that reads twice, and a record beyond the buckets among them; two lanes likewise. In each reading count and sum are
//! of the same records, nothing is there twice, nothing goes back, and nothing is missing in the end. Bounded: one bucket,
//! at most four records. Not covered: the number of the lane, which threads take under a lock of std's.

use std::{sync::Arc, time::Duration};

use loom::thread;

use super::tallies::{Reading, Tallies};

/// What each record took. Longer than the number of records, so that a sum tells how many there were.
const NANOS: u64 = 1000;

fn check(now: &Reading<1>, before: &Reading<1>) {
    let count = now.counts[0] + now.beyond;
    assert_eq!(now.nanos, u128::from(count * NANOS), "{now:?}");
    assert!(now.counts[0] >= before.counts[0], "{before:?} {now:?}");
    assert!(now.beyond >= before.beyond, "{before:?} {now:?}");
}

/// Two threads that record so often each, in these lanes, against a reader.
fn against_a_reader(lanes: [usize; 2], records: u64, beyond: bool) {
    loom::model(move || {
        let tallies = Arc::new(Tallies::<1>::new(2));
        let threads: Vec<_> = lanes
            .into_iter()
            .map(|lane| {
                let tallies = Arc::clone(&tallies);
                thread::spawn(move || {
                    for _ in 0..records {
                        tallies.add(lane, 0, NANOS);
                    }
                    if beyond && lane == 0 {
                        tallies.add_beyond(Duration::from_nanos(NANOS));
                    }
                })
            })
            .collect();
        let first = tallies.read();
        check(&first, &first);
        let second = tallies.read();
        check(&second, &first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let last = tallies.read();
        check(&last, &second);
        assert_eq!(last.counts[0], 2 * records);
        assert_eq!(
            last.beyond,
            lanes.iter().filter(|lane| beyond && **lane == 0).count() as u64
        );
    });
}

#[test]
fn two_fill_one_tally() {
    against_a_reader([0, 0], 2, false);
}

#[test]
fn two_fill_a_lane_each() {
    against_a_reader([0, 1], 2, true);
}

#[test]
fn some_are_beyond_the_buckets() {
    against_a_reader([0, 0], 1, true);
}

/// Two readers, as two who scrape: the later of both has what the earlier had.
#[test]
fn two_read() {
    loom::model(|| {
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
