//! Units for a day.
//!
//! The day is the one that the wall clock shows, because the provider's is; but it is waited for on the clock that all
//! waiting is done by. When that says that the day must be over the wall clock is asked again, so that the two may drift
//! apart and either may be set.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What has been used today. Moments are nanoseconds since some epoch.
#[derive(Clone, Debug)]
pub(super) struct Day {
    budget: u64,
    used: u64,
    /// Days since the Unix epoch.
    number: u64,
    ends: u64,
}

impl Day {
    pub(super) fn new(budget: u64, now: u64, wall: Duration) -> Self {
        let mut day = Self {
            budget,
            used: 0,
            number: 0,
            ends: now,
        };
        day.begin(now, wall);
        day
    }

    pub(super) fn set_budget(&mut self, budget: u64) {
        self.budget = budget;
    }

    /// A new day, if it is one by the wall clock.
    fn begin(&mut self, now: u64, wall: Duration) {
        let number = wall.as_secs() / DAY.as_secs();
        // a clock that was set back gives nothing twice
        if number > self.number {
            (self.number, self.used) = (number, 0);
        }
        let of_today = wall - Duration::from_secs(number * DAY.as_secs());
        self.ends = now.saturating_add((DAY - of_today).as_nanos() as u64);
    }

    /// Looks whether a new day has begun; the wall clock is read only when it is due.
    pub(super) fn look(&mut self, now: u64, wall: impl FnOnce() -> Duration) {
        if now >= self.ends {
            self.begin(now, wall());
        }
    }

    pub(super) fn take(&mut self, units: u32) {
        self.used = self.used.saturating_add(units.into());
    }

    pub(super) fn give_back(&mut self, units: u32) {
        self.used = self.used.saturating_sub(units.into());
    }

    /// When a unit is there: now, or at the end of the day.
    pub(super) const fn free_from(&self) -> u64 {
        if self.used < self.budget { 0 } else { self.ends }
    }

    pub(super) const fn left(&self) -> u64 {
        self.budget.saturating_sub(self.used)
    }

    pub(super) const fn budget(&self) -> u64 {
        self.budget
    }
}
