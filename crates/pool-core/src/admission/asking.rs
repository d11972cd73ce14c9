//! Those who ask: a slot at once, a place in line, a look whether the turn has come, and leaving.

use std::{task::Waker, time::Duration};

use tokio::time::Instant;

use super::{
    Admission, Asked, Effects, Gate, Grant, Kept, Load, Place, Rank, Refusal, Settle, State, Terms, Turn,
    Want,
    clocks::here,
    gate::Relief,
    queue::{Look, Queue},
};
use crate::{Cost, Priority, moment::after, sync::MutexGuard};

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

impl<O> State<O> {
    /// Whether no slot is free on anybody who may be picked, and nobody's quota could make a difference.
    fn is_full(&self) -> bool {
        let full = |key: &u32| {
            let gate = self.gates.get(*key as usize);
            gate.is_none_or(|gate| gate.free() == 0 && gate.toll.is_none())
        };
        self.eligible.iter().all(full)
    }
}

impl<O> Admission<O> {
    /// Asks for a slot: at once, on the preferred endpoint or else on the least loaded other one, or a place in line with
    /// this waker.
    pub(crate) fn ask(
        &self,
        preferred: Option<u32>,
        want: &Want,
        waker: &Waker,
        now: Instant,
    ) -> (Result<Asked<O>, Refusal>, Effects) {
        let mut effects = Effects::default();
        // who will hardly get a slot at once makes ready for the line before the lock
        let prepare = || (here(), waker.clone());
        let prepared = preferred.is_none().then(prepare);
        let mut state = self.lock();
        if state.closed {
            return (Err(Refusal::Closed), effects);
        }
        // as long as those wait who take whatever there is, there is nothing
        if state.queue.oldest_of_all().is_none() && (preferred.is_some() || !state.is_full()) {
            let preferred = preferred.filter(|key| Self::may_prefer(&state, *key, want));
            let cost = |_: &Queue<_>| want.cost.clone();
            let at_hand = preferred.and_then(|key| self.take_on(&mut state, key, cost, now, &mut effects));
            let at_hand = at_hand.or_else(|| self.take_other(&mut state, want, now, &mut effects));
            if let Some(grant) = at_hand {
                return (Ok(Asked::Go(grant)), effects);
            }
        }
        if want.avoid.is_empty() && want.min_position.is_none() && !self.restricts(&want.terms) {
            self.set_crowded(true);
        }
        if Self::is_hopeless(&state, want, now) {
            // being told early must not hide what a wait until the deadline would have shown
            state.timeouts += 1;
            return (Err(Refusal::Hopeless), effects);
        }
        if state.queue.waiting() >= state.max_waiters {
            state.rejections += 1;
            return (Err(Refusal::QueueFull), effects);
        }
        let (realm, waker) = prepared.unwrap_or_else(prepare);
        let place = state.queue.push(want, waker, now);
        self.lockers.provide(place.key);
        effects.clock = state.queue.watch(place, realm);
        if self.publish_waiting(&mut state) || effects.rearm {
            self.serve(&mut state, now, &mut effects);
        }
        (Ok(Asked::Stand(place)), effects)
    }

    /// Takes a slot on this endpoint, with a connection if one lies ready, where that is all there is to it: one is free,
    /// nobody is in line, nothing is to be paid, the breaker is closed. `None` says no more than that it has to be
    /// [asked](Self::ask) for. No want is as good as one for anything.
    #[inline]
    pub(crate) fn take_free(&self, key: u32, want: Option<&Want>, now: Instant) -> Option<Grant<O>> {
        let mut state = self.lock();
        let state = &mut *state;
        if state.closed || state.queue.waiting() > 0 || state.taken >= state.limit {
            return None;
        }
        let gate = state.gates.get_mut(key as usize)?;
        let meets = want.is_none_or(|want| gate.meets(want.min_position, &want.terms));
        if !meets || gate.toll.is_some() || !gate.breaker.state().is_closed() {
            return None;
        }
        let (ticket, paid) = gate.take(|| Cost::ONE, now)?;
        gate.stats.slot_taken();
        state.taken += 1;
        Some(Grant {
            key,
            ticket,
            paid,
            kept: Kept::NONE,
            object: state.stash.pop(key),
        })
    }

    /// Asks for a slot at once, on the preferred endpoint or else on the least loaded other one; never stands in line,
    /// and never overtakes those who do.
    pub(crate) fn ask_at_once(
        &self,
        preferred: Option<u32>,
        want: &Want,
        now: Instant,
    ) -> (Option<Grant<O>>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if state.closed || state.queue.waiting() > 0 {
            return (None, effects);
        }
        let preferred = preferred.filter(|key| Self::may_prefer(&state, *key, want));
        let cost = |_: &Queue<_>| want.cost.clone();
        let taken = preferred.and_then(|key| self.take_on(&mut state, key, cost, now, &mut effects));
        let taken = taken.or_else(|| self.take_other(&mut state, want, now, &mut effects));
        (taken, effects)
    }

    /// A slot on the best endpoint that has one.
    fn take_other(
        &self,
        state: &mut State<O>,
        want: &Want,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Grant<O>> {
        loop {
            let taken = self.take_best(state, want, now, effects);
            if taken.is_some() || !Self::is_spent_elsewhere(state, now) {
                return taken;
            }
            self.refresh(state, now, effects);
            if state.queue.waiting() > 0 {
                // limits grow where fewer share them, and what that opens goes by rank, this caller among the others
                return None;
            }
        }
    }

    /// Whether another pool has spent a quota, or brought a cool-down about, that is not known here yet.
    fn is_spent_elsewhere(state: &State<O>, now: Instant) -> bool {
        let mut gates = state.eligible.iter().map(|key| &state.gates[*key as usize]);
        gates.any(|gate| gate.toll.is_some() && gate.throttled(now).is_some())
    }

    /// What the balancer saw may be old: an endpoint that time has made usable since belongs to those in line.
    pub(super) fn may_prefer(state: &State<O>, key: u32, want: &Want) -> bool {
        let gate = state.gates.get(key as usize);
        gate.is_some_and(|gate| gate.meets(want.min_position, &want.terms))
            && (state.queue.waiting() == 0 || state.eligible.contains(&key))
    }

    /// Takes a slot on this endpoint, if one is free, with a connection if one lies ready.
    pub(super) fn take_on(
        &self,
        state: &mut State<O>,
        key: u32,
        cost: impl FnOnce(&Queue<()>) -> Cost,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Grant<O>> {
        if state.taken >= state.limit {
            return None;
        }
        let State { gates, queue, .. } = state;
        let gate = gates.get_mut(key as usize)?;
        if !gate.breaker.state().is_closed() {
            // time may have passed since anybody looked
            self.poll_breaker(gate, key, now, effects);
        }
        let Some((ticket, paid)) = gate.take(|| cost(queue), now) else {
            // another pool was faster with a quota, and may have given some back since: somebody looks once more
            effects.rearm |= gate.toll.is_some() && gate.free() > 0;
            return None;
        };
        let was_the_last = gate.was_the_last(paid, now);
        gate.stats.slot_taken();
        state.taken += 1;
        if was_the_last {
            self.let_in_the_last(state, key, now, effects);
        }
        let object = state.stash.pop(key);
        Some(Grant {
            key,
            ticket,
            paid,
            kept: Kept::NONE,
            object,
        })
    }

    pub(super) fn take_best(
        &self,
        state: &mut State<O>,
        want: &Want,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Grant<O>> {
        let meets = |key: &u32| state.gates[*key as usize].meets(want.min_position, &want.terms);
        let preferable = |key: &u32| meets(key) && !want.avoid.contains(key);
        let others = !want.avoid.is_empty() && state.eligible.iter().any(preferable);
        let candidates = state.eligible.iter().copied();
        let candidates = candidates.filter(|key| meets(key) && !(others && want.avoid.contains(key)));
        let free = candidates.filter(|key| state.gates[*key as usize].free() > 0);
        let rank = |key: &u32| {
            let kin = Self::is_kin(state, *key, &want.avoid);
            (kin, self.load(state, *key, now))
        };
        let key = free.min_by(|a, b| {
            let ((kin_a, load_a), (kin_b, load_b)) = (rank(a), rank(b));
            kin_a.cmp(&kin_b).then_with(|| load_a.total_cmp(&load_b))
        })?;
        self.take_on(state, key, |_| want.cost.clone(), now, effects)
    }

    /// Whether an endpoint belongs to the provider of one of these: what has failed there may fail here too.
    pub(super) fn is_kin(state: &State<O>, key: u32, avoid: &[u32]) -> bool {
        let toll = |key: u32| state.gates.get(key as usize)?.toll.as_ref();
        let kin = |other: &u32| {
            toll(key)
                .zip(toll(*other))
                .is_some_and(|(one, other)| one.is_of_same(other))
        };
        avoid.iter().any(kin)
    }

    /// An endpoint's tier, and what its load would be, for its weight, with one more request on it.
    pub(super) fn load(&self, state: &State<O>, key: u32, now: Instant) -> Load {
        let Gate { stats, taken, .. } = &state.gates[key as usize];
        let load = f64::from(taken + 1) / stats.weight(now) * stats.latency.handicap(now);
        Load(stats.tier(), load)
    }

    /// When the first endpoint can become usable for those who demand this position and have these terms, if none is:
    /// then whoever gives up before that waits in vain.
    #[inline]
    pub(super) fn hopeless_before(
        gates: &[Gate],
        eligible: &[u32],
        short: bool,
        (min, terms): (Option<u64>, &Terms),
        now: Instant,
    ) -> Option<Instant> {
        let meets = |key: &u32| gates[*key as usize].meets(min, terms);
        let anybody = min.is_none() && terms.are_none();
        if !eligible.is_empty() && (anybody || eligible.iter().any(meets)) {
            return None;
        }
        Self::soonest(gates, eligible, short, (min, terms), now)
    }

    #[cold]
    fn soonest(
        gates: &[Gate],
        eligible: &[u32],
        short: bool,
        (min, terms): (Option<u64>, &Terms),
        now: Instant,
    ) -> Option<Instant> {
        let mut members = gates.iter().filter(|gate| gate.is_member()).peekable();
        members.peek()?;
        let alone = eligible.is_empty() && !gates.iter().any(|gate| gate.is_relied_on(now));
        let earliest = |gate: &Gate| gate.earliest(min, terms, now, Relief { alone, short });
        let soonest = members.filter_map(earliest).min();
        // where none ever can, nobody's patience is long enough
        soonest.map_or_else(|| Some(after(now, FOREVER)), |at| (at > now).then_some(at))
    }

    #[inline]
    pub(super) fn is_hopeless(state: &State<O>, want: &Want, now: Instant) -> bool {
        let State {
            gates,
            eligible,
            short,
            ..
        } = state;
        let wanted = (want.min_position, &want.terms);
        Self::hopeless_before(gates, eligible, *short, wanted, now)
            .is_some_and(|soonest| want.deadline < soonest)
    }

    /// The rank of a caller who came at this moment and was given a slot at once, should it have to stand in line yet.
    pub(crate) fn rank(&self, priority: Priority, came: Instant) -> Rank {
        self.lock().queue.rank(priority, came)
    }

    /// What the caller was given, if it was. Its place is gone then.
    fn take_given(&self, state: &mut State<O>, place: Place) -> Option<Grant<O>> {
        state.queue.take_given(place)?;
        self.lockers.take(place.key)
    }

    /// Looks whether the caller's turn has come: mostly without the lock.
    #[inline]
    pub(crate) fn look(
        &self,
        place: &mut Place,
        waker: &Waker,
        want: &Want,
        now: Instant,
    ) -> (Turn<O>, Effects) {
        if want.takes_anything()
            && let Some(grant) = self.lockers.collect(place.key)
        {
            return (Turn::Go(grant), Effects::default());
        }
        self.look_closely(place, waker, want, now)
    }

    /// The same under the lock.
    fn look_closely(
        &self,
        place: &mut Place,
        waker: &Waker,
        want: &Want,
        now: Instant,
    ) -> (Turn<O>, Effects) {
        let mut state = self.lock();
        if let Some(mut grant) = self.take_given(&mut state, *place) {
            let gate = &state.gates[grant.key as usize];
            if gate.still_good(grant.ticket, now) && gate.meets(want.min_position, &want.terms) {
                Self::complete(&mut state, &mut grant);
                return (Turn::Go(grant), Effects::default());
            }
            return self.look_again((state, grant), place, waker, want, now);
        }
        // dropped after the lock is gone
        let mut wakers = [None, None];
        let mut effects = Effects::default();
        let turn = match state.queue.look(*place, waker, here) {
            Look::Waiting(replaced, clock) => {
                wakers[0] = replaced;
                effects.clock = clock;
                if Self::is_hopeless(&state, want, now) {
                    wakers[1] = state.queue.leave(*place).1;
                    state.timeouts += 1;
                    Turn::Hopeless
                } else {
                    Turn::Wait
                }
            }
            Look::Closed => Turn::Closed,
        };
        self.publish_waiting(&mut state);
        drop(state);
        drop(wakers);
        (turn, effects)
    }

    /// The endpoint went bad between the grant and this moment.
    #[cold]
    fn look_again(
        &self,
        (mut state, grant): (MutexGuard<'_, State<O>>, Grant<O>),
        place: &mut Place,
        waker: &Waker,
        want: &Want,
        now: Instant,
    ) -> (Turn<O>, Effects) {
        if let Some(toll) = &state.gates[grant.key as usize].toll {
            toll.give_back(grant.paid, now);
        }
        let paid = grant.paid > 0;
        let mut clock = None;
        let turn = if state.closed {
            Turn::Closed
        } else {
            *place = state.queue.stand_again(*place, want, waker.clone());
            self.lockers.provide(place.key);
            clock = state.queue.watch(*place, here());
            Turn::Wait
        };
        self.publish_waiting(&mut state);
        drop(state);
        let mut effects = self.give_back(grant, Settle::Neutral, None, now);
        if matches!(turn, Turn::Wait) {
            // others may use what it was given, and a slot that it may use may have been free all along
            self.serve(&mut self.lock(), now, &mut effects);
        }
        // what is spent may be there sooner than was planned
        effects.rearm |= paid;
        effects.clock = clock;
        (turn, effects)
    }

    /// What has come back since it was given a slot without a connection.
    fn complete(state: &mut State<O>, grant: &mut Grant<O>) {
        if grant.object.is_none() {
            grant.object = state.stash.pop(grant.key);
        }
    }

    fn leave_line(&self, state: &mut State<O>, place: Place) -> (Option<Grant<O>>, Option<Waker>) {
        let (given, waker) = state.queue.leave(place);
        (given.and_then(|()| self.lockers.take(place.key)), waker)
    }

    /// Leaves the line. A grant that came meanwhile is returned, to be given back.
    pub(crate) fn leave(&self, place: Place) -> Option<Grant<O>> {
        let mut state = self.lock();
        let (given, waker) = self.leave_line(&mut state, place);
        self.publish_waiting(&mut state);
        drop(state);
        drop(waker);
        given
    }

    /// Leaves the line because the time is over. A grant that came at the last moment is returned, with whether it may
    /// still be used; if not, it is to be given back, and the caller has run out of time.
    pub(crate) fn time_out(&self, place: Place, want: &Want, now: Instant) -> (Option<Grant<O>>, bool) {
        let mut state = self.lock();
        let (mut given, waker) = self.leave_line(&mut state, place);
        let good = given.as_ref().is_some_and(|grant| {
            let gate = &state.gates[grant.key as usize];
            gate.still_good(grant.ticket, now) && gate.meets(want.min_position, &want.terms)
        });
        state.timeouts += u64::from(!good);
        if let Some(grant) = given.as_mut().filter(|_| good) {
            Self::complete(&mut state, grant);
        }
        self.publish_waiting(&mut state);
        drop(state);
        drop(waker);
        (given, good)
    }
}
