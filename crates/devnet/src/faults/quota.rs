//! A request quota: a token bucket on an injected clock.

use std::time::Duration;

use tokio::time::Instant;

use super::Quota;

/// The tokens left of a [`Quota`].
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn full(quota: &Quota, now: Instant) -> Self {
        Self {
            tokens: quota.burst,
            at: now,
        }
    }

    /// Takes `calls` tokens.
    ///
    /// # Errors
    /// When there are too few: none is taken, and the time until there will be enough is given back (for a
    /// request larger than the burst, which never fits: until the bucket is full).
    pub(crate) fn take(&mut self, quota: &Quota, calls: usize, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * quota.per_second).min(quota.burst);
        self.at = now;
        let wanted = calls.max(1) as f64;
        if self.tokens >= wanted {
            self.tokens -= wanted;
            return Ok(());
        }
        let missing = wanted.min(quota.burst) - self.tokens;
        Err(Duration::try_from_secs_f64(missing / quota.per_second).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_bucket_empties_and_refills() {
        let quota = Quota {
            per_second: 10.0,
            burst: 5.0,
            retry_after_s: None,
        };
        let start = Instant::now();
        let mut bucket = Bucket::full(&quota, start);
        for _ in 0..5 {
            assert_eq!(bucket.take(&quota, 1, start), Ok(()));
        }
        assert_eq!(bucket.take(&quota, 1, start), Err(Duration::from_millis(100)));
        let later = start + Duration::from_millis(300);
        assert_eq!(bucket.take(&quota, 3, later), Ok(()));
        assert!(bucket.take(&quota, 1, later).is_err());
        // It never holds more than the burst.
        let much_later = start + Duration::from_secs(3_600);
        assert_eq!(bucket.take(&quota, 6, much_later), Err(Duration::ZERO));
        assert_eq!(bucket.take(&quota, 5, much_later), Ok(()));
    }
}
