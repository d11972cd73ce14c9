//! Slow start: after a recovery an endpoint's weight rises from a tenth to the whole.
//!
//! What comes back is cold: its caches, and our connections to it, which were closed when it failed. With its whole
//! weight at once it would be hit by a burst of handshakes, as the least loaded and, for balancers that look at latency,
//! the least known of all.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::knobs::AtomicDuration;

/// Share of its weight with which an endpoint comes back.
const FIRST: f64 = 0.1;

/// The ramp of one endpoint.
#[derive(Debug)]
pub(crate) struct Ramp {
    epoch: Instant,
    length: AtomicDuration,
    /// Milliseconds from the epoch to the start, plus 1; 0 before the first recovery.
    start: AtomicU64,
}

impl Ramp {
    pub(crate) fn new(epoch: Instant, length: Duration) -> Self {
        Self {
            epoch,
            length: AtomicDuration::new(length),
            start: AtomicU64::new(0),
        }
    }

    /// Takes another length; a rise under way goes on with it.
    pub(crate) fn set_length(&self, length: Duration) {
        self.length.set(length);
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    pub(crate) fn begin(&self, now: Instant) {
        if !self.length.get().is_zero() {
            self.start.store(self.millis(now) + 1, Relaxed);
        }
    }

    /// The share of its weight that the endpoint has now.
    #[inline]
    pub(crate) fn share(&self, now: Instant) -> f64 {
        match self.start.load(Relaxed) {
            0 => 1.0,
            start => self.share_since(start, now),
        }
    }

    #[cold]
    fn share_since(&self, start: u64, now: Instant) -> f64 {
        let past = Duration::from_millis((self.millis(now) + 1).saturating_sub(start));
        let length = self.length.get();
        if past >= length {
            return 1.0;
        }
        FIRST + (1.0 - FIRST) * past.as_secs_f64() / length.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_from_a_tenth_and_only_after_a_recovery() {
        let now = Instant::now();
        let seconds = |s| now + Duration::from_secs(s);
        let ramp = Ramp::new(now, Duration::from_secs(10));
        assert_eq!(ramp.share(now), 1.0);
        ramp.begin(seconds(3));
        assert_eq!(ramp.share(seconds(3)), 0.1);
        assert!((ramp.share(seconds(8)) - 0.55).abs() < 1e-9);
        assert_eq!(ramp.share(seconds(13)), 1.0);
        ramp.begin(seconds(20));
        assert_eq!(ramp.share(seconds(20)), 0.1);
    }

    #[test]
    fn no_length_no_ramp() {
        let now = Instant::now();
        let ramp = Ramp::new(now, Duration::ZERO);
        ramp.begin(now);
        assert_eq!(ramp.share(now), 1.0);
    }
}
