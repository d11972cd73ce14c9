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

#[derive(Clone, Copy, Debug)]
struct Slice {
    bucket: usize,
    begin: Instant,
    end: Instant,
}

impl Slice {
    /// Nothing falls into it.
    const fn empty(at: Instant) -> Self {
        Self {
            bucket: 0,
            begin: at,
            end: at,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    origin: Instant,
    /// Nanoseconds of a slice, at least 1.
    slice_len: u64,
    buckets: [Bucket; BUCKETS],
    /// The slice of the newest outcome, its bucket, and when it begins and ends: divisions are saved while it lasts.
    newest: Slice,
}

impl Window {
    /// `length` is divided into ten slices; it is at least 10 ms (checked by the configuration).
    pub(super) fn new(origin: Instant, length: Duration) -> Self {
        Self {
            origin,
            slice_len: u64::try_from((length / BUCKETS as u32).as_nanos())
                .unwrap_or(u64::MAX)
                .max(1),
            buckets: [Bucket::default(); BUCKETS],
            newest: Slice::empty(origin),
        }
    }

    fn slice(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin);
        // nanoseconds fill 64 bits after 584 years
        let nanos = since
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(since.subsec_nanos().into());
        // slice 0 is the "never used" mark of a bucket
        (nanos / self.slice_len).saturating_add(1)
    }

    /// The bucket of this moment, made ready for it.
    #[inline(never)]
    fn begin_slice(&mut self, now: Instant) -> usize {
        let slice = self.slice(now);
        let index = (slice % BUCKETS as u64) as usize;
        let bucket = &mut self.buckets[index];
        if bucket.slice != slice {
            *bucket = Bucket {
                slice,
                ..Bucket::default()
            };
        }
        let edge = |slice: u64| {
            let since = Duration::from_nanos(self.slice_len.saturating_mul(slice));
            self.origin.checked_add(since)
        };
        // beyond what the clock can tell nothing is remembered
        self.newest = match (edge(slice - 1), edge(slice)) {
            (Some(begin), Some(end)) => Slice {
                bucket: index,
                begin,
                end,
            },
            _ => Slice::empty(self.origin),
        };
        index
    }

    #[inline]
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

    #[inline]
    fn bucket(&mut self, now: Instant) -> &mut Bucket {
        let Slice { bucket, begin, end } = self.newest;
        let index = if begin <= now && now < end {
            bucket
        } else {
            self.begin_slice(now)
        };
        &mut self.buckets[index]
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
        // what comes next makes its bucket ready
        self.newest = Slice::empty(self.origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_a_slice_is_what_would_be_computed() {
        let t0 = Instant::now();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut window = Window::new(t0, Duration::from_millis(10));
        let mut now = t0;
        for _ in 0..5_000 {
            let step = Duration::from_micros(rng.u64(..900));
            // a caller that read the clock earlier may come later
            now = if rng.u8(..4) == 0 {
                (now - step).max(t0)
            } else {
                now + step
            };
            window.record(now, true);
            let slice = window.slice(now);
            assert_eq!(window.buckets[(slice % BUCKETS as u64) as usize].slice, slice);
        }
    }

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
