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

use crate::frame::{Effort, Finding, Suite};

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
