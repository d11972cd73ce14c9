//! What was to be reached, and what was.

use serde_json::{Value, json};

use super::Table;

/// A measure that a suite is held to.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What is measured.
    pub what: String,
    /// What it may be.
    pub bound: Bound,
    /// What it is.
    pub got: f64,
}

/// Where a goal lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Less is better.
    Most(f64),
    /// More is better.
    Least(f64),
}

impl Goal {
    /// Something that may be so much at the most.
    pub fn at_most(what: impl Into<String>, most: f64, got: f64) -> Self {
        Self {
            what: what.into(),
            bound: Bound::Most(most),
            got,
        }
    }

    /// Something that must be so much at least.
    pub fn at_least(what: impl Into<String>, least: f64, got: f64) -> Self {
        Self {
            what: what.into(),
            bound: Bound::Least(least),
            got,
        }
    }

    /// Whether it was reached. What could not be measured was not.
    pub fn met(&self) -> bool {
        match self.bound {
            Bound::Most(most) => self.got <= most,
            Bound::Least(least) => self.got >= least,
        }
    }
}

/// The goals as a table for people, and as a value for programs.
pub fn goals(goals: &[Goal]) -> (Table, Value) {
    let mut table = Table::new(["measure", "goal", "got", ""]);
    for goal in goals {
        table.row([
            goal.what.clone(),
            match goal.bound {
                Bound::Most(most) => format!("≤ {most:.2}"),
                Bound::Least(least) => format!("≥ {least:.2}"),
            },
            format!("{:.2}", goal.got),
            if goal.met() { "met" } else { "**missed**" }.to_owned(),
        ]);
    }
    let value = goals.iter().map(|goal| {
        let (bound, limit) = match goal.bound {
            Bound::Most(most) => ("most", most),
            Bound::Least(least) => ("least", least),
        };
        json!({ "what": goal.what, bound: limit, "got": goal.got, "met": goal.met() })
    });
    (table, value.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_measured_was_not_reached() {
        assert!(Goal::at_most("ratio", 1.0, 1.0).met());
        assert!(!Goal::at_most("ratio", 1.0, 1.01).met());
        assert!(!Goal::at_most("ratio", 1.0, f64::NAN).met());
        assert!(Goal::at_least("ratio", 0.9, 0.9).met());
        assert!(!Goal::at_least("ratio", 0.9, 0.89).met());
        assert!(!Goal::at_least("ratio", 0.9, f64::NAN).met());
    }
}
