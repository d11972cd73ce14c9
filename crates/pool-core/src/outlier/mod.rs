//! Passive outlier detection: which endpoint stands out among the others, by what its requests told. A pure state
//! machine: totals go in at each look, judgements come out.
//!
//! An endpoint is held against the *others*, not against a mean that it is part of. Of few endpoints none can be far
//! from such a mean: among three, the odd one lies at most 1.41 standard deviations (of all three) away, and among five 2,
//! so with a factor of 1.9 a pool of three would never leave anybody out. What is taken from Envoy is the rule itself,
//! its factor and its growing ejection times.
//!
//! Three things must come together before an endpoint fails too often: its success rate is below the others' mean by
//! more than `stdev_factor` of their standard deviations; by at least `minimum_difference`; and by more than three
//! standard errors of a rate measured on so few requests, so that chance accuses nobody. And it must happen at several
//! looks in a row. If several endpoints are bad at once they hide each other in part, and if all are, nobody stands out:
//! that is what breakers are for.
//!
//! What counts is what the pool counts anyway, read once for each look: a failure of the node counts unless it says
//! nothing about it (throttled, unsupported, data not there); what the caller or this process got wrong is left out on
//! both sides. The time that failures took is not looked at, so that neither a fast failure nor a time-out is a latency.
//!
//! Who may really be left out (the cap, never the last one) is decided where everybody's state is known, in admission.

mod config;
mod task;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use config::OutlierConfig;
pub(crate) use task::look_for_outliers;

use crate::{ErrorType, Verdict, admission::GateId};

/// So many standard errors of its own measurement a success rate must be off.
const STANDARD_ERRORS: f64 = 3.0;

/// What an endpoint has done since it was added, as its counters tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// What the successful ones took, in microseconds.
    pub(crate) took: u64,
}

impl Totals {
    /// From the counters: attempts that ended, how many of them failed by class, and what the others took.
    pub(crate) fn of(requests: u64, errors: &[u64; ErrorType::ALL.len()], took: u64) -> Self {
        let counted = ErrorType::ALL.into_iter().filter(|class| counts(*class));
        Self {
            succeeded: requests.saturating_sub(errors.iter().sum()),
            failed: counted.map(|class| errors[class.index()]).sum(),
            took,
        }
    }

    /// What came since; `None` if these are another endpoint's counters.
    fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            succeeded: self.succeeded.checked_sub(before.succeeded)?,
            failed: self.failed.checked_sub(before.failed)?,
            took: self.took.checked_sub(before.took)?,
        })
    }

    const fn all(self) -> u64 {
        self.succeeded + self.failed
    }

    fn rate(self) -> f64 {
        self.succeeded as f64 / self.all() as f64
    }

    fn latency(self) -> f64 {
        self.took as f64 / self.succeeded as f64 / 1e6
    }
}

/// Whether errors of this class tell something of the node: those that count for a breaker by default.
const fn counts(class: ErrorType) -> bool {
    Verdict::of(class).counts_for_breaker
}

/// One endpoint at a look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) id: GateId,
    pub(crate) totals: Totals,
    /// Whether requests go to it as usual. Who is out is not judged, and nobody is held against it.
    pub(crate) usable: bool,
}

/// How an endpoint stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outlier {
    /// It fails more often than the others.
    Failing {
        /// Its success rate since the last look, in thousandths.
        success_permille: u32,
        /// The others' mean.
        others_permille: u32,
    },
    /// Its successful requests take longer than the others'.
    Slow {
        /// What they took on average since the last look.
        latency: Duration,
        /// The others' median.
        others: Duration,
    },
}

impl fmt::Display for Outlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |permille: u32| format!("{}.{} %", permille / 10, permille % 10);
        match *self {
            Self::Failing {
                success_permille,
                others_permille,
            } => write!(
                f,
                "{} of its requests succeed, {} of the others'",
                percent(success_permille),
                percent(others_permille)
            ),
            Self::Slow { latency, others } => {
                write!(f, "takes {latency:.1?}, the others {others:.1?}")
            }
        }
    }
}

#[derive(Debug, Default)]
struct Tracked {
    last: Totals,
    /// Looks in a row at which it stood out.
    row: u32,
    /// Ejections that are not yet forgiven.
    ejections: u32,
}

/// The state machine. See the module's text.
#[derive(Debug)]
pub(crate) struct Detector {
    config: OutlierConfig,
    tracked: BTreeMap<GateId, Tracked>,
}

/// What an endpoint did between two looks, if it was enough.
struct Sample {
    id: GateId,
    did: Totals,
}

impl Detector {
    pub(crate) const fn new(config: OutlierConfig) -> Self {
        Self {
            config,
            tracked: BTreeMap::new(),
        }
    }

    /// Takes other settings; what was noted stays.
    fn configure(&mut self, config: OutlierConfig) {
        self.config = config;
    }

    /// Looks at all endpoints. Returns who has stood out for long enough, the worst first, and why.
    pub(crate) fn look(&mut self, seen: &[Seen]) -> Vec<(GateId, Outlier)> {
        self.tracked
            .retain(|id, _| seen.iter().any(|endpoint| endpoint.id == *id));
        let mut samples = Vec::new();
        for endpoint in seen {
            let (id, totals) = (endpoint.id, endpoint.totals);
            let Some(tracked) = self.tracked.get_mut(&id) else {
                let tracked = Tracked {
                    last: totals,
                    ..Tracked::default()
                };
                self.tracked.insert(id, tracked);
                continue;
            };
            let did = totals.since(std::mem::replace(&mut tracked.last, totals));
            let Some(did) = did else {
                (tracked.row, tracked.ejections) = (0, 0);
                continue;
            };
            if !endpoint.usable {
                tracked.row = 0;
            } else if did.all() >= u64::from(self.config.minimum_requests) {
                samples.push(Sample { id, did });
            }
        }
        if samples.len() < self.config.minimum_endpoints as usize {
            return Vec::new();
        }
        let mut found: Vec<_> = (0..samples.len())
            .filter_map(|at| self.judge(&samples, at))
            .collect();
        found.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        found.into_iter().map(|(_, id, why)| (id, why)).collect()
    }

    /// How bad one of them is, if it stands out and has done so for long enough.
    fn judge(&mut self, samples: &[Sample], at: usize) -> Option<(f64, GateId, Outlier)> {
        let id = samples[at].id;
        let found = fails(&self.config, samples, at).or_else(|| lags(&self.config, samples, at));
        let tracked = self.tracked.get_mut(&id)?;
        let Some((badness, why)) = found else {
            tracked.row = 0;
            tracked.ejections = tracked.ejections.saturating_sub(1);
            return None;
        };
        tracked.row = tracked.row.saturating_add(1);
        (tracked.row >= self.config.consecutive).then_some((badness, id, why))
    }

    /// For how long it would be left out now; `chance` in `0.0..1.0` makes the jitter.
    pub(crate) fn sentence(&self, id: GateId, chance: f64) -> Duration {
        let before = self.tracked.get(&id).map_or(0, |tracked| tracked.ejections);
        self.config.sentence(before.saturating_add(1), chance)
    }

    /// It is left out.
    pub(crate) fn ejected(&mut self, id: GateId) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.row = 0;
            tracked.ejections = tracked.ejections.saturating_add(1);
        }
    }
}

fn others(samples: &[Sample], at: usize) -> impl Iterator<Item = Totals> + Clone {
    let others = samples.iter().enumerate().filter(move |(i, _)| *i != at);
    others.map(|(_, sample)| sample.did)
}

/// Whether it fails too often; above 1 is worse than any slowness.
fn fails(config: &OutlierConfig, samples: &[Sample], at: usize) -> Option<(f64, Outlier)> {
    let others = others(samples, at);
    let count = others.clone().count() as f64;
    let mean = others.clone().map(Totals::rate).sum::<f64>() / count;
    let deviations = others.clone().map(|did| (did.rate() - mean).powi(2));
    let stdev = (deviations.sum::<f64>() / count).sqrt();
    // a few requests that all went well do not prove that all do (Laplace's rule of succession)
    let (good, all) = others.fold((1, 2), |(good, all), did| (good + did.succeeded, all + did.all()));
    let likely = good as f64 / all as f64;
    let own = samples[at].did;
    let error = (likely * (1.0 - likely) / own.all() as f64).sqrt();
    let most = (config.stdev_factor * stdev)
        .max(STANDARD_ERRORS * error)
        .max(config.minimum_difference);
    let below = mean - own.rate();
    let permille = |rate: f64| (rate * 1_000.0).round() as u32;
    // 0.3 less 0.2 is not quite 0.1 in binary
    (below + 1e-9 >= most && below > 0.0 && config.minimum_difference < 1.0).then(|| {
        let why = Outlier::Failing {
            success_permille: permille(own.rate()),
            others_permille: permille(mean),
        };
        (1.0 + below, why)
    })
}

/// Whether it is too slow; below 1.
fn lags(config: &OutlierConfig, samples: &[Sample], at: usize) -> Option<(f64, Outlier)> {
    let enough = |did: &Totals| did.succeeded >= u64::from(config.minimum_requests);
    let own = samples[at].did;
    let mut others: Vec<f64> = others(samples, at).filter(enough).map(Totals::latency).collect();
    if config.latency_factor == 0.0 || !enough(&own) || others.len() + 1 < config.minimum_endpoints as usize {
        return None;
    }
    others.sort_unstable_by(f64::total_cmp);
    let middle = others.len() / 2;
    let median = if others.len() % 2 == 1 {
        others[middle]
    } else {
        f64::midpoint(others[middle - 1], others[middle])
    };
    let latency = own.latency();
    (latency > config.latency_factor * median && latency > config.minimum_latency.as_secs_f64()).then(|| {
        let why = Outlier::Slow {
            latency: Duration::from_secs_f64(latency),
            others: Duration::from_secs_f64(median),
        };
        (1.0 - median / latency, why)
    })
}

#[cfg(test)]
mod tests;
