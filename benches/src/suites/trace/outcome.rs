//! All contestants through all traces, round by round. A round has a seed of its own, the same for all contestants.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use anyhow::{Result, bail};

use super::{
    contestant::{Contestant, Side},
    scenario::Scenario,
    score::Score,
    simulate::simulate,
};
use crate::frame::{Effort, Series};

/// Whose luck the rounds have. A balancer that is fitted to the luck of some rounds does well in them: it is shown by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeds {
    /// Those that settings may be chosen by.
    Tuning,
    /// Those that nothing was chosen by. Published figures are of these.
    HeldOut,
}

impl Seeds {
    /// Of a round. The two sets are apart as long as `--seed` and rounds stay below 999,000.
    fn of(self, effort: &Effort, round: usize) -> u64 {
        let first = match self {
            Self::Tuning => 0,
            Self::HeldOut => 1_000_000,
        };
        first + effort.seed + round as u64
    }
}

/// What came out of one trace.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) results: Vec<Entrant>,
}

/// What one contestant did in it.
#[derive(Clone, Debug)]
pub(crate) struct Entrant {
    pub(crate) name: String,
    pub(crate) side: Side,
    /// Of each round.
    pub(crate) scores: Vec<Score>,
}

impl Entrant {
    /// A figure of each round.
    pub(crate) fn series(&self, figure: impl Fn(&Score) -> f64) -> Series {
        Series::new(self.scores.iter().map(figure))
    }

    /// The round in the middle, figure by figure.
    pub(crate) fn median(&self, figure: impl Fn(&Score) -> f64) -> f64 {
        self.series(figure).median()
    }
}

impl Outcome {
    /// A contestant by its name.
    pub(crate) fn of(&self, name: &str) -> Option<&Entrant> {
        self.results.iter().find(|entrant| entrant.name == name)
    }
}

/// Runs everything, on as many threads as the machine has. Nothing depends on which run comes first: each has a clock of
/// its own.
pub(crate) fn of_all(
    scenarios: Vec<Scenario>,
    contestants: &[Box<dyn Contestant>],
    (effort, seeds): (&Effort, Seeds),
) -> Result<Vec<Outcome>> {
    if scenarios.is_empty() {
        bail!(
            "no trace has `{}` in its name",
            effort.filter.as_deref().unwrap_or_default()
        );
    }
    let rounds = effort.rounds as usize;
    let jobs = scenarios.len() * contestants.len() * rounds;
    let (next, scores) = (AtomicUsize::new(0), Mutex::new(vec![None; jobs]));
    let work = || -> Result<()> {
        loop {
            let job = next.fetch_add(1, Relaxed);
            if job >= jobs {
                return Ok(());
            }
            let (scenario, rest) = (
                job / (contestants.len() * rounds),
                job % (contestants.len() * rounds),
            );
            let (contestant, round) = (&contestants[rest / rounds], rest % rounds);
            let seed = seeds.of(effort, round);
            let run = simulate(&scenarios[scenario], contestant.as_ref(), seed)?;
            let score = Score::of(&scenarios[scenario], &run);
            scores.lock().unwrap_or_else(PoisonError::into_inner)[job] = Some(score);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let mut scores = scores
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .flatten();
    let outcome = |scenario| {
        let entrants = contestants.iter().map(|contestant| Entrant {
            name: contestant.name(),
            side: contestant.side(),
            scores: scores.by_ref().take(rounds).collect(),
        });
        Outcome {
            scenario,
            results: entrants.collect(),
        }
    };
    Ok(scenarios.into_iter().map(outcome).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_published_has_a_seed_that_settings_were_chosen_by() {
        let effort = Effort::new(false, None, 1, None);
        let of = |seeds: Seeds| -> BTreeSet<u64> { (0..900).map(|round| seeds.of(&effort, round)).collect() };
        assert_eq!(of(Seeds::HeldOut).len(), 900, "each round has its own");
        assert!(of(Seeds::HeldOut).is_disjoint(&of(Seeds::Tuning)));
    }
}
