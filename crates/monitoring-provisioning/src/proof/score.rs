//! How many of the mutants the tests killed.

use serde::Deserialize;

use super::batch::{Batch, Mutant};
use crate::problem::{Problem, Problems};

/// A mutant that no test can kill, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Equivalent {
    rule: String,
    change: String,
    reason: String,
}

/// The mutants that are known to mean the same as the rule.
const EQUIVALENTS: &str = include_str!("equivalents.yaml");
const EQUIVALENTS_PATH: &str = "crates/monitoring-provisioning/src/proof/equivalents.yaml";

/// How the tests did against the mutants.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Mutants that a test killed.
    pub killed: Vec<Mutant>,
    /// Mutants that survived and are listed as meaning the same, with the reason.
    pub equivalent: Vec<(Mutant, String)>,
    /// Mutants that survived.
    pub survivors: Vec<Mutant>,
    /// Listed as equivalent, but killed or no longer made.
    pub wrongly_listed: Vec<String>,
}

impl Score {
    /// Counts the judged batches.
    ///
    /// # Errors
    /// The list of equivalent mutants can't be read.
    pub fn of(batches: &[Batch]) -> Result<Self, Problems> {
        let listed: Vec<Equivalent> = serde_yaml::from_str(EQUIVALENTS)
            .map_err(|error| Problem::new(std::path::Path::new(EQUIVALENTS_PATH), error.to_string()))?;
        let mut score = Self::default();
        let mut used = vec![false; listed.len()];
        for mutant in batches.iter().flat_map(Batch::mutants).cloned() {
            let entry = listed
                .iter()
                .position(|entry| entry.rule == mutant.rule && entry.change == mutant.change);
            match entry {
                _ if mutant.is_killed => score.killed.push(mutant),
                Some(index) => {
                    used[index] = true;
                    score.equivalent.push((mutant, listed[index].reason.clone()));
                }
                None => score.survivors.push(mutant),
            }
        }
        // With only some batches, the entries of the others are not looked at; those of rules that are gone are.
        let is_judged = |rule: &str| {
            batches.iter().any(|batch| batch.name() == rule)
                || !super::rule_names().any(|known| known == rule)
        };
        score.wrongly_listed = listed
            .iter()
            .zip(used)
            .filter(|(entry, used)| !used && is_judged(&entry.rule))
            .map(|(entry, _)| format!("{}: {}", entry.rule, entry.change))
            .collect();
        Ok(score)
    }

    /// Killed of those that could be killed, in percent; 100 when there was none.
    pub fn percent(&self) -> f64 {
        let all = self.killed.len() + self.survivors.len();
        if all == 0 {
            100.0
        } else {
            self.killed.len() as f64 * 100.0 / all as f64
        }
    }
}
