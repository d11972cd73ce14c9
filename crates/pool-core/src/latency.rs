//! What a request on an endpoint will probably take: a peak-sensitive moving average that failures cannot flatter.
//!
//! After Finagle's `PeakEwma` (2014) and linkerd's penalty for failures (linkerd2-proxy PR 4537): a sample above the
//! average replaces it at once, one below pulls it down slowly, and without samples it fades, so that an endpoint that
//! was slow is tried again. Where the plain average sees an endpoint that fails in 1 ms as the fastest of all, and sends
//! it everything, a failure here is recorded as [`PENALTY`] or more.
//!
//! One word per endpoint, no lock: the seconds as `f32` in the lower half (negative when the newest outcome was a
//! failure), the moment in ticks of 8 ms in the upper.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    ErrorType, Fault,
    expectation::{Expectation, Outlook},
};

/// An estimate falls to 1/e of itself in so long.
const DECAY: f64 = 10.0;

/// What is assumed of an endpoint that has not answered yet, in seconds.
const DEFAULT: f32 = 0.030;

/// What a failure is recorded as, at the least: longer than any healthy endpoint takes.
const PENALTY: f64 = 5.0;

/// After so many failures in a row, as after so many the breaker opens where it counts them: a few among many successes
/// are no reason to shift the load to others, who have their own limits.
const STREAK: u32 = 5;

/// How many times more loaded an endpoint is taken for, for each second of the estimate that its failure left.
const HANDICAP: f64 = 10.0;

/// No estimate is read as less. Below it differences say nothing of remote nodes, and an average that has faded to next
/// to nothing would make the number of requests under way irrelevant.
pub(crate) const FLOOR: f64 = 0.001;

/// Ticks of 8 ms go round after 397 days; a moment is taken as past or future by the shorter way.
const TICK_BITS: u32 = 3;

/// The estimate of one endpoint.
#[derive(Debug)]
pub(crate) struct Latency {
    epoch: Instant,
    state: AtomicU64,
    /// Failures of the node since its last success, without rate limits: those are waited for.
    streak: AtomicU32,
    /// What all successful attempts took together, in microseconds.
    took: AtomicU64,
    /// What requests take on average.
    expectation: Expectation,
}

impl Latency {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            state: AtomicU64::new(pack(0, DEFAULT)),
            streak: AtomicU32::new(0),
            took: AtomicU64::new(0),
            expectation: Expectation::default(),
        }
    }

    /// The moment as estimates store it. The same for all endpoints of a pool, since they share their epoch.
    pub(crate) fn tick(&self, now: Instant) -> u32 {
        let past = now.saturating_duration_since(self.epoch);
        // as_millis() would count in 128 bits
        (past.as_secs().wrapping_mul(1_000 >> TICK_BITS) + (u64::from(past.subsec_millis()) >> TICK_BITS))
            as u32
    }

    /// The estimate now, at least 1 ms.
    pub(crate) fn at(&self, now: Instant) -> Duration {
        Duration::from_secs_f64(self.seconds_at(self.tick(now)))
    }

    /// The same in seconds, for those who compute with it.
    #[inline]
    pub(crate) fn seconds_at(&self, tick: u32) -> f64 {
        let (then, value) = unpack(self.state.load(Relaxed));
        (f64::from(value.abs()) * kept(then, tick)).max(FLOOR)
    }

    /// What all successful attempts took together, in microseconds.
    pub(crate) fn took(&self) -> u64 {
        self.took.load(Relaxed)
    }

    /// How many times more loaded an endpoint is to be taken for than it is: 1 unless its newest [`STREAK`] outcomes were
    /// failures of the node; then ten times for each second of the estimate, so about 50 at first, and 1 again after some
    /// 40 s, when the failure has faded. Those who look at load alone would see an endpoint that fails at once as idle, and
    /// not every failure is one that a breaker may count.
    #[inline]
    pub(crate) fn handicap(&self, now: Instant) -> f64 {
        if self.streak.load(Relaxed) < STREAK {
            1.0
        } else {
            self.handicap_of_failing(now)
        }
    }

    #[cold]
    fn handicap_of_failing(&self, now: Instant) -> f64 {
        (HANDICAP * self.seconds_at(self.tick(now))).max(1.0)
    }

    /// Whether the newest outcome was a failure of the node.
    #[inline]
    pub(crate) fn failing(&self) -> bool {
        unpack(self.state.load(Relaxed)).1.is_sign_negative()
    }

    /// What requests take on average, and how many are then under way, at a tick, for an endpoint that is idle or not; `None`
    /// before the first answer.
    #[inline]
    pub(crate) fn expectation_at(&self, tick: u32, idle: bool) -> Option<Outlook> {
        self.expectation.read(tick, idle)
    }

    /// An attempt was beaten by a hedge when it had taken so long.
    pub(crate) fn beaten(&self, elapsed: Duration, now: Instant) {
        let tick = self.tick(now);
        self.expectation.beaten(elapsed, tick);
        let sample = elapsed.as_secs_f64();
        self.update(tick, |old, estimate, kept| {
            (sample > estimate * kept).then(|| (sample as f32).copysign(old))
        });
    }

    /// So many attempts, itself among them, were under way when one was answered.
    #[inline]
    pub(crate) fn answered_among(&self, in_flight: u64) {
        self.expectation.answered_among(in_flight);
    }

    /// An attempt took `elapsed` and ended with this class of error, or well.
    #[inline]
    pub(crate) fn ended(&self, error: Option<ErrorType>, elapsed: Duration, now: Instant) {
        let tick = self.tick(now);
        self.expectation.ended(error, elapsed, tick);
        match error {
            None => self.succeeded(elapsed, tick),
            Some(class) => self.failed(class, elapsed, tick),
        }
    }

    fn succeeded(&self, elapsed: Duration, tick: u32) {
        // as_micros() would count in 128 bits
        let micros = elapsed.as_secs().wrapping_mul(1_000_000) + u64::from(elapsed.subsec_micros());
        self.took.fetch_add(micros, Relaxed);
        self.answered(micros as i64 as f64 / 1e6, tick);
    }

    /// The node worked, and took so many seconds.
    #[inline]
    fn answered(&self, sample: f64, tick: u32) {
        if self.streak.load(Relaxed) > 0 {
            self.streak.store(0, Relaxed);
        }
        self.update(tick, |old, estimate, kept| {
            let faded = estimate * kept;
            if sample > faded {
                return Some(sample as f32);
            }
            // in the same tick a sample below it changes nothing, but for what has failed
            (kept < 1.0 || old.is_sign_negative()).then_some((faded + sample * (1.0 - kept)) as f32)
        });
    }

    #[cold]
    fn failed(&self, class: ErrorType, elapsed: Duration, tick: u32) {
        let sample = elapsed.as_secs_f64();
        match (class, class.fault()) {
            // a caller's mistake was answered like any other request
            (_, Fault::Caller) => self.answered(sample, tick),
            (_, Fault::Node) => {
                if class != ErrorType::RateLimited {
                    self.one_more_in_a_row();
                }
                self.update(tick, |_, estimate, kept| {
                    Some(-(PENALTY.max(estimate * kept).max(sample) as f32))
                });
            }
            // it would have taken at least so long
            (ErrorType::Deadline, Fault::Local) => self.update(tick, |old, estimate, kept| {
                (sample > estimate * kept).then(|| (sample as f32).copysign(old))
            }),
            (_, Fault::Local) => {}
        }
    }

    fn one_more_in_a_row(&self) {
        let _before = self
            .streak
            .fetch_update(Relaxed, Relaxed, |streak| streak.checked_add(1));
    }

    /// The endpoint works again: what it failed with is no measure of it.
    pub(crate) fn forgive(&self, now: Instant) {
        self.excuse();
        let tick = self.tick(now);
        self.update(tick, |old, _, _| old.is_sign_negative().then_some(DEFAULT));
    }

    /// The endpoint is on probation: that it failed is no reason any more to leave it aside. The estimate of its peaks stays;
    /// of its average nothing is known, since failures have made it up.
    pub(crate) fn excuse(&self) {
        self.streak.store(0, Relaxed);
        self.expectation.forget();
    }

    /// Another endpoint goes by this name now: nothing is known of it.
    pub(crate) fn start_again(&self, now: Instant) {
        self.excuse();
        let tick = self.tick(now);
        self.update(tick, |_, _, _| Some(DEFAULT));
    }

    /// `change` gets the stored value, its amount, and the share of it that time has left.
    #[inline]
    fn update(&self, now: u32, change: impl Fn(f32, f64, f64) -> Option<f32>) {
        // an error means that there was nothing to change
        let _unchanged = self.state.fetch_update(Relaxed, Relaxed, |state| {
            let (then, value) = unpack(state);
            let new = change(value, f64::from(value.abs()), kept(then, now))?;
            let latest = if is_after(now, then) { now } else { then };
            Some(pack(latest, new))
        });
    }
}

pub(crate) const fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// The share of an estimate that is left after the time between two ticks.
fn kept(then: u32, now: u32) -> f64 {
    (-seconds_between(then, now) / DECAY).exp()
}

/// Seconds from one tick to another; 0 when the clock of another thread was ahead.
#[inline]
pub(crate) fn seconds_between(then: u32, now: u32) -> f64 {
    if is_after(now, then) {
        f64::from(now.wrapping_sub(then) << TICK_BITS) / 1_000.0
    } else {
        0.0
    }
}

pub(crate) const fn pack(tick: u32, value: f32) -> u64 {
    ((tick as u64) << 32) | value.to_bits() as u64
}

pub(crate) const fn unpack(state: u64) -> (u32, f32) {
    ((state >> 32) as u32, f32::from_bits(state as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[track_caller]
    fn about(latency: &Latency, now: Instant, expected: Duration) {
        let got = latency.at(now).as_secs_f64();
        let expected = expected.as_secs_f64();
        assert!(
            (got / expected - 1.0).abs() < 0.01,
            "{got} is not about {expected}"
        );
    }

    #[test]
    fn peaks_count_at_once_and_fade() {
        let start = Instant::now();
        let latency = Latency::new(start);
        about(&latency, start, ms(30));
        latency.ended(None, ms(400), start);
        about(&latency, start, ms(400));
        about(&latency, start + ms(10_000), ms(147));
        about(&latency, start + ms(600_000), ms(1));
        // one good sample after 10 s: the rest of the old and 63 % of the new
        latency.ended(None, ms(50), start + ms(10_000));
        about(&latency, start + ms(10_000), ms(179) - Duration::from_micros(200));
    }

    #[test]
    fn many_small_steps_fade_like_one_large() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.ended(None, ms(4_000), start);
        for step in 1..=20_000 {
            latency.ended(None, ms(10), start + Duration::from_micros(step * 500));
        }
        // 10 + (4000 - 10)/e
        about(&latency, start + ms(10_000), ms(1_478));
    }

    #[test]
    fn a_failure_never_looks_fast() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.ended(Some(ErrorType::NodeInternal), ms(1), start);
        about(&latency, start, ms(5_000));
        assert!(latency.failing());
        latency.ended(Some(ErrorType::Timeout), ms(10_000), start);
        about(&latency, start, ms(10_000));
        latency.ended(None, ms(20), start);
        assert!(!latency.failing());
        about(&latency, start, ms(10_000));
    }

    #[test]
    fn what_says_nothing_of_the_node_changes_nothing() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.ended(Some(ErrorType::Local), ms(900), start);
        latency.ended(Some(ErrorType::Deadline), ms(5), start);
        about(&latency, start, ms(30));
        latency.ended(Some(ErrorType::Deadline), ms(900), start);
        about(&latency, start, ms(900));
        latency.ended(Some(ErrorType::Reverted), ms(1_200), start);
        about(&latency, start, ms(1_200));
        assert!(!latency.failing());
    }

    #[test]
    fn only_what_went_well_adds_to_the_sum() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.ended(None, ms(1_250), start);
        latency.ended(Some(ErrorType::Timeout), ms(9_000), start);
        latency.ended(Some(ErrorType::Reverted), ms(9_000), start);
        latency.ended(None, Duration::from_micros(7), start);
        assert_eq!(latency.took(), 1_250_007);
    }

    #[test]
    fn recovery_forgives_only_what_failed() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.ended(None, ms(700), start);
        latency.forgive(start);
        about(&latency, start, ms(700));
        latency.ended(Some(ErrorType::Transport), ms(1), start);
        latency.forgive(start);
        about(&latency, start, ms(30));
        assert!(!latency.failing());
    }

    #[test]
    fn a_clock_that_lags_behind_does_no_harm() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.ended(None, ms(400), start + ms(5_000));
        latency.ended(None, ms(300), start + ms(4_000));
        about(&latency, start + ms(4_000), ms(400));
    }
}
