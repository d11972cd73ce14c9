use std::collections::BTreeMap;

use super::*;

/// What tests look at.
impl<G> Queue<G> {
    fn lines(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        for (_, group) in &self.groups {
            ids.extend(group.plain);
            self.lines.each(group.tree, &mut |id| ids.push(id));
        }
        ids
    }

    fn members(&self, line: u32) -> Vec<Rank> {
        let mut ranks = Vec::new();
        let mut at = self.lines.at(line).ends.map(|(first, _)| first);
        while let Some(key) = at {
            ranks.push(self.nodes[key as usize].rank);
            at = self.nodes[key as usize].next.get();
        }
        ranks
    }

    /// Those who wait: rank, what they avoid, what position they demand, their terms.
    pub(in super::super) fn line(&self) -> Vec<(Rank, Vec<u32>, Option<u64>, Terms)> {
        let mut all = Vec::new();
        for id in self.lines() {
            let line = self.lines.at(id);
            let Group { avoid, terms, .. } = &self.groups[line.group as usize];
            let ranks = self.members(id).into_iter();
            all.extend(ranks.map(|rank| (rank, avoid.clone(), line.min_position, terms.clone())));
        }
        all
    }

    /// How many places are taken.
    pub(in super::super) fn places(&self) -> usize {
        self.nodes.len()
    }

    /// The places of those who were given something, perhaps kept after it was taken.
    pub(in super::super) fn given(&self) -> Vec<Place> {
        let given = self.nodes.iter().filter_map(|(key, node)| match &node.state {
            State::Given(_) => Some(Place {
                key: key as u32,
                rank: node.rank,
            }),
            _ => None,
        });
        given.collect()
    }

    /// Every line is in order, every count and every tree is right, and nothing is kept of lines that are gone.
    pub(in super::super) fn check(&self) {
        let mut waiting = 0;
        for (id, group) in &self.groups {
            let mut lines: Vec<u32> = group.plain.into_iter().collect();
            let mut positions = Vec::new();
            self.lines.each(group.tree, &mut |id| {
                lines.push(id);
                positions.push(self.lines.at(id).min_position);
            });
            assert!(positions.is_sorted() && !positions.contains(&None));
            let mut members = 0;
            for line in lines {
                let ranks = self.members(line);
                let at = self.lines.at(line);
                assert!(ranks.is_sorted(), "a line is in order");
                assert_eq!(at.first, ranks.first().copied());
                assert_eq!(at.group as usize, id);
                assert!(!ranks.is_empty() || at.min_position.is_none());
                members += ranks.len();
            }
            assert_eq!(group.waiting, members);
            assert!(members > 0 || group.avoid.is_empty());
            waiting += members;
        }
        assert_eq!(self.waiting, waiting);
        assert_eq!(self.lines.all.len(), self.lines().len(), "a line is lost");
    }
}

const ANYTHING: Reach = Reach {
    plain: true,
    above: None,
    up_to: Some(u64::MAX),
};

fn want() -> Want {
    Want::anything(Instant::now())
}

fn queue() -> Queue<u32> {
    Queue::new(Duration::from_secs(1))
}

fn numbers(queue: &Queue<u32>) -> Vec<u64> {
    queue.check();
    let mut numbers: Vec<u64> = queue.line().iter().map(|(rank, ..)| rank.seq).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn the_middle_leaves_and_returns_to_its_old_place() {
    let mut queue = queue();
    let now = Instant::now();
    let places: Vec<_> = (0..5)
        .map(|_| queue.push(&want(), Waker::noop().clone(), now))
        .collect();
    queue.leave(places[2]);
    assert_eq!(numbers(&queue), [0, 1, 3, 4]);
    queue.give(places[1], 7);
    assert_eq!(numbers(&queue), [0, 3, 4]);
    assert_eq!(queue.take_given(places[1]), Some(7));
    queue.stand_again(places[1], &want(), Waker::noop().clone());
    assert_eq!(numbers(&queue), [0, 1, 3, 4]);
    queue.give(places[0], 8);
    assert_eq!(queue.leave(places[0]).0, Some(8), "what was given comes back");
    let first = queue.oldest(|_, _| ANYTHING).unwrap();
    assert_eq!(first.rank.seq, 1);
}

#[test]
fn a_stale_place_finds_nothing() {
    let mut queue = queue();
    let gone = queue.push(&want(), Waker::noop().clone(), Instant::now());
    queue.leave(gone);
    let fresh = queue.push(&want(), Waker::noop().clone(), Instant::now());
    assert_eq!(queue.leave(gone).0, None);
    assert_eq!(queue.waiting(), 1);
    assert!(matches!(queue.look(gone, Waker::noop(), || None), Look::Closed));
    queue.leave(fresh);
    assert_eq!(numbers(&queue), Vec::<u64>::new());
}

#[test]
fn only_those_who_give_up_earlier_are_woken_and_those_who_stay_are_woken_again() {
    let mut queue = queue();
    let now = Instant::now();
    let places = [1, 5, 9].map(|seconds| {
        let want = Want::anything(now + Duration::from_secs(seconds));
        queue.push(&want, Waker::noop().clone(), now)
    });
    let woken = |queue: &mut Queue<u32>, seconds| {
        let mut wakers = Vec::new();
        let moment = now + Duration::from_secs(seconds);
        queue.wake_hopeless(|_| Some(moment), &mut wakers);
        wakers.len()
    };
    assert_eq!(woken(&mut queue, 6), 2);
    assert_eq!(woken(&mut queue, 6), 0, "they know");
    assert!(matches!(
        queue.look(places[0], Waker::noop(), || None),
        Look::Waiting(None, _)
    ));
    assert_eq!(woken(&mut queue, 6), 1, "it has looked and stayed");
    assert_eq!(woken(&mut queue, 10), 1);
    assert_eq!(queue.waiting(), 3);
}

#[test]
fn a_place_is_small() {
    // 100,000 callers in line are 9.6 MB; positions that nobody else demands cost a line each
    let node = size_of::<Node<crate::admission::Grant<Box<u64>>>>();
    assert!(node <= 96, "{node}");
    assert!(size_of::<Line>() <= 192, "{}", size_of::<Line>());
}

/// Random operations against a plain list.
#[test]
fn behaves_like_a_plain_list() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut queue = queue();
    let mut now = Instant::now();
    let mut model: BTreeMap<Rank, (Place, Want)> = BTreeMap::new();
    let mut given: Vec<(Place, Want)> = Vec::new();
    for step in 0..20_000 {
        now += Duration::from_millis(rng.u64(..50));
        match rng.u8(..5) {
            0 | 1 => {
                let want = Want {
                    avoid: (0..2).filter(|_| rng.u8(..4) == 0).collect(),
                    min_position: rng.bool().then(|| rng.u64(..12)),
                    priority: LASTING[rng.usize(..3)],
                    deadline: now,
                    cost: 1.into(),
                    rank: None,
                    terms: Terms::NONE,
                    ask: crate::balance::Ask::NOTHING,
                };
                let place = queue.push(&want, Waker::noop().clone(), now);
                model.insert(place.rank, (place, want));
            }
            2 if !model.is_empty() => {
                let rank = *model.keys().nth(rng.usize(..model.len())).unwrap();
                assert_eq!(queue.leave(model.remove(&rank).unwrap().0).0, None);
            }
            3 => {
                let (key, position) = (rng.u32(..3), rng.u64(..14));
                let above = rng.bool().then(|| rng.u64(..14));
                let reach = |avoid: &[u32]| Reach {
                    plain: !avoid.contains(&key),
                    above: above.filter(|_| avoid.contains(&key)),
                    up_to: Some(position),
                };
                let may = |want: &Want| {
                    let reach = reach(&want.avoid);
                    match want.min_position {
                        None => reach.plain,
                        Some(min) => min <= position && reach.above.is_none_or(|above| min > above),
                    }
                };
                let first = model.values().find(|(_, want)| may(want)).cloned();
                let found = queue.oldest(|avoid, _| reach(avoid));
                assert_eq!(found, first.as_ref().map(|(place, _)| *place));
                if let Some((place, want)) = first {
                    model.remove(&place.rank);
                    queue.give(place, 1);
                    given.push((place, want));
                }
            }
            4 if !given.is_empty() => {
                let (place, want) = given.swap_remove(rng.usize(..given.len()));
                assert_eq!(queue.take_given(place), Some(1));
                if rng.bool() {
                    let place = queue.stand_again(place, &want, Waker::noop().clone());
                    model.insert(place.rank, (place, want));
                }
            }
            _ => {}
        }
        assert_eq!(queue.waiting(), model.len());
        if step % 50 > 0 {
            continue;
        }
        queue.check();
        assert!(queue.line().iter().all(|(rank, ..)| model.contains_key(rank)));
    }
}

/// Steps through trees that it takes to serve so many, each with a demand of its own, in the worst order.
fn steps_to_drain(callers: u64, demands: u64) -> u64 {
    let mut queue = queue();
    let now = Instant::now();
    for number in 0..callers {
        // stricter neighbours before the others
        let position = (callers - number) % demands;
        let want = Want {
            min_position: (position > 0).then_some(position),
            priority: LASTING[(number % 3) as usize],
            ..Want::anything(now)
        };
        queue.push(&want, Waker::noop().clone(), now + Duration::from_millis(number));
    }
    queue.lines.steps.set(0);
    // half of them on an endpoint that is behind, the rest on one that is ahead
    for up_to in [demands / 2, demands] {
        let reach = Reach {
            plain: true,
            above: None,
            up_to: Some(up_to),
        };
        while let Some(place) = queue.oldest(|_, _| reach) {
            queue.give(place, 0);
            assert_eq!(queue.take_given(place), Some(0));
        }
    }
    assert_eq!(numbers(&queue), Vec::<u64>::new());
    queue.lines.steps.get()
}

#[test]
fn a_long_line_drains_in_linear_steps() {
    for (demands, most) in [(1, 0), (2, 10), (50, 60), (u64::MAX, 0)] {
        let (few, many) = (10_000, 100_000);
        let of = |callers: u64| demands.min(callers);
        let steps = [few, many].map(|callers| steps_to_drain(callers, of(callers)) as f64 / callers as f64);
        println!("{demands} demands: {steps:.1?} steps each");
        if demands == u64::MAX {
            // a demand each: the tree is deeper by the logarithm, and no more
            assert!(steps[1] < steps[0] * 1.6 && steps[1] < 250.0, "{steps:?}");
        } else {
            assert!(
                steps.iter().all(|steps| *steps <= f64::from(most)),
                "{demands}: {steps:?}"
            );
            assert!(steps[1] <= steps[0] * 1.05 + 0.1, "{demands}: {steps:?}");
        }
    }
}
