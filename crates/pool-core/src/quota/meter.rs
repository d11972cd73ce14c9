//! A quota that several pools take from.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{QuotaConfig, day::Day, rate::Rate};
use crate::{WallClock, moment::after};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Meter {
    /// All moments are nanoseconds since this one.
    epoch: Instant,
    wall: WallClock,
    /// From when on something is there; a copy that is read without the lock.
    free_from: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rate: Option<Rate>,
    full_at: u64,
    day: Option<Day>,
}

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Units that can be taken now.
    pub(crate) left: u64,
    /// The most there can be.
    pub(crate) limit: u64,
    /// Units that are left of the day.
    pub(crate) daily_left: Option<u64>,
}

impl Meter {
    /// Unlimited without a quota.
    pub(crate) fn new(config: Option<&QuotaConfig>, wall: WallClock, now: Instant) -> Self {
        let meter = Self {
            epoch: now,
            wall,
            free_from: AtomicU64::new(0),
            state: Mutex::default(),
        };
        meter.configure(config, now);
        meter
    }

    /// Takes another quota. What has been taken stays taken.
    pub(crate) fn configure(&self, config: Option<&QuotaConfig>, now: Instant) {
        let now = self.nanos(now);
        let mut state = self.lock();
        let rate = config.and_then(Rate::of);
        state.full_at = match (state.rate, rate) {
            (Some(old), Some(new)) => new.taken_over(old, state.full_at, now),
            _ => now,
        };
        state.rate = rate;
        state.day = match (state.day.take(), config.and_then(|config| config.daily)) {
            (_, None) => None,
            (None, Some(budget)) => Some(Day::new(budget, now, self.wall.now())),
            (Some(mut day), Some(budget)) => {
                day.set_budget(budget);
                Some(day)
            }
        };
        self.publish(&state);
    }

    /// Until when nothing is there; `None` when something is.
    #[inline]
    pub(crate) fn spent_until(&self, now: Instant) -> Option<Instant> {
        self.later(self.free_from.load(Relaxed), now)
    }

    /// Until when nothing is left of the day.
    pub(crate) fn day_spent_until(&self, now: Instant) -> Option<Instant> {
        let free_from = self.lock().day.as_ref().map_or(0, Day::free_from);
        self.later(free_from, now)
    }

    fn later(&self, at: u64, now: Instant) -> Option<Instant> {
        if at == 0 {
            return None;
        }
        let at = after(self.epoch, Duration::from_nanos(at));
        (at > now).then_some(at)
    }

    /// Takes so many units if any is there; the rest is owed. Returns whether it did.
    pub(crate) fn take(&self, units: u32, now: Instant) -> bool {
        let nanos = self.nanos(now);
        let mut state = self.lock();
        self.look(&mut state, nanos);
        let there = state.free_from() <= nanos;
        if there {
            state.take(units, nanos);
        }
        self.publish(&state);
        there
    }

    /// Takes so many units whether they are there or not.
    pub(crate) fn charge(&self, units: u32, now: Instant) {
        let nanos = self.nanos(now);
        let mut state = self.lock();
        self.look(&mut state, nanos);
        state.take(units, nanos);
        self.publish(&state);
    }

    /// Gives back what was taken and not used.
    ///
    /// What is given back after midnight is taken off the new day's use: so little that nobody counts it.
    pub(crate) fn give_back(&self, units: u32, now: Instant) {
        let nanos = self.nanos(now);
        let mut state = self.lock();
        self.look(&mut state, nanos);
        if let Some(rate) = state.rate {
            state.full_at = rate.give_back(state.full_at, units);
        }
        if let Some(day) = &mut state.day {
            day.give_back(units);
        }
        self.publish(&state);
    }

    /// What is left; `None` when there is no quota.
    pub(crate) fn read(&self, now: Instant) -> Option<Reading> {
        let now = self.nanos(now);
        let mut state = self.lock();
        self.look(&mut state, now);
        let daily_left = state.day.as_ref().map(Day::left);
        let (left, limit) = match (state.rate, &state.day) {
            (Some(rate), day) => {
                let left = rate.left(state.full_at, now);
                (
                    day.as_ref().map_or(left, |day| left.min(day.left())),
                    rate.burst(),
                )
            }
            (None, Some(day)) => (day.left(), day.budget()),
            (None, None) => return None,
        };
        Some(Reading {
            left,
            limit,
            daily_left,
        })
    }

    fn look(&self, state: &mut State, now: u64) {
        if let Some(day) = &mut state.day {
            day.look(now, || self.wall.now());
        }
    }

    fn publish(&self, state: &State) {
        self.free_from.store(state.free_from(), Relaxed);
    }

    /// What is under the lock is numbers; they stay usable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl State {
    fn free_from(&self) -> u64 {
        let rate = self.rate.map_or(0, |rate| rate.free_from(self.full_at));
        rate.max(self.day.as_ref().map_or(0, Day::free_from))
    }

    fn take(&mut self, units: u32, now: u64) {
        if let Some(rate) = self.rate {
            self.full_at = rate.take(self.full_at, units, now);
        }
        if let Some(day) = &mut self.day {
            day.take(units);
        }
    }
}
