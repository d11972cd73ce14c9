//! What it costs a request to be recorded, beside the crates that are there for it.

mod timing;

use std::{hint::black_box, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use self::timing::{CASES, Timed};
use super::meters::{self, Record, Side};
use crate::frame::{
    Effort, Finding, Goal, Suite, Table, callgrind,
    digest::{Cell, Line},
    goals,
};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Recording;

/// What one request may cost at the most.
const MOST_INSTRUCTIONS: f64 = 300.0;
const MOST_NANOSECONDS: f64 = 60.0;
/// By how much it may be more than that of the cheapest peer whose labels are resolved ahead.
const MOST_RATIO: f64 = 1.5;
/// By how much a record may be dearer while another thread records at another endpoint.
const MOST_APART: f64 = 1.25;
/// And, at the same endpoint, than that of the best peer.
const MOST_TOGETHER: f64 = 1.0;

/// Records whose instructions are counted.
const COUNTED: (u64, u64) = (20_000, 200_000);
/// The loop around a record.
const LOOP: &str = "loop";

impl Suite for Recording {
    fn name(&self) -> &'static str {
        "record"
    }

    fn title(&self) -> &'static str {
        "Recording a request"
    }

    fn packages(&self) -> &'static [&'static str] {
        meters::PEERS
    }

    fn digest(&self) -> Vec<Line> {
        let line = |what, unit, column: &str| {
            let cell = |side: Side| Cell::at(side.name(), column);
            Line::new(what, unit, cell(Side::Ours))
                .beside("opentelemetry, bound", cell(Side::OpenTelemetryBound))
                .beside("prometheus", cell(Side::Prometheus))
        };
        vec![
            line("recording a request", "ns", CASES[0]),
            line("... instructions", "", "instructions"),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let timed = timing::measure(effort)?;
        let counts = callgrind::is_here().then(counted).transpose()?;
        let reached = reach(&timed, counts.as_deref());

        let mut text = format!(
            "Nanoseconds of one record for who waits for it; in brackets how many times as much two threads get done as one (2 is \
             perfect); behind it the least and the greatest of all rounds.\n\n{}\n",
            times(&timed)
        );
        text += &match &counts {
            Some(counts) => format!(
                "Instructions (callgrind), without the loop around:\n\n{}\n",
                instructions(counts)
            ),
            None => "Instructions: **not counted**, valgrind is not here.\n\n".to_owned(),
        };
        let (table, goal_value) = goals(&reached);
        text += &format!("Goals:\n\n{table}");
        let sides = Side::ALL.iter().zip(&timed).enumerate().map(|(at, (side, timed))| {
            json!({
                "side": side.name().trim_matches('*'),
                "instructions": counts.as_ref().map(|counts| counts[at]),
                "nanoseconds": CASES.iter().zip(timed).map(|(case, series)| (case.to_string(), json!(series.rounds())))
                    .collect::<serde_json::Map<_, _>>(),
            })
        });
        Ok(Finding {
            text,
            value: json!({ "sides": sides.collect::<Vec<Value>>(), "goals": goal_value }),
            images: Vec::new(),
            met: reached.iter().all(Goal::met),
        })
    }

    fn case(&self, case: &str, operations: u64) -> Result<()> {
        let record = if case == LOOP {
            meters::nothing()
        } else {
            Side::of(case)?.meter(1)?.records.remove(0)
        };
        run(&record, operations);
        Ok(())
    }
}

/// Latencies up to a second that fall into all parts of the buckets.
fn latency(number: u64) -> Duration {
    Duration::new(0, (number * 37 % 4096) as u32 * 240_000)
}

/// So many records.
fn run(record: &Record, records: u64) {
    for number in 0..records {
        record(black_box(latency(number)));
    }
}

/// Instructions of one record, for each side.
fn counted() -> Result<Vec<f64>> {
    let of = |case: &str| callgrind::instructions("record", case, COUNTED);
    let around = of(LOOP)?;
    Side::ALL
        .iter()
        .map(|side| Ok(of(side.case())? - around))
        .collect()
}

/// What is held against the goals.
fn reach(timed: &[Timed], counts: Option<&[f64]>) -> Vec<Goal> {
    let count = |side: Side| counts.map_or(f64::NAN, |counts| counts[at(side)]);
    let median = |side: Side, case: usize| timed[at(side)][case].median();
    let best = |of: &dyn Fn(Side) -> f64| {
        let peers = Side::ALL.into_iter().filter(|side| side.is_resolved_peer());
        peers.map(of).fold(f64::INFINITY, f64::min)
    };
    let [alone, apart, together, _] = std::array::from_fn(|case| case);
    // round by round, since what disturbs a round disturbs both
    let apart_by_alone = timed[at(Side::Ours)][apart].ratio_to(&timed[at(Side::Ours)][alone]);
    vec![
        Goal::at_most("instructions", MOST_INSTRUCTIONS, count(Side::Ours)),
        Goal::at_most(
            "instructions, by the cheapest peer's with labels resolved",
            MOST_RATIO,
            count(Side::Ours) / best(&count),
        ),
        Goal::at_most("nanoseconds", MOST_NANOSECONDS, median(Side::Ours, alone)),
        Goal::at_most(
            "time, by the cheapest peer's with labels resolved",
            MOST_RATIO,
            median(Side::Ours, alone) / best(&|side| median(side, alone)),
        ),
        Goal::at_most(
            "two threads at two endpoints: time, by that of one thread",
            MOST_APART,
            apart_by_alone.median(),
        ),
        Goal::at_most(
            "two threads at one endpoint: time, by the best peer's",
            MOST_TOGETHER,
            median(Side::Ours, together) / best(&|side| median(side, together)),
        ),
    ]
}

/// Where a side stands in all lists.
fn at(side: Side) -> usize {
    Side::ALL.iter().position(|one| *one == side).unwrap_or_default()
}

fn times(timed: &[Timed]) -> Table {
    let mut table = Table::new(std::iter::once("").chain(CASES));
    for (side, timed) in Side::ALL.iter().zip(timed) {
        let cells = timed.iter().enumerate().map(|(case, series)| {
            let (least, greatest) = series.spread();
            let (median, spread) = (series.median(), format!("{least:.1}-{greatest:.1}"));
            // work between two records is none of theirs: there nothing is got done in less time
            if matches!(case, 1 | 2) {
                let scaled = 2.0 * timed[0].median() / median;
                format!("{median:.1} (x {scaled:.2}; {spread})")
            } else {
                format!("{median:.1} ({spread})")
            }
        });
        table.row(std::iter::once(side.name().to_owned()).chain(cells));
    }
    table
}

fn instructions(counts: &[f64]) -> Table {
    let ours = counts[at(Side::Ours)];
    let mut table = Table::new(["", "instructions", "by ours"]);
    for (side, count) in Side::ALL.iter().zip(counts) {
        table.row([
            side.name().to_owned(),
            format!("{count:.0}"),
            format!("{:.2}", count / ours),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Series;

    #[test]
    fn goals_are_held_against_the_cheapest_resolved_peer() {
        // opentelemetry with labels at each record is the cheapest here, and no yardstick
        let counts = [1.0, 130.0, 100.0, 110.0, 120.0, 160.0];
        let timed: Vec<Timed> = counts
            .iter()
            .map(|figure| std::array::from_fn(|_| Series::new([*figure])))
            .collect();
        let reached = reach(&timed, Some(&counts));
        let got: Vec<f64> = reached.iter().map(|goal| goal.got).collect();
        assert_eq!(got, [160.0, 1.6, 160.0, 1.6, 1.0, 1.6]);
        assert!(
            !reach(&timed, None)[0].met(),
            "what was not counted was not reached"
        );
    }

    #[test]
    fn every_case_runs() {
        for case in [LOOP].into_iter().chain(Side::ALL.map(Side::case)) {
            Recording.case(case, 10).unwrap();
        }
        assert!(Recording.case("nobody", 1).is_err());
    }
}
