//! A sliding window of outcomes in ten buckets.
//!
//! Exact counts and not a moving average, because a trip is decided on "so many of so many"; ten buckets, because the
//! oldest tenth falling out at once is smooth enough and costs 160 bytes. A bucket carries the number of its slice of
//! time, so that a gap of any length clears the window without a timer.

use std::time::Duration;

use tokio::time::Instant;

const BUCKETS: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    slice: u64,
    ok: u32,
    failed: u32,
    /// Of those that are ok.
    slow: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    origin: Instant,
    slice_len: Duration,
    buckets: [Bucket; BUCKETS],
}

impl Window {
    /// `length` is divided into ten slices; it is at least 10 ms (checked by the configuration).
    pub(super) fn new(origin: Instant, length: Duration) -> Self {
        Self {
            origin,
            slice_len: length / BUCKETS as u32,
            buckets: [Bucket::default(); BUCKETS],
        }
    }

    fn slice(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.origin).as_nanos() / self.slice_len.as_nanos().max(1);
        // slice 0 is the "never used" mark of a bucket
        u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn record(&mut self, now: Instant, ok: bool) {
        let bucket = self.bucket(now);
        let count = if ok { &mut bucket.ok } else { &mut bucket.failed };
        *count = count.saturating_add(1);
    }

    /// A success that took long.
    pub(super) fn record_slow(&mut self, now: Instant) {
        self.record(now, true);
        let bucket = self.bucket(now);
        bucket.slow = bucket.slow.saturating_add(1);
    }

    fn bucket(&mut self, now: Instant) -> &mut Bucket {
        let slice = self.slice(now);
        let bucket = &mut self.buckets[(slice % BUCKETS as u64) as usize];
        if bucket.slice != slice {
            *bucket = Bucket {
                slice,
                ..Bucket::default()
            };
        }
        bucket
    }

    /// Outcomes and failures within the window.
    pub(super) fn totals(&self, now: Instant) -> (u64, u64) {
        self.live(now).fold((0, 0), |(all, failed), b| {
            (
                all + u64::from(b.ok) + u64::from(b.failed),
                failed + u64::from(b.failed),
            )
        })
    }

    /// Slow successes within the window.
    pub(super) fn slow(&self, now: Instant) -> u64 {
        self.live(now).map(|bucket| u64::from(bucket.slow)).sum()
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = &Bucket> {
        let newest = self.slice(now);
        let oldest = newest.saturating_sub(BUCKETS as u64 - 1).max(1);
        let live = move |bucket: &&Bucket| (oldest..=newest).contains(&bucket.slice);
        self.buckets.iter().filter(live)
    }

    pub(super) fn clear(&mut self) {
        self.buckets = [Bucket::default(); BUCKETS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_leave_after_the_window() {
        let t0 = Instant::now();
        let mut window = Window::new(t0, Duration::from_secs(10));
        window.record(t0, false);
        window.record(t0 + Duration::from_secs(5), true);
        assert_eq!(window.totals(t0 + Duration::from_secs(9)), (2, 1));
        assert_eq!(window.totals(t0 + Duration::from_secs(11)), (1, 0));
        assert_eq!(window.totals(t0 + Duration::from_secs(1_000_000_000)), (0, 0));
    }

    #[test]
    fn a_reused_bucket_forgets_its_past() {
        let t0 = Instant::now();
        let mut window = Window::new(t0, Duration::from_secs(10));
        window.record(t0, false);
        window.record(t0 + Duration::from_secs(10), true);
        assert_eq!(window.totals(t0 + Duration::from_secs(10)), (1, 0));
    }
}
