//! What was to be reached, and what was.

use serde_json::{Value, json};

use super::Table;

/// A measure that a suite is held to.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What is measured.
    pub what: String,
    /// What it may be at the most.
    pub most: f64,
    /// What it is.
    pub got: f64,
}

impl Goal {
    /// Something that may be so much at the most.
    pub fn at_most(what: impl Into<String>, most: f64, got: f64) -> Self {
        Self {
            what: what.into(),
            most,
            got,
        }
    }

    /// Whether it was reached. What could not be measured was not.
    pub fn met(&self) -> bool {
        self.got <= self.most
    }
}

/// The goals as a table for people, and as a value for programs.
pub fn goals(goals: &[Goal]) -> (Table, Value) {
    let mut table = Table::new(["measure", "at most", "got", ""]);
    for goal in goals {
        table.row([
            goal.what.clone(),
            format!("{:.2}", goal.most),
            format!("{:.2}", goal.got),
            if goal.met() { "met" } else { "**missed**" }.to_owned(),
        ]);
    }
    let value = goals
        .iter()
        .map(|goal| json!({ "what": goal.what, "most": goal.most, "got": goal.got, "met": goal.met() }));
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
    }
}
