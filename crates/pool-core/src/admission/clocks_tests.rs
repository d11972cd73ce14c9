#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{cell::Cell, collections::HashMap};

use super::*;

/// Those who wait, and how often it was asked.
#[derive(Default)]
struct Model {
    by_key: HashMap<u32, Deadline>,
    asked: Cell<u64>,
    stamps: u32,
}

impl Model {
    fn come(&mut self, key: u32, at: At) -> Deadline {
        self.stamps += 1;
        let deadline = Deadline {
            at,
            key,
            stamp: self.stamps,
        };
        self.by_key.insert(key, deadline);
        deadline
    }

    fn waits(&self, deadline: &Deadline) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.by_key.get(&deadline.key) == Some(deadline)
    }

    fn earliest(&self) -> Option<At> {
        self.by_key.values().map(|deadline| deadline.at).min()
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
                        rng.i64(0..5_000)
                    };
                    let deadline = model.come(step, now + patience);
                    let told = clocks.expect(None, deadline, |deadline| model.waits(deadline));
                    if told.is_some() {
                        assert!(armed.is_none_or(|armed| deadline.at < armed));
                        (clock, armed) = (told, Some(deadline.at));
                    }
                    assert!(armed.is_some_and(|armed| armed <= deadline.at), "nobody set it");
                }
                5..9 => {
                    let mut keys: Vec<_> = model.by_key.keys().copied().collect();
                    keys.sort_unstable();
                    // mostly the one who came first
                    let at = if rng.bool() { 0 } else { rng.usize(..=keys.len()) };
                    if let Some(key) = keys.get(at) {
                        model.by_key.remove(key);
                    }
                }
                _ => {
                    now += rng.i64(0..200);
                    let Some(id) = clock else { continue };
                    while let Some(found) = clocks.overdue(id, now, |deadline| model.waits(deadline)) {
                        assert!(found.at <= now);
                        assert_eq!(Some(found.at), model.earliest());
                        model.by_key.remove(&found.key);
                    }
                    assert!(model.earliest().is_none_or(|earliest| earliest > now));
                    armed = clocks.next(id, |deadline| model.waits(deadline));
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
fn cost(callers: u32, deadline: impl Fn(u32) -> At) -> f64 {
    let (mut clocks, mut model) = (Clocks::default(), Model::default());
    let mut clock = None;
    for key in 0..callers {
        let new = model.come(key, deadline(key));
        let told = clocks.expect(None, new, |deadline| model.waits(deadline));
        clock = told.or(clock);
    }
    let clock = clock.unwrap();
    let mut order = Vec::new();
    for now in (0..=200_000).step_by(1_000) {
        while let Some(found) = clocks.overdue(clock, now, |deadline| model.waits(deadline)) {
            model.by_key.remove(&found.key);
            order.push(found.at);
        }
    }
    assert!(order.is_sorted());
    assert_eq!(order.len(), callers as usize);
    assert_eq!(clocks.next(clock, |_| true), None);
    model.asked.get() as f64 / f64::from(callers)
}

#[test]
fn a_hundred_thousand_deadlines_pass_in_order_and_each_costs_the_same() {
    let mixed = |key: u32| At::from(key.wrapping_mul(2_654_435_761) % 200_000);
    type Order = fn(u32) -> At;
    let orders: [(&str, Order); 3] = [
        ("rising", |key| At::from(key)),
        ("falling", |key| 200_000 - At::from(key)),
        (
            "one outlasts all",
            |key| if key == 0 { 199_999 } else { At::from(key) },
        ),
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
        let deadline = model.come(model.stamps, 10 + At::from(model.stamps));
        clocks.expect(realm, deadline, |_| true).unwrap()
    });
    assert_ne!(ids[0], ids[1]);
    let later = model.come(7, 20);
    assert_eq!(
        clocks.expect(realms[0], later, |_| true),
        None,
        "it is set to less"
    );
    let sooner = model.come(8, 5);
    assert_eq!(clocks.expect(realms[1], sooner, |_| true), Some(ids[1]));
    assert_eq!(clocks.overdue(ids[0], 9, |_| true), None, "that is another's");
    assert_eq!(clocks.overdue(ids[1], 9, |_| true), Some(sooner));
    assert_eq!(clocks.remove(ids[0]).len(), 2);
    assert_eq!(clocks.next(ids[0], |_| true), None);
    assert_eq!(clocks.next(ids[1], |_| true), Some(11));
    let again = model.come(9, 1);
    let id = clocks.expect(realms[0], again, |_| true).unwrap();
    assert!(!ids.contains(&id), "a clock that is gone does not come back");
}
