//! What becomes free, and who gets it.

use std::{sync::atomic::Ordering, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{
    Admission, Effects, Grant, Kept, Place, Settle, State,
    queue::{Queue, Reach},
};
use crate::{breaker::Ticket, sync::MutexGuard};

impl<O> State<O> {
    /// Whether another success on this endpoint changes nothing but numbers.
    #[inline]
    fn is_sound(&self, key: u32) -> bool {
        let gate = self.gates.get(key as usize);
        gate.is_some_and(|gate| gate.breaker.state().is_closed())
    }

    /// Whether connections lie ready here, and do not go back into the storage at once.
    #[inline]
    pub(super) const fn takes_back(&self) -> bool {
        !self.closed && !self.stash.has_ended()
    }
}

impl<O> Admission<O> {
    /// Gives a slot back, with its connection if that is clean. Both go to the oldest caller who may use them; if there
    /// is none, the connection lies ready for the next who comes.
    pub(crate) fn give_back(
        &self,
        grant: Grant<O>,
        outcome: Settle,
        throttle: Option<Duration>,
        now: Instant,
    ) -> Effects {
        let Grant {
            key,
            ticket,
            kept,
            mut object,
            ..
        } = grant;
        self.release((key, ticket, kept), &mut object, (outcome, throttle), now)
            .unwrap_or_default()
    }

    /// The same, with the connection where it lies: moving it costs. `None` says that nobody has to do anything, as mostly.
    #[inline]
    pub(crate) fn release(
        &self,
        (key, ticket, kept): (u32, Ticket, Kept),
        object: &mut Option<O>,
        (outcome, throttle): (Settle, Option<Duration>),
        now: Instant,
    ) -> Option<Effects> {
        let mut state = self.lock();
        if let Some(place) = kept.place() {
            state.queue.vacate(place);
        }
        let well = outcome == Settle::Success && throttle.is_none() && object.is_some();
        if well && state.is_sound(key) {
            // a closed breaker only counts it
            let _stays_closed = state.gates[key as usize].breaker.succeed(ticket, now);
            if state.queue.waiting() == 0 && Self::stow(&mut state, key, object) {
                self.free_slot(&mut state, key);
                return None;
            }
            return Some(self.pass_on(state, key, object, now, Effects::default()));
        }
        let mut effects = Effects::default();
        self.settle(&mut state, key, ticket, outcome, now, &mut effects);
        if let Some(wait) = throttle {
            self.throttle(&mut state, key, wait, now, &mut effects);
        }
        Some(self.pass_on(state, key, object, now, effects))
    }

    /// A slot, of which it is settled what it was good for, and its connection go to whom they may.
    fn pass_on<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<O>>,
        key: u32,
        object: &mut Option<O>,
        now: Instant,
        mut effects: Effects,
    ) -> Effects {
        loop {
            if self.hand_over(&mut state, key, object, now, &mut effects) {
                if effects.rearm {
                    // the outcome opened more than this one slot: a breaker has closed
                    self.serve(&mut state, now, &mut effects);
                }
                self.publish_waiting(&mut state);
                return effects;
            }
            if Self::stow(&mut state, key, object) {
                break;
            }
            // into the storage before the slot is free
            drop(state);
            *object = None;
            state = self.lock();
        }
        self.free_slot(&mut state, key);
        if state.queue.waiting() > 0 {
            self.serve(&mut state, now, &mut effects);
        }
        effects
    }

    /// What was paid for a slot that is still held goes back into the quotas: nothing was sent.
    pub(crate) fn refund(&self, key: u32, paid: u32, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if let Some(toll) = &state.gates[key as usize].toll {
            toll.give_back(paid, now);
            self.refresh(&mut state, now, &mut effects);
            self.serve(&mut state, now, &mut effects);
        }
        effects
    }

    /// Hands the slot, which stays taken, and the connection to the oldest caller who may use this endpoint.
    pub(super) fn hand_over(
        &self,
        state: &mut State<O>,
        key: u32,
        object: &mut Option<O>,
        now: Instant,
        effects: &mut Effects,
    ) -> bool {
        if state.queue.waiting() == 0 || !state.gates[key as usize].eligible(now) {
            return false;
        }
        if state.taken > state.limit || state.gates[key as usize].is_over() {
            // the limit was lowered meanwhile
            return false;
        }
        let oldest = state.queue.oldest_of_all();
        let Some(place) = oldest.or_else(|| Self::oldest_for(state, key)) else {
            return false;
        };
        let State { gates, queue, .. } = &mut *state;
        let Some((ticket, paid)) = gates[key as usize].enter(|| queue.cost(place), now) else {
            return false;
        };
        let object = object.take().or_else(|| state.stash.pop(key));
        let grant = Grant {
            key,
            ticket,
            paid,
            kept: Kept::NONE,
            object,
        };
        effects.wake(self.give(state, place, grant));
        if state.gates[key as usize].was_the_last(paid, now) {
            self.let_in_the_last(state, key, now, effects);
        }
        true
    }

    /// Lays it into the caller's locker, and returns the waker.
    #[inline]
    fn give(&self, state: &mut State<O>, place: Place, grant: Grant<O>) -> Option<Waker> {
        // what it is given on may be spent, or need a rest, in ways that other pools bring about
        let must_look = state.gates[grant.key as usize].toll.is_some();
        self.lockers.put(place.key, grant, must_look);
        state.queue.give(place, ())
    }

    /// The oldest caller in line who may use this endpoint.
    pub(super) fn oldest_for(state: &State<O>, key: u32) -> Option<Place> {
        let position = |key: u32| state.gates[key as usize].position.map(|(position, _)| position);
        let up_to = position(key);
        state.queue.oldest(|avoid, terms| {
            let suits = |key: u32| state.gates[key as usize].suits(terms);
            if !suits(key) {
                return Reach::NOBODY;
            }
            let mut others = state
                .eligible
                .iter()
                .filter(|other| !avoid.contains(other) && suits(**other));
            if !avoid.contains(&key) || others.clone().next().is_none() {
                return Reach {
                    plain: true,
                    above: None,
                    up_to,
                };
            }
            // it is avoided, so it serves only demands that the others do not meet
            let above = others.by_ref().filter_map(|other| position(*other)).max();
            Reach {
                plain: false,
                above,
                up_to,
            }
        })
    }

    /// Gives free slots to those who wait, oldest first, each on the least loaded endpoint that it may use.
    pub(super) fn serve(&self, state: &mut State<O>, now: Instant, effects: &mut Effects) {
        while state.queue.waiting() > 0 && state.taken < state.limit {
            let keys = state.eligible.iter().copied();
            let free = keys.filter(|key| state.gates[*key as usize].free() > 0);
            let turns = free.filter_map(|key| Self::oldest_for(state, key).map(|place| (place, key)));
            let next = turns.min_by(|(a, on_a), (b, on_b)| {
                let load = |key: &u32| self.load(state, *key, now);
                let kin = |place, key: &u32| Self::is_kin(state, *key, state.queue.avoided(place));
                a.rank
                    .cmp(&b.rank)
                    .then_with(|| kin(*a, on_a).cmp(&kin(*b, on_b)))
                    .then_with(|| load(on_a).total_cmp(&load(on_b)))
            });
            let Some((place, key)) = next else {
                break;
            };
            let cost = |queue: &Queue<_>| queue.cost(place);
            let Some(grant) = self.take_on(state, key, cost, now, effects) else {
                self.refresh(state, now, effects);
                if !state.eligible.contains(&key) {
                    continue;
                }
                break;
            };
            effects.wake(self.give(state, place, grant));
        }
        self.publish_waiting(state);
    }

    /// The line may be longer or shorter. Returns whether there is more to give, since it is longer.
    pub(super) fn publish_waiting(&self, state: &mut State<O>) -> bool {
        self.waiting.store(state.queue.waiting(), Ordering::Release);
        state.stretch_limits()
    }

    #[inline]
    pub(super) fn free_slot(&self, state: &mut State<O>, key: u32) {
        self.set_crowded(false);
        let gate = &mut state.gates[key as usize];
        gate.taken -= 1;
        gate.stats.slot_freed();
        state.taken -= 1;
    }
}
