//! Limits in a loop with nodes of many kinds: what is learned decides what is seen next.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use super::{AdaptiveConcurrencyConfig, curve::Curves, known::Known};

const MOST: u32 = 16;
/// Looks, one each second.
const LOOKS: u64 = 120;
const SEEDS: u64 = 10;

/// What a request takes on a node, in microseconds.
#[derive(Clone, Copy)]
enum Node {
    /// So many at once, the rest in a queue.
    Serves(usize),
    /// As many at once as there are, all the same.
    Unbounded,
    /// As many at once as there are, each slower by the square root of their number.
    Gradual,
}

struct World {
    node: Node,
    /// What a request takes at that second, without a queue.
    takes: fn(u64) -> f64,
    /// Requests a second.
    rate: f64,
    /// By which factor one in four requests takes longer.
    dear: f64,
}

const USUAL: World = World {
    node: Node::Unbounded,
    takes: |_| 50_000.0,
    rate: 0.0,
    dear: 1.0,
};

/// What limits came about, second by second, and how many requests were answered.
struct Outcome {
    limits: Vec<u32>,
    answered: u64,
}

impl World {
    fn run(&self, seed: u64, change: impl Fn(u64) -> Option<Node>) -> Outcome {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (curves, config) = (Curves::default(), AdaptiveConcurrencyConfig::default());
        let (mut known, mut limit, mut node) = (Known::new(), MOST, self.node);
        let (mut limits, mut answered) = (Vec::new(), 0);
        // ends, what it took, among how many, whether it had waited
        let mut under_way: BinaryHeap<Reverse<(u64, u64, u32, bool)>> = BinaryHeap::new();
        let (mut line, mut free) = (VecDeque::new(), Vec::new());
        let mut next = 0.0;
        for second in 0..LOOKS {
            node = change(second).unwrap_or(node);
            if let Node::Serves(count) = node {
                free.resize(count, 0);
            }
            let until = (second + 1) * 1_000_000;
            loop {
                let ends = under_way.peek().map_or(u64::MAX, |Reverse((ends, ..))| *ends);
                let now = ends.min(next as u64);
                if now >= until {
                    break;
                }
                if ends == now {
                    let Some(Reverse((_, took, among, waited))) = under_way.pop() else {
                        break;
                    };
                    curves.answered(among, waited, Duration::from_micros(took));
                    answered += 1;
                } else {
                    line.push_back(now);
                    next += -(1.0 - rng.f64()).ln() * 1e6 / self.rate;
                }
                while under_way.len() < limit as usize {
                    let Some(came) = line.pop_front() else { break };
                    let among = under_way.len() as u32 + 1;
                    let normal =
                        (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
                    let dear = if rng.u8(0..4) == 0 { self.dear } else { 1.0 };
                    let work = (self.takes)(second) * dear * (0.5 * normal).exp();
                    let ends = match node {
                        Node::Unbounded => now + work as u64,
                        Node::Gradual => now + (work * f64::from(among).sqrt()) as u64,
                        Node::Serves(_) => {
                            let slot = free.iter_mut().min().unwrap();
                            *slot = (*slot).max(now) + work as u64;
                            *slot
                        }
                    };
                    under_way.push(Reverse((ends, ends - now, among, came < now)));
                }
            }
            limit = known.look(&curves, Duration::from_secs(1), &config, MOST);
            limits.push(limit);
        }
        Outcome { limits, answered }
    }

    /// Requests a second that a node gets done, of which so many are served at once.
    fn capacity(&self, slots: usize) -> f64 {
        // the mean of what is drawn is above its median
        slots as f64 * 1e6 / ((self.takes)(0) * (0.125_f64).exp())
    }
}

/// The share of the seconds from one on, over all seeds, in which something holds of the limit.
fn share(outcomes: &[Outcome], from: usize, holds: impl Fn(u32) -> bool) -> f64 {
    let limits = outcomes.iter().flat_map(|outcome| &outcome.limits[from..]);
    let (all, held) = limits.fold((0, 0), |(all, held), limit| {
        (all + 1, held + u32::from(holds(*limit)))
    });
    f64::from(held) / f64::from(all)
}

fn outcomes(world: &World, change: impl Fn(u64) -> Option<Node> + Copy) -> Vec<Outcome> {
    (1..=SEEDS).map(|seed| world.run(seed, change)).collect()
}

#[track_caller]
fn mostly(outcomes: &[Outcome], from: usize, least: f64, holds: impl Fn(u32) -> bool) {
    let share = share(outcomes, from, holds);
    let limits: Vec<_> = outcomes.iter().map(|outcome| &outcome.limits).collect();
    assert!(
        share >= least,
        "{share} of the time; seeds 1 to {SEEDS}: {limits:?}"
    );
}

#[test]
fn what_a_busy_node_bears_is_found() {
    for slots in [1, 2, 4, 8] {
        let mut world = World {
            node: Node::Serves(slots),
            ..USUAL
        };
        world.rate = 0.95 * world.capacity(slots);
        let outcomes = outcomes(&world, |_| None);
        let bears = slots as u32;
        // never fewer than it bears
        mostly(&outcomes, 30, 0.99, |limit| limit >= bears);
        if slots > 1 {
            // and rarely half as many again and three; one that does everything one by one has no number that is full in
            // proportion to its limit, and answers too few requests to tell for long
            mostly(&outcomes, 30, 0.8, |limit| limit <= bears + bears / 2 + 3);
        }
        // nothing is lost by it
        let answered: u64 = outcomes.iter().map(|outcome| outcome.answered).sum();
        let came = world.rate * (LOOKS * SEEDS) as f64;
        assert!(answered as f64 > 0.98 * came, "{answered} of {came} with {slots}");
    }
}

#[test]
fn who_bears_all_it_gets_has_no_limit() {
    for rate in [20.0, 100.0, 250.0, 400.0] {
        let world = World { rate, ..USUAL };
        mostly(&outcomes(&world, |_| None), 0, 0.98, |limit| limit == MOST);
    }
}

#[test]
fn being_slow_or_getting_slower_is_no_reason_for_a_limit() {
    // all answers take four times as long for a while; then requests wait for slots, which nobody can help
    let takes = |second| {
        if (40..80).contains(&second) {
            200_000.0
        } else {
            50_000.0
        }
    };
    for rate in [30.0, 70.0] {
        let world = World { takes, rate, ..USUAL };
        mostly(&outcomes(&world, |_| None), 0, 0.97, |limit| limit == MOST);
    }
    // twice as long every ten seconds
    let takes = |second: u64| 20_000.0 * 2_f64.powi((second / 10 % 6) as i32);
    let world = World {
        takes,
        rate: 25.0,
        ..USUAL
    };
    mostly(&outcomes(&world, |_| None), 0, 0.9, |limit| limit == MOST);
}

#[test]
fn dear_requests_among_cheap_ones_are_no_reason_either() {
    let world = World {
        rate: 100.0,
        dear: 20.0,
        takes: |_| 20_000.0,
        ..USUAL
    };
    mostly(&outcomes(&world, |_| None), 0, 0.97, |limit| limit == MOST);
}

#[test]
fn who_gets_more_done_with_more_requests_keeps_them() {
    // 16 at once get done four times as much as one alone
    let world = World {
        node: Node::Gradual,
        rate: 60.0,
        ..USUAL
    };
    mostly(&outcomes(&world, |_| None), 10, 0.9, |limit| limit >= MOST / 2);
}

#[test]
fn few_requests_tell_nothing() {
    let world = World { rate: 2.0, ..USUAL };
    mostly(&outcomes(&world, |_| None), 0, 1.0, |limit| limit == MOST);
}

#[test]
fn a_node_that_bears_more_or_less_than_before_is_found_out() {
    let mut world = World {
        node: Node::Serves(4),
        ..USUAL
    };
    world.rate = 0.9 * world.capacity(4);
    // upgraded, with more to do
    let grown = outcomes(&world, |second| (second == 40).then_some(Node::Serves(12)));
    mostly(&grown, 90, 0.9, |limit| limit >= 12);
    // and the other way round
    let mut world = World {
        node: Node::Serves(12),
        ..USUAL
    };
    world.rate = 0.9 * world.capacity(4);
    let shrunk = outcomes(&world, |second| (second == 40).then_some(Node::Serves(4)));
    mostly(&shrunk, 90, 0.8, |limit| (4..=9).contains(&limit));
}

#[test]
fn what_is_known_fades_while_nothing_is_heard() {
    let (curves, config) = (Curves::default(), AdaptiveConcurrencyConfig::default());
    let mut known = Known::new();
    for _ in 0..200 {
        for among in 1..=8_u32 {
            curves.answered(
                among,
                false,
                Duration::from_millis(50 * u64::from(among.max(2)) / 2),
            );
        }
    }
    let second = Duration::from_secs(1);
    assert_eq!(known.look(&curves, second, &config, MOST), 3);
    let opened = (1..=600).find(|_| known.look(&curves, second, &config, MOST) == MOST);
    assert!(
        opened.is_some_and(|seconds| (10..180).contains(&seconds)),
        "{opened:?}"
    );
}
