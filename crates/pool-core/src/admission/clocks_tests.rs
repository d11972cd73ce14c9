#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{cell::Cell, collections::HashMap, sync::LazyLock, time::Duration};

use super::*;

/// So many nanoseconds after the beginning.
fn at(nanos: u64) -> Instant {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BEGINNING + Duration::from_nanos(nanos)
}

/// Those who wait, and how often it was asked.
#[derive(Default)]
struct Model {
    by_key: HashMap<u32, (Instant, Deadline)>,
    asked: Cell<u64>,
    stamps: u32,
}

impl Model {
    fn come(&mut self, key: u32, at: Instant) -> (Instant, Deadline) {
        self.stamps += 1;
        let stamp = self.stamps;
        let deadline = (at, Deadline { key, stamp });
        self.by_key.insert(key, deadline);
        deadline
    }

    fn due(&self, deadline: Deadline) -> Option<Instant> {
        self.asked.set(self.asked.get() + 1);
        let (at, known) = self.by_key.get(&deadline.key)?;
        (*known == deadline).then_some(*at)
    }

    fn earliest(&self) -> Option<Instant> {
        self.by_key.values().map(|(at, _)| *at).min()
    }
}

/// Against a plain list: who comes, who leaves, in any order, and what is kept of those who have left.
#[test]
fn the_earliest_is_found_whoever_comes_and_goes() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for round in 0..60 {
        let (mut clocks, mut model) = (Clocks::default(), Model::default());
        let mut clock = None;
        let mut armed = None;
        let (mut now, mut most) = (0, 0);
        for step in 0..3_000_u32 {
            match rng.u32(..10) {
                0..5 => {
                    // equally patient, or not
                    let patience = if round % 3 == 0 || rng.u32(..20) > 0 {
                        1_000
                    } else {
                        rng.u64(0..5_000)
                    };
                    let deadline = model.come(step, at(now + patience));
                    let told = clocks.expect(None, deadline, |deadline| model.due(deadline));
                    if told.is_some() {
                        assert!(armed.is_none_or(|armed| deadline.0 < armed));
                        (clock, armed) = (told, Some(deadline.0));
                    }
                    assert!(armed.is_some_and(|armed| armed <= deadline.0), "nobody set it");
                }
                5..9 => {
                    let mut keys: Vec<_> = model.by_key.keys().copied().collect();
                    keys.sort_unstable();
                    // mostly the one who came first
                    let which = if rng.bool() { 0 } else { rng.usize(..=keys.len()) };
                    if let Some(key) = keys.get(which)
                        && let Some((_, deadline)) = model.by_key.remove(key)
                        && rng.bool()
                    {
                        clocks.leave(deadline);
                    }
                }
                _ => {
                    now += rng.u64(0..200);
                    let Some(id) = clock else { continue };
                    while let Some(found) = clocks.overdue(id, at(now), |deadline| model.due(deadline)) {
                        let earliest = model.earliest();
                        assert!(earliest.is_some_and(|earliest| earliest <= at(now)));
                        let removed = model.by_key.remove(&found.key);
                        assert_eq!(removed.map(|(at, _)| at), earliest);
                    }
                    assert!(model.earliest().is_none_or(|earliest| earliest > at(now)));
                    armed = clocks.next(id, |deadline| model.due(deadline));
                    assert_eq!(armed, model.earliest());
                    clock = clock.filter(|_| armed.is_some());
                }
            }
            most = most.max(model.by_key.len());
            assert!(
                clocks.len() <= FEW.max(2 * most) + 1,
                "{} of {most}",
                clocks.len()
            );
        }
    }
}

/// What is asked of the line for each of so many callers with deadlines in this order.
fn cost(callers: u32, deadline: impl Fn(u32) -> u64) -> f64 {
    let (mut clocks, mut model) = (Clocks::default(), Model::default());
    let mut clock = None;
    for key in 0..callers {
        let new = model.come(key, at(deadline(key)));
        let told = clocks.expect(None, new, |deadline| model.due(deadline));
        clock = told.or(clock);
    }
    let clock = clock.unwrap();
    let mut order = Vec::new();
    for now in (0..=200_000).step_by(1_000) {
        while let Some(found) = clocks.overdue(clock, at(now), |deadline| model.due(deadline)) {
            order.extend(model.by_key.remove(&found.key).map(|(at, _)| at));
        }
    }
    assert!(order.is_sorted());
    assert_eq!(order.len(), callers as usize);
    assert_eq!(clocks.next(clock, |_| Some(at(0))), None);
    model.asked.get() as f64 / f64::from(callers)
}

#[test]
fn a_hundred_thousand_deadlines_pass_in_order_and_each_costs_the_same() {
    let mixed = |key: u32| u64::from(key.wrapping_mul(2_654_435_761) % 200_000);
    type Order = fn(u32) -> u64;
    let orders: [(&str, Order); 3] = [
        ("rising", |key| u64::from(key)),
        ("falling", |key| 200_000 - u64::from(key)),
        ("one outlasts all", |key| {
            if key == 0 { 199_999 } else { u64::from(key) }
        }),
    ];
    for (what, order) in orders {
        let (few, many) = (cost(1_000, order), cost(100_000, order));
        println!("{what}: {few} and {many}");
        assert!(many < 8.0, "{what}: {many}");
    }
    let mixed = cost(100_000, mixed);
    assert!(mixed < 8.0, "mixed: {mixed}");
}

#[test]
fn each_runtime_has_its_own_clock() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let realms = [runtime(), runtime()].map(|runtime| Some(runtime.handle().id()));
    let (mut clocks, mut model) = (Clocks::default(), Model::default());
    let ids = realms.map(|realm| {
        let deadline = model.come(model.stamps, at(10 + u64::from(model.stamps)));
        clocks
            .expect(realm, deadline, |deadline| model.due(deadline))
            .unwrap()
    });
    assert_ne!(ids[0], ids[1]);
    let later = model.come(7, at(20));
    let told = clocks.expect(realms[0], later, |deadline| model.due(deadline));
    assert_eq!(told, None, "it is set to less");
    let sooner = model.come(8, at(5));
    let told = clocks.expect(realms[1], sooner, |deadline| model.due(deadline));
    assert_eq!(told, Some(ids[1]));
    let mut overdue = |clock| clocks.overdue(clock, at(9), |deadline| model.due(deadline));
    assert_eq!(overdue(ids[0]), None, "that is another's");
    assert_eq!(overdue(ids[1]), Some(sooner.1));
    assert_eq!(clocks.remove(ids[0]).len(), 2);
    assert_eq!(clocks.next(ids[0], |deadline| model.due(deadline)), None);
    assert_eq!(clocks.next(ids[1], |deadline| model.due(deadline)), Some(at(11)));
    let again = model.come(9, at(1));
    let id = clocks
        .expect(realms[0], again, |deadline| model.due(deadline))
        .unwrap();
    assert!(!ids.contains(&id), "a clock that is gone does not come back");
}

#[test]
fn who_came_first_or_last_leaves_nothing_behind() {
    let (mut clocks, mut model) = (Clocks::default(), Model::default());
    let mut come = |clocks: &mut Clocks, key| {
        let new = model.come(key, at(100 + u64::from(key)));
        clocks.expect(None, new, |deadline| model.due(deadline));
        new.1
    };
    let all: Vec<_> = (0..5).map(|key| come(&mut clocks, key)).collect();
    clocks.leave(all[0]);
    clocks.leave(all[4]);
    assert_eq!(clocks.len(), 3);
    clocks.leave(all[2]);
    assert_eq!(clocks.len(), 3, "the middle is not looked for");
    clocks.leave(all[1]);
    clocks.leave(all[1]);
    assert_eq!(clocks.len(), 2, "it is gone already");
}
