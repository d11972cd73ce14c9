//! Other settings while requests run.
//!
//! Nothing that is under way is disturbed: whoever holds a slot keeps it, whoever waits keeps its place. A limit that
//! is lowered below what is taken is reached by not giving out again what comes back. An endpoint that is removed takes
//! no more requests, and its place is given to another only when the last of its own has ended.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Admission, Effects, Gate, GateId, Rules, State, Toll, View, gate::Membership};
use crate::{BreakerConfig, HealthConfig};

/// What is to hold from now on. Endpoints that are neither kept nor joining leave.
pub(crate) struct Reconfiguration<'a> {
    pub(crate) rules: Rules,
    pub(crate) health: &'a HealthConfig,
    pub(crate) breaker: &'a BreakerConfig,
    pub(crate) view: &'a Arc<View>,
    /// Keys of the endpoints that stay, and their slots.
    pub(crate) kept: Vec<(u32, u32)>,
    /// What requests on those that stay pay from now on, where that is something else.
    pub(crate) tolls: Vec<(u32, Toll)>,
    /// At the places that [`Admission::places`] named.
    pub(crate) joining: Vec<(GateId, Gate)>,
}

impl<O> Admission<O> {
    /// Places for so many endpoints that are to join. Whoever asks lets them join before anybody else asks.
    pub(crate) fn places(&self, count: usize) -> Vec<GateId> {
        let mut state = self.lock();
        let vacant = state.gates.iter().enumerate();
        let vacant = vacant.filter(|(_, gate)| gate.membership == Membership::Vacant);
        let keys = vacant.map(|(key, _)| key).chain(state.gates.len()..);
        let serials = state.next_serial..;
        let places: Vec<_> = keys
            .zip(serials)
            .take(count)
            .map(|(key, serial)| GateId {
                key: key as u32,
                serial,
            })
            .collect();
        state.next_serial += count as u64;
        places
    }

    /// Takes other settings and serves the line by them. Connections that lay ready of endpoints that leave are returned,
    /// to be put back into the storage.
    pub(crate) fn reconfigure(&self, plan: Reconfiguration<'_>, now: Instant) -> (Effects, Vec<O>) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        state.limit = plan.rules.limit;
        state.max_waiters = plan.rules.max_waiters;
        state.panic_below = plan.rules.panic_below;
        state.queue.set_ageing(plan.rules.ageing);
        // the caller keeps the old one, so that nothing foreign is dropped under the lock
        state.view = Arc::clone(plan.view);
        let mut left = Vec::new();
        let State { gates, stash, .. } = &mut *state;
        for (gate, key) in gates.iter_mut().zip(0..).filter(|(gate, _)| gate.is_member()) {
            match plan.kept.iter().find(|(kept, _)| *kept == key) {
                Some((_, slots)) => gate.configure(*slots, plan.health, plan.breaker, now),
                None => {
                    gate.membership = Membership::Leaving;
                    left.extend(stash.take(key));
                }
            }
        }
        for (key, toll) in plan.tolls {
            if let Some(gate) = state.gates.get_mut(key as usize) {
                gate.toll = toll.boxed();
            }
        }
        if !plan.joining.is_empty() {
            // those who join have not been asked what they offer
            self.known.clear();
        }
        for (id, mut gate) in plan.joining {
            gate.serial = id.serial;
            match state.gates.get_mut(id.key as usize) {
                Some(place) => *place = gate,
                None => state.gates.push(gate),
            }
        }
        self.reconsider_lacks(&mut state);
        state.sum_limits();
        self.publish_roster(&state);
        self.refresh(&mut state, now, &mut effects);
        self.serve(&mut state, now, &mut effects);
        (effects, left)
    }

    /// Empties the places of endpoints that have left and on which nothing is under way any more; their keys.
    pub(crate) fn vacate(&self) -> Vec<u32> {
        let mut state = self.lock();
        let gates = state.gates.iter_mut().zip(0..);
        let gone = gates.filter(|(gate, _)| gate.membership == Membership::Leaving && gate.taken == 0);
        gone.map(|(gate, key)| {
            gate.membership = Membership::Vacant;
            // the setup still has it, so nothing foreign is dropped here
            gate.toll = None;
            key
        })
        .collect()
    }
}
