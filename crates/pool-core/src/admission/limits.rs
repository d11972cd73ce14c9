//! Limits that are learned: how many requests each endpoint is given at once, within what is configured.
//!
//! They are guesses, so they are not kept strictly: for each caller in line all of them grow a little, in proportion. Of the callers
//! beyond the limits a part waits, the others go out, spread by the limits, and a limit that is far too low costs little. How
//! much they grow is kept in eighths of the limits, so that they are computed anew only now and then.

use tokio::time::Instant;

use super::{Admission, Effects, GateId, State};

/// So many steps double the limits.
const STEPS: u32 = 8;

/// How the limits stand together.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// The sum of the limits of those who may be picked; 0 while nobody has any.
    sum: u32,
    /// By how much all limits grow together for each caller in line.
    growth: f64,
    /// How many steps they have grown.
    steps: u32,
}

impl<O> State<O> {
    /// Who may be picked has changed, or a limit.
    pub(super) fn sum_limits(&mut self) {
        let limited = self.gates.iter().any(|gate| gate.limit < gate.slots);
        if !limited && self.stretch.sum == 0 {
            return;
        }
        let limits = self.eligible.iter().map(|key| self.gates[*key as usize].limit);
        // of those who may be picked none may have a limit while others have
        let sum = limits.fold(1, u32::saturating_add);
        self.stretch.sum = if limited { sum } else { 0 };
        self.stretch_all(self.steps());
    }

    /// Lets the limits follow the line. Returns whether they have grown.
    #[inline]
    pub(super) fn stretch_limits(&mut self) -> bool {
        self.stretch.sum > 0 && self.follow_the_line()
    }

    fn follow_the_line(&mut self) -> bool {
        let (before, now) = (self.stretch.steps, self.steps());
        if before != now {
            self.stretch_all(now);
        }
        now > before
    }

    fn steps(&self) -> u32 {
        let Stretch { sum, growth, .. } = self.stretch;
        let grown = growth * self.queue.waiting() as f64;
        if sum > 0 {
            (f64::from(STEPS) * grown / f64::from(sum)) as u32
        } else {
            0
        }
    }

    fn stretch_all(&mut self, steps: u32) {
        self.stretch.steps = steps;
        for gate in &mut self.gates {
            gate.stretch(steps, STEPS);
        }
    }
}

impl<O> Admission<O> {
    /// From now on these endpoints are given so many requests at once, at least one and at most what is configured; for each caller
    /// in line all limits grow together by `growth`.
    pub(crate) fn limit(&self, limits: &[(GateId, u32)], growth: f64, now: Instant) -> Effects {
        let mut state = self.lock();
        let mut changed = state.stretch.growth != growth;
        state.stretch.growth = growth;
        for (id, limit) in limits {
            if let Some(gate) = Self::gate_of(&mut state, *id) {
                changed |= gate.set_limit(*limit);
            }
        }
        self.limits_changed(&mut state, changed, now)
    }

    /// There are no limits any more but what is configured.
    pub(crate) fn lift_limits(&self, now: Instant) -> Effects {
        let mut state = self.lock();
        let changed = state.gates.iter_mut().map(|gate| gate.set_limit(gate.slots));
        let changed = changed.fold(false, |any, one| any | one);
        self.limits_changed(&mut state, changed, now)
    }

    fn limits_changed(&self, state: &mut State<O>, changed: bool, now: Instant) -> Effects {
        let mut effects = Effects::default();
        if changed {
            state.sum_limits();
            self.set_crowded(false);
            self.serve(state, now, &mut effects);
        }
        effects
    }
}
