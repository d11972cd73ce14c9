use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::*;
use crate::WallClock;

/// A wall clock that is set by hand, in seconds since the Unix epoch.
fn wall(seconds: u64) -> (Arc<AtomicU64>, WallClock) {
    let time = Arc::new(AtomicU64::new(seconds));
    let clock = Arc::clone(&time);
    let clock = WallClock::new(move || Duration::from_secs(clock.load(SeqCst)));
    (time, clock)
}

fn meter(config: &QuotaConfig, now: Instant) -> Meter {
    config.validate().unwrap();
    Meter::new(Some(config), wall(0).1, now)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const DAY: u64 = 24 * 3600;

#[test]
fn a_burst_then_as_much_as_comes_back() {
    let now = Instant::now();
    let meter = meter(&QuotaConfig::per_second(10.0).burst(3), now);
    for left in [2, 1, 0] {
        assert_eq!(meter.spent_until(now), None);
        assert!(meter.take(1, now));
        assert_eq!(meter.read(now).map(|reading| reading.left), Some(left));
    }
    assert!(!meter.take(1, now));
    assert_eq!(meter.spent_until(now), Some(now + ms(100)));
    assert!(!meter.take(1, now + ms(99)));
    assert!(meter.take(1, now + ms(100)));
    assert!(!meter.take(1, now + ms(150)));
    // what is not used for a long time is no more than the burst
    let later = now + Duration::from_secs(60);
    let taken = (0..10).filter(|_| meter.take(1, later)).count();
    assert_eq!(taken, 3);
}

#[test]
fn a_dear_request_is_served_and_owes() {
    let now = Instant::now();
    let meter = meter(&QuotaConfig::per_second(10.0).burst(5), now);
    assert!(meter.take(25, now), "it costs more than there ever is");
    assert_eq!(meter.spent_until(now), Some(now + ms(2_100)));
    assert!(!meter.take(1, now + ms(2_099)));
    assert!(meter.take(1, now + ms(2_100)));
    // the largest there can be neither overflows nor wraps round
    assert!(meter.take(u32::MAX, now + ms(2_200)));
    assert!(!meter.take(1, now + Duration::from_secs(1_000_000)));
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let now = Instant::now();
    let meter = meter(&QuotaConfig::per_second(1.0).burst(2).daily(2), now);
    assert!(meter.take(2, now) && !meter.take(1, now));
    meter.give_back(2, now);
    let reading = Reading {
        left: 2,
        limit: 2,
        daily_left: Some(2),
    };
    assert_eq!(meter.read(now), Some(reading));
    meter.give_back(100, now);
    assert_eq!(meter.read(now), Some(reading), "never more than the burst");
}

#[test]
fn a_check_is_charged_even_when_nothing_is_left() {
    let now = Instant::now();
    let meter = meter(&QuotaConfig::per_second(1.0).burst(1), now);
    meter.charge(3, now);
    assert_eq!(meter.spent_until(now), Some(now + ms(3_000)));
}

#[test]
fn another_rate_keeps_what_was_taken() {
    let now = Instant::now();
    let meter = meter(&QuotaConfig::per_second(10.0).burst(10), now);
    assert!((0..10).all(|_| meter.take(1, now)));
    meter.configure(Some(&QuotaConfig::per_second(1.0).burst(10)), now);
    assert_eq!(meter.read(now).map(|reading| reading.left), Some(0));
    assert_eq!(meter.spent_until(now), Some(now + ms(1_000)));
    meter.configure(None, now);
    assert_eq!((meter.spent_until(now), meter.read(now)), (None, None));
    assert!(
        meter.take(u32::MAX, now) && meter.take(1, now),
        "no quota, no limit"
    );
}

#[test]
fn a_day_ends_at_midnight_by_the_wall_clock() {
    let now = Instant::now();
    let (time, clock) = wall(20_000 * DAY + DAY - 60);
    let meter = Meter::new(Some(&QuotaConfig::per_day(2)), clock, now);
    assert!(meter.take(1, now) && meter.take(1, now) && !meter.take(1, now));
    let midnight = now + Duration::from_secs(60);
    assert_eq!(meter.spent_until(now), Some(midnight));
    assert_eq!(meter.day_spent_until(now), Some(midnight));
    // our clock is ahead of the wall clock: it is still the same day
    time.fetch_add(50, SeqCst);
    assert!(!meter.take(1, midnight));
    let midnight = midnight + Duration::from_secs(10);
    assert_eq!(meter.spent_until(midnight - ms(1)), Some(midnight));
    time.fetch_add(10, SeqCst);
    assert!(meter.take(1, midnight));
    assert_eq!(meter.read(midnight).unwrap().daily_left, Some(1));
    // set back by a day it gives nothing twice
    time.fetch_sub(DAY, SeqCst);
    let next = midnight + Duration::from_secs(DAY);
    assert!(meter.take(1, next) && !meter.take(1, next));
}

/// Whatever is done, no more is taken in any time than burst, refill, and the rest of the last request; and nobody is
/// refused what is there.
#[test]
fn random_operations_never_take_more_than_was_allowed() {
    const DEAREST: u32 = 9;
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..200 {
        let (rate, burst) = (f64::from(rng.u32(1..50)) / 2.0, rng.u32(1..20));
        let begun = Instant::now();
        let meter = meter(&QuotaConfig::per_second(rate).burst(burst), begun);
        let (mut now, mut net) = (begun, Vec::<(Instant, i64)>::new());
        for _ in 0..300 {
            match rng.u8(..8) {
                0..4 => {
                    let cost = rng.u32(..=DEAREST);
                    let there = meter.spent_until(now).is_none();
                    assert_eq!(
                        meter.take(cost, now),
                        there,
                        "seed {seed}: what is seen is what is had"
                    );
                    if there {
                        net.push((now, cost.into()));
                    }
                }
                4 => {
                    // only what was taken, at once
                    if let Some((_, cost)) = net.pop() {
                        meter.give_back(u32::try_from(cost).unwrap(), now);
                    }
                }
                _ => now += ms(rng.u64(..400)),
            }
            for (at, (from, _)) in net.iter().enumerate() {
                let taken: i64 = net[at..].iter().map(|(_, cost)| cost).sum();
                let refill = rate * now.duration_since(*from).as_secs_f64();
                let most = f64::from(burst) + refill + f64::from(DEAREST - 1) + 1e-3;
                assert!(taken as f64 <= most, "seed {seed}: {taken} of {most}");
            }
        }
        if let Some(until) = meter.spent_until(now) {
            assert!(meter.take(1, until), "seed {seed}: what was promised is there");
        }
    }
}

/// Pools on several threads take from one quota at the same time: no unit is given twice.
#[test]
fn threads_share_it_exactly() {
    let now = Instant::now();
    let config = QuotaConfig::per_second(1.0).burst(10_000).daily(9_000);
    let meter = Arc::new(meter(&config, now));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let meter = Arc::clone(&meter);
            std::thread::spawn(move || {
                (0..5_000)
                    .filter(|i| {
                        let taken = meter.take(1, now);
                        if taken && i % 3 == 0 {
                            meter.give_back(1, now);
                        }
                        taken && i % 3 != 0
                    })
                    .count()
            })
        })
        .collect();
    let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(taken <= 9_000, "{taken}");
    let rest = (0..9_001).filter(|_| meter.take(1, now)).count();
    assert_eq!(taken + rest, 9_000);
}
