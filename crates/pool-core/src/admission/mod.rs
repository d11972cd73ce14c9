//! Admission: the only truth about slots. Who gets one, who waits, and what wakes the line.
//!
//! Everything lies under one short lock. Nothing foreign runs under it: no balancer, waker, `Drop` or observer. What has
//! to happen outside is collected in [`Effects`] and done by the caller after the lock is gone.
//!
//! The rules, each of which somebody got wrong before:
//!
//! - A slot that becomes free goes to the oldest caller who may use it. A newcomer never overtakes the line.
//! - The connection is back in its storage before its slot is free, or is handed over together with it.
//! - A caller who was given a slot and goes away hands it on. On time-out it looks first whether it was given one.
//! - Whether the endpoint may still be used is checked again when the caller takes what it was given; if not, it stands
//!   in line again with its old number.
//! - Slots become usable by time and events too, not only by a release: every such change serves the line.

mod checks;
mod gate;
mod queue;
mod read;

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
    time::Duration,
};

pub(crate) use checks::Checked;
pub(crate) use gate::Gate;
pub(crate) use queue::Place;
pub(crate) use queue::Want;
use queue::{Look, Queue};
use tokio::time::Instant;

use crate::{
    breaker::{BreakerState, Ticket, Transition},
    health::{HealthReason, HealthStatus},
    moment::after,
    stats::Stats,
    sync::{AtomicUsize, Loaded, Mutex, MutexGuard, Published},
};

/// What a caller is given: a slot on an endpoint, and perhaps a connection with it. Must come back through
/// [`Admission::give_back`].
#[derive(Debug)]
pub(crate) struct Grant<O> {
    pub(crate) key: u32,
    pub(crate) ticket: Ticket,
    pub(crate) object: Option<O>,
}

/// How the request on a slot ended, as far as the breaker is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settle {
    Success,
    /// A success that took long.
    Slow,
    Failure,
    Neutral,
}

/// Why nothing was given at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Stand in line.
    Busy,
    /// The line is full.
    QueueFull,
    /// Nothing can become usable before the deadline.
    Hopeless,
    /// The pool is closed.
    Closed,
}

/// A change that others want to hear of, by the endpoint's key.
#[derive(Debug)]
pub(crate) enum Change {
    Breaker(Transition),
    Health {
        from: HealthStatus,
        to: HealthStatus,
        reason: Option<HealthReason>,
    },
    Throttled {
        wait: Duration,
    },
}

/// What must be done after the lock is gone.
#[derive(Debug, Default)]
#[must_use = "wakers and events wait in it"]
pub(crate) struct Effects {
    pub(crate) wakers: Vec<Waker>,
    pub(crate) changes: Vec<(u32, Change)>,
    /// The next change by time may have moved.
    pub(crate) rearm: bool,
}

#[derive(Debug)]
struct State<O> {
    gates: Vec<Gate>,
    queue: Queue<Grant<O>>,
    eligible: Vec<u32>,
    closed: bool,
    timeouts: u64,
    rejections: u64,
    rng: fastrand::Rng,
}

/// What a waiting caller finds.
#[derive(Debug)]
pub(crate) enum Turn<O> {
    Wait,
    Go(Grant<O>),
    /// Nothing can become usable before the caller's deadline any more. Its place is gone.
    Hopeless,
    Closed,
}

/// See the module's text. `O` is the connection as the storage hands it out.
#[derive(Debug)]
pub(crate) struct Admission<O> {
    state: Mutex<State<O>>,
    /// Keys of the endpoints that may be picked; read without the lock.
    eligible: Published<Vec<u32>>,
    /// How many wait; a hint that saves a lock.
    waiting: AtomicUsize,
    stats: Vec<Arc<Stats>>,
    max_waiters: usize,
}

impl<O> Admission<O> {
    pub(crate) fn new(gates: Vec<Gate>, stats: Vec<Arc<Stats>>, max_waiters: usize, seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                gates,
                queue: Queue::new(),
                eligible: Vec::new(),
                closed: false,
                timeouts: 0,
                rejections: 0,
                rng: fastrand::Rng::with_seed(seed),
            }),
            eligible: Published::new(Vec::new()),
            waiting: AtomicUsize::new(0),
            stats,
            max_waiters,
        }
    }

    /// A panic under the lock is a bug of ours; the numbers stay usable, so others go on.
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys of the endpoints that may be picked now.
    pub(crate) fn eligible(&self) -> Loaded<Vec<u32>> {
        self.eligible.load()
    }

    /// Takes a slot at once: on the preferred endpoint, or else on the least loaded other one that is not avoided.
    pub(crate) fn take(
        &self,
        preferred: Option<u32>,
        avoid: &[u32],
        now: Instant,
    ) -> (Result<Grant<O>, Refusal>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if state.closed {
            return (Err(Refusal::Closed), effects);
        }
        if state.queue.waiting() > 0 {
            return (Err(Refusal::Busy), effects);
        }
        let at_hand = preferred.and_then(|key| self.take_on(&mut state, key, now, &mut effects));
        let grant = at_hand.or_else(|| self.take_best(&mut state, avoid, now, &mut effects));
        (grant.ok_or(Refusal::Busy), effects)
    }

    fn take_on(
        &self,
        state: &mut State<O>,
        key: u32,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Grant<O>> {
        let gate = state.gates.get_mut(key as usize)?;
        // time may have passed since anybody looked
        self.poll_breaker(gate, key, now, effects);
        let ticket = gate.take(now)?;
        let half_open = !gate.breaker.state().is_closed();
        self.stats[key as usize].slot_taken();
        if half_open {
            self.refresh(state, now, effects);
        }
        Some(Grant {
            key,
            ticket,
            object: None,
        })
    }

    fn take_best(
        &self,
        state: &mut State<O>,
        avoid: &[u32],
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Grant<O>> {
        let candidate = |allowed: &dyn Fn(u32) -> bool| {
            let open = state.eligible.iter().copied().filter(|key| allowed(*key));
            let free = open.filter(|key| state.gates[*key as usize].free() > 0);
            free.min_by(|a, b| self.load(state, *a).total_cmp(&self.load(state, *b)))
        };
        let others = state.eligible.iter().any(|key| !avoid.contains(key));
        let key = candidate(&|key| !others || !avoid.contains(&key))?;
        self.take_on(state, key, now, effects)
    }

    /// What an endpoint's load would be, for its weight, with one more request on it.
    fn load(&self, state: &State<O>, key: u32) -> f64 {
        f64::from(state.gates[key as usize].taken + 1) / self.stats[key as usize].configured_weight
    }

    /// When the first endpoint can become usable, if none is: then whoever gives up before that waits in vain.
    fn hopeless_before(state: &State<O>, now: Instant) -> Option<Instant> {
        if !state.eligible.is_empty() {
            return None;
        }
        let soonest = state.gates.iter().map(|gate| gate.earliest(now)).min();
        soonest.filter(|at| *at > now)
    }

    /// Stands in line. Serves the line at once, so the place may already hold a grant.
    pub(crate) fn enqueue(&self, want: Want, now: Instant) -> (Result<Place, Refusal>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if state.closed {
            return (Err(Refusal::Closed), effects);
        }
        if Self::hopeless_before(&state, now).is_some_and(|soonest| want.deadline < soonest) {
            return (Err(Refusal::Hopeless), effects);
        }
        if state.queue.waiting() >= self.max_waiters {
            state.rejections += 1;
            return (Err(Refusal::QueueFull), effects);
        }
        let place = state.queue.push(want);
        self.serve(&mut state, now, &mut effects);
        (Ok(place), effects)
    }

    /// Looks whether the caller's turn has come.
    pub(crate) fn look(
        &self,
        place: &mut Place,
        waker: &Waker,
        want: &Want,
        now: Instant,
    ) -> (Turn<O>, Effects) {
        let mut state = self.lock();
        // dropped after the lock is gone
        let mut wakers = [None, None];
        let turn = match state.queue.look(*place, waker) {
            Look::Waiting(replaced) => {
                wakers[0] = replaced;
                let soonest = Self::hopeless_before(&state, now);
                if soonest.is_some_and(|soonest| want.deadline < soonest) {
                    wakers[1] = state.queue.leave(*place).1;
                    Turn::Hopeless
                } else {
                    Turn::Wait
                }
            }
            Look::Closed => Turn::Closed,
            Look::Given(grant) => {
                if state.gates[grant.key as usize].still_good(grant.ticket, now) {
                    Turn::Go(grant)
                } else {
                    // the endpoint went bad between the grant and this moment
                    *place = state.queue.stand_again(*place, want.clone(), waker.clone());
                    self.publish_waiting(&state);
                    drop(state);
                    return (Turn::Wait, self.give_back(grant, Settle::Neutral, None, now));
                }
            }
        };
        self.publish_waiting(&state);
        drop(state);
        drop(wakers);
        (turn, Effects::default())
    }

    /// Leaves the line. A grant that came meanwhile is returned, to be given back.
    pub(crate) fn leave(&self, place: Place) -> Option<Grant<O>> {
        let mut state = self.lock();
        let (given, waker) = state.queue.leave(place);
        self.publish_waiting(&state);
        drop(state);
        drop(waker);
        given
    }

    /// Leaves the line because the time is over. A grant that came at the last moment is returned, with whether it may
    /// still be used; if not, it is to be given back, and the caller has run out of time.
    pub(crate) fn time_out(&self, place: Place, now: Instant) -> (Option<Grant<O>>, bool) {
        let mut state = self.lock();
        let (given, waker) = state.queue.leave(place);
        let good = given
            .as_ref()
            .is_some_and(|grant| state.gates[grant.key as usize].still_good(grant.ticket, now));
        state.timeouts += u64::from(!good);
        self.publish_waiting(&state);
        drop(state);
        drop(waker);
        (given, good)
    }

    /// Gives a slot back, with its connection if that is clean. Both go to the oldest caller who may use them.
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
            mut object,
        } = grant;
        let mut effects = Effects::default();
        if self.waiting.load(Ordering::Acquire) == 0 {
            // nobody to hand it to: into the storage before the slot is free
            drop(object.take());
        }
        let mut settled = false;
        loop {
            let mut state = self.lock();
            if !settled {
                settled = true;
                self.settle(&mut state, key, ticket, outcome, now, &mut effects);
                if let Some(wait) = throttle {
                    self.throttle(&mut state, key, wait, now, &mut effects);
                }
            }
            if self.hand_over(&mut state, key, &mut object, now, &mut effects) {
                if effects.rearm {
                    // the outcome opened more than this one slot: a breaker has closed
                    self.serve(&mut state, now, &mut effects);
                }
                self.publish_waiting(&state);
                return effects;
            }
            if object.is_some() {
                drop(state);
                drop(object.take());
                continue;
            }
            self.free_slot(&mut state, key);
            self.serve(&mut state, now, &mut effects);
            return effects;
        }
    }

    /// Hands the slot, which stays taken, and the connection to the oldest caller who may use this endpoint.
    fn hand_over(
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
        let others = |avoid: &[u32]| state.eligible.iter().any(|other| !avoid.contains(other));
        let Some(place) = state
            .queue
            .oldest(|avoid| !avoid.contains(&key) || !others(avoid))
        else {
            return false;
        };
        let Some(ticket) = state.gates[key as usize].breaker.admit(now) else {
            return false;
        };
        let grant = Grant {
            key,
            ticket,
            object: object.take(),
        };
        effects.wakers.extend(state.queue.give(place, grant));
        if !state.gates[key as usize].breaker.state().is_closed() {
            self.refresh(state, now, effects);
        }
        true
    }

    /// Gives free slots to those who wait, oldest first.
    fn serve(&self, state: &mut State<O>, now: Instant, effects: &mut Effects) {
        while state.queue.waiting() > 0 {
            let mut found = None;
            let place = state.queue.oldest(|avoid| {
                let others = state.eligible.iter().any(|key| !avoid.contains(key));
                found = state
                    .eligible
                    .iter()
                    .copied()
                    .filter(|key| !others || !avoid.contains(key))
                    .filter(|key| state.gates[*key as usize].free() > 0)
                    .min_by(|a, b| self.load(state, *a).total_cmp(&self.load(state, *b)));
                // one that avoids nothing and finds nothing stands for all behind it
                found.is_some() || avoid.is_empty()
            });
            let (Some(place), Some(key)) = (place, found) else {
                break;
            };
            let Some(grant) = self.take_on(state, key, now, effects) else {
                self.refresh(state, now, effects);
                if !state.eligible.contains(&key) {
                    continue;
                }
                break;
            };
            effects.wakers.extend(state.queue.give(place, grant));
        }
        self.publish_waiting(state);
    }

    fn publish_waiting(&self, state: &State<O>) {
        self.waiting.store(state.queue.waiting(), Ordering::Release);
    }

    fn free_slot(&self, state: &mut State<O>, key: u32) {
        state.gates[key as usize].taken -= 1;
        self.stats[key as usize].slot_freed();
    }

    fn settle(
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
        if moved.is_some() || !was_closed {
            self.refresh(state, now, effects);
        }
    }

    fn note_transition(gate: &mut Gate, key: u32, moved: Option<Transition>, effects: &mut Effects) {
        let Some(transition) = moved else { return };
        gate.breaker_opened += u64::from(matches!(transition.to, BreakerState::Open { .. }));
        effects.changes.push((key, Change::Breaker(transition)));
    }

    fn poll_breaker(&self, gate: &mut Gate, key: u32, now: Instant, effects: &mut Effects) {
        let moved = gate.breaker.poll(now);
        Self::note_transition(gate, key, moved, effects);
    }

    fn throttle(&self, state: &mut State<O>, key: u32, wait: Duration, now: Instant, effects: &mut Effects) {
        let gate = &mut state.gates[key as usize];
        let until = after(now, wait);
        if gate.throttled_until.is_none_or(|old| old < until) {
            gate.throttled_until = Some(until);
            effects.changes.push((key, Change::Throttled { wait }));
            self.refresh(state, now, effects);
        }
    }

    /// Recomputes who may be picked, after anything that bears on it.
    fn refresh(&self, state: &mut State<O>, now: Instant, effects: &mut Effects) {
        effects.rearm = true;
        self.refresh_eligible(state, now);
        if let Some(soonest) = Self::hopeless_before(state, now) {
            state.queue.wake_before(soonest, &mut effects.wakers);
        }
    }

    fn refresh_eligible(&self, state: &mut State<O>, now: Instant) {
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
        self.eligible.store(state.eligible.clone());
    }

    /// Lets time pass. Returns when time alone will change something next.
    pub(crate) fn tick(&self, now: Instant) -> (Option<Instant>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        for key in 0..state.gates.len() {
            self.poll_breaker(&mut state.gates[key], key as u32, now, &mut effects);
        }
        self.refresh(&mut state, now, &mut effects);
        self.serve(&mut state, now, &mut effects);
        effects.rearm = false;
        (
            state.gates.iter().filter_map(|gate| gate.wakes_at(now)).min(),
            effects,
        )
    }

    /// Takes no more requests; those who wait are told.
    pub(crate) fn close(&self) -> Effects {
        let mut state = self.lock();
        state.closed = true;
        let wakers = state.queue.close();
        self.publish_waiting(&state);
        Effects {
            wakers,
            ..Effects::default()
        }
    }
}

#[cfg(test)]
#[cfg(not(pool_loom))]
mod tests;

#[cfg(test)]
#[cfg(pool_loom)]
mod loom_tests;
