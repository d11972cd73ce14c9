//! The traces: those of the simulation with shorter faults and faster nodes. All settings of the contestants stay what they are,
//! so that their checks, pauses and ramps are long beside these faults.

use crate::suites::trace::{
    node::{Effect, Fault, Spec},
    scenario::{Burst, Scenario},
};

/// Callers begin so long before anything is measured.
const WARM_UP: u64 = 4_000;
/// The end.
const UNTIL: u64 = 28_000;
/// When faults are on, unless a trace says otherwise.
const WINDOW: (u64, u64) = (8_000, 18_000);
/// Resolution of the plots.
const STEP: u64 = 1_000;
/// Calls a second: a tenth of what the five nodes can do, and half of what one of them can, since some ask three at once.
const RATE: f64 = 90.0;
/// A quick run is so many times as short.
const QUICK: u64 = 7;

/// All traces; quick ones show only that it works.
pub(super) fn all(quick: bool) -> Vec<Scenario> {
    let all = vec![
        trace(
            "slow-node",
            "one node takes ten times as long",
            WINDOW,
            &[0],
            &[Effect::Slow(10.0)],
        ),
        trace(
            "failing-fast",
            "one node answers HTTP 500 within 2 ms",
            WINDOW,
            &[0],
            &[Effect::Failing(1.0)],
        ),
        trace(
            "brown-out",
            "one node's latency doubles every 2 s, up to 32 times",
            WINDOW,
            &[0],
            &[Effect::Doubling(2_000)],
        ),
        trace(
            "429-storm",
            "the two nodes of one provider take 3 calls a second each, and answer the others by 429 with Retry-After: 5",
            WINDOW,
            &[0, 1],
            &[Effect::Quota(3.0, 5_000)],
        ),
        flapping(),
        trace(
            "lagging-head",
            "one node's head stands still; it answers on, from old state",
            (6_000, 24_000),
            &[0],
            &[Effect::Stuck],
        ),
        trace(
            "wrong-200",
            "one node answers with HTTP 200, five times as fast: half of it is JSON-RPC errors, HTML or answers under another id, half of it \
             from a head that stands still",
            (8_000, 22_000),
            &[0],
            &[Effect::Payload(0.5), Effect::Slow(0.2), Effect::Stuck],
        ),
        trace(
            "provider-out",
            "the two nodes of one provider answer nothing any more",
            WINDOW,
            &[0, 1],
            &[Effect::Hanging],
        ),
        burst(),
    ];
    if quick {
        all.into_iter().map(shortened).collect()
    } else {
        all
    }
}

fn trace(
    name: &'static str,
    what: &'static str,
    window: (u64, u64),
    bad: &[usize],
    effects: &[Effect],
) -> Scenario {
    let (from, to) = window;
    let mut nodes: Vec<Spec> = (0..5).map(node).collect();
    for id in bad {
        nodes[*id].faults = effects
            .iter()
            .map(|effect| Fault {
                from,
                to,
                effect: *effect,
            })
            .collect();
    }
    Scenario {
        name,
        what,
        warm_up: WARM_UP,
        until: UNTIL,
        step: STEP,
        rate: RATE,
        bursts: Vec::new(),
        nodes,
        leave: bad.iter().map(|id| (*id, from, to)).collect(),
        window,
    }
}

/// Of five such nodes, two belong to one provider, two to another, and one to a third.
fn node(id: usize) -> Spec {
    Spec {
        slots: 4,
        queue: 28,
        median_ms: 20.0,
        provider: id / 2,
        joins: None,
        faults: Vec::new(),
    }
}

fn flapping() -> Scenario {
    let what = "one node is down for 2 s, up for 2 s, and so on";
    let mut scenario = trace("flapping-node", what, (8_000, 20_000), &[], &[]);
    let down = |from| Fault {
        from,
        to: from + 2_000,
        effect: Effect::Down,
    };
    scenario.nodes[0].faults = (8_000..20_000).step_by(4_000).map(down).collect();
    scenario
}

fn burst() -> Scenario {
    let what = "five times the load for 2 s, twice, on nodes of two slots";
    let mut scenario = trace("burst", what, (8_000, 10_000), &[], &[]);
    scenario.rate = 110.0;
    for node in &mut scenario.nodes {
        node.slots = 2;
    }
    scenario.bursts = [(8_000, 10_000), (17_000, 19_000)]
        .map(|(from, to)| Burst { from, to, times: 5.0 })
        .into();
    scenario
}

/// The same in less time.
fn shortened(mut scenario: Scenario) -> Scenario {
    let less = |moment: &mut u64| *moment /= QUICK;
    for moment in [
        &mut scenario.warm_up,
        &mut scenario.until,
        &mut scenario.window.0,
        &mut scenario.window.1,
    ] {
        less(moment);
    }
    for burst in &mut scenario.bursts {
        less(&mut burst.from);
        less(&mut burst.to);
    }
    for (_, from, to) in &mut scenario.leave {
        less(from);
        less(to);
    }
    for fault in scenario.nodes.iter_mut().flat_map(|node| &mut node.faults) {
        less(&mut fault.from);
        less(&mut fault.to);
        if let Effect::Doubling(every) = &mut fault.effect {
            less(every);
        }
    }
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_lie_within_their_traces_and_names_are_those_of_the_simulation() {
        let simulated: Vec<_> = crate::suites::trace::scenario::all()
            .iter()
            .map(|one| one.name)
            .collect();
        for scenario in all(false).into_iter().chain(all(true)) {
            assert!(simulated.contains(&scenario.name), "{}", scenario.name);
            for fault in scenario.nodes.iter().flat_map(|node| &node.faults) {
                assert!(
                    scenario.warm_up < fault.from && fault.from < fault.to && fault.to < scenario.until,
                    "{}",
                    scenario.name
                );
            }
        }
    }

    #[test]
    fn the_nodes_can_bear_the_load_except_in_a_burst() {
        for scenario in all(false) {
            let capacity: f64 = scenario.nodes.iter().map(Spec::capacity).sum();
            assert!(scenario.rate < capacity, "{}", scenario.name);
            for burst in &scenario.bursts {
                assert!(scenario.rate * burst.times > capacity, "{}", scenario.name);
            }
        }
    }
}
