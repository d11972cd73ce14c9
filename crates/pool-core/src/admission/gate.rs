//! One endpoint as admission sees it: slots, health, breaker, throttle.

use std::sync::Arc;

use tokio::time::Instant;

use super::toll::{Spent, Toll};
use crate::{
    BreakerConfig, Cost, HealthConfig, NotUsable, ThrottleCause,
    breaker::{Breaker, BreakerState, Ticket},
    health::{Health, HealthStatus},
    stats::Stats,
};

/// Which gate, and whose: the place of an endpoint that has left is given to a later one, and what is still under way
/// for the old one must not count for the new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GateId {
    pub(crate) key: u32,
    pub(crate) serial: u64,
}

impl From<u32> for GateId {
    /// The first one in this place.
    fn from(key: u32) -> Self {
        Self { key, serial: 0 }
    }
}

/// Whether an endpoint belongs to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    Member,
    /// It has been removed; what is under way on it may end.
    Leaving,
    /// Nobody stands here.
    Vacant,
}

#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) stats: Arc<Stats>,
    pub(crate) serial: u64,
    pub(crate) membership: Membership,
    pub(crate) slots: u32,
    pub(crate) taken: u32,
    pub(crate) health: Health,
    pub(crate) breaker: Breaker,
    pub(crate) breaker_opened: u64,
    /// Until when it asked to be left alone.
    pub(crate) throttled_until: Option<Instant>,
    pub(crate) toll: Toll,
    pub(crate) spent: Spent,
    /// When the next health check can have ended.
    pub(crate) next_check: Instant,
    /// Newest position and when it was seen.
    pub(crate) position: Option<(u64, Instant)>,
}

impl Gate {
    pub(crate) fn new(
        stats: Arc<Stats>,
        slots: u32,
        health: &HealthConfig,
        breaker: BreakerConfig,
        now: Instant,
    ) -> Self {
        Self {
            stats,
            serial: 0,
            membership: Membership::Member,
            slots,
            taken: 0,
            health: Health::new(health),
            breaker: Breaker::new(breaker, now),
            breaker_opened: 0,
            throttled_until: None,
            toll: Toll::default(),
            spent: Spent::default(),
            next_check: now,
            position: None,
        }
    }

    pub(crate) fn is_member(&self) -> bool {
        self.membership == Membership::Member
    }

    /// Takes other settings; what is known of the endpoint stays.
    pub(crate) fn configure(
        &mut self,
        slots: u32,
        health: &HealthConfig,
        breaker: &BreakerConfig,
        now: Instant,
    ) {
        self.slots = slots;
        self.health.configure(health);
        self.breaker.configure(breaker, now);
    }

    /// Until when it is throttled, if it is: by a pause that was asked for, or by a quota that is spent.
    pub(crate) fn throttled(&self, now: Instant) -> Option<Instant> {
        let cools = self.cools(now);
        if self.toll.is_none() {
            return cools;
        }
        cools.max(self.toll.spent_until(now))
    }

    /// Until when it, or its provider, wants to be left alone.
    pub(crate) fn cools(&self, now: Instant) -> Option<Instant> {
        let asked = self.throttled_until.filter(|until| *until > now);
        if self.toll.is_none() {
            return asked;
        }
        asked.max(self.toll.cools_until(now))
    }

    /// Until when and by what it is throttled, if it is.
    fn throttle(&self, now: Instant) -> Option<(Instant, ThrottleCause)> {
        let asked = self.throttled_until.filter(|until| *until > now);
        let asked = asked.map(|until| (until, ThrottleCause::CoolDown));
        let all = asked.into_iter().chain(self.toll.cause(now));
        all.max_by_key(|(until, _)| *until)
    }

    /// Whether it is known to have got so far.
    pub(crate) fn reaches(&self, min_position: Option<u64>) -> bool {
        min_position.is_none_or(|min| self.position.is_some_and(|(position, _)| position >= min))
    }

    /// Whether it may be picked, slots aside.
    pub(crate) fn eligible(&self, now: Instant) -> bool {
        self.is_member()
            && self.health.status() == HealthStatus::Healthy
            && self.throttled(now).is_none()
            && self.breaker.admits(now)
    }

    /// Whether its slots count as capacity: eligible with a closed breaker.
    pub(crate) fn usable(&self, now: Instant) -> bool {
        self.eligible(now) && self.breaker.state().is_closed()
    }

    pub(crate) const fn free(&self) -> u32 {
        self.slots.saturating_sub(self.taken)
    }

    /// Whether more is taken than may be: the limit was lowered meanwhile.
    pub(crate) const fn is_over(&self) -> bool {
        self.taken > self.slots
    }

    /// Whether what was granted may still be used: nothing has happened since that would keep it from being granted.
    pub(crate) fn still_good(&self, ticket: Ticket, now: Instant) -> bool {
        // what was granted is paid for: that it took the last of a quota is nothing against it
        self.is_member()
            && self.health.status() == HealthStatus::Healthy
            && self.cools(now).is_none()
            && self.breaker.is_current(ticket)
    }

    /// Takes a slot and pays for it, if one is free and the endpoint may be picked.
    pub(crate) fn take(&mut self, cost: &Cost, now: Instant) -> Option<Ticket> {
        if self.free() == 0 || !self.eligible(now) {
            return None;
        }
        let ticket = self.enter(cost, now)?;
        self.taken += 1;
        Some(ticket)
    }

    /// Lets a request pass that pays: the breaker and the quotas, all or none.
    pub(crate) fn enter(&mut self, cost: &Cost, now: Instant) -> Option<Ticket> {
        let ticket = self.breaker.admit(now)?;
        if !self.toll.is_none() && !self.toll.pay(cost, now) {
            self.breaker.cancel(ticket);
            return None;
        }
        Some(ticket)
    }

    /// Whether a request that has just been let in has changed who may be picked.
    pub(crate) fn was_the_last(&self, now: Instant) -> bool {
        !self.breaker.state().is_closed() || !self.toll.is_none() && self.toll.spent_until(now).is_some()
    }

    /// Notes that a request took the last of a quota. Returns what others are to be told, if they are.
    pub(crate) fn note_spent(&mut self, now: Instant) -> Option<(Instant, ThrottleCause)> {
        if self.toll.is_none() {
            return None;
        }
        let spent = self.toll.cause(now).filter(|(_, cause)| cause.is_quota())?;
        self.spent.again(now).then_some(spent)
    }

    /// Why it may not be picked by those who demand this position; `None` when it may.
    pub(crate) fn why_not(&self, min_position: Option<u64>, now: Instant) -> Option<NotUsable> {
        if self.health.status() != HealthStatus::Healthy {
            return Some(NotUsable::Unhealthy {
                reason: self.health.reason().cloned(),
            });
        }
        if !self.breaker.admits(now) {
            let wait = match self.breaker.state() {
                BreakerState::Open { until } => Some(until.saturating_duration_since(now)),
                _ => None,
            };
            return Some(NotUsable::BreakerOpen { wait });
        }
        if let Some((until, cause)) = self.throttle(now) {
            return Some(NotUsable::Throttled {
                wait: until.saturating_duration_since(now),
                cause,
            });
        }
        if let Some(needed) = min_position.filter(|_| !self.reaches(min_position)) {
            return Some(NotUsable::Behind {
                position: self.position.map(|(position, _)| position),
                needed,
            });
        }
        (self.free() == 0).then_some(NotUsable::Full { slots: self.slots })
    }

    /// The earliest moment at which those who demand this position can pick it, as far as one can know.
    pub(crate) fn earliest(&self, min_position: Option<u64>, now: Instant) -> Instant {
        let mut at = now;
        // only a check makes it healthy, or tells of a new position
        if self.health.status() != HealthStatus::Healthy || !self.reaches(min_position) {
            at = at.max(self.next_check);
        }
        if let Some(until) = self.breaker.wakes_at() {
            at = at.max(until);
        }
        self.throttled(now).map_or(at, |until| at.max(until))
    }

    /// When time alone changes whether it may be picked.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        [
            self.breaker.wakes_at(),
            self.breaker.probe_expires_at(),
            self.throttled(now),
        ]
        .into_iter()
        .flatten()
        // what lies in the past has been dealt with, or never will be: waiting for it would spin
        .filter(|at| *at > now)
        .min()
    }
}
