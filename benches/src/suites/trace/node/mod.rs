//! A node as a model: so many requests at once, a queue in front, a distribution of service times, and faults by the clock.
//!
//! When a request comes, all that will become of it is decided at once, from what the node has taken on before; the caller
//! then sleeps until that moment. A caller who goes away does not take the work back: nodes rarely notice.
//!
//! Times are milliseconds since the trace began. tokio's timer knows no shorter ones either.

mod answer;
mod clock;
mod fault;
mod spec;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use answer::{Answer, Call, NodeError};
use clock::head;
pub(crate) use clock::{Clock, needed};
pub(crate) use fault::{Effect, Fault};
pub(crate) use spec::Spec;
use spec::{SIGMA, TAIL};

use super::chance;

/// What a health check costs a node, of what a call costs.
const CHECK: f64 = 0.3;
/// What a new node's first calls take, of what they take later; and after how many calls that has fallen to 1/e.
const COLD: (f64, f64) = (5.0, 150.0);
/// A refusal at the door.
const REFUSAL_MS: u64 = 2;

/// What a node will make of a call that comes now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// When work on it begins.
    pub(crate) begins: u64,
    /// When it will end, as far as one can tell beforehand.
    pub(crate) expected: u64,
    /// When it really ends; `None` is never.
    ends: Option<u64>,
    result: Result<Answer, NodeError>,
    /// Whether it takes a slot.
    works: bool,
}

impl Plan {
    /// Whether the answer will be right, and there by then.
    pub(crate) fn is_right(&self, call: Call, by: u64) -> bool {
        self.ends.is_some_and(|ends| ends < by)
            && matches!(self.result, Ok(answer) if answer.block >= call.block)
    }
}

/// What a node was asked, for the judge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Calls in each second, refused ones included.
    pub(crate) calls: Vec<u32>,
    /// Calls that checks made.
    pub(crate) checks: u64,
}

#[derive(Debug, Default)]
struct State {
    /// When each slot is free.
    free: Vec<u64>,
    /// When what it has taken on ends.
    ends: BinaryHeap<Reverse<u64>>,
    /// What is left of the quota, and when that was.
    tokens: Option<(f64, u64)>,
    served: u64,
    /// The end of the newest outage that is taken into account.
    restarted: u64,
    tally: Tally,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: usize,
    pub(crate) spec: Spec,
    seed: u64,
    pub(crate) clock: Clock,
    state: Mutex<State>,
}

impl Node {
    pub(crate) fn new(id: usize, spec: Spec, seed: u64, clock: Clock) -> Arc<Self> {
        let free = vec![0; spec.slots];
        Arc::new(Self {
            id,
            spec,
            seed,
            clock,
            state: Mutex::new(State {
                free,
                ..State::default()
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was asked so far.
    pub(crate) fn tally(&self) -> Tally {
        self.state().tally.clone()
    }

    fn effects(&self, now: u64) -> impl Iterator<Item = Effect> + '_ {
        self.spec
            .faults
            .iter()
            .filter(move |fault| fault.is_on(now))
            .map(|fault| fault.effect)
    }

    fn is(&self, effect: Effect, now: u64) -> bool {
        self.effects(now).any(|on| on == effect)
    }

    /// Takes a call on, now; [`wait`](Self::wait) for the answer.
    pub(crate) fn begin(&self, call: Call) -> Plan {
        let (now, mut state) = (self.clock.now(), self.state());
        let second = (now / 1_000) as usize;
        if state.tally.calls.len() <= second {
            state.tally.calls.resize(second + 1, 0);
        }
        state.tally.calls[second] += 1;
        self.take_on(&mut state, call, 1.0, now)
    }

    /// Answers a call. Dropped, the node works on all the same.
    pub(crate) async fn serve(&self, call: Call) -> Result<Answer, NodeError> {
        self.wait(self.begin(call)).await
    }

    /// Answers a health check: its newest block. Two calls, as for an EVM node: height, and whether it is syncing.
    pub(crate) async fn check(&self) -> Result<Answer, NodeError> {
        let plan = {
            let (now, mut state) = (self.clock.now(), self.state());
            state.tally.checks += 2;
            // numbers that no caller has
            let call = Call {
                id: u64::MAX - state.tally.checks,
                block: 0,
            };
            self.take_on(&mut state, call, CHECK, now)
        };
        self.wait(plan).await
    }

    /// Whether it takes connections. One that is refused counts as a call.
    pub(crate) async fn connect(&self) -> Result<(), NodeError> {
        let now = self.clock.now();
        if !self.is(Effect::Down, now) {
            return Ok(());
        }
        self.serve(Call { id: 0, block: 0 }).await.map(|_| ())
    }

    /// How often it was down before now: a connection from before is broken.
    pub(crate) fn outages(&self) -> usize {
        let now = self.clock.now();
        let begun = |fault: &&Fault| fault.effect == Effect::Down && fault.from <= now;
        self.spec.faults.iter().filter(begun).count()
    }

    /// Waits for what was planned.
    pub(crate) async fn wait(&self, plan: Plan) -> Result<Answer, NodeError> {
        match plan.ends {
            Some(ends) => tokio::time::sleep_until(self.clock.at(ends)).await,
            None => std::future::pending().await,
        }
        plan.result
    }

    /// What it would make of a call that comes now. Changes nothing.
    pub(crate) fn forecast(&self, call: Call) -> Plan {
        let (now, mut state) = (self.clock.now(), self.state());
        self.let_time_pass(&mut state, now);
        self.plan(&state, call, 1.0, now)
    }

    fn take_on(&self, state: &mut State, call: Call, work: f64, now: u64) -> Plan {
        self.let_time_pass(state, now);
        let plan = self.plan(state, call, work, now);
        if let Some((tokens, _)) = &mut state.tokens {
            *tokens = (*tokens - 1.0).max(0.0);
        }
        if plan.works {
            let ends = plan.ends.unwrap_or(u64::MAX);
            if let Some(free) = state.free.iter_mut().min() {
                *free = ends;
            }
            state.ends.push(Reverse(ends));
            state.served += 1;
        }
        plan
    }

    /// Forgets what has ended, and everything after an outage; refills the quota.
    fn let_time_pass(&self, state: &mut State, now: u64) {
        for fault in &self.spec.faults {
            if matches!(fault.effect, Effect::Down | Effect::Hanging)
                && fault.to <= now
                && state.restarted < fault.to
            {
                state.restarted = fault.to;
                state.free.fill(0);
                state.ends.clear();
            }
        }
        while state.ends.peek().is_some_and(|Reverse(ends)| *ends <= now) {
            state.ends.pop();
        }
        let quota = self.effects(now).find_map(|effect| match effect {
            Effect::Quota(rate, _) => Some(rate),
            _ => None,
        });
        state.tokens = quota.map(|rate| {
            let (tokens, then) = state.tokens.unwrap_or((rate, now));
            let refilled = tokens + rate * (now - then) as f64 / 1_000.0;
            (refilled.min(rate.max(1.0)), now)
        });
    }

    fn plan(&self, state: &State, call: Call, work: f64, now: u64) -> Plan {
        let refuse = |error| Plan {
            begins: now,
            expected: now + REFUSAL_MS,
            ends: Some(now + REFUSAL_MS),
            result: Err(error),
            works: false,
        };
        for effect in self.effects(now) {
            match effect {
                Effect::Down => return refuse(NodeError::Refused),
                Effect::Quota(_, wait) if state.tokens.is_some_and(|(tokens, _)| tokens < 1.0) => {
                    return refuse(NodeError::TooMany(Some(Duration::from_millis(wait))));
                }
                Effect::Failing(share) if self.luck(call, 10) < share => return refuse(NodeError::Http),
                Effect::Payload(share) if self.luck(call, 20) < share => return refuse(NodeError::Payload),
                _ => {}
            }
        }
        if state.ends.len() >= self.spec.slots + self.spec.queue {
            return refuse(NodeError::TooMany(None));
        }
        let begins = state.free.iter().min().copied().unwrap_or(0).max(now);
        let factor = work * self.slowness(begins, state.served);
        let expected = begins.saturating_add((self.spec.mean_ms() * factor) as u64);
        let took = (self.drawn(call) * factor).round().max(1.0) as u64;
        let ends = begins.saturating_add(took);
        // whatever stops the node in the meantime stops this
        let stop = self
            .spec
            .faults
            .iter()
            .filter(|fault| fault.from < ends && now < fault.to);
        let stop = stop.filter(|fault| matches!(fault.effect, Effect::Down | Effect::Hanging));
        let (ends, result) = match stop.min_by_key(|fault| fault.from) {
            Some(fault) if fault.effect == Effect::Down => (Some(fault.from), Err(NodeError::Reset)),
            Some(_) => (None, Err(NodeError::TimedOut)),
            None => (
                Some(ends),
                Ok(Answer {
                    block: self.block(begins),
                }),
            ),
        };
        Plan {
            begins,
            expected,
            ends,
            result,
            works: true,
        }
    }

    fn luck(&self, call: Call, purpose: u64) -> f64 {
        chance::share(self.seed, call.id, self.id as u64, purpose)
    }

    /// What the call takes, without faults.
    fn drawn(&self, call: Call) -> f64 {
        let normal = chance::normal(self.seed, call.id, self.id as u64, 30);
        let tail = if self.luck(call, 40) < TAIL.0 { TAIL.1 } else { 1.0 };
        self.spec.median_ms * (SIGMA * normal).exp() * tail
    }

    /// How many times as long as usual work takes that begins then.
    fn slowness(&self, begins: u64, served: u64) -> f64 {
        let cold = match self.spec.joins {
            Some(_) => 1.0 + (COLD.0 - 1.0) * (-(served as f64) / COLD.1).exp(),
            None => 1.0,
        };
        self.spec
            .faults
            .iter()
            .filter(|fault| fault.is_on(begins))
            .fold(cold, |factor, fault| match fault.effect {
                Effect::Slow(times) => factor * times,
                Effect::Doubling(every) => factor * 2_f64.powi(1 + ((begins - fault.from) / every) as i32),
                _ => factor,
            })
    }

    /// The newest block it knows of.
    fn block(&self, now: u64) -> u64 {
        let stuck = self
            .spec
            .faults
            .iter()
            .find(|fault| fault.effect == Effect::Stuck && fault.is_on(now));
        head(stuck.map_or(now, |fault| fault.from))
    }
}
