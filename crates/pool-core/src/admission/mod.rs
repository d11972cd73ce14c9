//! Admission: the only truth about slots. Who gets one, who waits, and what wakes the line.
//!
//! Everything lies under one short lock. Nothing foreign runs under it: no balancer, waker, `Drop` or observer. What has
//! to happen outside is collected in [`Effects`] and done by the caller after the lock is gone.
//!
//! The rules, each of which somebody got wrong before:
//!
//! - A slot that becomes free goes to the oldest caller who may use it, by priority. A newcomer never overtakes the
//!   line: it is given at once only what nobody in line may use, and whatever somebody may use is given out at once.
//! - The connection is back in its storage before its slot is free, or is handed over together with it.
//! - A caller who was given a slot and goes away hands it on. On time-out it looks first whether it was given one.
//! - Whether the endpoint may still be used is checked again when the caller takes what it was given; if not, it stands
//!   in line again with its old number.
//! - Slots become usable by time and events too, not only by a release: every such change serves the line.

mod checks;
mod gate;
mod lines;
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
use queue::{Look, Queue, Reach};
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

/// What a caller gets who asks.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A slot at once, on this endpoint.
    Go(u32, Ticket),
    /// A place in line.
    Stand(Place),
}

/// Why neither a slot nor a place in line was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
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

impl Effects {
    pub(crate) const fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.changes.is_empty() && !self.rearm
    }
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

/// By what the next endpoint is chosen: its tier, then its load.
#[derive(Clone, Copy)]
struct Load(u8, f64);

impl Load {
    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0).then(self.1.total_cmp(&other.1))
    }
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
    /// `ageing` is by how much later a caller of a lower priority ranks, for each class below the highest.
    pub(crate) fn new(
        gates: Vec<Gate>,
        stats: Vec<Arc<Stats>>,
        (max_waiters, ageing): (usize, Duration),
        seed: u64,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                gates,
                queue: Queue::new(ageing),
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

    /// Keys of the endpoints that may be picked now and have got as far as this.
    pub(crate) fn eligible_from(&self, min_position: u64) -> Vec<u32> {
        let state = self.lock();
        let reaches = |key: &u32| state.gates[*key as usize].reaches(Some(min_position));
        state.eligible.iter().copied().filter(reaches).collect()
    }

    /// Whether there is a line; a hint.
    pub(crate) fn somebody_waits(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Asks for a slot: at once, on the preferred endpoint or else on the least loaded other one, or a place in line with
    /// this waker.
    pub(crate) fn ask(
        &self,
        preferred: Option<u32>,
        want: &Want,
        waker: &Waker,
        now: Instant,
    ) -> (Result<Asked, Refusal>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if state.closed {
            return (Err(Refusal::Closed), effects);
        }
        let preferred = preferred.filter(|key| Self::may_prefer(&state, *key, want));
        let at_hand = preferred.and_then(|key| self.take_on(&mut state, key, now, &mut effects));
        let at_hand = at_hand.or_else(|| self.take_best(&mut state, want, now, &mut effects));
        if let Some((key, ticket)) = at_hand {
            return (Ok(Asked::Go(key, ticket)), effects);
        }
        if Self::is_hopeless(&state, want, now) {
            // being told early must not hide what a wait until the deadline would have shown
            state.timeouts += 1;
            return (Err(Refusal::Hopeless), effects);
        }
        if state.queue.waiting() >= self.max_waiters {
            state.rejections += 1;
            return (Err(Refusal::QueueFull), effects);
        }
        let place = state.queue.push(want, waker.clone(), now);
        self.publish_waiting(&state);
        (Ok(Asked::Stand(place)), effects)
    }

    /// Asks for a slot at once, on the preferred endpoint or else on the least loaded other one; never stands in line,
    /// and never overtakes those who do.
    pub(crate) fn ask_at_once(
        &self,
        preferred: Option<u32>,
        want: &Want,
        now: Instant,
    ) -> (Option<(u32, Ticket)>, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        if state.closed || state.queue.waiting() > 0 {
            return (None, effects);
        }
        let preferred = preferred.filter(|key| Self::may_prefer(&state, *key, want));
        let taken = preferred.and_then(|key| self.take_on(&mut state, key, now, &mut effects));
        let taken = taken.or_else(|| self.take_best(&mut state, want, now, &mut effects));
        (taken, effects)
    }

    /// What the balancer saw may be old: an endpoint that time has made usable since belongs to those in line.
    fn may_prefer(state: &State<O>, key: u32, want: &Want) -> bool {
        let gate = state.gates.get(key as usize);
        gate.is_some_and(|gate| gate.reaches(want.min_position))
            && (state.queue.waiting() == 0 || state.eligible.contains(&key))
    }

    fn take_on(
        &self,
        state: &mut State<O>,
        key: u32,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<(u32, Ticket)> {
        let gate = state.gates.get_mut(key as usize)?;
        if !gate.breaker.state().is_closed() {
            // time may have passed since anybody looked
            self.poll_breaker(gate, key, now, effects);
        }
        let ticket = gate.take(now)?;
        let half_open = !gate.breaker.state().is_closed();
        self.stats[key as usize].slot_taken();
        if half_open {
            self.refresh(state, now, effects);
        }
        Some((key, ticket))
    }

    fn take_best(
        &self,
        state: &mut State<O>,
        want: &Want,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<(u32, Ticket)> {
        let reached = |key: &u32| state.gates[*key as usize].reaches(want.min_position);
        let preferable = |key: &u32| reached(key) && !want.avoid.contains(key);
        let others = !want.avoid.is_empty() && state.eligible.iter().any(preferable);
        let candidates = state.eligible.iter().copied();
        let candidates = candidates.filter(|key| reached(key) && !(others && want.avoid.contains(key)));
        let free = candidates.filter(|key| state.gates[*key as usize].free() > 0);
        let key = free.min_by(|a, b| self.load(state, *a, now).total_cmp(&self.load(state, *b, now)))?;
        self.take_on(state, key, now, effects)
    }

    /// An endpoint's tier, and what its load would be, for its weight, with one more request on it.
    fn load(&self, state: &State<O>, key: u32, now: Instant) -> Load {
        let stats = &self.stats[key as usize];
        let taken = state.gates[key as usize].taken;
        Load(stats.tier, f64::from(taken + 1) / stats.weight(now))
    }

    /// When the first endpoint can become usable for those who demand this position, if none is: then whoever gives up
    /// before that waits in vain.
    fn hopeless_before(gates: &[Gate], eligible: &[u32], min: Option<u64>, now: Instant) -> Option<Instant> {
        if eligible.iter().any(|key| gates[*key as usize].reaches(min)) {
            return None;
        }
        let soonest = gates.iter().map(|gate| gate.earliest(min, now)).min();
        soonest.filter(|at| *at > now)
    }

    fn is_hopeless(state: &State<O>, want: &Want, now: Instant) -> bool {
        Self::hopeless_before(&state.gates, &state.eligible, want.min_position, now)
            .is_some_and(|soonest| want.deadline < soonest)
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
                if Self::is_hopeless(&state, want, now) {
                    wakers[1] = state.queue.leave(*place).1;
                    state.timeouts += 1;
                    Turn::Hopeless
                } else {
                    Turn::Wait
                }
            }
            Look::Closed => Turn::Closed,
            Look::Given(grant) => {
                let gate = &state.gates[grant.key as usize];
                if gate.still_good(grant.ticket, now) && gate.reaches(want.min_position) {
                    Turn::Go(grant)
                } else {
                    // the endpoint went bad between the grant and this moment
                    let turn = if state.closed {
                        Turn::Closed
                    } else {
                        *place = state.queue.stand_again(*place, want, waker.clone());
                        Turn::Wait
                    };
                    self.publish_waiting(&state);
                    drop(state);
                    return (turn, self.give_back(grant, Settle::Neutral, None, now));
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
    pub(crate) fn time_out(&self, place: Place, want: &Want, now: Instant) -> (Option<Grant<O>>, bool) {
        let mut state = self.lock();
        let (given, waker) = state.queue.leave(place);
        let good = given.as_ref().is_some_and(|grant| {
            let gate = &state.gates[grant.key as usize];
            gate.still_good(grant.ticket, now) && gate.reaches(want.min_position)
        });
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
        self.release((key, ticket), &mut object, (outcome, throttle), now)
    }

    /// The same, with the connection where it lies: moving it costs.
    pub(crate) fn release(
        &self,
        (key, ticket): (u32, Ticket),
        object: &mut Option<O>,
        (outcome, throttle): (Settle, Option<Duration>),
        now: Instant,
    ) -> Effects {
        let mut effects = Effects::default();
        if self.waiting.load(Ordering::Acquire) == 0 {
            // nobody to hand it to: into the storage before the slot is free
            *object = None;
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
            if self.hand_over(&mut state, key, object, now, &mut effects) {
                if effects.rearm {
                    // the outcome opened more than this one slot: a breaker has closed
                    self.serve(&mut state, now, &mut effects);
                }
                self.publish_waiting(&state);
                return effects;
            }
            if object.is_some() {
                drop(state);
                *object = None;
                continue;
            }
            self.free_slot(&mut state, key);
            if state.queue.waiting() > 0 {
                self.serve(&mut state, now, &mut effects);
            }
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
        let Some(place) = Self::oldest_for(state, key) else {
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

    /// The oldest caller in line who may use this endpoint.
    fn oldest_for(state: &State<O>, key: u32) -> Option<Place> {
        let position = |key: u32| state.gates[key as usize].position.map(|(position, _)| position);
        let up_to = position(key);
        state.queue.oldest(|avoid| {
            let mut others = state.eligible.iter().filter(|other| !avoid.contains(other));
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
    fn serve(&self, state: &mut State<O>, now: Instant, effects: &mut Effects) {
        while state.queue.waiting() > 0 {
            let keys = state.eligible.iter().copied();
            let free = keys.filter(|key| state.gates[*key as usize].free() > 0);
            let turns = free.filter_map(|key| Self::oldest_for(state, key).map(|place| (place, key)));
            let next = turns.min_by(|(a, on_a), (b, on_b)| {
                let load = |key: &u32| self.load(state, *key, now);
                a.rank
                    .cmp(&b.rank)
                    .then_with(|| load(on_a).total_cmp(&load(on_b)))
            });
            let Some((place, key)) = next else {
                break;
            };
            let Some((key, ticket)) = self.take_on(state, key, now, effects) else {
                self.refresh(state, now, effects);
                if !state.eligible.contains(&key) {
                    continue;
                }
                break;
            };
            let grant = Grant {
                key,
                ticket,
                object: None,
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
        if moved.is_some_and(|moved| moved.to.is_closed()) {
            self.stats[key as usize].recovered(now);
        }
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
        if state.queue.waiting() > 0 {
            let State {
                gates,
                eligible,
                queue,
                ..
            } = state;
            let soonest = |min| Self::hopeless_before(gates, eligible, min, now);
            queue.wake_hopeless(soonest, &mut effects.wakers);
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
