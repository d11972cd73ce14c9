//! One alert's proof, from the fault to the notification that it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use monitoring_provisioning::proof::Timing;
use monitoring_provisioning::{AlertName, PromDuration};

use super::inbox::Told;
use super::lab::Lab;
use super::plan::{Fault, Reaction, Trial};
use super::pools;
use super::running::{now, until};
use super::stack::Stack;
use super::watch::Labels;

/// Seconds that a busy machine may be late, at each step. Not scaled: a machine is as busy at any scale.
pub(super) const LATE: f64 = 1.0;
/// Seconds that a pool takes to trust a node again: an open breaker and a cool-down must run out. Not scaled.
const RECOVERY: f64 = 10.0;

/// Seconds after which Prometheus hands a changed list of targets on, and no flag changes that.
const DISCOVERY: f64 = 5.0;

/// What a trial showed. Times are in seconds, and only there where it came so far.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) alert: AlertName,
    pub(super) what: &'static str,
    /// When the trouble began, in seconds since 1970: with what came before the fault, or with the fault.
    pub(super) begun: f64,
    /// When the fault was caused.
    pub(super) injected: f64,
    pub(super) cleared: Option<f64>,
    /// What was promised, and what was seen: since the fault, and since its end.
    pub(super) fires_within: f64,
    pub(super) fired: Option<f64>,
    pub(super) told_within: f64,
    pub(super) told: Option<f64>,
    pub(super) resolved_within: f64,
    pub(super) resolved: Option<f64>,
    /// What fired beside it; filled in at the end.
    pub(super) beside: Vec<String>,
    /// What is wrong.
    pub(super) problems: Vec<String>,
}

impl Outcome {
    pub(super) const fn new(trial: &Trial) -> Self {
        Self {
            alert: trial.alert,
            what: trial.what,
            begun: 0.0,
            injected: 0.0,
            cleared: None,
            fires_within: 0.0,
            fired: None,
            told_within: 0.0,
            told: None,
            resolved_within: 0.0,
            resolved: None,
            beside: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn fails(&mut self, why: impl Into<String>) {
        self.problems.push(why.into());
    }
}

/// Runs a trial; what goes wrong stands in the outcome.
pub(super) fn run(lab: &Lab, trial: &Trial) -> Outcome {
    let mut outcome = Outcome::new(trial);
    if let Err(error) = Run::new(lab, trial, &mut outcome).and_then(|mut run| run.all()) {
        outcome.fails(format!("could not be proven: {error:#}"));
    }
    outcome
}

struct Run<'a> {
    lab: &'a Lab,
    trial: &'a Trial,
    stack: &'a Stack,
    timing: &'a Timing,
    subject: Labels,
    outcome: &'a mut Outcome,
}

impl<'a> Run<'a> {
    fn new(lab: &'a Lab, trial: &'a Trial, outcome: &'a mut Outcome) -> Result<Self> {
        let stack = lab.stack(trial.alert);
        let timing = stack
            .timing(trial.alert)
            .ok_or_else(|| anyhow::anyhow!("the spec has switched it off"))?;
        let reaction = reaction(trial, lab.options.scale);
        outcome.fires_within = timing.fires_within().as_secs_f64() + reaction;
        outcome.told_within = timing.notified_within().as_secs_f64() + reaction;
        outcome.resolved_within = timing.resolved_within().as_secs_f64() + recovery(trial, lab.options.scale);
        Ok(Self {
            lab,
            trial,
            stack,
            timing,
            subject: lab.subject(trial),
            outcome,
        })
    }

    fn all(&mut self) -> Result<()> {
        self.outcome.begun = now();
        if let Some(prelude) = &self.trial.prelude {
            self.lab.before(prelude, Some(prelude.faults))?;
            let lasts = prelude.lasts.scaled(self.lab.options.scale);
            self.lab.interrupt.sleep(lasts.std())?;
        }
        self.outcome.injected = now();
        self.lab.inject(self.trial)?;
        // whatever comes of it, the fault is taken back: others share the machine
        let seen = self.seen();
        self.outcome.cleared = Some(now());
        if let Some(prelude) = &self.trial.prelude {
            self.lab.before(prelude, None)?;
        }
        self.lab.clear(self.trial)?;
        if seen? {
            self.ended()?;
        }
        Ok(())
    }

    /// It fires, and somebody is told, rightly.
    fn seen(&mut self) -> Result<bool> {
        let injected = self.outcome.injected;
        let Some(fired) = self.firing(self.trial.alert, injected + self.outcome.fires_within)? else {
            let within = self.outcome.fires_within;
            self.outcome.fails(format!("did not fire within {within:.1} s"));
            return Ok(false);
        };
        self.outcome.fired = Some(fired - injected);
        let receiver = self.stack.receiver(&self.timing.severity);
        let told = self.told("firing", &receiver, injected, injected + self.outcome.told_within)?;
        let Some((at, told)) = told else {
            let within = self.outcome.told_within;
            self.outcome
                .fails(format!("nobody was told at `{receiver}` within {within:.1} s"));
            return Ok(false);
        };
        self.outcome.told = Some(at - injected);
        let problems = self.judge(&told);
        self.outcome.problems.extend(problems);
        if let Some(other) = self.trial.until {
            self.hold(other)?;
        }
        Ok(true)
    }

    /// The fault goes on until another alert fires, too, and for as long as it would take to tell of that one.
    fn hold(&mut self, other: AlertName) -> Result<()> {
        let Some(timing) = self.stack.timing(other) else {
            self.outcome.fails(format!(
                "the spec has switched off {other}, which should be silenced"
            ));
            return Ok(());
        };
        let reaction = reaction(self.trial, self.lab.options.scale);
        let within = timing.fires_within().as_secs_f64() + reaction;
        if self.firing(other, self.outcome.injected + within)?.is_none() {
            self.outcome.fails(format!(
                "{other}, which should be silenced, did not fire within {within:.1} s"
            ));
        }
        let would_be_told = timing.group_wait.plus(timing.evaluation_interval).as_secs_f64() + LATE;
        self.lab.interrupt.sleep(Duration::from_secs_f64(would_be_told))
    }

    /// It is over, and somebody is told of that.
    fn ended(&mut self) -> Result<()> {
        let cleared = self.outcome.cleared.unwrap_or_default();
        let receiver = self.stack.receiver(&self.timing.severity);
        let within = self.outcome.resolved_within;
        match self.told("resolved", &receiver, cleared, cleared + within)? {
            Some((at, _)) => self.outcome.resolved = Some(at - cleared),
            None => self.outcome.fails(format!(
                "its end was not told within {within:.1} s after the fault's"
            )),
        }
        Ok(())
    }

    /// When it began to fire, in seconds since 1970.
    fn firing(&self, alert: AlertName, end: f64) -> Result<Option<f64>> {
        let mut subject = self.subject.clone();
        if alert != self.trial.alert {
            // another alert says less or more about the same thing
            subject.remove("endpoint");
        }
        subject.insert("alertname".to_owned(), alert.to_string());
        let from = self.outcome.injected;
        // a moment more than is allowed, so that what comes late is shown
        until(end + 2.0 * LATE, &self.lab.interrupt, || {
            let spells = self.stack.watch.spells();
            Ok(spells
                .iter()
                .find(|spell| spell.from >= from && holds(&spell.labels, &subject))
                .map(|spell| spell.from))
        })
        .map(|found| found.filter(|at| *at <= end + LATE))
    }

    /// The first notification of that status after a moment, and when it arrived.
    fn told(&self, status: &str, receiver: &str, from: f64, end: f64) -> Result<Option<(f64, Told)>> {
        let mut subject = self.subject.clone();
        subject.insert("alertname".to_owned(), self.trial.alert.to_string());
        until(end + LATE, &self.lab.interrupt, || {
            let arrived = self.lab.inbox.arrived();
            Ok(arrived
                .iter()
                .filter(|notification| notification.at >= from && notification.receiver == receiver)
                .find_map(|notification| {
                    let told = notification.find(status, |told| holds(&told.labels, &subject))?;
                    Some((notification.at, told.clone()))
                }))
        })
    }

    /// What is wrong with the text of a notification.
    fn judge(&self, told: &Told) -> Vec<String> {
        let mut expected: Labels = self.subject.clone();
        expected.insert("alertname".to_owned(), self.trial.alert.to_string());
        let own = &self.timing.labels;
        let external = &self.stack.spec.prometheus.external_labels;
        expected.extend(
            external
                .iter()
                .chain(own)
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let mut problems = Vec::new();
        if told.labels != expected {
            problems.push(format!(
                "the notification has the labels {:?}, expected {expected:?}",
                told.labels
            ));
        }
        problems.extend(annotations(&told.annotations, &self.subject));
        problems
    }
}

/// Whether all of these labels are among those.
pub(super) fn holds(labels: &Labels, all_of: &Labels) -> bool {
    all_of.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// What is wrong with the annotations of an alert about this.
fn annotations(given: &BTreeMap<String, String>, subject: &Labels) -> Vec<String> {
    let mut problems = Vec::new();
    for name in ["summary", "description", "runbook_url", "dashboard_url"] {
        let text = given.get(name).map_or("", String::as_str);
        let unfilled = ["{{", "<no value>", "error expanding", "<nil>"];
        if text.is_empty() || unfilled.iter().any(|part| text.contains(part)) {
            problems.push(format!("the annotation `{name}` says `{text}`"));
        }
    }
    let link = given.get("dashboard_url").map_or("", String::as_str);
    for name in ["pool", "endpoint"] {
        let Some(value) = subject.get(name) else { continue };
        if !link.contains(&format!("var-{name}={value}")) {
            problems.push(format!(
                "the dashboard's link does not open {name} {value}: `{link}`"
            ));
        }
    }
    problems
}

/// Seconds that the relayer itself takes until a fault shows in its numbers.
pub(super) fn reaction(trial: &Trial, scale: f64) -> f64 {
    match trial.reaction {
        Reaction::AtOnce => 0.0,
        Reaction::Load => 1.0,
        Reaction::Checks => two_checks(scale),
        Reaction::Discovery => DISCOVERY,
        // leak_after, and the look for leaks once a second
        Reaction::Leak => 2.0,
    }
}

/// Seconds until the pool's numbers are well again.
fn recovery(trial: &Trial, scale: f64) -> f64 {
    match trial.fault {
        Fault::Nodes(..) | Fault::NodeGone => RECOVERY + two_checks(scale),
        // a process must start
        Fault::RelayerKilled | Fault::ExporterKilled => RECOVERY,
        Fault::NoTargets => DISCOVERY,
        _ => 0.0,
    }
}

/// With a fifth of jitter.
fn two_checks(scale: f64) -> f64 {
    let interval: PromDuration = pools::check_interval(scale);
    interval.as_secs_f64() * 2.4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn annotations_must_be_filled_and_lead_to_the_subject() {
        let good = [
            ("summary", "Pool one is full."),
            ("description", "3 callers wait."),
            ("runbook_url", "https://example.org/A.md"),
            (
                "dashboard_url",
                "http://localhost/d/x?var-pool=one&var-endpoint=a",
            ),
        ];
        let subject = labels(&[("pool", "one"), ("endpoint", "a")]);
        assert_eq!(annotations(&labels(&good), &subject), Vec::<String>::new());
        for (at, text) in [
            (0, ""),
            (1, "{{ $value }} callers wait."),
            (1, "<no value> callers wait."),
            (3, "http://localhost/d/x?var-pool=two&var-endpoint=a"),
        ] {
            let mut bad = good;
            bad[at].1 = text;
            assert_eq!(annotations(&labels(&bad), &subject).len(), 1, "{text}");
        }
        assert_eq!(annotations(&labels(&good[1..]), &subject).len(), 1);
    }

    #[test]
    fn all_labels_must_be_there_and_more_may() {
        let alert = labels(&[("pool", "one"), ("endpoint", "a")]);
        assert!(holds(&alert, &labels(&[("pool", "one")])));
        assert!(!holds(&alert, &labels(&[("pool", "two")])));
        assert!(!holds(&alert, &labels(&[("instance", "x")])));
    }
}
