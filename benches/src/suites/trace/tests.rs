//! The harness itself: what must hold whatever the contestants are worth.

use super::{
    contestant::{Contestant, Side},
    contestants::{self, Baseline, Omniscient, seats::Rule},
    outcome::{self, Seeds},
    scenario::{self, Scenario},
    score::Score,
    simulate::simulate,
};
use crate::frame::Effort;

/// The trace up to this second: tests run unoptimised.
fn cut(mut scenario: Scenario, second: u64) -> Scenario {
    scenario.until = second * 1_000;
    for leave in &mut scenario.leave {
        leave.2 = leave.2.min(scenario.until);
    }
    scenario
}

fn named(name: &str, until: u64) -> Scenario {
    let found = scenario::all().into_iter().find(|scenario| scenario.name == name);
    cut(found.expect("it is in the list"), until)
}

fn score(scenario: &Scenario, contestant: &dyn Contestant, seed: u64) -> Score {
    Score::of(
        scenario,
        &simulate(scenario, contestant, seed).expect("a runtime can be built"),
    )
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_gives_others() {
    // a node goes down at 30 s
    let scenario = named("rolling-restart", 33);
    for contestant in contestants::all() {
        let run = |seed| simulate(&scenario, contestant.as_ref(), seed).expect("a runtime can be built");
        let (first, second, other) = (run(3), run(3), run(4));
        assert!(first.records == second.records, "{}", contestant.name());
        assert!(first.records != other.records, "{}", contestant.name());
    }
}

#[test]
fn nobody_succeeds_more_often_than_the_omniscient() {
    for scenario in scenario::all() {
        // the faults of all have begun by then; under heavy load less time shows as much
        let until = if scenario.rate > 200.0 { 25 } else { 50 };
        let scenario = cut(scenario, until);
        let limit = score(&scenario, &Omniscient, 1);
        assert_eq!(limit.wrong, 0.0, "{}", scenario.name);
        for contestant in contestants::all()
            .into_iter()
            .filter(|one| one.side() == Side::Peer)
        {
            let peer = score(&scenario, contestant.as_ref(), 1);
            let (name, peer) = (contestant.name(), peer.success);
            assert!(
                peer <= limit.success,
                "{}: {name} {peer} > {}",
                scenario.name,
                limit.success
            );
        }
        let ours = score(&scenario, &contestants::default(), 1);
        assert!(
            ours.success <= limit.success,
            "{}: {} > {}",
            scenario.name,
            ours.success,
            limit.success
        );
    }
}

#[test]
fn who_ignores_faults_loses() {
    let blind = Baseline {
        rule: Rule::RoundRobin,
    };
    for (name, until, least) in [
        ("failing-fast", 60, 0.05),
        ("provider-out", 60, 0.1),
        ("lagging-head", 100, 0.05),
        ("429-storm", 60, 0.1),
    ] {
        let scenario = named(name, until);
        let (blind, ours) = (
            score(&scenario, &blind, 1),
            score(&scenario, &contestants::default(), 1),
        );
        assert!(blind.success < 1.0 - least, "{name}: {}", blind.success);
        assert!(
            ours.success > blind.success + least,
            "{name}: {} and {}",
            ours.success,
            blind.success
        );
    }
    let stale = score(&named("lagging-head", 100), &blind, 1);
    assert!(
        stale.wrong > 0.05,
        "old state was taken for an answer: {}",
        stale.wrong
    );
}

#[test]
fn rounds_differ_and_a_filter_that_finds_nothing_is_an_error() {
    let effort = Effort::new(true, Some(2), 1, None);
    let only: Vec<Box<dyn Contestant>> = vec![Box::new(Omniscient)];
    let outcomes =
        outcome::of_all(vec![named("burst", 45)], &only, (&effort, Seeds::HeldOut)).expect("it runs");
    let scores = &outcomes[0].results[0].scores;
    assert_eq!(scores.len(), 2);
    assert_ne!(scores[0], scores[1]);
    let tuning = outcome::of_all(vec![named("burst", 45)], &only, (&effort, Seeds::Tuning)).expect("it runs");
    assert_ne!(
        tuning[0].results[0].scores, *scores,
        "held-out rounds have luck of their own"
    );
    assert!(outcome::of_all(Vec::new(), &only, (&effort, Seeds::HeldOut)).is_err());
}
