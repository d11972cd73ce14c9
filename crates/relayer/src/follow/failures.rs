//! Failures in the log: the first at once, a storm as a summary.

use std::time::Duration;

use tokio::time::Instant;

/// At most one line in this time.
const EVERY: Duration = Duration::from_secs(10);

/// Decides which failures are logged. A pool at a thousand requests a second whose nodes are down must not write a
/// thousand lines.
#[derive(Debug, Default)]
pub struct Failures {
    quiet_until: Option<Instant>,
    silent: u64,
}

impl Failures {
    /// Takes note of a failure. `Some` when it is to be logged, with how many were not since the last line.
    pub fn note(&mut self, now: Instant) -> Option<u64> {
        if self.quiet_until.is_some_and(|until| now < until) {
            self.silent += 1;
            return None;
        }
        self.quiet_until = Some(now + EVERY);
        Some(std::mem::take(&mut self.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_storm_is_summed_up() {
        let mut failures = Failures::default();
        assert_eq!(failures.note(Instant::now()), Some(0));
        for _ in 0..500 {
            assert_eq!(failures.note(Instant::now()), None);
        }
        tokio::time::advance(EVERY).await;
        assert_eq!(failures.note(Instant::now()), Some(500));
        tokio::time::advance(EVERY).await;
        assert_eq!(failures.note(Instant::now()), Some(0));
    }
}
