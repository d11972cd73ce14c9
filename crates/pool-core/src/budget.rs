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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
        let mut account = Self {
            origin,
            earns: 0,
            floor: 0,
            newest: 0,
            slices: [Slice::default(); SLICES as usize],
        };
        account.configure(config);
        account
    }

    fn configure(&mut self, config: &BudgetConfig) {
        // validated: at most 100, so it fits
        self.earns = (config.share * PRICE as f64).round() as u64;
        self.floor = u64::from(config.floor) * SLICES * PRICE;
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

    /// Takes other settings; what was earned and spent stays.
    pub(crate) fn configure(&self, config: &BudgetConfig) {
        self.lock().configure(config);
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
mod tests;
