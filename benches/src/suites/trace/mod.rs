//! The suite `trace`: all contestants through the same faults, in simulated time.

mod chance;
mod contestant;
mod contestants;
mod measures;
mod node;
mod outcome;
mod plot;
mod report;
mod scenario;
mod score;
mod simulate;
#[cfg(test)]
mod tests;

use anyhow::Result;

use crate::frame::{
    Effort, Finding, Suite,
    digest::{Cell, Line},
};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Traces;

impl Suite for Traces {
    fn name(&self) -> &'static str {
        "trace"
    }

    fn title(&self) -> &'static str {
        "Fault traces"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["tower", "tokio"]
    }

    fn digest(&self) -> Vec<Line> {
        let p99 = |what, row: &str| {
            Line::new(what, "ms", Cell::at(row, "p99 ms"))
                .beside("best peer", Cell::at(row, "best peer").nth(1))
                .beside("omniscient limit", Cell::at(row, "limit"))
        };
        vec![
            p99("one of five nodes ten times as slow, p99", "slow-node"),
            p99("latency of one doubles every 10 s, p99", "brown-out"),
            Line::new(
                "whole provider out, success",
                "",
                Cell::at("provider-out", "success"),
            )
            .beside("best peer", Cell::at("provider-out", "best peer")),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let scenarios = scenario::all();
        let wanted = scenarios
            .into_iter()
            .filter(|scenario| effort.wants(scenario.name))
            .collect();
        let outcomes = outcome::of_all(wanted, &contestants::all(), effort)?;
        report::find(&outcomes)
    }
}
