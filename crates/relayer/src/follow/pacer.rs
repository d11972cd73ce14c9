//! When the next request is due.

use std::time::Duration;

use tokio::time::Instant;

/// How much may be made up for after a pause. A pause of a second must not become a second's requests at once.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Spaces requests evenly at a rate. What was missed for longer than a tenth of a second is not made up for.
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    next: Instant,
}

impl Pacer {
    /// So many a second, above 0; the first at `now`.
    pub fn new(per_second: f64, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / per_second.max(1e-6)),
            next: now,
        }
    }

    /// When the next request is due; it counts as made.
    pub fn take(&mut self, now: Instant) -> Instant {
        let due = match now.checked_sub(CATCH_UP) {
            Some(earliest) => self.next.max(earliest),
            None => self.next,
        };
        self.next = due + self.interval;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests made within a time by a loop that sleeps until each is due.
    async fn made(pacer: &mut Pacer, time: Duration) -> u32 {
        let end = Instant::now() + time;
        let mut count = 0;
        loop {
            let due = pacer.take(Instant::now());
            if due >= end {
                tokio::time::sleep_until(end).await;
                return count;
            }
            tokio::time::sleep_until(due).await;
            count += 1;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept() {
        for rate in [0.5, 10.0, 3_000.0] {
            let mut pacer = Pacer::new(rate, Instant::now());
            let expected = rate * 20.0;
            let count = f64::from(made(&mut pacer, Duration::from_secs(20)).await);
            // the clock ticks in milliseconds
            assert!(
                (count - expected).abs() <= expected * 0.01 + 1.0,
                "{count} instead of {expected}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_made_up_for() {
        let mut pacer = Pacer::new(100.0, Instant::now());
        pacer.take(Instant::now());
        tokio::time::advance(Duration::from_secs(10)).await;
        let now = Instant::now();
        let at_once = (0..1_000).filter(|_| pacer.take(now) <= now).count();
        assert!((10..=11).contains(&at_once), "{at_once} at once");
    }
}
