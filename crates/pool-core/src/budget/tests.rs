use super::*;

fn at(origin: Instant, millis: u64) -> Instant {
    origin + Duration::from_millis(millis)
}

fn spend_all(budget: &Budget, now: Instant) -> u64 {
    let mut spent = 0;
    while let Some(permit) = budget.withdraw(now) {
        permit.spend();
        spent += 1;
    }
    spent
}

#[test]
fn a_share_of_the_requests_and_a_floor_and_no_more() {
    let t0 = Instant::now();
    for (share, floor, requests, allowed) in [
        (0.2, 0, 0, 0),
        (0.2, 0, 4, 0),
        (0.2, 0, 5, 1),
        (0.2, 0, 99, 19),
        (0.2, 10, 0, 100),
        (0.2, 10, 100, 120),
        (0.0, 1, 1000, 10),
        (1.0, 0, 7, 7),
        (0.0, 0, 1000, 0),
    ] {
        let budget = Budget::new(&BudgetConfig { share, floor }, t0);
        for _ in 0..requests {
            budget.deposit(t0);
        }
        let what = format!("{share} of {requests} and {floor} a second");
        assert_eq!(spend_all(&budget, t0), allowed, "{what}");
    }
}

#[test]
fn nothing_is_saved_up_and_what_was_spent_is_forgotten_after_ten_seconds() {
    let t0 = Instant::now();
    let budget = Budget::new(&BudgetConfig { share: 0.5, floor: 0 }, t0);
    for _ in 0..10 {
        budget.deposit(t0);
    }
    assert!(budget.withdraw(at(t0, 9_999)).is_some());
    assert!(budget.withdraw(at(t0, 10_000)).is_none(), "the deposits are gone");
    let budget = Budget::new(&BudgetConfig { share: 0.0, floor: 1 }, t0);
    assert_eq!(spend_all(&budget, t0), 10);
    assert_eq!(spend_all(&budget, at(t0, 9_000)), 0);
    assert_eq!(spend_all(&budget, at(t0, 10_000)), 10);
    assert_eq!(spend_all(&budget, at(t0, 1_000_000)), 10);
}

#[test]
fn what_was_not_used_comes_back_once() {
    let t0 = Instant::now();
    let budget = Budget::new(&BudgetConfig { share: 1.0, floor: 0 }, t0);
    budget.deposit(t0);
    let permit = budget.withdraw(t0).unwrap();
    assert!(budget.withdraw(t0).is_none());
    drop(permit);
    let permit = budget.withdraw(at(t0, 500)).unwrap();
    permit.spend();
    assert!(budget.withdraw(t0).is_none());
    // a permit that outlives the window is not put into another second's account
    budget.deposit(at(t0, 3_000));
    let old = budget.withdraw(at(t0, 3_000)).unwrap();
    budget.deposit(at(t0, 13_000));
    budget.withdraw(at(t0, 13_000)).unwrap().spend();
    drop(old);
    assert!(budget.withdraw(at(t0, 13_000)).is_none());
}

/// Whatever comes in whatever order, in each ten seconds no more is spent than was earned in them.
#[test]
fn behaves_like_a_plain_list() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..50 {
        let (share, floor) = (f64::from(rng.u32(0..=1000)) / 1000.0, rng.u32(0..3));
        let t0 = Instant::now();
        let budget = Budget::new(&BudgetConfig { share, floor }, t0);
        let (mut requests, mut spent) = (Vec::new(), Vec::new());
        let mut second = 0_u64;
        for _ in 0..1_000 {
            let now = at(t0, second * 1000);
            let live = |list: &[u64]| list.iter().filter(|at| **at + SLICES > second).count() as u64;
            match rng.u8(..8) {
                0 => second += rng.u64(0..4),
                1..5 => {
                    budget.deposit(now);
                    requests.push(second);
                }
                _ => {
                    let earned =
                        live(&requests) * (share * 1000.0).round() as u64 + u64::from(floor) * 10_000;
                    let expected = (live(&spent) + 1) * 1000 <= earned;
                    let permit = budget.withdraw(now);
                    assert_eq!(permit.is_some(), expected);
                    if let Some(permit) = permit
                        && rng.bool()
                    {
                        permit.spend();
                        spent.push(second);
                    }
                }
            }
        }
    }
}

#[test]
fn threads_do_not_overdraw() {
    let t0 = Instant::now();
    let budget = Budget::new(
        &BudgetConfig {
            share: 0.25,
            floor: 0,
        },
        t0,
    );
    let spent: u64 = std::thread::scope(|scope| {
        let work = || {
            let mut spent = 0;
            for i in 0..20_000 {
                budget.deposit(t0);
                if let Some(permit) = budget.withdraw(t0) {
                    // every other one is given back
                    if i % 2 == 0 {
                        permit.spend();
                        spent += 1;
                    }
                }
            }
            spent + spend_all(&budget, t0)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(spent + spend_all(&budget, t0), 80_000 / 4);
}

#[test]
fn impossible_settings_are_named() {
    let bad = |config: BudgetConfig| config.validate().map_err(|error| error.field);
    assert_eq!(bad(BudgetConfig::default()), Ok(()));
    assert_eq!(bad(BudgetConfig::default().share(-0.1)), Err("budget.share"));
    assert_eq!(bad(BudgetConfig::default().share(f64::NAN)), Err("budget.share"));
    assert_eq!(bad(BudgetConfig::default().floor(u32::MAX)), Err("budget.floor"));
}
