//! What requests on an endpoint take on average, and how many are then under way on it: together they tell how long one
//! more would take.
//!
//! The other estimate ([`Latency`](crate::latency::Latency)) jumps to each peak, which finds a node that turns slow at the
//! first answer, and cannot tell nodes apart that all have a long tail. This one moves a seventh of the way with each
//! answer.
//!
//! Like the other it fades while nothing is heard, so that who was slow is tried again. That it may have become faster is a
//! guess: it lets one request in at a time, and a slow answer puts the mean back where it was. What is old weighs less,
//! though: an answer after 15 s of silence moves the mean two thirds of the way, and the first answer of all is the mean.
//!
//! An attempt that was beaten by a hedge is an answer of sorts: it would have taken longer. Left out, hedges would keep the
//! slow nodes' secret.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    ErrorType, Fault,
    latency::{FLOOR, is_after, pack, seconds_between, unpack},
};

/// The share of the way to a new answer. About seven answers make a new mean: at ten requests a second it follows a node
/// that turns slow within a second, and one answer out of the tail shifts little.
const STEP: f64 = 0.15;

/// What is known falls to 1/e of itself in so long, while nothing is heard, as far as picks are concerned. Each time a node
/// that is still slow is tried costs a caller. With 10 s a node that is five times as slow costs enough of them to show in
/// the 99th percentile of 150 requests a second; with 20 s one that has recovered may wait for half a minute.
const DECAY: f64 = 15.0;

/// What a failure of the node counts as, in seconds, if nothing is known of it, and at the most for its failing alone. It costs
/// its caller a pause and another attempt.
const FAILURE: f64 = 1.0;

/// Until then a failure counts as so many times the mean: one among many good answers makes an endpoint about twice as slow
/// as usual, and does not send all its requests elsewhere for half a minute; a row of them soon counts in full.
const WORSE: f64 = 10.0;

/// What a beaten attempt would have taken, over what it had taken when it was beaten.
const BEATEN: f64 = 2.0;

/// The share of what is known that is left after the time between two ticks: the reciprocal of the first five terms of
/// `exp`, which is as good a way to fall (within 1 % up to 18 s, 1.6 times as much after a minute), and cheaper for every pick.
#[inline]
fn kept(then: u32, now: u32) -> f64 {
    if then == now {
        return 1.0;
    }
    let x = seconds_between(then, now) / DECAY;
    1.0 / (1.0 + x * (1.0 + x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0)))))
}

/// What no mean is: nothing is known.
const UNKNOWN: f32 = 0.0;

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outlook {
    /// What requests take on average, in seconds, faded.
    pub(crate) mean: f32,
    /// Requests under way that go with it; 0 where none was answered yet.
    pub(crate) crowd: f32,
}

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
            mean: AtomicU64::new(pack(0, UNKNOWN)),
            crowd: AtomicU32::new(0),
        }
    }
}

impl Expectation {
    /// What is known now; `None` before the first answer. It fades only for an endpoint that is idle: one request finds out
    /// whether it is still slow, and until that is answered it is as slow as it was.
    #[inline]
    pub(crate) fn read(&self, tick: u32, idle: bool) -> Option<Outlook> {
        let (then, mean) = unpack(self.mean.load(Relaxed));
        if mean == UNKNOWN {
            return None;
        }
        let left = if idle { kept(then, tick) } else { 1.0 };
        Some(Outlook {
            mean: (mean * left as f32).max(FLOOR as f32),
            crowd: f32::from_bits(self.crowd.load(Relaxed)),
        })
    }

    /// So many attempts, itself among them, were under way when one was answered.
    #[inline]
    pub(crate) fn answered_among(&self, in_flight: u64) {
        let crowd = f32::from_bits(self.crowd.load(Relaxed));
        let step = if crowd == 0.0 { 1.0 } else { STEP as f32 };
        // of two that come at the same moment one may be lost: it is an average
        let moved = crowd + step * (in_flight as f32 - crowd);
        self.crowd.store(moved.to_bits(), Relaxed);
    }

    /// An attempt ended, with this class of error or well.
    #[inline]
    pub(crate) fn ended(&self, error: Option<ErrorType>, elapsed: Duration, tick: u32) {
        let sample = elapsed.as_secs_f64();
        match error.map(|class| (class, class.fault())) {
            None | Some((_, Fault::Caller)) => self.learn(|_| sample, tick, false),
            // it is left alone until the provider wants it; how fast it works is another matter
            Some((ErrorType::RateLimited, _)) => {}
            Some((_, Fault::Node)) => self.learn(|mean| sample.max(FAILURE.min(WORSE * mean)), tick, false),
            Some((ErrorType::Deadline, _)) => self.learn(|_| sample, tick, true),
            Some((_, Fault::Local)) => {}
        }
    }

    /// An attempt was beaten by a hedge when it had taken so long.
    pub(crate) fn beaten(&self, elapsed: Duration, tick: u32) {
        self.learn(|_| BEATEN * elapsed.as_secs_f64(), tick, true);
    }

    /// Nothing that was learned counts any more.
    pub(crate) fn forget(&self) {
        self.mean.store(pack(0, UNKNOWN), Relaxed);
        self.crowd.store(0, Relaxed);
    }

    /// Moves the mean towards a sample, which may depend on it (it is infinite where nothing is known); one that is only a lower
    /// bound never moves it down.
    #[inline]
    fn learn(&self, sample: impl Fn(f64) -> f64, tick: u32, at_least: bool) {
        // an error means that there was nothing to change
        let _unchanged = self.mean.fetch_update(Relaxed, Relaxed, |state| {
            let (then, mean) = unpack(state);
            // what reads as the floor anyway; and never what stands for nothing
            let sample = |mean: f64| sample(mean).max(FLOOR);
            if mean == UNKNOWN {
                return Some(pack(tick, sample(f64::INFINITY) as f32));
            }
            let (left, mean) = (kept(then, tick), f64::from(mean));
            let sample = sample(mean);
            if at_least && sample <= mean * left {
                return None;
            }
            let moved = mean + (1.0 - (1.0 - STEP) * left) * (sample - mean);
            let latest = if is_after(tick, then) { tick } else { then };
            Some(pack(latest, moved as f32))
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

    fn answers(expectation: &Expectation, count: u32, millis: u64, tick: u32) {
        (0..count).for_each(|_| expectation.ended(None, ms(millis), tick));
    }

    #[track_caller]
    fn reads(expectation: &Expectation, tick: u32, idle: bool, millis: f64) {
        let got = 1_000.0 * f64::from(expectation.read(tick, idle).unwrap().mean);
        assert!((got / millis - 1.0).abs() < 0.02, "{got} is not about {millis}");
    }

    #[test]
    fn nothing_is_known_before_the_first_answer_and_that_is_all_that_is_known_then() {
        let expectation = Expectation::default();
        assert_eq!(expectation.read(0, true), None);
        expectation.answered_among(6);
        expectation.ended(None, ms(200), 0);
        reads(&expectation, 0, true, 200.0);
        assert_eq!(expectation.read(0, true).unwrap().crowd, 6.0);
        expectation.forget();
        assert_eq!(expectation.read(0, true), None);
    }

    #[test]
    fn an_answer_at_once_is_an_answer() {
        let expectation = Expectation::default();
        expectation.ended(None, Duration::ZERO, 0);
        reads(&expectation, 0, true, 1.0);
    }

    #[test]
    fn one_answer_out_of_the_tail_shifts_little_and_a_row_much() {
        let expectation = Expectation::default();
        for _ in 0..40 {
            expectation.answered_among(3);
            expectation.ended(None, ms(40), 0);
        }
        reads(&expectation, 0, true, 40.0);
        expectation.ended(None, ms(160), 0);
        reads(&expectation, 0, true, 58.0);
        answers(&expectation, 10, 400, 0);
        let known = expectation.read(0, true).unwrap();
        assert!(known.mean > 0.3 && (known.crowd - 3.0).abs() < 0.1, "{known:?}");
    }

    #[test]
    fn who_is_idle_fades_and_who_is_being_tried_is_as_slow_as_it_was() {
        let expectation = Expectation::default();
        answers(&expectation, 60, 500, 0);
        reads(&expectation, 15 * SECOND, true, 500.0 / std::f64::consts::E);
        reads(&expectation, 15 * SECOND, false, 500.0);
    }

    #[test]
    fn after_a_silence_one_answer_tells_whether_it_is_still_slow() {
        let still = Expectation::default();
        answers(&still, 60, 500, 0);
        still.ended(None, ms(500), 30 * SECOND);
        reads(&still, 30 * SECOND, true, 500.0);
        let recovered = Expectation::default();
        answers(&recovered, 60, 500, 0);
        recovered.ended(None, ms(40), 30 * SECOND);
        // 0.85 of the seventh that is left of the old, and the rest of the new
        reads(&recovered, 30 * SECOND, true, 96.0);
    }

    #[test]
    fn failures_are_slow_however_fast_they_came_and_throttling_says_nothing() {
        let expectation = Expectation::default();
        expectation.ended(Some(ErrorType::RateLimited), ms(1), 0);
        assert_eq!(expectation.read(0, true), None);
        expectation.ended(Some(ErrorType::HttpStatus), ms(1), 0);
        reads(&expectation, 0, true, 1_000.0);
    }

    #[test]
    fn one_failure_among_many_answers_moves_a_few_requests_and_a_row_all() {
        let expectation = Expectation::default();
        answers(&expectation, 40, 10, 0);
        expectation.ended(Some(ErrorType::NodeInternal), ms(10), 0);
        // a seventh of the way to ten times as much
        reads(&expectation, 0, true, 23.5);
        for _ in 0..20 {
            expectation.ended(Some(ErrorType::NodeInternal), ms(1), 0);
        }
        let known = expectation.read(0, true).unwrap();
        assert!((0.9..=1.0).contains(&known.mean), "{known:?}");
        // what took longer than that counts as it was
        expectation.ended(Some(ErrorType::Timeout), ms(10_000), 0);
        assert!(expectation.read(0, true).unwrap().mean > 2.0);
    }

    #[test]
    fn a_lower_bound_never_speaks_for_an_endpoint() {
        let expectation = Expectation::default();
        answers(&expectation, 60, 500, 0);
        expectation.beaten(ms(100), 0);
        expectation.ended(Some(ErrorType::Deadline), ms(100), 0);
        reads(&expectation, 0, true, 500.0);
        (0..60).for_each(|_| expectation.beaten(ms(400), 0));
        reads(&expectation, 0, true, 800.0);
    }
}
