//! What requests on an endpoint take on average, and how many are then under way on it: together they tell how long one
//! more would take.
//!
//! The other estimate ([`Latency`](crate::latency::Latency)) jumps to each peak, which finds a node that turns slow at the
//! first answer, and cannot tell nodes apart that all have a long tail. This one moves a seventh of the way with each
//! answer. Like the other it fades while nothing is heard, so that who was slow is tried again.
//!
//! An attempt that was beaten by a hedge is an answer of sorts: it would have taken longer. Left out, hedges would keep the
//! slow nodes' secret.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    ErrorType, Fault,
    latency::{DEFAULT, FLOOR, is_after, kept, pack, unpack},
};

/// The share of the way to a new answer. About seven answers make a new mean: at ten requests a second it follows a node
/// that turns slow within a second, and one answer out of the tail shifts little.
const STEP: f64 = 0.15;

/// What a failure of the node counts as, in seconds, at the least. It costs its caller a pause and another attempt, and a
/// fifth of all failing makes an endpoint five times as slow as usual.
const FAILURE: f64 = 1.0;

/// What a beaten attempt would have taken, over what it had taken when it was beaten.
const BEATEN: f64 = 2.0;

/// The averages of one endpoint.
#[derive(Debug)]
pub(crate) struct Expectation {
    /// The seconds as `f32` and the tick of the newest answer, packed as latencies are.
    mean: AtomicU64,
    /// Requests under way when answers came, as `f32`.
    crowd: AtomicU32,
}

impl Default for Expectation {
    fn default() -> Self {
        Self {
            mean: AtomicU64::new(pack(0, DEFAULT)),
            crowd: AtomicU32::new(0),
        }
    }
}

impl Expectation {
    /// Mean seconds, faded, and the requests under way that go with them.
    #[inline]
    pub(crate) fn read(&self, tick: u32) -> (f64, f64) {
        let (then, mean) = unpack(self.mean.load(Relaxed));
        let crowd = f64::from(f32::from_bits(self.crowd.load(Relaxed)));
        ((f64::from(mean) * kept(then, tick)).max(FLOOR), crowd)
    }

    /// So many attempts, itself among them, were under way when one was answered.
    #[inline]
    pub(crate) fn answered_among(&self, in_flight: u64) {
        let crowd = f32::from_bits(self.crowd.load(Relaxed));
        // of two that come at the same moment one may be lost: it is an average
        let moved = crowd + STEP as f32 * (in_flight as f32 - crowd);
        self.crowd.store(moved.to_bits(), Relaxed);
    }

    /// An attempt ended, with this class of error or well.
    #[inline]
    pub(crate) fn ended(&self, error: Option<ErrorType>, elapsed: Duration, tick: u32) {
        let sample = elapsed.as_secs_f64();
        match error.map(|class| (class, class.fault())) {
            None | Some((_, Fault::Caller)) => self.learn(sample, tick, false),
            // it is left alone until the provider wants it; how fast it works is another matter
            Some((ErrorType::RateLimited, _)) => {}
            Some((_, Fault::Node)) => self.learn(sample.max(FAILURE), tick, false),
            Some((ErrorType::Deadline, _)) => self.learn(sample, tick, true),
            Some((_, Fault::Local)) => {}
        }
    }

    /// An attempt was beaten by a hedge when it had taken so long.
    pub(crate) fn beaten(&self, elapsed: Duration, tick: u32) {
        self.learn(BEATEN * elapsed.as_secs_f64(), tick, true);
    }

    /// Nothing that was learned counts any more.
    pub(crate) fn forget(&self, tick: u32) {
        self.mean.store(pack(tick, DEFAULT), Relaxed);
        self.crowd.store(0, Relaxed);
    }

    /// Moves the mean towards a sample; one that is only a lower bound never moves it down.
    fn learn(&self, sample: f64, tick: u32, at_least: bool) {
        // an error means that there was nothing to change
        let _unchanged = self.mean.fetch_update(Relaxed, Relaxed, |state| {
            let (then, mean) = unpack(state);
            let mean = f64::from(mean) * kept(then, tick);
            let moved = mean + STEP * (sample - mean);
            let latest = if is_after(tick, then) { tick } else { then };
            (!at_least || sample > mean).then(|| pack(latest, moved as f32))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u32 = 125;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[track_caller]
    fn about(expectation: &Expectation, tick: u32, millis: f64) {
        let got = 1_000.0 * expectation.read(tick).0;
        assert!((got / millis - 1.0).abs() < 0.02, "{got} is not about {millis}");
    }

    #[test]
    fn one_answer_out_of_the_tail_shifts_little_and_a_row_much() {
        let expectation = Expectation::default();
        for _ in 0..40 {
            expectation.answered_among(3);
            expectation.ended(None, ms(40), 0);
        }
        about(&expectation, 0, 40.0);
        expectation.ended(None, ms(160), 0);
        about(&expectation, 0, 58.0);
        (0..10).for_each(|_| expectation.ended(None, ms(400), 0));
        assert!(expectation.read(0).0 > 0.3);
        assert!((expectation.read(0).1 - 3.0).abs() < 0.1);
    }

    #[test]
    fn it_fades_while_nothing_is_heard() {
        let expectation = Expectation::default();
        (0..60).for_each(|_| expectation.ended(None, ms(500), 0));
        about(&expectation, 10 * SECOND, 500.0 / std::f64::consts::E);
    }

    #[test]
    fn failures_are_slow_however_fast_they_came_and_throttling_says_nothing() {
        let expectation = Expectation::default();
        expectation.ended(Some(ErrorType::RateLimited), ms(1), 0);
        about(&expectation, 0, 30.0);
        (0..60).for_each(|_| expectation.ended(Some(ErrorType::HttpStatus), ms(1), 0));
        about(&expectation, 0, 1_000.0);
        expectation.forget(0);
        about(&expectation, 0, 30.0);
    }

    #[test]
    fn a_lower_bound_never_speaks_for_an_endpoint() {
        let expectation = Expectation::default();
        (0..60).for_each(|_| expectation.ended(None, ms(500), 0));
        expectation.beaten(ms(100), 0);
        expectation.ended(Some(ErrorType::Deadline), ms(100), 0);
        about(&expectation, 0, 500.0);
        (0..60).for_each(|_| expectation.beaten(ms(400), 0));
        about(&expectation, 0, 800.0);
    }
}
