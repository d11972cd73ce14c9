//! What health checks and unasked connects tell admission.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Change, Effects, Gate, GateId, Settle, State};
use crate::{
    breaker::Ticket,
    health::{HealthReason, HealthStatus},
    position,
};

/// What a health check found.
pub(crate) struct Checked {
    /// How far the endpoint is, if it is to be believed.
    pub(crate) position: Option<u64>,
    /// How old that is, if it tells.
    pub(crate) age: Option<Duration>,
    /// What the breaker hears.
    pub(crate) outcome: Settle,
    /// For how long the endpoint asked to be left alone.
    pub(crate) throttle: Option<Duration>,
    /// Well, or why not.
    pub(crate) result: Result<(), HealthReason>,
}

impl<O> Admission<O> {
    /// A health check begins that takes so many units of the quotas; `latest_end` is when it must have ended. Returns a
    /// ticket if its result counts for the breaker.
    pub(crate) fn check_begins(
        &self,
        id: GateId,
        units: u32,
        now: Instant,
        latest_end: Instant,
    ) -> (Option<Ticket>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let Some(gate) = Self::gate_of(&mut state, id) else {
            return (None, effects);
        };
        gate.next_check = latest_end;
        let ticket = gate.breaker.admit_check(now);
        if let Some(toll) = &gate.toll {
            toll.charge(units, now);
        }
        if gate.was_the_last(units, now) {
            // it may have taken the last probe permit, or the last of a quota
            self.refresh(&mut state, now, &mut effects);
        }
        (ticket, effects)
    }

    /// A health check ended, well or with the reason why not; `position` is what the endpoint reported, if it is to be
    /// believed, and `outcome` what the breaker hears.
    pub(crate) fn check_ended(
        &self,
        id: GateId,
        ticket: Option<Ticket>,
        Checked {
            position,
            age,
            outcome,
            throttle,
            result,
        }: Checked,
        now: Instant,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if Self::gate_of(&mut state, id).is_none() {
            return effects;
        }
        let key = id.key;
        if let Some(ticket) = ticket {
            self.settle(&mut state, key, ticket, outcome, now, &mut effects);
        }
        if let Some(wait) = throttle {
            self.throttle(&mut state, key, wait, now, &mut effects);
        }
        let gate = &mut state.gates[key as usize];
        gate.position = position.map(|position| (position, now)).or(gate.position);
        gate.head = age.map(|age| (age, now)).or(gate.head);
        let from = match result {
            Ok(()) => gate.health.passed(),
            Err(reason) => gate.health.failed(reason),
        };
        if let Some(from) = from {
            if (from, gate.health.status()) == (HealthStatus::Unhealthy, HealthStatus::Healthy) {
                gate.stats.recovered(now);
            }
            let (to, reason) = (gate.health.status(), gate.health.reason().cloned());
            effects.change(key, Change::Health { from, to, reason });
        }
        self.refresh(&mut state, now, &mut effects);
        self.serve(&mut state, now, &mut effects);
        effects
    }

    /// When the next health check starts, for those who ask whether waiting makes sense.
    ///
    /// While the endpoint wants to be left alone, or its quota of the day is spent, none is planned: a check would prolong
    /// that. Returns when it will be.
    pub(crate) fn check_planned(&self, id: GateId, at: Instant, now: Instant) -> (Instant, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let Some(gate) = Self::gate_of(&mut state, id) else {
            return (at, effects);
        };
        gate.next_check = gate.rests(now).map_or(at, |until| at.max(until));
        let at = gate.next_check;
        self.refresh(&mut state, now, &mut effects);
        (at, effects)
    }

    /// A connect that nobody waits for any more failed.
    pub(crate) fn failed_unasked(&self, id: GateId, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let ticket = Self::gate_of(&mut state, id).and_then(|gate| gate.breaker.admit_check(now));
        if let Some(ticket) = ticket {
            self.settle(&mut state, id.key, ticket, Settle::Failure, now, &mut effects);
        }
        effects
    }

    /// The gate, unless its endpoint has left.
    pub(super) fn gate_of(state: &mut State<O>, id: GateId) -> Option<&mut Gate> {
        let gate = state.gates.get_mut(id.key as usize)?;
        (gate.is_member() && gate.serial == id.serial).then_some(gate)
    }

    /// By how much an endpoint at `position` is behind the others' fresh positions; a provider has one vote.
    pub(crate) fn lag(&self, key: u32, position: u64, fresh_since: Instant) -> u64 {
        let state = self.lock();
        let said = state.gates.iter().enumerate().filter_map(|(other, gate)| {
            let said = if other == key as usize {
                position
            } else {
                gate.position.filter(|(_, seen)| *seen >= fresh_since)?.0
            };
            gate.is_member().then(|| (gate.provider(), said))
        });
        position::reference_by(said).map_or(0, |reference| reference.saturating_sub(position))
    }

    /// How old the reference head is now, by what the endpoints have told since then: the youngest that a majority of
    /// providers has. `own` is what an endpoint says just now.
    pub(crate) fn reference_age(
        &self,
        own: Option<(u32, Duration)>,
        fresh_since: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let state = self.lock();
        let said = state.gates.iter().enumerate().filter_map(|(other, gate)| {
            let age = match own {
                Some((key, age)) if key as usize == other => age,
                _ => {
                    gate.head.filter(|(_, seen)| *seen >= fresh_since)?;
                    gate.head_age(now)?
                }
            };
            // what is younger is further
            let further = u64::MAX - u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            gate.is_member().then(|| (gate.provider(), further))
        });
        position::reference_by(said).map(|further| Duration::from_micros(u64::MAX - further))
    }
}
