//! Many mutants in one run of promtool: each is a rule under a name of its own, and each situation asks for all of them.

use promql_parser::parser::Expr;
use serde_json::json;

use super::{
    case::{Case, JOBS},
    cases::cases,
    mutate::{Variant, variants},
    pools,
};
use crate::{
    duration::PromDuration,
    generate::GeneratedFile,
    lint::promql,
    model::rules::{Rule, RuleFile},
    problem::{Problem, Problems},
    spec::Spec,
};

/// What stands between an alert's name and the number of its mutant.
const MARK: &str = "__mutant_";

/// Most mutants die of the first situations, and the later ones are cheap without them.
const CASES_PER_ROUND: usize = 4;

/// One changed rule and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The name of the alert or recording that was changed.
    pub rule: String,
    /// What was changed.
    pub change: String,
    /// The changed expression.
    pub expr: String,
    /// Whether a unit test failed because of it.
    pub is_killed: bool,
}

/// The mutants of one rule, to be run together.
#[derive(Debug)]
pub struct Batch {
    name: String,
    /// The first is the rule as it is.
    rules: Vec<Rule>,
    mutants: Vec<Mutant>,
    /// How many rounds are over; what a round has killed takes no part in the next.
    round: usize,
    control_failed: bool,
}

/// What to do after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Every mutant has been judged.
    Done,
    /// There is another round, or a mutant broke a situation off; write the files anew and run again.
    Again,
}

/// One batch for each rule, as it is by default.
///
/// # Errors
/// An expression that can't be parsed.
pub fn batches() -> Result<Vec<Batch>, Problems> {
    let spec = Spec::default();
    pools::rules()
        .iter()
        .map(|(name, rule)| Batch::new(&spec, name, rule))
        .collect()
}

impl Batch {
    fn new(spec: &Spec, name: &str, rule: &Rule) -> Result<Self, Problems> {
        let expr = promql::parse(&rule.expr).map_err(|what| {
            Problem::new(
                std::path::Path::new(crate::generate::paths::RULES),
                format!("`{name}`: {what}"),
            )
        })?;
        let mut batch = Self {
            name: name.to_owned(),
            rules: Vec::new(),
            mutants: Vec::new(),
            round: 0,
            control_failed: false,
        };
        batch.push("nothing", &expr, rule.for_, rule);
        for Variant { change, expr } in variants(spec, &expr) {
            batch.push(&change, &expr, rule.for_, rule);
        }
        for for_ in other_spans(spec, rule) {
            batch.push(
                &format!("`for: {}` -> `for: {for_}`", rule.for_),
                &expr,
                for_,
                rule,
            );
        }
        Ok(batch)
    }

    fn push(&mut self, change: &str, expr: &Expr, for_: PromDuration, rule: &Rule) {
        let number = self.rules.len();
        // Two changes that read the same are told apart by their order.
        let same = self
            .mutants
            .iter()
            .filter(|other| other.change == change || other.change.starts_with(&format!("{change} (")))
            .count();
        let change = if same == 0 {
            change.to_owned()
        } else {
            format!("{change} ({})", same + 1)
        };
        let own = format!("{}{MARK}{number}", self.name);
        let mut changed = Rule {
            expr: expr.to_string(),
            for_,
            ..rule.clone()
        };
        if rule.alert.is_empty() {
            changed.record = own;
        } else {
            changed.alert = own;
        }
        self.rules.push(changed);
        self.mutants.push(Mutant {
            rule: self.name.clone(),
            change,
            expr: expr.to_string(),
            is_killed: false,
        });
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mutants, without the rule as it is.
    pub fn mutants(&self) -> &[Mutant] {
        self.mutants.get(1..).unwrap_or_default()
    }

    /// Rules and tests for a folder of their own; run `promtool test rules` on the second.
    ///
    /// # Errors
    /// The rules can't be written.
    pub fn files(&self) -> Result<[GeneratedFile; 2], Problems> {
        let taking_part = || {
            let alive = self
                .rules
                .iter()
                .zip(&self.mutants)
                .filter(|(_, mutant)| !mutant.is_killed);
            alive.map(|(rule, _)| rule)
        };
        let names: Vec<String> = taking_part().map(|rule| rule.name().to_owned()).collect();
        let rules = RuleFile::of(taking_part().cloned().collect());
        let cases = cases_of(&self.name);
        let evaluation = evaluation(&cases);
        let round = cases.chunks(CASES_PER_ROUND).nth(self.round).unwrap_or_default();
        // The second job kills whoever adds the jobs up; nothing is killed by the first alone.
        let tests: Vec<_> = round.iter().map(|case| case.test(JOBS[1], &names)).collect();
        Ok([
            super::json_file("rules.yml", &rules)?,
            super::json_file(
                "tests.yml",
                &json!({
                    "rule_files": ["rules.yml"],
                    "evaluation_interval": format!("{evaluation}s"),
                    "tests": tests,
                }),
            )?,
        ])
    }

    /// Reads what promtool printed.
    ///
    /// # Errors
    /// promtool failed for another reason than a test: its own words.
    pub fn judge(&mut self, success: bool, output: &str) -> Result<Next, String> {
        let mut found = false;
        let mut next = Next::Done;
        for line in output.lines().map(str::trim) {
            let broke_off = line.starts_with("rule: ");
            if !(broke_off || line.starts_with("alertname: ") || line.starts_with("expr: ")) {
                continue;
            }
            let Some(number) = number_in(line) else { continue };
            found = true;
            match self.mutants.get_mut(number) {
                None => return Err(format!("promtool names a mutant that there isn't: {line}")),
                Some(_) if number == 0 => self.control_failed = true,
                Some(mutant) => mutant.is_killed = true,
            }
            if broke_off {
                next = Next::Again;
            }
        }
        if self.control_failed {
            return Err(format!(
                "the unit tests of `{}` fail on the rule as it is:\n{}",
                self.name,
                first_lines(output)
            ));
        }
        if success == found {
            return Err(format!(
                "promtool's answer isn't understood:\n{}",
                first_lines(output)
            ));
        }
        let is_alive = self.mutants().iter().any(|mutant| !mutant.is_killed);
        if next == Next::Done && is_alive && (self.round + 1) * CASES_PER_ROUND < cases_of(&self.name).len() {
            self.round += 1;
            next = Next::Again;
        }
        Ok(next)
    }
}

fn first_lines(output: &str) -> String {
    output.lines().take(30).collect::<Vec<_>>().join("\n")
}

/// The number behind the mark.
fn number_in(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once(MARK)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Half of a `for`, and one evaluation more; nothing is halved of no time at all.
fn other_spans(spec: &Spec, rule: &Rule) -> Vec<PromDuration> {
    let for_ = rule.for_;
    if rule.alert.is_empty() {
        return Vec::new();
    }
    let longer = for_.plus(spec.prometheus.evaluation_interval);
    if for_ == PromDuration::ZERO {
        vec![longer]
    } else {
        vec![PromDuration::from_millis(for_.as_millis() / 2), longer]
    }
}

/// The situations of one rule.
pub(super) fn cases_of(rule: &str) -> Vec<Case> {
    cases()
        .into_iter()
        .filter(|case| case.of.name() == rule)
        .collect()
}

pub(super) fn evaluation(cases: &[Case]) -> u64 {
    cases.iter().map(|case| case.evaluation).min().unwrap_or(5)
}
