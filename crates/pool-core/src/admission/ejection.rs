//! Endpoints that stand out among the others are left out for a while.
//!
//! Who stands out is found elsewhere (`outlier`). Here is decided whether the pool can do without it, because here
//! everybody's state is known: so many may be out, for whatever reason, and the last one never is. That holds later
//! too: if the others fail while it is left out, it is let back in at once, since a node that answers two requests of
//! three is better than none.

use tokio::time::Instant;

use super::{Admission, Change, Effects, Gate, GateId, State};
use crate::Outlier;

/// An endpoint is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ejection {
    pub(crate) until: Instant,
    pub(crate) why: Outlier,
}

impl<O> Admission<O> {
    /// Leaves an endpoint out, unless more than `most_out` of so many endpoints would be out with it, or all. Returns
    /// whether it is.
    pub(crate) fn eject(
        &self,
        id: GateId,
        ejection: Ejection,
        most_out: impl Fn(usize) -> usize,
        now: Instant,
    ) -> (bool, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let members = state.gates.iter().filter(|gate| gate.is_member());
        let (all, usable) = members.fold((0, 0), |(all, usable), gate| {
            (all + 1, usable + usize::from(gate.is_sound(now)))
        });
        let affordable = usable > 1 && all - usable < most_out(all);
        let gate = Self::gate_of(&mut state, id).filter(|gate| affordable && gate.is_sound(now));
        let Some(gate) = gate else {
            return (false, effects);
        };
        gate.ejected = Some(ejection);
        gate.ejections += 1;
        let change = Change::Ejected {
            wait: ejection.until.saturating_duration_since(now),
            why: ejection.why,
        };
        effects.change(id.key, change);
        self.refresh(&mut state, now, &mut effects);
        // for who has no other left now, what was to be avoided gives way
        self.serve(&mut state, now, &mut effects);
        (true, effects)
    }

    /// Lets everybody back in: outliers are not looked for any more.
    pub(crate) fn end_ejections(&self, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let ejected = |gate: &Gate| gate.ejected.is_some();
        if state.gates.iter().any(ejected) {
            Self::readmit(&mut state, ejected, now, &mut effects);
            self.refresh(&mut state, now, &mut effects);
            self.serve(&mut state, now, &mut effects);
        }
        effects
    }

    /// Lets in again whose time is over; and if there is nobody else to rely on, whoever could be picked.
    pub(super) fn poll_ejections(state: &mut State<O>, now: Instant, effects: &mut Effects) {
        if state.gates.iter().all(|gate| gate.ejected.is_none()) {
            return;
        }
        let over = |gate: &Gate| gate.ejected.is_some_and(|ejected| ejected.until <= now);
        Self::readmit(state, over, now, effects);
        if !state.gates.iter().any(|gate| gate.is_relied_on(now)) {
            Self::readmit(state, |gate| gate.is_only_ejected(now), now, effects);
        }
    }

    fn readmit(state: &mut State<O>, who: impl Fn(&Gate) -> bool, now: Instant, effects: &mut Effects) {
        for (gate, key) in state.gates.iter_mut().zip(0..).filter(|(gate, _)| who(gate)) {
            gate.ejected = None;
            if gate.is_member() {
                gate.stats.recovered(now);
                effects.change(key, Change::Readmitted);
            }
        }
    }
}
