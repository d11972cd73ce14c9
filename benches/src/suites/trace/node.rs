//! A node as a model: so many requests at once, a queue in front, a distribution of service times, and faults by the clock.
//!
//! When a request comes, all that will become of it is decided at once, from what the node has taken on before; the caller
//! then sleeps until that moment. A caller who goes away does not take the work back: nodes rarely notice.
//!
//! Times are milliseconds since the trace began. tokio's timer knows no shorter ones either.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::chance;

/// Time between two blocks. With that of Ethereum a node that is stuck gives wrong answers for long before it stands out.
const BLOCK_MS: u64 = 12_000;
/// The chain's height when the trace begins.
const FIRST_BLOCK: u64 = 1_000;
/// A caller acts on what is so many blocks deep, and needs a node that has got there.
const CONFIRMATIONS: u64 = 2;
/// One call in a hundred takes so many times as long: a cold page, a garbage collection, a lost packet.
const TAIL: (f64, f64) = (0.01, 4.0);
/// Spread of the logarithm of service times.
const SIGMA: f64 = 0.35;
/// What a health check costs a node, of what a call costs.
const CHECK: f64 = 0.3;
/// What a new node's first calls take, of what they take later; and after how many calls that has fallen to 1/e.
const COLD: (f64, f64) = (5.0, 150.0);
/// A refusal at the door.
const REFUSAL_MS: u64 = 2;

/// What is wrong with a node for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Everything takes so many times as long (below 1: it is quicker).
    Slow(f64),
    /// Everything takes twice as long, after so many milliseconds four times, and so on.
    Doubling(u64),
    /// HTTP 500 at once, for this share of the calls.
    Failing(f64),
    /// HTTP 200 with a JSON-RPC error in it, at once, for this share of the calls.
    Payload(f64),
    /// More calls a second than this are answered by 429 and a Retry-After of so many milliseconds.
    Quota(f64, u64),
    /// Connections are refused; what was under way breaks.
    Down,
    /// Nothing is answered any more.
    Hanging,
    /// Its head stands still. It answers like any other, from old state.
    Stuck,
}

/// An effect from one moment to another, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The first moment.
    pub(crate) from: u64,
    /// The first moment after it.
    pub(crate) to: u64,
    /// What it does.
    pub(crate) effect: Effect,
}

impl Fault {
    const fn is_on(&self, now: u64) -> bool {
        self.from <= now && now < self.to
    }
}

/// What a node is like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    /// Calls it works on at once.
    pub(crate) slots: usize,
    /// Calls that wait for that; one more is answered by 429.
    pub(crate) queue: usize,
    /// Half of the calls take longer.
    pub(crate) median_ms: f64,
    /// Whose it is.
    pub(crate) provider: usize,
    /// It is not there before; then its caches are cold.
    pub(crate) joins: Option<u64>,
    /// What is wrong with it, and when.
    pub(crate) faults: Vec<Fault>,
}

impl Spec {
    /// What a call takes on average, without faults.
    pub(crate) fn mean_ms(&self) -> f64 {
        let (share, factor) = TAIL;
        self.median_ms * (SIGMA * SIGMA / 2.0).exp() * (1.0 + share * (factor - 1.0))
    }

    /// Calls that it can answer in a second.
    pub(crate) fn capacity(&self) -> f64 {
        self.slots as f64 * 1_000.0 / self.mean_ms()
    }
}

/// A caller's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) id: u64,
    /// The block that the answer must know of.
    pub(crate) block: u64,
}

/// A good answer, or what looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The newest block that it knows of. No caller sees that in an answer; the judge does.
    pub(crate) block: u64,
}

/// Anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NodeError {
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// The connection broke before the answer was complete.
    #[error("connection reset")]
    Reset,
    /// HTTP 500.
    #[error("HTTP 500")]
    Http,
    /// HTTP 200 with a JSON-RPC error that says the node has a problem.
    #[error("JSON-RPC error -32603")]
    Payload,
    /// HTTP 429, perhaps with a Retry-After.
    #[error("HTTP 429")]
    TooMany(Option<Duration>),
    /// No answer in time.
    #[error("timed out")]
    TimedOut,
}

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

/// The clock of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    pub(crate) fn at(self, moment: u64) -> Instant {
        self.0 + Duration::from_millis(moment)
    }
}

/// The newest block.
const fn head(now: u64) -> u64 {
    FIRST_BLOCK + now / BLOCK_MS
}

/// The block that a caller needs who calls now.
pub(crate) const fn needed(now: u64) -> u64 {
    head(now) - CONFIRMATIONS
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(faults: Vec<Fault>) -> Spec {
        Spec {
            slots: 2,
            queue: 1,
            median_ms: 40.0,
            provider: 0,
            joins: None,
            faults,
        }
    }

    fn call(id: u64) -> Call {
        Call { id, block: needed(0) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_node_queues_and_then_refuses() {
        let node = Node::new(0, spec(vec![]), 1, Clock::start());
        let begun: Vec<u64> = (0..3)
            .map(|id| {
                let plan = node.forecast(call(id));
                let mut state = node.state();
                node.take_on(&mut state, call(id), 1.0, 0);
                plan.begins
            })
            .collect();
        assert_eq!(begun[..2], [0, 0]);
        assert!(begun[2] > 0, "the third waits for a slot");
        assert_eq!(node.serve(call(3)).await, Err(NodeError::TooMany(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_breaks_what_is_under_way_and_is_over_when_it_is_over() {
        let down = Fault {
            from: 5,
            to: 500,
            effect: Effect::Down,
        };
        let node = Node::new(0, spec(vec![down]), 1, Clock::start());
        assert_eq!(node.serve(call(1)).await, Err(NodeError::Reset));
        assert_eq!(node.serve(call(2)).await, Err(NodeError::Refused));
        tokio::time::advance(Duration::from_millis(600)).await;
        assert!(node.serve(call(3)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_node_answers_from_old_state() {
        let stuck = Fault {
            from: 0,
            to: 100_000,
            effect: Effect::Stuck,
        };
        let node = Node::new(0, spec(vec![stuck]), 1, Clock::start());
        tokio::time::advance(Duration::from_millis(3 * BLOCK_MS)).await;
        let now = node.clock.now();
        let plan = node.forecast(Call {
            id: 1,
            block: needed(now),
        });
        assert!(!plan.is_right(
            Call {
                id: 1,
                block: needed(now)
            },
            now + 5_000
        ));
        assert_eq!(node.check().await.map(|answer| answer.block), Ok(FIRST_BLOCK));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_refuses_what_is_above_it() {
        let quota = Fault {
            from: 0,
            to: 100_000,
            effect: Effect::Quota(2.0, 3_000),
        };
        let node = Node::new(
            0,
            Spec {
                slots: 100,
                ..spec(vec![quota])
            },
            1,
            Clock::start(),
        );
        for _ in 0..5 {
            let calls = (0..10).map(|id| node.forecast(call(id)).ends.is_some());
            assert_eq!(calls.count(), 10);
            tokio::time::advance(Duration::from_secs(1)).await;
            let (a, b, c) = tokio::join!(node.serve(call(1)), node.serve(call(2)), node.serve(call(3)));
            assert!(a.is_ok() && b.is_ok());
            assert_eq!(c, Err(NodeError::TooMany(Some(Duration::from_secs(3)))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn service_times_have_the_mean_that_capacities_are_computed_from() {
        let node = Node::new(0, spec(vec![]), 1, Clock::start());
        let sum: f64 = (0..50_000).map(|id| node.drawn(call(id))).sum();
        let mean = sum / 50_000.0;
        assert!((mean / node.spec.mean_ms() - 1.0).abs() < 0.02, "{mean}");
    }
}
