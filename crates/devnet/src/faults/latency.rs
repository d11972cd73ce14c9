//! Delays and their distributions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::When;

/// No request is delayed longer than this, whatever a distribution without bounds comes up with.
pub(crate) const MAX_DELAY_MS: f64 = 600_000.0;

/// Time added before a request is answered. See [`crate::Faults::latency`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// The distribution of the delay.
    pub delay: Delay,
    /// The few that take much longer.
    #[serde(default)]
    pub tail: Option<Tail>,
    /// Which requests.
    #[serde(default)]
    pub when: When,
}

/// A distribution of delays, in milliseconds. Samples below 0 count as 0, samples above ten minutes as ten
/// minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Delay {
    /// Always the same.
    Constant {
        /// The delay.
        ms: f64,
    },
    /// Anything between two bounds, equally likely.
    Uniform {
        /// The shortest.
        min_ms: f64,
        /// The longest.
        max_ms: f64,
    },
    /// A bell around the mean, cut off at 0.
    Normal {
        /// The mean.
        mean_ms: f64,
        /// The standard deviation.
        std_dev_ms: f64,
    },
    /// What network latencies look like: half below the median, a long tail above.
    LogNormal {
        /// The median; above 0.
        median_ms: f64,
        /// The standard deviation of the logarithm; 0.5 is a calm network, 1 a wild one.
        sigma: f64,
    },
    /// The waiting time for an event that is equally likely at any moment.
    Exponential {
        /// The mean.
        mean_ms: f64,
    },
}

/// A slow minority on top of a [`Delay`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// The share of requests, from 0 to 1.
    pub probability: f64,
    /// What is added to their delay.
    pub extra_ms: f64,
}

impl Latency {
    /// A delay of every request, without a tail.
    pub fn new(delay: Delay) -> Self {
        Self {
            delay,
            tail: None,
            when: When::always(),
        }
    }

    /// Draws the delay of one request.
    pub(crate) fn sample(&self, rng: &mut fastrand::Rng) -> Duration {
        let mut ms = self.delay.sample_ms(rng);
        if let Some(tail) = &self.tail
            && rng.f64() < tail.probability
        {
            ms += tail.extra_ms;
        }
        Duration::from_secs_f64(ms.clamp(0.0, MAX_DELAY_MS) / 1_000.0)
    }
}

impl Delay {
    fn sample_ms(&self, rng: &mut fastrand::Rng) -> f64 {
        match *self {
            Self::Constant { ms } => ms,
            Self::Uniform { min_ms, max_ms } => min_ms + (max_ms - min_ms) * rng.f64(),
            Self::Normal { mean_ms, std_dev_ms } => mean_ms + std_dev_ms * standard_normal(rng),
            Self::LogNormal { median_ms, sigma } => median_ms * (sigma * standard_normal(rng)).exp(),
            Self::Exponential { mean_ms } => -mean_ms * positive(rng).ln(),
        }
    }
}

/// A draw from the normal distribution of mean 0 and deviation 1 (Box and Muller).
fn standard_normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * positive(rng).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A draw from (0, 1], of which a logarithm can be taken.
fn positive(rng: &mut fastrand::Rng) -> f64 {
    1.0 - rng.f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 7;
    const DRAWS: usize = 20_000;

    fn sorted(latency: &Latency) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(SEED);
        let mut all: Vec<f64> = (0..DRAWS)
            .map(|_| latency.sample(&mut rng).as_secs_f64() * 1_000.0)
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn near(what: &str, got: f64, expected: f64) {
        assert!(
            (got - expected).abs() <= expected * 0.05,
            "{what}: {got}, expected {expected}"
        );
    }

    #[test]
    fn distributions_have_their_moments() {
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let median = |all: &[f64]| all[all.len() / 2];
        let draw = |delay| sorted(&Latency::new(delay));

        let all = draw(Delay::Constant { ms: 12.5 });
        assert_eq!((all[0], all[DRAWS - 1]), (12.5, 12.5));
        let all = draw(Delay::Uniform {
            min_ms: 10.0,
            max_ms: 30.0,
        });
        near("uniform mean", mean(&all), 20.0);
        assert!(all[0] >= 10.0 && all[DRAWS - 1] <= 30.0);
        let all = draw(Delay::Normal {
            mean_ms: 100.0,
            std_dev_ms: 10.0,
        });
        near("normal mean", mean(&all), 100.0);
        near(
            "normal upper sigma",
            all[(DRAWS as f64 * 0.841_3) as usize],
            110.0,
        );
        let all = draw(Delay::LogNormal {
            median_ms: 50.0,
            sigma: 0.5,
        });
        near("log-normal median", median(&all), 50.0);
        near("log-normal mean", mean(&all), 50.0 * 0.125f64.exp());
        let all = draw(Delay::Exponential { mean_ms: 40.0 });
        near("exponential mean", mean(&all), 40.0);
        near("exponential median", median(&all), 40.0 * std::f64::consts::LN_2);
    }

    #[test]
    fn the_tail_is_rare_and_long() {
        let mut latency = Latency::new(Delay::Constant { ms: 10.0 });
        latency.tail = Some(Tail {
            probability: 0.1,
            extra_ms: 1_000.0,
        });
        let slow = sorted(&latency).iter().filter(|ms| **ms > 1_000.0).count();
        near("tail", slow as f64, DRAWS as f64 * 0.1);
    }

    #[test]
    fn delays_are_bounded_both_ways() {
        assert_eq!(
            sorted(&Latency::new(Delay::Normal {
                mean_ms: 0.0,
                std_dev_ms: 50.0
            }))[0],
            0.0
        );
        let wild = sorted(&Latency::new(Delay::LogNormal {
            median_ms: 100_000.0,
            sigma: 10.0,
        }));
        assert_eq!(wild[DRAWS - 1], MAX_DELAY_MS);
    }
}
