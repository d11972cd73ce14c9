//! The suite `trace`: all contestants through the same faults, in simulated time.

pub(super) mod cast;
mod chance;
pub(super) mod contestant;
pub(super) mod contestants;
mod measures;
pub(super) mod node;
pub(super) mod outcome;
mod plot;
pub(super) mod report;
pub(super) mod scenario;
pub(super) mod score;
pub(super) mod simulate;
#[cfg(test)]
mod tests;

use anyhow::Result;

use self::{
    cast::{BLACK, Cast, GREEN, GREY, ORANGE, OURS, RED},
    contestant::Contestant as _,
    outcome::Seeds,
};
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
        let wanted: Vec<_> = scenarios
            .into_iter()
            .filter(|scenario| effort.wants(scenario.name))
            .collect();
        let tuned = outcome::of_all(
            wanted.clone(),
            &contestants::candidates(),
            (effort, Seeds::Tuning),
        )?;
        let outcomes = outcome::of_all(wanted, &contestants::all(), (effort, Seeds::HeldOut))?;
        let mut finding = report::find(&outcomes, &cast())?;
        finding.text += &report::held_out(&outcomes, &tuned, &cast());
        Ok(finding)
    }
}

/// Who is shown how.
fn cast() -> Cast {
    let peers = [
        ("tower P2C peak EWMA", ORANGE),
        ("tower P2C peak EWMA + retry", RED),
        ("least requests", GREEN),
        ("round robin", GREY),
        ("omniscient", BLACK),
    ];
    let peers = peers.map(|(name, colour)| (name.to_owned(), colour));
    let (default, hedged) = (contestants::default().name(), contestants::hedged().name());
    let ours = [(hedged.clone(), OURS[1]), (default.clone(), OURS[0])];
    Cast {
        suite: "trace",
        heading: "",
        default,
        hedged,
        lines: peers.into_iter().chain(ours).collect(),
        latencies: (20.0, 6_000.0),
    }
}
