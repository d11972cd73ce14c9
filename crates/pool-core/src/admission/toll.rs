//! What a request on an endpoint pays, and what keeps the endpoint out of the choice when it cannot.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    Cost, Provider, ThrottleCause,
    quota::{Meter, Reading},
};

/// Of a quota that is spent again and again others are told once in so long.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The quota of an endpoint's own, and the provider it belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Toll {
    pub(crate) own: Option<Arc<Meter>>,
    pub(crate) provider: Option<Provider>,
}

impl Toll {
    /// Nothing if there is nobody to pay and nobody to heed.
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        (self.own.is_some() || self.provider.is_some()).then(|| Box::new(self))
    }

    fn meters(&self) -> impl Iterator<Item = &Meter> {
        let of_provider = self.provider.as_ref().map(Provider::meter);
        self.own.as_deref().into_iter().chain(of_provider)
    }

    fn price(&self, cost: &Cost) -> u32 {
        match &self.provider {
            Some(provider) => cost.of(provider.id()),
            None => cost.plain(),
        }
    }

    /// Until when the provider wants to be left alone.
    pub(crate) fn cools_until(&self, now: Instant) -> Option<Instant> {
        self.provider.as_ref()?.cools_until(now)
    }

    /// Until when a quota is spent.
    pub(crate) fn spent_until(&self, now: Instant) -> Option<Instant> {
        self.meters().filter_map(|meter| meter.spent_until(now)).max()
    }

    /// Until when it may not be picked.
    pub(crate) fn throttled_until(&self, now: Instant) -> Option<Instant> {
        self.spent_until(now).max(self.cools_until(now))
    }

    /// Until when something stands against it that a health check should wait for too. What comes back every second does
    /// not: else an endpoint that is always used up would never be checked.
    pub(crate) fn rests_until(&self, now: Instant) -> Option<Instant> {
        let day = self.meters().filter_map(|meter| meter.day_spent_until(now)).max();
        day.max(self.cools_until(now))
    }

    /// What keeps it out of the choice for longest.
    pub(crate) fn cause(&self, now: Instant) -> Option<(Instant, ThrottleCause)> {
        let own = self.own.as_ref().and_then(|meter| meter.spent_until(now));
        let theirs = self
            .provider
            .as_ref()
            .and_then(|provider| provider.meter().spent_until(now));
        let causes = [
            (own, ThrottleCause::Quota),
            (theirs, ThrottleCause::ProviderQuota),
            (self.cools_until(now), ThrottleCause::ProviderCoolDown),
        ];
        let known = causes
            .into_iter()
            .filter_map(|(until, cause)| Some((until?, cause)));
        known.max_by_key(|(until, _)| *until)
    }

    /// Pays all or nobody, and says what. Another pool may have been faster with the provider's quota.
    pub(crate) fn pay(&self, cost: &Cost, now: Instant) -> Option<u32> {
        let units = self.price(cost);
        // nobody else takes of this one: what is seen under admission's lock stays
        let own = self.own.as_ref();
        if own.is_some_and(|meter| !meter.take(units, now)) {
            return None;
        }
        let theirs = self.provider.as_ref();
        let paid = theirs.is_none_or(|provider| provider.meter().take(units, now));
        if let Some(meter) = own.filter(|_| !paid) {
            meter.give_back(units, now);
        }
        paid.then_some(units)
    }

    /// Gives back what was paid and not used. If other settings hold since, it goes to whom they name, who are never given
    /// more than they can hold.
    pub(crate) fn give_back(&self, units: u32, now: Instant) {
        self.meters().for_each(|meter| meter.give_back(units, now));
    }

    /// Pays for what is done anyway.
    pub(crate) fn charge(&self, units: u32, now: Instant) {
        self.meters().for_each(|meter| meter.charge(units, now));
    }

    /// What is left of the quota that is nearer to its end.
    pub(crate) fn read(&self, now: Instant) -> Option<Reading> {
        let readings = self.meters().filter_map(|meter| meter.read(now));
        readings.min_by_key(|reading| reading.left)
    }

    /// Whether both belong to the same provider.
    pub(crate) fn is_of_same(&self, other: &Self) -> bool {
        self.provider.is_some() && self.provider == other.provider
    }
}

/// How often an endpoint was throttled, and by what.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    /// By the cause's place in [`ThrottleCause::ALL`].
    counts: [u64; ThrottleCause::ALL.len()],
    quota_told: Option<Instant>,
}

impl Throttles {
    pub(crate) const fn counts(&self) -> [u64; ThrottleCause::ALL.len()] {
        self.counts
    }

    /// It asked for a pause, or another of its provider's.
    pub(super) fn count(&mut self, cause: ThrottleCause) {
        self.counts[cause.index()] += 1;
    }

    /// A quota was spent once more. Returns whether others are to be told.
    pub(super) fn quota_spent(&mut self, cause: ThrottleCause, now: Instant) -> bool {
        self.count(cause);
        let recently = |told: Instant| now.saturating_duration_since(told) < TELL_EVERY;
        let tell = !self.quota_told.is_some_and(recently);
        if tell {
            self.quota_told = Some(now);
        }
        tell
    }
}
