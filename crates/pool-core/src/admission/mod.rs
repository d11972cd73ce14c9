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

mod gate;
mod queue;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use arc_swap::ArcSwap;
pub(crate) use gate::Gate;
pub(crate) use queue::Place;
use queue::{Look, Queue};
use tokio::time::Instant;

use crate::{
    Unusable,
    breaker::{BreakerState, Ticket, Transition},
    health::{HealthReason, HealthStatus},
    position,
    stats::Stats,
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
    Closed,
}

/// See the module's text. `O` is the connection as the storage hands it out.
#[derive(Debug)]
pub(crate) struct Admission<O> {
    state: Mutex<State<O>>,
    /// Keys of the endpoints that may be picked; read without the lock.
    eligible: ArcSwap<Vec<u32>>,
    /// How many wait; a hint that saves a lock.
    waiting: AtomicUsize,
    stats: Vec<Arc<Stats>>,
    max_waiters: usize,
}

/// Numbers read under one lock.
pub(crate) struct Totals {
    pub(crate) queue_size: usize,
    pub(crate) timeouts: u64,
    pub(crate) rejections: u64,
    pub(crate) usable: u64,
    pub(crate) free: u64,
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
            eligible: ArcSwap::from_pointee(Vec::new()),
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
    pub(crate) fn eligible(&self) -> arc_swap::Guard<Arc<Vec<u32>>> {
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
        let load = |gate: &Gate, stats: &Stats| f64::from(gate.taken + 1) / stats.configured_weight;
        let candidate = |allowed: &dyn Fn(u32) -> bool| {
            let open = state.eligible.iter().copied().filter(|key| allowed(*key));
            let free = open.filter(|key| state.gates[*key as usize].free() > 0);
            free.min_by(|a, b| {
                let of = |key: u32| load(&state.gates[key as usize], &self.stats[key as usize]);
                of(*a).total_cmp(&of(*b))
            })
        };
        let others = state.eligible.iter().any(|key| !avoid.contains(key));
        let key = candidate(&|key| !others || !avoid.contains(&key))?;
        self.take_on(state, key, now, effects)
    }

    /// Stands in line. Serves the line at once, so the place may already hold a grant.
    pub(crate) fn enqueue(
        &self,
        avoid: Vec<u32>,
        deadline: Instant,
        now: Instant,
    ) -> (Result<Place, Refusal>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if state.closed {
            return (Err(Refusal::Closed), effects);
        }
        if state.eligible.is_empty() && state.gates.iter().all(|gate| gate.earliest(now) > deadline) {
            return (Err(Refusal::Hopeless), effects);
        }
        if state.queue.waiting() >= self.max_waiters {
            state.rejections += 1;
            return (Err(Refusal::QueueFull), effects);
        }
        let place = state.queue.push(avoid);
        self.serve(&mut state, now, &mut effects);
        (Ok(place), effects)
    }

    /// Looks whether the caller's turn has come.
    pub(crate) fn look(
        &self,
        place: &mut Place,
        waker: &Waker,
        avoid: &[u32],
        now: Instant,
    ) -> (Turn<O>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let mut refused = None;
        let turn = match state.queue.look(*place, waker) {
            Look::Waiting => Turn::Wait,
            Look::Closed => Turn::Closed,
            Look::Given(grant) => {
                let gate = &mut state.gates[grant.key as usize];
                if gate.health.status() == HealthStatus::Healthy && gate.breaker.is_current(grant.ticket) {
                    Turn::Go(grant)
                } else {
                    // the endpoint went bad between the grant and this moment
                    *place = state.queue.stand_again(*place, avoid.to_vec(), waker.clone());
                    self.settle(
                        &mut state,
                        grant.key,
                        grant.ticket,
                        Settle::Neutral,
                        now,
                        &mut effects,
                    );
                    self.free_slot(&mut state, grant.key);
                    refused = grant.object;
                    self.serve(&mut state, now, &mut effects);
                    Turn::Wait
                }
            }
        };
        self.publish_waiting(&state);
        drop(state);
        drop(refused);
        (turn, effects)
    }

    /// Leaves the line. A grant that came meanwhile is returned; the caller uses it or gives it back.
    pub(crate) fn leave(&self, place: Place, timed_out: bool) -> Option<Grant<O>> {
        let mut state = self.lock();
        let given = state.queue.leave(place);
        if given.is_none() && timed_out {
            state.timeouts += 1;
        }
        self.publish_waiting(&state);
        given
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
                    .min_by_key(|key| state.gates[*key as usize].taken);
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
        let until = now + wait;
        if gate.throttled_until.is_none_or(|old| old < until) {
            gate.throttled_until = Some(until);
            effects.changes.push((key, Change::Throttled { wait }));
            self.refresh(state, now, effects);
        }
    }

    /// Recomputes who may be picked, after anything that bears on it.
    fn refresh(&self, state: &mut State<O>, now: Instant, effects: &mut Effects) {
        effects.rearm = true;
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
        self.eligible.store(Arc::new(state.eligible.clone()));
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

    /// A health check begins; `latest_end` is when it must have ended. Returns a ticket if its result counts for the
    /// breaker.
    pub(crate) fn check_begins(&self, key: u32, now: Instant, latest_end: Instant) -> Option<Ticket> {
        let mut state = self.lock();
        let gate = &mut state.gates[key as usize];
        gate.next_check = latest_end;
        gate.breaker.admit_check(now)
    }

    /// A health check ended, well or with the reason why not; `position` is what the endpoint reported, if it is to be
    /// believed. The breaker hears of the result unless the endpoint answered and was merely unfit.
    pub(crate) fn check_ended(
        &self,
        key: u32,
        ticket: Option<Ticket>,
        position: Option<u64>,
        result: Result<(), HealthReason>,
        now: Instant,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let outcome = match &result {
            Ok(_) => Settle::Success,
            Err(HealthReason::Unfit(_)) => Settle::Neutral,
            Err(_) => Settle::Failure,
        };
        if let Some(ticket) = ticket {
            self.settle(&mut state, key, ticket, outcome, now, &mut effects);
        }
        let gate = &mut state.gates[key as usize];
        gate.position = position.map(|position| (position, now)).or(gate.position);
        let from = match result {
            Ok(()) => gate.health.passed(),
            Err(reason) => gate.health.failed(reason),
        };
        if let Some(from) = from {
            let (to, reason) = (gate.health.status(), gate.health.reason().cloned());
            effects.changes.push((key, Change::Health { from, to, reason }));
        }
        self.refresh(&mut state, now, &mut effects);
        self.serve(&mut state, now, &mut effects);
        effects
    }

    /// When the next health check starts, for those who ask whether waiting makes sense.
    pub(crate) fn check_planned(&self, key: u32, at: Instant) {
        self.lock().gates[key as usize].next_check = at;
    }

    /// A connect that nobody waits for any more failed.
    pub(crate) fn failed_unasked(&self, key: u32, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if let Some(ticket) = state.gates[key as usize].breaker.admit_check(now) {
            self.settle(&mut state, key, ticket, Settle::Failure, now, &mut effects);
        }
        effects
    }

    /// By how much an endpoint at `position` is behind the others' fresh positions.
    pub(crate) fn lag(&self, key: u32, position: u64, fresh_since: Instant) -> u64 {
        let state = self.lock();
        let others = state
            .gates
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != key as usize);
        let fresh = others.filter_map(|(_, gate)| gate.position.filter(|(_, seen)| *seen >= fresh_since));
        let mut positions: Vec<u64> = fresh.map(|(position, _)| position).chain([position]).collect();
        drop(state);
        position::reference(&mut positions).map_or(0, |reference| reference.saturating_sub(position))
    }

    /// Why each endpoint may not be picked, or may.
    pub(crate) fn reasons(&self, now: Instant) -> Vec<Unusable> {
        let state = self.lock();
        let reasons = state.gates.iter().zip(&self.stats).filter_map(|(gate, stats)| {
            gate.why_not(now).map(|reason| Unusable {
                endpoint: stats.id.clone(),
                reason,
            })
        });
        reasons.collect()
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

    /// Slots that are taken, over all endpoints.
    pub(crate) fn taken(&self) -> usize {
        self.lock().gates.iter().map(|gate| gate.taken as usize).sum()
    }

    /// Reads the pool's totals and, by `each`, every gate, at one moment.
    pub(crate) fn read(&self, now: Instant, mut each: impl FnMut(usize, &Gate)) -> Totals {
        let state = self.lock();
        for (key, gate) in state.gates.iter().enumerate() {
            each(key, gate);
        }
        let usable = || state.gates.iter().filter(|gate| gate.usable(now));
        Totals {
            queue_size: state.queue.waiting(),
            timeouts: state.timeouts,
            rejections: state.rejections,
            usable: usable().map(|gate| u64::from(gate.slots)).sum(),
            free: if state.closed {
                0
            } else {
                usable().map(|gate| u64::from(gate.free())).sum()
            },
        }
    }

    /// Whether each endpoint works as far as checks know.
    pub(crate) fn any_healthy(&self) -> bool {
        self.lock()
            .gates
            .iter()
            .any(|gate| gate.health.status() == HealthStatus::Healthy)
    }
}

#[cfg(test)]
mod tests;
