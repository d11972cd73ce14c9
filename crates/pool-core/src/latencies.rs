//! Recent latencies of a pool, for quantiles.
//!
//! Counts in buckets of an eighth of a power of two of microseconds, so a quantile is at most 12.5 % too high, over the
//! last minute in six slices. One short lock; nothing is allocated after the beginning.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const SLICE: Duration = Duration::from_secs(10);
const SLICES: usize = 6;
/// Values below this have a bucket each; from there on each power of two has so many.
const PARTS: u64 = 8;
const PARTS_LOG: u32 = PARTS.trailing_zeros();
/// Up to 2^32 microseconds, which is over an hour.
const BUCKETS: usize = (PARTS + (32 - PARTS_LOG as u64) * PARTS) as usize;

#[derive(Debug)]
struct Window {
    origin: Instant,
    newest: u64,
    slices: Box<[[u32; BUCKETS]; SLICES]>,
    /// Sum of the slices.
    all: Box<[u64; BUCKETS]>,
    count: u64,
}

impl Window {
    fn new(origin: Instant) -> Self {
        Self {
            origin,
            newest: 0,
            slices: Box::new([[0; BUCKETS]; SLICES]),
            all: Box::new([0; BUCKETS]),
            count: 0,
        }
    }

    /// Forgets what is older than the window.
    fn advance(&mut self, now: Instant) {
        let slice = now.saturating_duration_since(self.origin).as_secs() / SLICE.as_secs();
        let steps = slice.saturating_sub(self.newest);
        self.newest = self.newest.max(slice);
        for step in 0..steps.min(SLICES as u64) {
            let old = &mut self.slices[((self.newest - step) % SLICES as u64) as usize];
            for (sum, count) in self.all.iter_mut().zip(old.iter_mut()) {
                let gone = u64::from(std::mem::take(count));
                *sum -= gone;
                self.count -= gone;
            }
        }
    }

    fn record(&mut self, now: Instant, latency: Duration) {
        self.advance(now);
        let bucket = bucket(latency);
        let cell = &mut self.slices[(self.newest % SLICES as u64) as usize][bucket];
        if let Some(more) = cell.checked_add(1) {
            *cell = more;
            self.all[bucket] += 1;
            self.count += 1;
        }
    }

    fn quantile(&mut self, now: Instant, share: f64, least: u64) -> Option<Duration> {
        self.advance(now);
        if self.count < least.max(1) {
            return None;
        }
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let found = self.all.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(upper)
    }
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if micros < PARTS {
        return micros as usize;
    }
    let power = micros.ilog2();
    let part = (micros >> (power - PARTS_LOG)) - PARTS;
    let index = PARTS + u64::from(power - PARTS_LOG) * PARTS + part;
    (index as usize).min(BUCKETS - 1)
}

/// The highest latency of a bucket.
fn upper(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return Duration::from_micros(bucket);
    }
    let (power, part) = ((bucket - PARTS) / PARTS, (bucket - PARTS) % PARTS);
    Duration::from_micros(((PARTS + part + 1) << power) - 1)
}

/// A pool's recent latencies.
#[derive(Debug)]
pub(crate) struct Latencies(Mutex<Window>);

impl Latencies {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Window::new(now)))
    }

    pub(crate) fn record(&self, now: Instant, latency: Duration) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(now, latency);
    }

    /// The latency below which this share of the last minute's lies; `None` while there are fewer than `least`.
    pub(crate) fn quantile(&self, now: Instant, share: f64, least: u64) -> Option<Duration> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .quantile(now, share, least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_without_gaps_and_at_most_an_eighth_wide() {
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        for index in 0..BUCKETS - 1 {
            let last = upper(index);
            let next = last + Duration::from_micros(1);
            assert_eq!((bucket(last), bucket(next)), (index, index + 1), "{last:?}");
            assert!(upper(index + 1).as_secs_f64() <= next.as_secs_f64() * 1.125 + 1e-9);
        }
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list_but_for_the_width_of_a_bucket() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let t0 = Instant::now();
        let latencies = Latencies::new(t0);
        let mut list: Vec<_> = (0..1000)
            .map(|_| Duration::from_micros(1 << rng.u32(0..24)).mul_f64(1.0 + rng.f64()))
            .collect();
        for latency in &list {
            latencies.record(t0, *latency);
        }
        list.sort_unstable();
        for percent in [1, 50, 90, 95, 99, 100] {
            let exact = list[percent * 10 - 1];
            let found = latencies.quantile(t0, percent as f64 / 100.0, 1).unwrap();
            assert!(
                found + Duration::from_micros(1) >= exact && found <= exact.mul_f64(1.126),
                "{percent} %: {found:?} for {exact:?}"
            );
        }
    }

    #[test]
    fn the_last_minute_counts_and_no_more() {
        let t0 = Instant::now();
        let latencies = Latencies::new(t0);
        let at = |seconds| t0 + Duration::from_secs(seconds);
        assert_eq!(latencies.quantile(t0, 0.5, 1), None);
        for second in 0..60 {
            latencies.record(at(second), Duration::from_micros(second / 10));
        }
        assert_eq!(
            latencies.quantile(at(59), 1.0, 60),
            Some(Duration::from_micros(5))
        );
        assert_eq!(latencies.quantile(at(59), 1.0, 61), None);
        assert_eq!(
            latencies.quantile(at(60), 0.01, 50),
            Some(Duration::from_micros(1))
        );
        assert_eq!(
            latencies.quantile(at(60), 0.01, 51),
            None,
            "the first ten seconds are gone"
        );
        // a clock read before another's and used after it
        latencies.record(at(50), Duration::ZERO);
        assert_eq!(
            latencies.quantile(at(100), 1.0, 11),
            Some(Duration::from_micros(5))
        );
        assert_eq!(latencies.quantile(at(120), 1.0, 1), None);
        assert_eq!(latencies.quantile(at(1_000_000), 1.0, 1), None);
    }
}
