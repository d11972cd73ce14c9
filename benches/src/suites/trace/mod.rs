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

use self::outcome::Seeds;

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
        report::find(&outcomes, &tuned)
    }
}
