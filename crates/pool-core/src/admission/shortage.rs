//! When so few endpoints are usable that those with a poor record are used too (panic threshold).
//!
//! Below a share of usable endpoints it is more likely that the failures have a common cause, or that what is left drowns
//! in the load of all, than that so many are really dead. Then those that are out for *soft* reasons take part again: an
//! open breaker, an ejection, checks that fail or have not passed often enough. Never for *hard* ones, because wrong
//! answers are worse than none: who said at its last answered check that it serves another chain, syncs or is behind, and
//! who has never passed a check at all, since nobody knows its chain. And never while its provider asked for a pause:
//! that would spend the quota of all, and be refused. An endpoint
//! whose quota of this second is spent counts as usable: that it is used up says nothing of the others.
//!
//! The breaker of an endpoint that is used like this hears only what it admitted itself: a request past an open breaker
//! is neutral to it (`Ticket::BYPASS`), one that a half-open breaker takes as a probe is a probe.

use tokio::time::Instant;

use super::{Admission, Effects, State};

/// The pool began to use endpoints with a poor record, or ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) began: bool,
    pub(crate) usable: usize,
    pub(crate) endpoints: usize,
}

impl<O> Admission<O> {
    pub(super) fn update_panic(state: &mut State<O>, now: Instant, effects: &mut Effects) {
        let Some(least) = state.panic_below else {
            state.short = false;
            return Self::set_panic(state, false, (0, 0), effects);
        };
        let members = state.gates.iter().filter(|gate| gate.is_member());
        let (all, usable) = members.fold((0, 0), |(all, usable), gate| {
            (all + 1, usable + usize::from(gate.is_sound(now)))
        });
        state.short = (usable as f64) < least * all as f64;
        let mut gained = state
            .gates
            .iter()
            .filter(|gate| gate.is_fit(now) && !gate.is_relied_on(now));
        let panic = state.short && gained.next().is_some();
        Self::set_panic(state, panic, (usable, all), effects);
    }

    fn set_panic(
        state: &mut State<O>,
        panic: bool,
        (usable, endpoints): (usize, usize),
        effects: &mut Effects,
    ) {
        if panic || state.panic {
            // all, because some may have joined since
            for gate in &mut state.gates {
                gate.panic = panic;
            }
        }
        if std::mem::replace(&mut state.panic, panic) != panic {
            effects.panics(Panic {
                began: panic,
                usable,
                endpoints,
            });
        }
    }
}
