//! Which endpoint offers what: asked once, learned from failures, forgotten after a while.

use tokio::time::Instant;

use super::{Admission, Effects, GateId, State, Terms};
use crate::need::Need;

impl<O> Admission<O> {
    /// Whether these terms leave out any endpoint now; a hint.
    #[inline]
    pub(crate) fn restricts(&self, terms: &Terms) -> bool {
        terms.name_endpoints() || terms.need.is_some_and(|need| self.lacked.has(need))
    }

    /// Whether this endpoint suits these terms.
    pub(crate) fn suits(&self, key: u32, terms: &Terms) -> bool {
        self.lock()
            .gates
            .get(key as usize)
            .is_some_and(|gate| gate.suits(terms))
    }

    /// Whether every endpoint has been asked about this; a hint.
    #[inline]
    pub(crate) fn knows(&self, need: Need) -> bool {
        self.known.has(need)
    }

    /// The endpoints that have not been asked about this.
    pub(crate) fn unasked(&self, need: Need) -> Vec<GateId> {
        let state = self.lock();
        let unasked: Vec<GateId> = state
            .gates
            .iter()
            .zip(0..)
            .filter(|(gate, _)| gate.is_member() && !gate.lacks.was_asked(need))
            .map(|(gate, key)| GateId {
                key,
                serial: gate.serial,
            })
            .collect();
        if unasked.is_empty() {
            self.known.set(need, true);
        }
        unasked
    }

    /// An endpoint was asked whether it offers this.
    pub(crate) fn told(&self, id: GateId, need: Need, offers: bool, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let gate = state.gates.get_mut(id.key as usize);
        if let Some(gate) = gate.filter(|gate| gate.serial == id.serial) {
            gate.lacks.told(need, offers);
            if !offers {
                self.reconsider(&mut state, need);
                self.refresh(&mut state, now, &mut effects);
                // where nobody is left, what was learned is forgotten, and what was avoided gives way
                self.serve(&mut state, now, &mut effects);
            }
        }
        effects
    }

    /// An endpoint was found to lack this. What no endpoint offers any more is asked of all of them anew: rather a call in
    /// vain than none because something was learned wrong.
    pub(crate) fn found_lacking(&self, key: u32, need: Need, until: Instant, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let Some(gate) = state.gates.get_mut(key as usize) else {
            return effects;
        };
        gate.lacks.find(need, until);
        self.reconsider(&mut state, need);
        self.refresh(&mut state, now, &mut effects);
        self.serve(&mut state, now, &mut effects);
        effects
    }

    /// Forgets what was learned so long ago that it may have changed.
    pub(super) fn forget_lacks(&self, state: &mut State<O>, now: Instant) {
        for key in 0..state.gates.len() {
            for need in state.gates[key].lacks.forget(|_, until| until <= now) {
                self.publish_lacked(state, need);
            }
        }
    }

    /// Those who belong to the pool have changed.
    pub(super) fn reconsider_lacks(&self, state: &mut State<O>) {
        for number in 0..Need::LIMIT {
            let need = Need::new(number).filter(|need| self.lacked.has(*need));
            if let Some(need) = need {
                self.reconsider(state, need);
            }
        }
    }

    /// What was learned does not count where no endpoint would be left.
    fn reconsider(&self, state: &mut State<O>, need: Need) {
        let mut members = state.gates.iter().filter(|gate| gate.is_member());
        if members.all(|gate| gate.lacks.has(need)) {
            for gate in &mut state.gates {
                gate.lacks.forget(|found, _| found == need);
            }
        }
        self.publish_lacked(state, need);
    }

    fn publish_lacked(&self, state: &mut State<O>, need: Need) {
        let members = state.gates.iter().filter(|gate| gate.is_member());
        let lacked = members.into_iter().any(|gate| gate.lacks.has(need));
        state.queue.route(need, lacked);
        self.lacked.set(need, lacked);
    }
}
