//! One budget for retries and hedges together, so that a bad hour of one provider is not multiplied into a bad hour of
//! all of them.
//!
//! Over any ten seconds, retries and hedges are at most a share of the requests that came in that time, plus a floor
//! for each second so that a quiet pool can try again at all. Nothing is saved up for longer: a calm night must not
//! pay for a storm in the morning. The idea is tower's and linkerd's retry budget; the counting is exact here, in
//! thousandths of an attempt, under one short lock.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::ConfigError;

/// How many retries and hedges a pool may add to its requests.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Retries and hedges for each request, over ten seconds; counted in thousandths. Default 0.2: when all of a pool's
    /// providers fail, they see 20 % more load, not three times as much.
    pub share: f64,
    /// Retries and hedges for each second, whatever the traffic. Default 10: a relayer that asks once a second may use
    /// all its attempts, and ten a second overload no provider.
    pub floor: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            share: 0.2,
            floor: 10,
        }
    }
}

impl BudgetConfig {
    /// Sets the share of the requests.
    #[must_use]
    pub const fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Sets the floor for each second.
    #[must_use]
    pub const fn floor(mut self, floor: u32) -> Self {
        self.floor = floor;
        self
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(0.0..=100.0).contains(&self.share) {
            let value = self.share.to_string();
            return Err(ConfigError::new("budget.share", value, "0.0 to 100.0"));
        }
        if self.floor > 1_000_000 {
            let value = self.floor.to_string();
            return Err(ConfigError::new("budget.floor", value, "0 to 1000000"));
        }
        Ok(())
    }
}

/// What one retry or hedge costs: amounts are in thousandths of it.
const PRICE: u64 = 1000;
const SLICE: Duration = Duration::from_secs(1);
const SLICES: u64 = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which second since the beginning; a slice of another round counts as empty.
    number: u64,
    earned: u64,
    spent: u64,
}

/// The account. Pure: `now` goes in.
#[derive(Debug)]
struct Account {
    origin: Instant,
    /// Earned by each request.
    earns: u64,
    /// There for the whole window, whatever the traffic.
    floor: u64,
    newest: u64,
    slices: [Slice; SLICES as usize],
}

impl Account {
    fn new(config: &BudgetConfig, origin: Instant) -> Self {
        Self {
            origin,
            // validated: at most 100, so it fits
            earns: (config.share * PRICE as f64).round() as u64,
            floor: u64::from(config.floor) * SLICES * PRICE,
            newest: 0,
            slices: [Slice::default(); SLICES as usize],
        }
    }

    /// The slice of this moment. A caller who read the clock before another and came to the lock after it books into
    /// the newer slice.
    fn slice(&mut self, now: Instant) -> &mut Slice {
        let seconds = now.saturating_duration_since(self.origin).as_secs() / SLICE.as_secs();
        self.newest = self.newest.max(seconds);
        let slice = &mut self.slices[(self.newest % SLICES) as usize];
        if slice.number != self.newest {
            *slice = Slice {
                number: self.newest,
                ..Slice::default()
            };
        }
        slice
    }

    fn deposit(&mut self, now: Instant) {
        let earns = self.earns;
        let slice = self.slice(now);
        slice.earned = slice.earned.saturating_add(earns);
    }

    /// Pays for one, if there is enough. Returns the slice it was booked in.
    fn withdraw(&mut self, now: Instant) -> Option<u64> {
        self.slice(now);
        let oldest = self.newest.saturating_sub(SLICES - 1);
        let live = self.slices.iter().filter(|slice| slice.number >= oldest);
        let (earned, spent) = live.fold((self.floor, 0_u64), |(earned, spent), slice| {
            (earned.saturating_add(slice.earned), spent + slice.spent)
        });
        if spent.saturating_add(PRICE) > earned {
            return None;
        }
        let slice = self.slice(now);
        slice.spent += PRICE;
        Some(slice.number)
    }

    /// Takes a payment back; one that has left the window is forgotten already.
    fn refund(&mut self, number: u64) {
        let slice = &mut self.slices[(number % SLICES) as usize];
        if slice.number == number {
            slice.spent = slice.spent.saturating_sub(PRICE);
        }
    }
}

/// A pool's budget.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<Account>);

impl Budget {
    pub(crate) fn new(config: &BudgetConfig, now: Instant) -> Self {
        Self(Mutex::new(Account::new(config, now)))
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came.
    pub(crate) fn deposit(&self, now: Instant) {
        self.lock().deposit(now);
    }

    /// Permission for one retry or hedge, if the budget allows.
    pub(crate) fn withdraw(&self, now: Instant) -> Option<Permit<'_>> {
        let slice = self.lock().withdraw(now)?;
        Some(Permit {
            budget: self,
            slice: Some(slice),
        })
    }
}

/// Permission for one retry or hedge. Dropped before it was used, it goes back into the budget.
#[derive(Debug)]
#[must_use = "dropping it gives it back"]
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
    slice: Option<u64>,
}

impl Permit<'_> {
    /// The attempt it was for has begun.
    pub(crate) fn spend(mut self) {
        self.slice = None;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(slice) = self.slice.take() {
            self.budget.lock().refund(slice);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
