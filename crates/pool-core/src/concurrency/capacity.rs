//! How many requests an endpoint works on at once, as far as its answers tell: a pure state machine.
//!
//! It is thought to be a queue in front of so many that serve: with up to that many under way (the *knee*) an answer takes what it
//! takes, with more of them it takes longer in proportion. At each look and for each knee that is possible the answers are held
//! against that; how long they take when there is no queue is free at each look, so that a node may become slower or faster,
//! or get other requests, without looking full. What does not fit is added up, and fades. A knee is *plausible* as long as it
//! does not fit much worse than the best (a likelihood-ratio test of normally distributed logarithms), and the limit follows the
//! largest plausible one. So who knows little sets no limit; and a limit that is kept so well that nothing is seen beyond it
//! fades, opens, and is found again.
//!
//! One more way is held against the same answers: that with twice as many an answer takes only 1.4 times as long. Such an
//! endpoint gets more done with more requests however many it has, and fits no knee well but some knee best; each limit would lower
//! the next, down to a single request. As long as that way is plausible there is no limit.

use std::{sync::LazyLock, time::Duration};

use super::curve::{Answers, PLACES, Seen, least};

/// After so many answers 1/e is left of what earlier ones told.
const ANSWERS: f64 = 1_000.0;

/// So much worse than the best, in twice the difference of the logarithms of likelihoods, what is plausible may fit. For answers
/// that do not depend on each other 8 would be exceeded by chance once in 200; those that stood in the same queue do.
const DOUBT: f64 = 8.0;

/// The same for what an endpoint works on at the least: to give it more than it bears costs little, and shows.
const DOUBT_BELOW: f64 = 2.0;

/// The variance of the logarithms that is assumed at first, and the number of answers that this is worth.
const USUAL: (f64, f64) = (0.25, 20.0);

/// How the time of an answer grows beyond the knee: in proportion to the number, and with its square root.
const SLOPES: [f64; 2] = [1.0, 0.5];

/// Logarithms of the numbers of requests.
static LOGARITHMS: LazyLock<[f64; PLACES]> =
    LazyLock::new(|| std::array::from_fn(|at| f64::from(least(at)).ln()));

/// What is known of one endpoint. See the module's text.
#[derive(Debug)]
pub(super) struct Capacity {
    /// Sums of squares that do not fit, by slope and knee.
    misfits: [[f64; PLACES]; SLOPES.len()],
    /// Those that no knee explains: answers with equally many under way differ.
    within: f64,
    /// How many of the squares are free to differ.
    freedom: f64,
}

impl Capacity {
    pub(super) const fn new() -> Self {
        Self {
            misfits: [[0.0; PLACES]; SLOPES.len()],
            within: 0.0,
            freedom: 0.0,
        }
    }

    /// Takes in what has come in the time since the last look; 1/e of what was known before is left after `memory`.
    pub(super) fn look(&mut self, answers: &Answers, elapsed: Duration, memory: Duration) {
        let count: f64 = answers.0.iter().map(|seen| seen.count).sum();
        let by_time = (-elapsed.as_secs_f64() / memory.as_secs_f64()).exp();
        self.fade(by_time.min(ANSWERS / (ANSWERS + count)));
        if count >= 2.0 {
            self.learn(answers, count);
        }
    }

    fn fade(&mut self, left: f64) {
        self.within *= left;
        self.freedom *= left;
        for misfit in self.misfits.iter_mut().flatten() {
            *misfit *= left;
        }
    }

    fn learn(&mut self, answers: &Answers, count: f64) {
        let places = answers.0.iter().zip(LOGARITHMS.iter());
        let seen = places.filter(|(seen, _)| seen.count > 0.0);
        // of each number of requests: its logarithm, how many answers, their mean
        let seen = seen.map(|(Seen { count, sum, .. }, requests)| (*requests, *count, sum / count));
        let seen: Vec<_> = seen.collect();
        let within = |seen: &Seen| {
            if seen.count > 0.0 {
                seen.squares - seen.sum * seen.sum / seen.count
            } else {
                0.0
            }
        };
        self.within += answers.0.iter().map(within).sum::<f64>().max(0.0);
        self.freedom += count - 1.0;
        for (slope, misfits) in SLOPES.iter().zip(&mut self.misfits) {
            for (knee, misfit) in LOGARITHMS.iter().zip(misfits) {
                let (mut sum, mut squares) = (0.0, 0.0);
                for (requests, count, mean) in &seen {
                    let left = mean - slope * (requests - knee).max(0.0);
                    sum += count * left;
                    squares += count * left * left;
                }
                *misfit += (squares - sum * sum / count).max(0.0);
            }
        }
    }

    /// What fits worse than that is not plausible.
    fn bearable(&self, doubt: f64) -> f64 {
        let best = self
            .misfits
            .iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min);
        let variance = (self.within + best + USUAL.0 * USUAL.1) / (self.freedom + USUAL.1);
        best + doubt * variance
    }

    /// The most that it works on at once, as far as is plausible; `None` is no end.
    pub(super) fn most(&self) -> Option<u32> {
        let bearable = self.bearable(DOUBT);
        let plausible = |misfit: &f64| *misfit <= bearable;
        let [knees, gradual] = &self.misfits;
        if gradual.iter().any(plausible) {
            return None;
        }
        knees.iter().rposition(plausible).map(least)
    }

    /// The least that it works on at once, as far as is plausible.
    pub(super) fn least(&self) -> u32 {
        let bearable = self.bearable(DOUBT_BELOW);
        let plausible = |misfit: &f64| *misfit <= bearable;
        let [knees, gradual] = &self.misfits;
        let first = [knees, gradual].map(|misfits| misfits.iter().position(plausible));
        first.into_iter().flatten().min().map_or(1, least)
    }
}
