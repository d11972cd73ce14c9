//! Prequal's hot-cold lexicographic rule: Wydrowski, Kleinberg, Rumble and Archer, "Load is not what you should balance:
//! Introducing Prequal", NSDI 2024.
//!
//! Endpoints with more requests in flight than a quantile of all are *hot*; of the others, the cold ones, the one with
//! the lowest latency is taken. So latency decides as long as nobody is in trouble, and load keeps traffic from whoever
//! is, before latency shows it. Of two endpoints the more loaded one is hot.
//!
//! Where it differs from the paper: the signals are measured on the pool's own traffic, not by probes, since a node of
//! a provider cannot be asked for its load; and the quantile is of the endpoints that are looked at, so at least one of
//! them is cold and the paper's second case (all hot: the fewest in flight) does not arise. An endpoint that fails at once is always cold, and would draw in everything
//! (the paper's "sinkholing"); one whose newest attempt failed is left aside while its estimate is above another's.
//!
//! Requests in flight are counted per weight, and the weight is a handicap on latency.

use super::{Balancer, Candidates, PickCx};
use crate::ConfigError;

/// Endpoints that are looked at; of more, so many are drawn. The size of the paper's probe pool.
const LOOKS: usize = 16;

/// Takes the fastest of the endpoints that do not have too many requests under way.
#[derive(Clone, Copy, Debug)]
pub struct Prequal {
    quantile: f64,
}

impl Default for Prequal {
    fn default() -> Self {
        Self::new()
    }
}

/// What is compared.
#[derive(Clone, Copy, Default)]
struct Look {
    index: usize,
    in_flight: f64,
    latency: f64,
    failing: bool,
}

impl Prequal {
    /// Hot is above the quantile of 0.84, the paper's choice (2 to the power of -0.25).
    pub const fn new() -> Self {
        Self { quantile: 0.84 }
    }

    /// Hot is above this quantile of the requests in flight: 0 looks at load alone, 1 at latency alone.
    ///
    /// # Errors
    /// When it is not in `0.0..=1.0`.
    pub fn with_quantile(quantile: f64) -> Result<Self, ConfigError> {
        if (0.0..=1.0).contains(&quantile) {
            Ok(Self { quantile })
        } else {
            Err(ConfigError::new(
                "balancer.quantile",
                quantile.to_string(),
                "0.0 to 1.0",
            ))
        }
    }

    /// How many requests in flight are not yet too many.
    fn limit(&self, looks: &[Look]) -> f64 {
        let mut loads = [0.0; LOOKS];
        let loads = &mut loads[..looks.len()];
        for (load, look) in loads.iter_mut().zip(looks) {
            *load = look.in_flight;
        }
        loads.sort_unstable_by(f64::total_cmp);
        let rank = (self.quantile * loads.len().saturating_sub(1) as f64) as usize;
        loads.get(rank).copied().unwrap_or(f64::INFINITY)
    }
}

/// Looks at all candidates from a random one on, or at some. Returns how many.
fn look(among: &Candidates<'_>, cx: &PickCx<'_>, looks: &mut [Look; LOOKS]) -> usize {
    let len = among.len();
    let (start, tick) = (cx.below(len), among.tick(cx.now()));
    let mut count = 0;
    for step in 0..len.min(LOOKS) {
        let index = if len <= LOOKS {
            (start + step) % len
        } else {
            cx.below(len)
        };
        let Some(candidate) = among.get(index) else {
            continue;
        };
        looks[count] = Look {
            index,
            in_flight: candidate.in_flight() as f64 / candidate.weight(),
            latency: candidate.seconds_at(tick) / candidate.weight(),
            failing: candidate.is_failing(),
        };
        count += 1;
    }
    count
}

/// Moves what works, and what has not failed for so long that it looks best again, to the front. Returns how many.
fn set_failing_aside(looks: &mut [Look]) -> usize {
    let working = looks.iter().filter(|look| !look.failing);
    let fastest = working.map(|look| look.latency).fold(f64::INFINITY, f64::min);
    let mut kept = 0;
    for i in 0..looks.len() {
        if !looks[i].failing || looks[i].latency <= fastest {
            looks.swap(i, kept);
            kept += 1;
        }
    }
    kept
}

impl Balancer for Prequal {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let mut looks = [Look::default(); LOOKS];
        let count = look(among, cx, &mut looks);
        let kept = set_failing_aside(&mut looks[..count]);
        let looks = &looks[..kept];
        let limit = self.limit(looks);
        let by_latency = |a: &&Look, b: &&Look| {
            let latency = a.latency.total_cmp(&b.latency);
            latency.then(a.in_flight.total_cmp(&b.in_flight))
        };
        let cold = looks.iter().filter(|look| look.in_flight <= limit);
        cold.min_by(by_latency).map(|look| look.index)
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        // it keeps nothing; only more than it looks at are drawn
        (among.len() <= LOOKS).then(|| self.pick(among, cx)).flatten()
    }
}
