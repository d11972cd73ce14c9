//! What outcomes and time do to the endpoints: breakers, throttles, and who may be picked.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Change, Effects, Gate, Settle, State, Terms, Toll};
use crate::{
    ThrottleCause,
    breaker::{Ticket, Transition},
    moment::after,
};

impl<O> Admission<O> {
    pub(super) fn settle(
        &self,
        state: &mut State<O>,
        key: u32,
        ticket: Ticket,
        outcome: Settle,
        now: Instant,
        effects: &mut Effects,
    ) {
        let State { gates, rng, .. } = state;
        let gate = &mut gates[key as usize];
        let was_closed = gate.breaker.state().is_closed();
        let moved = match outcome {
            Settle::Success => gate.breaker.succeed(ticket, now),
            Settle::Slow => gate.breaker.succeed_slowly(ticket, now, rng.f64()),
            Settle::Failure => gate.breaker.fail(ticket, now, rng.f64()),
            Settle::Neutral => {
                gate.breaker.cancel(ticket);
                None
            }
        };
        Self::note_transition(gate, key, moved, effects);
        if moved.is_some_and(|moved| moved.to.is_closed()) {
            state.gates[key as usize].stats.recovered(now);
        }
        if moved.is_some() || !was_closed {
            self.refresh(state, now, effects);
        }
    }

    pub(super) fn note_transition(
        gate: &mut Gate,
        key: u32,
        moved: Option<Transition>,
        effects: &mut Effects,
    ) {
        let Some(transition) = moved else { return };
        gate.stats.breaker_moved(transition.to);
        effects.change(key, Change::Breaker(transition));
    }

    pub(super) fn poll_breaker(&self, gate: &mut Gate, key: u32, now: Instant, effects: &mut Effects) {
        let moved = gate.breaker.poll(now);
        Self::note_transition(gate, key, moved, effects);
    }

    pub(super) fn throttle(
        &self,
        state: &mut State<O>,
        key: u32,
        wait: Duration,
        now: Instant,
        effects: &mut Effects,
    ) {
        let gate = &mut state.gates[key as usize];
        let until = after(now, wait);
        if gate.throttled_until.is_none_or(|old| old < until) {
            gate.throttled_until = Some(until);
            let of_provider = |toll: &Toll| toll.cools_until(now).is_some();
            let cause = if gate.toll.as_deref().is_some_and(of_provider) {
                ThrottleCause::ProviderCoolDown
            } else {
                ThrottleCause::CoolDown
            };
            gate.stats.throttled(cause);
            effects.change(key, Change::Throttled { wait, cause });
            self.refresh(state, now, effects);
        }
    }

    /// A request was let in after which the endpoint may not be picked any more, perhaps: the last probe of a breaker, or
    /// what took the last of a quota.
    pub(super) fn let_in_the_last(
        &self,
        state: &mut State<O>,
        key: u32,
        now: Instant,
        effects: &mut Effects,
    ) {
        if let Some((until, cause)) = state.gates[key as usize].note_spent(now) {
            let wait = until.saturating_duration_since(now);
            effects.change(key, Change::Throttled { wait, cause });
        }
        self.refresh(state, now, effects);
    }

    /// Recomputes who may be picked, after anything that bears on it.
    pub(super) fn refresh(&self, state: &mut State<O>, now: Instant, effects: &mut Effects) {
        effects.rearm = true;
        self.lockers.changed();
        Self::poll_ejections(state, now, effects);
        Self::update_panic(state, now, effects);
        self.refresh_eligible(state, now);
        if state.queue.waiting() > 0 {
            let State {
                gates,
                eligible,
                queue,
                short,
                ..
            } = state;
            let soonest =
                |wanted: (Option<u64>, &Terms)| Self::hopeless_before(gates, eligible, *short, wanted, now);
            queue.wake_hopeless(soonest, &mut effects.rest().wakers);
        }
    }

    pub(super) fn refresh_eligible(&self, state: &mut State<O>, now: Instant) {
        let same = {
            let mut current = state
                .gates
                .iter()
                .enumerate()
                .filter(|(_, gate)| gate.eligible(now))
                .map(|(i, _)| i);
            state
                .eligible
                .iter()
                .all(|key| current.next() == Some(*key as usize))
                && current.next().is_none()
        };
        if same {
            return;
        }
        let gates = state.gates.iter().enumerate();
        state.eligible = gates
            .filter(|(_, gate)| gate.eligible(now))
            .map(|(i, _)| i as u32)
            .collect();
        state.sum_limits();
        self.publish_roster(state);
    }

    /// Lets time pass. Returns when time alone will change something next.
    pub(crate) fn tick(&self, now: Instant) -> (Option<Instant>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        for key in 0..state.gates.len() {
            self.poll_breaker(&mut state.gates[key], key as u32, now, &mut effects);
        }
        self.forget_lacks(&mut state, now);
        self.refresh(&mut state, now, &mut effects);
        // what serving changes is looked at once more
        effects.rearm = false;
        self.serve(&mut state, now, &mut effects);
        (
            state.gates.iter().filter_map(|gate| gate.wakes_at(now)).min(),
            effects,
        )
    }
}
