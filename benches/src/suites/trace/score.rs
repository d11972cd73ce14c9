//! What a run is worth.

use super::{
    contestant::DEADLINE,
    scenario::Scenario,
    simulate::{End, Record, Run},
};

/// A node was left when it gets less than this share of an even share, over a second.
const LEFT: f64 = 0.25;
/// And it is back when it gets this again.
const BACK: f64 = 0.5;

/// The figures of one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Score {
    /// Shares of all calls.
    pub(crate) success: f64,
    pub(crate) wrong: f64,
    /// Milliseconds until a right answer; a call without one counts as the deadline.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// The 99th percentile of right answers alone.
    pub(crate) p99_right: f64,
    /// Calls that nodes got, checks included, for each call that was made.
    pub(crate) cost: f64,
    /// Seconds until the nodes that are bad were left, the last of them; infinite if one never was. `NaN` where there is
    /// nobody to leave.
    pub(crate) failover: f64,
    /// Seconds until they are used again.
    pub(crate) failback: f64,
    /// What the busiest node got, over its even share by capacity, while nothing was wrong.
    pub(crate) imbalance: f64,
    /// The 99th percentile over time.
    pub(crate) over_time: Vec<f64>,
    /// Latencies at the quantiles of [`quantiles`].
    pub(crate) distribution: Vec<f64>,
}

/// Quantiles for the plot of the distribution, denser towards the tail: 1 - 10^-x.
pub(crate) fn quantiles() -> impl Iterator<Item = f64> {
    (0..=60).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 20.0))
}

impl Score {
    pub(crate) fn of(scenario: &Scenario, run: &Run) -> Self {
        let measured: Vec<&Record> = run
            .records
            .iter()
            .filter(|record| record.due >= scenario.warm_up)
            .collect();
        let all = measured.len() as f64;
        let share = |end| measured.iter().filter(|record| record.end == end).count() as f64 / all;
        let mut times: Vec<u64> = measured.iter().map(|record| time(record)).collect();
        times.sort_unstable();
        let right = measured.iter().filter(|record| record.end == End::Right);
        let mut right: Vec<u64> = right.map(|record| record.took).collect();
        right.sort_unstable();
        let asked: u64 = run
            .tallies
            .iter()
            .map(|tally| total(&tally.calls) + tally.checks)
            .sum();
        Self {
            success: share(End::Right),
            wrong: share(End::Wrong),
            p50: quantile(&times, 0.5),
            p99: quantile(&times, 0.99),
            p999: quantile(&times, 0.999),
            p99_right: quantile(&right, 0.99),
            cost: asked as f64 / run.records.len() as f64,
            failover: worst(scenario, |leave| {
                first_second(run, leave.0, leave.1, leave.2, |share| share < LEFT)
            }),
            failback: worst(scenario, |leave| {
                first_second(run, leave.0, leave.2, scenario.until, |share| share >= BACK)
            }),
            imbalance: imbalance(scenario, run),
            over_time: over_time(scenario, &measured),
            distribution: quantiles().map(|at| quantile(&times, at)).collect(),
        }
    }
}

fn total(calls: &[u32]) -> u64 {
    calls.iter().map(|calls| u64::from(*calls)).sum()
}

/// What a caller waited for a right answer; without one, in vain until the deadline.
fn time(record: &Record) -> u64 {
    match record.end {
        End::Right => record.took,
        End::Wrong | End::Failed => DEADLINE.as_millis() as u64,
    }
}

/// The smallest value that so large a share is not above, of sorted ones; `NaN` of none.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.max(1) - 1)
        .map_or(f64::NAN, |value| *value as f64)
}

fn over_time(scenario: &Scenario, measured: &[&Record]) -> Vec<f64> {
    let (begin, step) = (scenario.warm_up, scenario.step);
    let mut bins = vec![Vec::new(); ((scenario.until - begin) / step) as usize];
    for record in measured {
        if let Some(bin) = bins.get_mut(((record.due - begin) / step) as usize) {
            bin.push(time(record));
        }
    }
    let mut bins = bins.into_iter();
    bins.by_ref()
        .map(|mut bin: Vec<u64>| {
            bin.sort_unstable();
            quantile(&bin, 0.99)
        })
        .collect()
}

/// The longest of what it took with each of the nodes that were to be left.
fn worst(scenario: &Scenario, seconds: impl Fn(&(usize, u64, u64)) -> f64) -> f64 {
    scenario.leave.iter().map(seconds).fold(f64::NAN, f64::max)
}

/// Seconds from `from` on to the first second before `to` in which the node's share of an even share is such.
fn first_second(run: &Run, node: usize, from: u64, to: u64, such: impl Fn(f64) -> bool) -> f64 {
    let (first, last) = ((from / 1_000) as usize, (to / 1_000) as usize);
    let calls =
        |node: usize, second: usize| f64::from(run.tallies[node].calls.get(second).copied().unwrap_or(0));
    let share = |second| {
        let all: f64 = (0..run.tallies.len()).map(|node| calls(node, second)).sum();
        calls(node, second) * run.tallies.len() as f64 / all.max(1.0)
    };
    let found = (first..last).find(|second| such(share(*second)));
    found.map_or(f64::INFINITY, |second| (second - first) as f64)
}

fn imbalance(scenario: &Scenario, run: &Run) -> f64 {
    let joined = scenario
        .nodes
        .iter()
        .filter_map(|node| node.joins)
        .max()
        .unwrap_or(0);
    let begins = scenario.warm_up.max(joined) / 1_000;
    let quiet = |second: &u64| !(scenario.window.0..scenario.window.1).contains(&(second * 1_000));
    let seconds: Vec<usize> = (begins..scenario.until / 1_000)
        .filter(quiet)
        .map(|second| second as usize)
        .collect();
    let calls: Vec<f64> = run
        .tallies
        .iter()
        .map(|tally| {
            seconds
                .iter()
                .filter_map(|second| tally.calls.get(*second))
                .map(|calls| f64::from(*calls))
                .sum()
        })
        .collect();
    let (all, slots): (f64, f64) = (
        calls.iter().sum(),
        scenario.nodes.iter().map(|node| node.slots as f64).sum(),
    );
    let shares = calls
        .iter()
        .zip(&scenario.nodes)
        .map(|(calls, node)| calls / node.slots as f64);
    shares.fold(f64::NAN, f64::max) / (all / slots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::trace::{node::Tally, scenario};

    fn scenario() -> Scenario {
        scenario::all()
            .into_iter()
            .find(|scenario| scenario.name == "slow-node")
            .unwrap()
    }

    #[test]
    fn a_failure_counts_as_the_deadline_however_fast_it_came() {
        let record = |end| Record {
            due: scenario().warm_up,
            took: 2,
            end,
        };
        let mut records = vec![record(End::Right); 90];
        records.extend([record(End::Failed); 5]);
        records.extend([record(End::Wrong); 5]);
        let run = Run {
            records,
            tallies: vec![Tally::default(); 5],
        };
        let score = Score::of(&scenario(), &run);
        assert_eq!((score.success, score.wrong), (0.9, 0.05));
        assert_eq!((score.p50, score.p99, score.p99_right), (2.0, 5_000.0, 2.0));
    }

    #[test]
    fn leaving_and_coming_back_are_found_in_the_shares() {
        // the first node is left 3 s after its fault, and used again 7 s after it
        let mut calls = vec![30; 130];
        calls[43..107].fill(1);
        let mut tallies = vec![Tally { calls, checks: 0 }];
        tallies.resize(
            5,
            Tally {
                calls: vec![30; 130],
                checks: 0,
            },
        );
        let run = Run {
            records: vec![Record {
                due: scenario().warm_up,
                took: 1,
                end: End::Right,
            }],
            tallies,
        };
        let score = Score::of(&scenario(), &run);
        assert_eq!((score.failover, score.failback), (3.0, 7.0));
        assert!((score.imbalance - 1.0).abs() < 0.05, "{}", score.imbalance);
    }

    #[test]
    fn quantiles_are_of_those_that_are_there() {
        let values: Vec<u64> = (1..=1_000).collect();
        assert_eq!(quantile(&values, 0.5), 500.0);
        assert_eq!(quantile(&values, 0.99), 990.0);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
