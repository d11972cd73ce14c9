//! Who answers for what fired and what was told: everything must belong to a trial that allows it.

use std::collections::BTreeSet;

use super::inbox::Notification;
use super::lab::Lab;
use super::plan::{Place, Site, Trial};
use super::running::now;
use super::stack::{RECEIVERS, Stack};
use super::trial::{Outcome, holds};
use super::watch::{Labels, Spell};

/// The one that fires all the time.
const HEARTBEAT: &str = "DeadMansSwitch";
/// Seconds since the last look at what fires, beyond which it is not known.
const FRESH: f64 = 5.0;
/// Seconds by which clocks and evaluations may disagree.
const BLUR: f64 = 0.5;

/// What is wrong with the run as a whole; what belongs to a trial is written into its outcome.
pub(super) fn audit(lab: &Lab, trials: &[&Trial], outcomes: &mut [Outcome]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in lab.stacks() {
        let name = stack.kind.name();
        for (from, to) in stack.watch.gaps() {
            let planned = outcomes.iter().any(|outcome| {
                let cut = outcome.alert.always_fires();
                cut && from >= outcome.injected - BLUR && outcome.cleared.is_some_and(|end| from <= end)
            });
            if !planned {
                problems.push(format!(
                    "not checked: for {:.1} s Prometheus ({name}) could not be asked what fires",
                    to - from
                ));
            }
        }
        for spell in spells(stack) {
            problems.extend(account_for(&|site| lab.instance(site), trials, outcomes, &spell));
        }
    }
    let arrived = lab.inbox.arrived();
    for (trial, outcome) in trials.iter().zip(outcomes.iter_mut()) {
        let mut about = lab.subject(trial);
        about.remove("endpoint");
        let stack = lab.stack(trial.alert).kind.name();
        count(trial, stack, &about, outcome, &arrived);
    }
    for stack in lab.stacks() {
        problems.extend(misdirected(stack, &arrived));
    }
    problems
}

/// Everything that has fired so far on a healthy day is wrong, but for the heartbeat.
pub(super) fn healthy(lab: &Lab) -> Vec<String> {
    let fired = lab
        .stacks()
        .flat_map(spells)
        .filter(|spell| name_of(&spell.labels) != HEARTBEAT)
        .map(|spell| format!("fired on a healthy day: {}", describe(&spell)));
    // silence of a Prometheus that nobody could ask proves nothing
    let blind = lab.stacks().filter(|stack| {
        let looked = stack.watch.looked().unwrap_or_default();
        now() - looked > FRESH || !stack.watch.gaps().is_empty()
    });
    let blind = blind.map(|stack| {
        format!(
            "not checked: Prometheus ({}) could not be asked what fires",
            stack.kind.name()
        )
    });
    fired.chain(blind).collect()
}

/// What fired since the stack was ready. A Prometheus that starts knows no target for five seconds, which is longer than a scaled
/// minute: what began before and ended with it is of its start.
fn spells(stack: &Stack) -> Vec<Spell> {
    let mut spells = stack.watch.spells();
    spells.retain(|spell| spell.from >= stack.began || spell.to > stack.began + FRESH);
    spells
}

/// What a relayer is called in the label `instance`.
type Instance<'a> = dyn Fn(Site) -> Option<String> + 'a;

/// Finds the trial that must answer for a spell; what is wrong with it is written into that one's outcome, or returned where there
/// is none.
fn account_for(
    at: &Instance<'_>,
    trials: &[&Trial],
    outcomes: &mut [Outcome],
    spell: &Spell,
) -> Option<String> {
    let alert = name_of(&spell.labels);
    if alert == HEARTBEAT {
        return None;
    }
    // of those that could answer for it the one whose fault came last before it
    let answerable = (0..trials.len())
        .filter(|index| answers_for(at, trials[*index], &spell.labels))
        .max_by(|one, other| {
            let since = |index: &usize| match outcomes[*index].begun {
                begun if begun <= spell.from + BLUR => begun,
                _ => 0.0,
            };
            since(one).total_cmp(&since(other))
        });
    let Some(index) = answerable else {
        return Some(format!("fired without any fault: {}", describe(spell)));
    };
    let (trial, outcome) = (trials[index], &mut outcomes[index]);
    if outcome.begun == 0.0 || spell.from < outcome.begun - BLUR {
        outcome.fails(format!("fired before its fault: {}", describe(spell)));
    } else if !trial.allows(alert) {
        outcome.fails(format!("fired beside it, undeclared: {}", describe(spell)));
    } else if alert != trial.alert.as_str() {
        let silenced = trial.silenced.iter().any(|one| one.as_str() == alert);
        let shown = if silenced {
            format!("{alert} (silenced)")
        } else {
            alert.to_owned()
        };
        if !outcome.beside.contains(&shown) {
            outcome.beside.push(shown);
        }
    }
    None
}

/// Whether an alert about this can only come from that trial's fault.
fn answers_for(at: &Instance<'_>, trial: &Trial, labels: &Labels) -> bool {
    let is = |name: &str, value: Option<&str>| labels.get(name).map(String::as_str) == value;
    match trial.place {
        Place::Pool(setup) => {
            is("pool", Some(setup.id)) && is("instance", trial.site().and_then(at).as_deref())
        }
        Place::Relayer(site @ (Site::Gone | Site::Hidden)) => is("instance", at(site).as_deref()),
        Place::Relayer(_) => false,
        Place::Target => is("job", Some("node")),
        Place::Monitoring => !labels.contains_key("instance") && trial.allows(name_of(labels)),
    }
}

/// One page per incident: the alert is told once while its fault lasts, and what it silences never. `about` is what the trial is
/// about.
fn count(trial: &Trial, stack: &str, about: &Labels, outcome: &mut Outcome, arrived: &[Notification]) {
    if trial.alert.always_fires() || outcome.told.is_none() {
        return;
    }
    let of_this_stack = format!("{stack}/");
    let until = outcome.cleared.unwrap_or(f64::MAX);
    let firing = |alert: &str, to: f64| {
        let during = arrived.iter().filter(|one| {
            one.receiver.starts_with(&of_this_stack) && one.at >= outcome.injected && one.at <= to
        });
        during
            .filter(|one| {
                one.find("firing", |told| {
                    name_of(&told.labels) == alert && holds(&told.labels, about)
                })
                .is_some()
            })
            .count()
    };
    let own = firing(trial.alert.as_str(), until);
    let silenced: Vec<String> = trial
        .silenced
        .iter()
        .filter(|other| firing(other.as_str(), f64::MAX) > 0)
        .map(|other| format!("{other} was told, though {} silences it", trial.alert))
        .collect();
    if own != 1 {
        outcome.fails(format!("it was told {own} times while its fault lasted"));
    }
    outcome.problems.extend(silenced);
}

/// Notifications that went to somebody for another severity.
fn misdirected(stack: &Stack, arrived: &[Notification]) -> BTreeSet<String> {
    let own = arrived
        .iter()
        .filter(|one| one.receiver.starts_with(&format!("{}/", stack.kind.name())));
    own.flat_map(|one| one.alerts.iter().map(move |told| (one, told)))
        .filter(|(one, told)| {
            let severity = told.labels.get("severity").map_or("", String::as_str);
            let known = RECEIVERS.iter().any(|(known, _)| *known == severity);
            !known || stack.receiver(severity) != one.receiver
        })
        .map(|(one, told)| format!("{} was told to `{}`", name_of(&told.labels), one.receiver))
        .collect()
}

fn name_of(labels: &Labels) -> &str {
    labels.get("alertname").map_or("", String::as_str)
}

fn describe(spell: &Spell) -> String {
    let about = ["job", "instance", "pool", "endpoint"];
    let labels: Vec<String> = about
        .iter()
        .filter_map(|name| Some(format!("{name}={}", spell.labels.get(*name)?)))
        .collect();
    format!("{} {}", name_of(&spell.labels), labels.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::inbox::Told;
    use super::super::plan::TRIALS;
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn at(site: Site) -> Option<String> {
        Some(site.name().to_owned())
    }

    /// The trials of these alerts, their faults a hundred seconds apart.
    fn trials(alerts: &[&str]) -> (Vec<&'static Trial>, Vec<Outcome>) {
        let trials: Vec<&Trial> = TRIALS
            .iter()
            .filter(|trial| alerts.contains(&trial.alert.as_str()))
            .collect();
        let outcomes = trials.iter().zip(1..).map(|(trial, number)| Outcome {
            begun: f64::from(number) * 100.0,
            injected: f64::from(number) * 100.0,
            ..Outcome::new(trial)
        });
        let outcomes = outcomes.collect();
        (trials, outcomes)
    }

    fn spell(from: f64, all: &[(&str, &str)]) -> Spell {
        Spell {
            labels: labels(all),
            from,
            to: from + 1.0,
        }
    }

    const EXHAUSTED: [(&str, &str); 2] = [("instance", "relayer-pools"), ("pool", "exhausted")];

    fn of_exhausted(alert: &'static str) -> Vec<(&'static str, &'static str)> {
        [&EXHAUSTED[..], &[("alertname", alert)]].concat()
    }

    #[test]
    fn what_is_declared_is_shown_and_what_is_not_fails() {
        let (trials, mut outcomes) = trials(&["ConnectionPoolExhausted", "RelayerDown"]);
        let mut account = |spell: &Spell| account_for(&at, &trials, &mut outcomes, spell);
        for alert in ["ConnectionPoolExhausted", "ConnectionPoolHighUtilization"] {
            assert_eq!(account(&spell(101.0, &of_exhausted(alert))), None);
        }
        assert_eq!(account(&spell(101.0, &of_exhausted("CircuitBreakerOpen"))), None);
        assert_eq!(
            account(&spell(50.0, &of_exhausted("ConnectionPoolExhausted"))),
            None
        );
        // a pool that is nobody's
        let bystander = [
            ("instance", "relayer-pools"),
            ("pool", "bystander"),
            ("alertname", "EndpointUnhealthy"),
        ];
        assert_eq!(
            account(&spell(101.0, &bystander)).as_deref(),
            Some("fired without any fault: EndpointUnhealthy instance=relayer-pools pool=bystander")
        );
        assert_eq!(outcomes[0].beside, ["ConnectionPoolHighUtilization (silenced)"]);
        assert_eq!(
            outcomes[0].problems,
            [
                "fired beside it, undeclared: CircuitBreakerOpen instance=relayer-pools pool=exhausted",
                "fired before its fault: ConnectionPoolExhausted instance=relayer-pools pool=exhausted",
            ]
        );
        assert!(outcomes[1].problems.is_empty());
    }

    #[test]
    fn of_two_faults_the_later_one_answers() {
        let (trials, mut outcomes) = trials(&["NoRelayerScraped", "DeadMansSwitch"]);
        let absent = [("alertname", "NoRelayerScraped"), ("job", "connection-pools")];
        for from in [101.0, 201.0] {
            assert_eq!(
                account_for(&at, &trials, &mut outcomes, &spell(from, &absent)),
                None
            );
        }
        assert_eq!(outcomes[0].beside, Vec::<String>::new());
        assert_eq!(outcomes[1].beside, ["NoRelayerScraped"]);
        assert!(outcomes.iter().all(|outcome| outcome.problems.is_empty()));
    }

    #[test]
    fn an_incident_is_told_once_and_what_it_silences_never() {
        let (trials, outcomes) = trials(&["ConnectionPoolExhausted"]);
        let told = |at: f64, alert: &'static str| Notification {
            at,
            receiver: "main/pager".to_owned(),
            alerts: vec![Told {
                status: "firing".to_owned(),
                labels: labels(&of_exhausted(alert)),
                annotations: Labels::new(),
            }],
        };
        let judged = |arrived: &[Notification]| {
            let mut outcome = Outcome {
                told: Some(1.0),
                cleared: Some(110.0),
                ..outcomes[0].clone()
            };
            count(trials[0], "main", &labels(&EXHAUSTED), &mut outcome, arrived);
            outcome.problems
        };
        let own = "ConnectionPoolExhausted";
        assert_eq!(judged(&[told(101.0, own)]), Vec::<String>::new());
        // what came before the fault, or after its end, is not of it
        assert_eq!(
            judged(&[told(99.0, own), told(101.0, own), told(111.0, own)]),
            Vec::<String>::new()
        );
        assert_eq!(
            judged(&[told(101.0, own), told(105.0, own)]),
            ["it was told 2 times while its fault lasted"]
        );
        assert_eq!(
            judged(&[told(101.0, own), told(105.0, "ConnectionPoolHighUtilization")]),
            ["ConnectionPoolHighUtilization was told, though ConnectionPoolExhausted silences it"]
        );
    }
}
