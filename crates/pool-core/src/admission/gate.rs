//! One endpoint as admission sees it: slots, health, breaker, throttle.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Ejection,
    terms::{Lacks, Terms},
    toll::{Throttles, Toll},
};
use crate::{
    BreakerConfig, Cost, HealthConfig, NotUsable, Provider, ThrottleCause,
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
    /// What is configured.
    pub(crate) slots: u32,
    /// What it probably bears, if that is less.
    pub(crate) limit: u32,
    /// What is given out: the limit, and more of it the more callers wait.
    open: u32,
    pub(crate) taken: u32,
    pub(crate) health: Health,
    pub(crate) breaker: Breaker,
    /// Until when it asked to be left alone.
    pub(crate) throttled_until: Option<Instant>,
    /// What requests on it pay, and to whom; in most pools nothing, which costs them one look.
    pub(crate) toll: Option<Box<Toll>>,
    pub(crate) throttles: Throttles,
    /// Left out, because it stands out among the others.
    pub(crate) ejected: Option<Ejection>,
    /// The pool is so short of usable endpoints that this one is used with a poor record too.
    pub(crate) panic: bool,
    /// When the next health check can have ended.
    pub(crate) next_check: Instant,
    /// Newest position and when it was seen.
    pub(crate) position: Option<(u64, Instant)>,
    /// How old the newest position was, and when that was seen.
    pub(crate) head: Option<(Duration, Instant)>,
    /// What it is known not to offer.
    pub(crate) lacks: Lacks,
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
            limit: slots,
            open: slots,
            taken: 0,
            health: Health::new(health),
            breaker: Breaker::new(breaker, now),
            throttled_until: None,
            toll: None,
            throttles: Throttles::default(),
            ejected: None,
            panic: false,
            next_check: now,
            position: None,
            head: None,
            lacks: Lacks::default(),
        }
    }

    /// How old its head is now, as far as is known.
    pub(crate) fn head_age(&self, now: Instant) -> Option<Duration> {
        self.head
            .map(|(age, seen)| age.saturating_add(now.saturating_duration_since(seen)))
    }

    /// Whose vote on the others' positions it shares.
    pub(crate) fn provider(&self) -> Option<&Provider> {
        self.toll.as_ref()?.provider.as_ref()
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
        // one that was learned stays; if there is more to give, the next look says so
        let limit = if self.limit == self.slots {
            slots
        } else {
            self.limit
        };
        self.slots = slots;
        self.set_limit(limit);
        self.open = self.limit;
        self.health.configure(health);
        self.breaker.configure(breaker, now);
    }

    /// Until when it is throttled, if it is: by a pause that was asked for, or by a quota that is spent.
    #[inline]
    pub(crate) fn throttled(&self, now: Instant) -> Option<Instant> {
        self.asked_until(now, |toll| toll.throttled_until(now))
    }

    /// Until when it, or its provider, wants to be left alone.
    pub(crate) fn cools(&self, now: Instant) -> Option<Instant> {
        self.asked_until(now, |toll| toll.cools_until(now))
    }

    /// Until when it takes nothing, and should not be asked either: it wants to be left alone, or the day's budget is
    /// spent. What comes back every second does not count: an endpoint that is always used up is a good one.
    pub(crate) fn rests(&self, now: Instant) -> Option<Instant> {
        self.asked_until(now, |toll| toll.rests_until(now))
    }

    #[inline]
    fn asked_until(&self, now: Instant, of_toll: impl FnOnce(&Toll) -> Option<Instant>) -> Option<Instant> {
        let asked = self.throttled_until.filter(|until| *until > now);
        match &self.toll {
            None => asked,
            Some(toll) => asked.max(of_toll(toll)),
        }
    }

    /// Until when and by what it is throttled, if it is.
    pub(crate) fn throttle(&self, now: Instant) -> Option<(Instant, ThrottleCause)> {
        let asked = self.throttled_until.filter(|until| *until > now);
        let asked = asked.map(|until| (until, ThrottleCause::CoolDown));
        let others = self.toll.as_ref().and_then(|toll| toll.cause(now));
        asked.into_iter().chain(others).max_by_key(|(until, _)| *until)
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
        self.ejected.is_none() && self.works(now) && self.throttled(now).is_none()
    }

    /// Whether the pool can count on it: it may be picked, or could if its quota of this second were not spent.
    pub(crate) fn is_relied_on(&self, now: Instant) -> bool {
        self.ejected.is_none() && self.works(now) && self.rests(now).is_none()
    }

    /// Whether an ejection is all that keeps the pool from counting on it.
    pub(crate) fn is_only_ejected(&self, now: Instant) -> bool {
        self.ejected.is_some() && self.works(now) && self.rests(now).is_none()
    }

    fn works(&self, now: Instant) -> bool {
        self.is_member() && self.health.status() == HealthStatus::Healthy && self.breaker.admits(now)
    }

    /// Whether it may be picked only because the pool is short of others.
    fn is_last_resort(&self, now: Instant) -> bool {
        self.panic && self.is_member() && self.health.is_fit() && self.throttled(now).is_none()
    }

    /// Whether nothing but a poor record stands against it: it was fit when it last said anything, and has not asked to be
    /// left alone.
    pub(crate) fn is_fit(&self, now: Instant) -> bool {
        self.is_member() && self.health.is_fit() && self.rests(now).is_none()
    }

    /// Whether it counts among those that the pool has left: it works by its own record, with a closed breaker.
    pub(crate) fn is_sound(&self, now: Instant) -> bool {
        self.is_relied_on(now) && self.breaker.state().is_closed()
    }

    /// Whether its slots count as capacity: it may be picked by its own record, with a closed breaker.
    pub(crate) fn usable(&self, now: Instant) -> bool {
        self.is_regular(now) && self.breaker.state().is_closed()
    }

    /// Takes another limit, which counts from the next [`stretch`](Self::stretch) on. Returns whether that is another one.
    pub(crate) fn set_limit(&mut self, limit: u32) -> bool {
        let limit = limit.clamp(1, self.slots);
        let changed = limit != self.limit;
        if changed {
            self.limit = limit;
            self.stats.set_limit(limit);
        }
        changed
    }

    /// Lets the limit grow by so many of the steps that double it.
    pub(super) fn stretch(&mut self, steps: u32, of: u32) {
        let more = u64::from(self.limit) * u64::from(steps) / u64::from(of);
        let open = u64::from(self.limit).saturating_add(more).min(self.slots.into());
        self.open = open as u32;
    }

    /// Slots that are given out to who asks now.
    pub(crate) const fn free(&self) -> u32 {
        self.open.saturating_sub(self.taken)
    }

    /// Slots that nobody has.
    pub(crate) const fn unused(&self) -> u32 {
        self.slots.saturating_sub(self.taken)
    }

    /// Whether more is taken than may be: the limit was lowered meanwhile.
    pub(crate) const fn is_over(&self) -> bool {
        self.taken > self.open
    }

    /// Whether what was granted may still be used: nothing has happened since that would keep it from being granted.
    #[inline]
    pub(crate) fn still_good(&self, ticket: Ticket, now: Instant) -> bool {
        // what was granted is paid for: that it took the last of a quota is nothing against it
        if self.cools(now).is_some() {
            return false;
        }
        let regular =
            self.is_member() && self.health.status() == HealthStatus::Healthy && self.ejected.is_none();
        let current = self.breaker.is_current(ticket);
        let last_resort = self.panic && self.is_member() && self.health.is_fit();
        regular && current || last_resort && (current || ticket.is_bypass())
    }

    /// Takes a slot and pays for it, if one is free and the endpoint may be picked. Returns what was paid.
    #[inline]
    pub(crate) fn take(&mut self, cost: impl FnOnce() -> Cost, now: Instant) -> Option<(Ticket, u32)> {
        // the breaker itself says below whether it admits
        let well = self.is_member()
            && self.health.status() == HealthStatus::Healthy
            && self.ejected.is_none()
            && self.throttled_until.is_none_or(|until| until <= now);
        if self.free() == 0 || !well && !self.is_last_resort(now) {
            return None;
        }
        let entered = self.enter(cost, now)?;
        self.taken += 1;
        Some(entered)
    }

    /// Lets a request pass that may be picked, and pays for it: by the breaker, or past it when the pool is short of others.
    #[inline]
    pub(crate) fn enter(&mut self, cost: impl FnOnce() -> Cost, now: Instant) -> Option<(Ticket, u32)> {
        if self.toll.is_some() {
            return self.enter_and_pay(&cost(), now);
        }
        Some((self.admit(now)?, 0))
    }

    #[inline]
    fn admit(&mut self, now: Instant) -> Option<Ticket> {
        let ticket = self.breaker.admit(now);
        ticket.or_else(|| self.is_last_resort(now).then_some(Ticket::BYPASS))
    }

    /// The same where there is something to pay.
    #[inline(never)]
    fn enter_and_pay(&mut self, cost: &Cost, now: Instant) -> Option<(Ticket, u32)> {
        if self.throttled(now).is_some() {
            return None;
        }
        let ticket = self.admit(now)?;
        let paid = self.toll.as_ref().map_or(Some(0), |toll| toll.pay(cost, now));
        if paid.is_none() {
            self.breaker.cancel(ticket);
        }
        Some((ticket, paid?))
    }

    /// Whether a request that has just been let in, and has paid so much, has changed who may be picked.
    #[inline]
    pub(crate) fn was_the_last(&self, paid: u32, now: Instant) -> bool {
        !self.breaker.state().is_closed() || paid > 0 && self.is_spent(now)
    }

    #[cold]
    fn is_spent(&self, now: Instant) -> bool {
        let spent = |toll: &Toll| toll.spent_until(now).is_some();
        self.toll.as_deref().is_some_and(spent)
    }

    /// Notes that a request took the last of a quota. Returns what others are to be told, if they are.
    pub(crate) fn note_spent(&mut self, now: Instant) -> Option<(Instant, ThrottleCause)> {
        let spent = self.toll.as_ref()?.cause(now);
        let spent = spent.filter(|(_, cause)| cause.is_quota())?;
        self.stats.throttled(spent.1);
        self.throttles.quota_spent(now).then_some(spent)
    }

    /// Why it may not be picked by those who demand this position and have these terms; `None` when it may.
    pub(crate) fn why_not(
        &self,
        min_position: Option<u64>,
        terms: &Terms,
        now: Instant,
    ) -> Option<NotUsable> {
        if let Some(why) = self.why_unsuited(terms, now) {
            return Some(why);
        }
        if let Some(record) = self.poor_record(now).filter(|_| !self.is_last_resort(now)) {
            return Some(record);
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
        (self.free() == 0).then_some(NotUsable::Full { slots: self.open })
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

    /// The earliest moment at which those who demand this position and have these terms can pick it, as far as one can
    /// know; `None` if never.
    pub(crate) fn earliest(
        &self,
        min_position: Option<u64>,
        terms: &Terms,
        now: Instant,
        relief: Relief,
    ) -> Option<Instant> {
        let mut at = self.suits_from(terms, now)?;
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
        Some(self.throttled(now).map_or(at, |until| at.max(until)))
    }

    /// When time alone changes whether it may be picked.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        [
            self.breaker.wakes_at(),
            self.breaker.probe_expires_at(),
            self.throttled(now),
            // that ends first, perhaps, and the others are judged by it
            self.rests(now),
            self.ejected.map(|ejected| ejected.until),
            self.lacks.next(),
        ]
        .into_iter()
        .flatten()
        // what lies in the past has been dealt with, or never will be: waiting for it would spin
        .filter(|at| *at > now)
        .min()
    }
}
