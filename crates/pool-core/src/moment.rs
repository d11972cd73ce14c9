//! Sums of moments and times that cannot overflow.

use std::time::Duration;

use tokio::time::Instant;

/// `wait` after `now`. A wait beyond what the clock can tell (a caller's `Duration::MAX`, a provider's absurd
/// Retry-After) is taken as thirty years.
#[inline]
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    now.checked_add(wait).unwrap_or_else(|| now + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_does_not_overflow() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert!(after(now, Duration::MAX) > now + Duration::from_secs(1_000_000));
    }
}
