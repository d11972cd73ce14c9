//! How the verdicts on mutants come about. The verdicts themselves are promtool's: `cargo xtask alerts prove --mutants`.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use monitoring_provisioning::{
    AlertName,
    proof::{Batch, Next, Score, batches},
};

fn batch_of(alert: AlertName) -> Batch {
    batches()
        .unwrap()
        .into_iter()
        .find(|batch| batch.name() == alert.as_str())
        .unwrap()
}

/// What promtool prints when the test of one rule fails.
fn failure(rule: &str) -> String {
    format!("  FAILED:\n    name: n,\n    alertname: {rule}, time: 1m, \n        exp:[], \n        got:[]\n")
}

#[test]
fn every_kind_of_slip_is_made() {
    let changes: Vec<String> = batches()
        .unwrap()
        .iter()
        .flat_map(Batch::mutants)
        .map(|mutant| mutant.change.clone())
        .collect();
    for kind in [
        "`> 0.8` -> `< 0.8` at slots_free",
        "`0.05` -> `0.0505`",
        "without `pool in max by (…)` at slots_usable",
        "`job` added to max by (…) at queue_size",
        "without `instance in on (…)` at slots_usable",
        "`for: 1m` -> `for: 30s`",
        "`increase` -> `rate` at queue_timeouts_total",
        "without `and …` at slots_free",
        "without `… or` at circuit_breaker_status",
        "`slots_usable` -> `slots_free`",
        "`[5m]` -> `[10m]` at errors_total",
        "without `timeout` in `error_type` at errors_total",
        "`reverted` added to `error_type` at errors_total",
    ] {
        assert!(
            changes.iter().any(|change| change == kind),
            "no {kind} in {changes:#?}"
        );
    }
}

#[test]
fn each_mutant_is_another_rule_that_parses() {
    for batch in batches().unwrap() {
        let mut seen = std::collections::BTreeSet::new();
        for mutant in batch
            .mutants()
            .iter()
            .filter(|mutant| !mutant.change.starts_with("`for"))
        {
            assert!(
                seen.insert(&mutant.expr),
                "{}: {} is made twice",
                mutant.rule,
                mutant.change
            );
        }
        let rules = &batch.files().unwrap()[0].contents;
        let original = rules.split("\"expr\": ").nth(1).unwrap().lines().next().unwrap();
        // The rule as it is, and its mutants whose `for` alone differs.
        let same = rules.matches(original).count();
        assert!((1..=3).contains(&same), "{}: {same} times", batch.name());
    }
}

#[test]
fn a_failed_test_kills_the_mutant_that_it_names_and_no_other() {
    let mut batch = batch_of(AlertName::ConnectionPoolExhausted);
    let output = failure("ConnectionPoolExhausted__mutant_3");
    assert_eq!(
        batch.judge(false, &output),
        Ok(Next::Again),
        "there are more situations"
    );
    let killed: Vec<bool> = batch.mutants().iter().map(|mutant| mutant.is_killed).collect();
    assert!(killed[2], "the third one");
    assert_eq!(killed.iter().filter(|killed| **killed).count(), 1);
}

#[test]
fn a_mutant_that_breaks_the_evaluation_is_killed_and_left_out() {
    let mut batch = batch_of(AlertName::ConnectionPoolExhausted);
    let output = "  FAILED:\n    rule: ConnectionPoolExhausted__mutant_7, time: 0s, err: multiple matches\n";
    assert_eq!(batch.judge(false, output), Ok(Next::Again));
    assert!(batch.mutants()[6].is_killed);
    for file in batch.files().unwrap() {
        assert!(!file.contents.contains("__mutant_7\""), "{}", file.path.display());
        assert!(file.contents.contains("__mutant_8\""), "{}", file.path.display());
    }
}

#[test]
fn what_is_no_verdict_is_an_error() {
    let mut batch = batch_of(AlertName::EndpointUnhealthy);
    let own = failure("EndpointUnhealthy__mutant_0");
    assert!(
        batch
            .judge(false, &own)
            .unwrap_err()
            .contains("fail on the rule as it is")
    );
    let mut batch = batch_of(AlertName::EndpointUnhealthy);
    for (success, output) in [
        (false, "rules.yml: no such file"),
        (true, failure("EndpointUnhealthy__mutant_1").as_str()),
    ] {
        assert!(
            batch
                .judge(success, output)
                .unwrap_err()
                .contains("isn't understood"),
            "{output}"
        );
    }
    assert!(
        batch
            .judge(false, &failure("EndpointUnhealthy__mutant_9999"))
            .is_err()
    );
}

#[test]
fn the_score_counts_survivors_and_refuses_a_stale_list() {
    let all = batches().unwrap();
    let score = Score::of(&all).unwrap();
    assert!(score.killed.is_empty() && score.percent() == 0.0);
    assert!(score.wrongly_listed.is_empty(), "{:?}", score.wrongly_listed);
    assert!(!score.equivalent.is_empty());

    let mut batch = batch_of(AlertName::ConnectionPoolExhausted);
    let output: String = (1..=batch.mutants().len())
        .map(|number| failure(&format!("ConnectionPoolExhausted__mutant_{number}")))
        .collect();
    batch.judge(false, &output).unwrap();
    let score = Score::of(&[batch]).unwrap();
    assert!(score.survivors.is_empty() && score.percent() == 100.0);
    assert_eq!(
        score.wrongly_listed,
        ["ConnectionPoolExhausted: `max` -> `sum` at slots_free"]
    );
}
