//! The traces: which nodes, which load, which faults. Recorded in code, so that everybody runs the same.

use super::node::{Effect, Fault, Spec};

/// See [`Scenario::warm_up`].
const WARM_UP: u64 = 10_000;
/// See [`Scenario::step`].
const STEP: u64 = 2_000;
/// Calls a second, unless a trace says otherwise: a third of what the five nodes can do.
const RATE: f64 = 150.0;

/// Times the load for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    /// The first moment, in milliseconds.
    pub(crate) from: u64,
    /// The first moment after it.
    pub(crate) to: u64,
    /// So many times the calls.
    pub(crate) times: f64,
}

/// One trace.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// What `--filter` and files call it.
    pub(crate) name: &'static str,
    /// What happens, in a sentence.
    pub(crate) what: &'static str,
    /// Callers begin so many milliseconds before anything is measured, so that estimates are no longer guesses.
    pub(crate) warm_up: u64,
    /// Its end, in milliseconds.
    pub(crate) until: u64,
    /// Resolution of what is plotted over time, in milliseconds.
    pub(crate) step: u64,
    /// Calls a second.
    pub(crate) rate: f64,
    /// When there are more.
    pub(crate) bursts: Vec<Burst>,
    /// The nodes.
    pub(crate) nodes: Vec<Spec>,
    /// The nodes that a contestant should leave, and from when to when. Empty where there is nothing to leave.
    pub(crate) leave: Vec<(usize, u64, u64)>,
    /// What is shaded in the plots.
    pub(crate) window: (u64, u64),
}

impl Scenario {
    fn new(name: &'static str, what: &'static str, until_s: u64, window_s: (u64, u64)) -> Self {
        Self {
            name,
            what,
            warm_up: WARM_UP,
            until: until_s * 1_000,
            step: STEP,
            rate: RATE,
            bursts: Vec::new(),
            nodes: (0..5).map(|id| node(4, id)).collect(),
            leave: Vec::new(),
            window: (window_s.0 * 1_000, window_s.1 * 1_000),
        }
    }

    /// These nodes have this fault in the trace's window.
    fn with(mut self, nodes: &[usize], effect: Effect) -> Self {
        let (from, to) = self.window;
        for id in nodes {
            self.nodes[*id].faults.push(Fault { from, to, effect });
        }
        self
    }

    /// These nodes should be left in the trace's window.
    fn left(mut self, nodes: &[usize]) -> Self {
        let (from, to) = self.window;
        self.leave = nodes.iter().map(|id| (*id, from, to)).collect();
        self
    }

    /// Calls a second at a moment.
    pub(crate) fn rate_at(&self, now: u64) -> f64 {
        let times = self
            .bursts
            .iter()
            .filter(|burst| burst.from <= now && now < burst.to)
            .map(|burst| burst.times);
        self.rate * times.product::<f64>()
    }
}

/// Of five such nodes, two belong to one provider, two to another, and one to a third.
fn node(slots: usize, id: usize) -> Spec {
    Spec {
        slots,
        queue: 28,
        median_ms: 40.0,
        provider: id / 2,
        joins: None,
        faults: Vec::new(),
    }
}

/// All traces.
pub(crate) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("slow-node", "one node takes ten times as long", 130, (40, 100))
            .with(&[0], Effect::Slow(10.0))
            .left(&[0]),
        Scenario::new("failing-fast", "one node answers HTTP 500 within 2 ms", 130, (40, 100))
            .with(&[0], Effect::Failing(1.0))
            .left(&[0]),
        Scenario::new("brown-out", "one node's latency doubles every 10 s, up to 64 times", 130, (40, 100))
            .with(&[0], Effect::Doubling(10_000))
            .left(&[0]),
        Scenario::new(
            "429-storm",
            "the two nodes of one provider take 5 calls a second each, and answer the others by 429 with Retry-After: 5",
            130,
            (40, 100),
        )
        .with(&[0, 1], Effect::Quota(5.0, 5_000))
        .left(&[0, 1]),
        flapping(),
        rolling_restart(),
        Scenario::new(
            "lagging-head",
            "one node's head stands still; it answers on, from old state",
            150,
            (30, 120),
        )
        .with(&[0], Effect::Stuck)
        .left(&[0]),
        Scenario::new(
            "wrong-200",
            "one node answers with HTTP 200, five times as fast: half of it JSON-RPC errors, half of it from a head that stands still",
            130,
            (40, 100),
        )
        .with(&[0], Effect::Payload(0.5))
        .with(&[0], Effect::Slow(0.2))
        .with(&[0], Effect::Stuck)
        .left(&[0]),
        Scenario::new("provider-out", "the two nodes of one provider answer nothing any more", 130, (40, 100))
            .with(&[0, 1], Effect::Hanging)
            .left(&[0, 1]),
        burst(),
        uneven("uneven-70", "nodes of 2, 4, 4, 8 and 16 slots at 70 % of what they can do together", 0.7),
        uneven("uneven-90", "nodes of 2, 4, 4, 8 and 16 slots at 90 % of what they can do together", 0.9),
        uneven("uneven-95", "nodes of 2, 4, 4, 8 and 16 slots at 95 % of what they can do together", 0.95),
        cold_node(),
    ]
}

fn flapping() -> Scenario {
    let mut scenario = Scenario::new(
        "flapping-node",
        "one node is down for 5 s, up for 5 s, and so on",
        130,
        (30, 105),
    );
    let down = |from| Fault {
        from,
        to: from + 5_000,
        effect: Effect::Down,
    };
    scenario.nodes[0].faults = (30_000..105_000).step_by(10_000).map(down).collect();
    scenario
}

fn rolling_restart() -> Scenario {
    let mut scenario = Scenario::new(
        "rolling-restart",
        "each node in turn is down for 8 s",
        130,
        (30, 86),
    );
    for (id, node) in scenario.nodes.iter_mut().enumerate() {
        let from = 30_000 + 12_000 * id as u64;
        node.faults.push(Fault {
            from,
            to: from + 8_000,
            effect: Effect::Down,
        });
        scenario.leave.push((id, from, from + 8_000));
    }
    scenario
}

fn burst() -> Scenario {
    let mut scenario = Scenario::new("burst", "five times the load for 5 s, twice", 110, (40, 45));
    scenario.rate = 120.0;
    scenario.bursts = vec![
        Burst {
            from: 40_000,
            to: 45_000,
            times: 5.0,
        },
        Burst {
            from: 75_000,
            to: 80_000,
            times: 5.0,
        },
    ];
    scenario
}

fn uneven(name: &'static str, what: &'static str, load: f64) -> Scenario {
    let mut scenario = Scenario::new(name, what, 70, (0, 0));
    scenario.nodes = [2, 4, 4, 8, 16]
        .into_iter()
        .enumerate()
        .map(|(id, slots)| node(slots, id))
        .collect();
    scenario.rate = load * scenario.nodes.iter().map(Spec::capacity).sum::<f64>();
    scenario
}

fn cold_node() -> Scenario {
    let mut scenario = Scenario::new(
        "cold-node",
        "a fifth node joins; its first calls take five times as long",
        110,
        (40, 60),
    );
    scenario.nodes[4].joins = Some(40_000);
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_lie_within_their_traces_and_names_are_unique() {
        let scenarios = all();
        let mut names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), scenarios.len());
        for scenario in scenarios {
            for fault in scenario.nodes.iter().flat_map(|node| &node.faults) {
                assert!(
                    WARM_UP < fault.from && fault.to + 10_000 < scenario.until,
                    "{}",
                    scenario.name
                );
            }
        }
    }

    #[test]
    fn the_nodes_can_bear_the_load_except_in_a_burst() {
        for scenario in all() {
            let capacity: f64 = scenario.nodes.iter().map(Spec::capacity).sum();
            assert!(scenario.rate < capacity, "{}", scenario.name);
        }
    }
}
