//! The harness itself, by tiny traces over real sockets: that what it counts is what happened. These take real seconds.

use std::sync::Arc;

use super::{
    contestant::{Answer, Contestant},
    contestants::{self, Baseline},
    play::play,
    scenario,
};
use crate::suites::trace::{
    contestants::seats::Rule,
    node::{Call, Effect, Fault},
    scenario::Scenario,
    simulate::{End, Run},
};

/// Three seconds of five nodes that are well.
fn tiny() -> Scenario {
    let mut scenario = scenario::all(false).swap_remove(0);
    scenario.warm_up = 0;
    scenario.until = 3_000;
    scenario.rate = 60.0;
    scenario.window = (0, 0);
    scenario.leave.clear();
    for node in &mut scenario.nodes {
        node.faults.clear();
    }
    scenario
}

async fn run(scenario: Scenario, contestants: &[Box<dyn Contestant>]) -> Vec<Run> {
    play(&Arc::new(scenario), contestants, 7)
        .await
        .expect("loopback has ports")
}

fn asked(run: &Run) -> Vec<u64> {
    let calls = |calls: &[u32]| calls.iter().map(|calls| u64::from(*calls)).sum();
    run.tallies.iter().map(|tally| calls(&tally.calls)).collect()
}

fn ended(run: &Run, end: End) -> usize {
    run.records.iter().filter(|record| record.end == end).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_count_what_contestants_send() {
    let contestants = contestants::all();
    let runs = run(tiny(), &contestants).await;
    let made = runs[0].records.len() as u64;
    assert!(made > 100, "60 a second for 3 s: {made}");
    for (contestant, run) in contestants.iter().zip(&runs) {
        let (name, asked) = (contestant.name(), asked(run));
        let (sum, checks): (u64, u64) = (asked.iter().sum(), run.tallies.iter().map(|one| one.checks).sum());
        assert_eq!(run.records.len() as u64, made, "{name}: the same calls for all");
        // on a machine that has much else to do a call may come too late
        let right = ended(run, End::Right) as u64;
        assert!(
            right >= made - made / 20,
            "{name}: {right} of {made}, and nothing was wrong with the nodes"
        );
        let is_ours = name.starts_with("ours");
        assert_eq!(checks > 0, is_ours, "{name}: {checks} checks");
        if is_ours {
            // hedges are calls
            assert!((made..=made + made / 5).contains(&sum), "{name}: {sum} of {made}");
            // three calls to each of five nodes, until two rounds have passed
            assert!(checks >= 15, "{name}: {checks} checks");
        } else if name.starts_with("alloy") {
            // three transports each time; a loser may be dropped before it has got anywhere
            assert!(
                (3 * made - made / 5..=3 * made).contains(&sum),
                "{name}: {sum} of {made}"
            );
        } else {
            assert_eq!(sum, made, "{name}: each call once");
        }
        if name == "round robin" {
            let (least, most) = (asked.iter().min(), asked.iter().max());
            assert!(
                most.zip(least).is_some_and(|(most, least)| most - least <= 1),
                "{asked:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ignores_a_fault_loses_what_the_node_had() {
    let mut scenario = tiny();
    let failing = Fault {
        from: 0,
        // and it stays so, however late the last call may be
        to: u64::MAX,
        effect: Effect::Failing(1.0),
    };
    scenario.nodes[0].faults.push(failing);
    let down = Fault {
        from: 1_000,
        to: 2_000,
        effect: Effect::Down,
    };
    scenario.nodes[1].faults.push(down);
    let turns: Box<dyn Contestant> = Box::new(Baseline {
        rule: Rule::RoundRobin,
    });
    let names = ["omniscient", "round robin"];
    let mut contestants: Vec<_> = contestants::all()
        .into_iter()
        .filter(|one| one.name() == names[0])
        .collect();
    contestants.push(turns);
    let runs = run(scenario, &contestants).await;
    let (limit, turns) = (&runs[0], &runs[1]);
    assert_eq!(asked(limit)[0], 0, "it knew");
    // on a machine that is stopped meanwhile a call may last longer than it sees ahead
    assert!(ended(limit, End::Failed) <= 3, "it knew");
    let (failed, made) = (ended(turns, End::Failed), turns.records.len());
    let failing = asked(turns)[0] as usize;
    // and about a fifth of those while the other one was down; those that are refused no node counts
    let refused = made as u64 - asked(turns).iter().sum::<u64>();
    assert!(
        failing >= made / 5 && refused > 0,
        "{failing} and {refused} of {made}"
    );
    assert!(
        (failing + refused as usize..=failing + refused as usize + 5).contains(&failed),
        "{failed} failed: {failing} at the one that fails, {refused} refused, and what was under way"
    );
}

#[test]
fn an_answer_to_somebody_else_and_one_from_before_are_wrong() {
    let call = Call { id: 7, block: 1_000 };
    let answer = |block, own| Answer { block, own }.is_right(call);
    assert!(answer(1_000, true) && answer(1_004, true));
    assert!(!answer(999, true) && !answer(1_000, false));
}
