//! One endpoint as admission sees it: slots, health, breaker, throttle.

use std::sync::Arc;

use tokio::time::Instant;

use super::Ejection;
use crate::{
    BreakerConfig, HealthConfig, NotUsable,
    breaker::{Breaker, BreakerState, Ticket},
    health::{Health, HealthStatus},
    stats::Stats,
};

/// Which gate, and whose: the place of an endpoint that has left is given to a later one, and what is still under way
/// for the old one must not count for the new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What may let an endpoint be picked sooner than its own state would.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relief {
    /// Nobody can be picked: then ejections end early.
    pub(crate) alone: bool,
    /// So few are usable that those with a poor record are used too.
    pub(crate) short: bool,
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
    pub(crate) throttled_until: Option<Instant>,
    /// Left out, because it stands out among the others.
    pub(crate) ejected: Option<Ejection>,
    /// The pool is so short of usable endpoints that this one is used with a poor record too.
    pub(crate) panic: bool,
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
            throttled_until: None,
            ejected: None,
            panic: false,
            next_check: now,
            position: None,
        }
    }

    #[inline]
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

    /// Until when it is throttled, if it is.
    #[inline]
    pub(crate) fn throttled(&self, now: Instant) -> Option<Instant> {
        self.throttled_until.filter(|until| *until > now)
    }

    /// Whether it is known to have got so far.
    #[inline]
    pub(crate) fn reaches(&self, min_position: Option<u64>) -> bool {
        min_position.is_none_or(|min| self.position.is_some_and(|(position, _)| position >= min))
    }

    /// Whether it may be picked, slots aside.
    #[inline]
    pub(crate) fn eligible(&self, now: Instant) -> bool {
        self.is_regular(now) || self.is_last_resort(now)
    }

    /// Whether it may be picked by its own record.
    pub(crate) fn is_regular(&self, now: Instant) -> bool {
        self.ejected.is_none() && self.is_regular_or_ejected(now)
    }

    /// Whether an ejection is all that keeps it from being picked.
    pub(crate) fn is_only_ejected(&self, now: Instant) -> bool {
        self.ejected.is_some() && self.is_regular_or_ejected(now)
    }

    fn is_regular_or_ejected(&self, now: Instant) -> bool {
        self.is_member()
            && self.health.status() == HealthStatus::Healthy
            && self.throttled(now).is_none()
            && self.breaker.admits(now)
    }

    /// Whether it may be picked only because the pool is short of others.
    fn is_last_resort(&self, now: Instant) -> bool {
        self.panic && self.is_fit(now)
    }

    /// Whether nothing but a poor record stands against it: it was fit when it last said anything, and is not throttled.
    pub(crate) fn is_fit(&self, now: Instant) -> bool {
        self.is_member() && self.health.is_fit() && self.throttled(now).is_none()
    }

    /// Whether its slots count as capacity: it may be picked by its own record, with a closed breaker.
    pub(crate) fn usable(&self, now: Instant) -> bool {
        self.is_regular(now) && self.breaker.state().is_closed()
    }

    pub(crate) const fn free(&self) -> u32 {
        self.slots.saturating_sub(self.taken)
    }

    /// Whether more is taken than may be: the limit was lowered meanwhile.
    pub(crate) const fn is_over(&self) -> bool {
        self.taken > self.slots
    }

    /// Whether what was granted may still be used: nothing has happened since that would keep it from being granted.
    #[inline]
    pub(crate) fn still_good(&self, ticket: Ticket, now: Instant) -> bool {
        let regular = self.is_member()
            && self.health.status() == HealthStatus::Healthy
            && self.throttled(now).is_none()
            && self.ejected.is_none();
        let current = self.breaker.is_current(ticket);
        regular && current || self.is_last_resort(now) && (current || ticket.is_bypass())
    }

    /// Lets a request pass that may be picked: by the breaker, or past it when the pool is short of others.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<Ticket> {
        let ticket = self.breaker.admit(now);
        ticket.or_else(|| self.is_last_resort(now).then_some(Ticket::BYPASS))
    }

    /// Takes a slot, if one is free and the endpoint may be picked.
    #[inline]
    pub(crate) fn take(&mut self, now: Instant) -> Option<Ticket> {
        // the breaker itself says below whether it admits
        let well = self.is_member()
            && self.health.status() == HealthStatus::Healthy
            && self.ejected.is_none()
            && self.throttled(now).is_none();
        if self.free() == 0 || !well && !self.is_last_resort(now) {
            return None;
        }
        let ticket = self.admit(now)?;
        self.taken += 1;
        Some(ticket)
    }

    /// Why it may not be picked by those who demand this position; `None` when it may.
    pub(crate) fn why_not(&self, min_position: Option<u64>, now: Instant) -> Option<NotUsable> {
        if let Some(record) = self.poor_record(now).filter(|_| !self.is_last_resort(now)) {
            return Some(record);
        }
        if let Some(until) = self.throttled(now) {
            return Some(NotUsable::Throttled {
                wait: until.saturating_duration_since(now),
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

    /// What its checks, its breaker or the other endpoints say against it.
    fn poor_record(&self, now: Instant) -> Option<NotUsable> {
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
        self.ejected.map(|Ejection { until, why }| NotUsable::Ejected {
            wait: until.saturating_duration_since(now),
            why,
        })
    }

    /// The earliest moment at which those who demand this position can pick it, as far as one can know.
    pub(crate) fn earliest(&self, min_position: Option<u64>, now: Instant, relief: Relief) -> Instant {
        let mut at = now;
        let forgiven = relief.short && self.health.is_fit();
        let healthy = self.health.status() == HealthStatus::Healthy || forgiven;
        // only a check makes it healthy, or tells of a new position
        if !healthy || !self.reaches(min_position) {
            at = at.max(self.next_check);
        }
        if let Some(until) = self.breaker.wakes_at().filter(|_| !forgiven) {
            at = at.max(until);
        }
        if let Some(ejected) = self.ejected.filter(|_| !forgiven && !relief.alone) {
            at = at.max(ejected.until);
        }
        self.throttled(now).map_or(at, |until| at.max(until))
    }

    /// When time alone changes whether it may be picked.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        [
            self.breaker.wakes_at(),
            self.breaker.probe_expires_at(),
            self.throttled(now),
            self.ejected.map(|ejected| ejected.until),
        ]
        .into_iter()
        .flatten()
        // what lies in the past has been dealt with, or never will be: waiting for it would spin
        .filter(|at| *at > now)
        .min()
    }
}
