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

mod asking;
mod checks;
mod gate;
mod lines;
mod queue;
mod read;
mod reconfigure;
mod release;
mod toll;
mod upkeep;

use std::{
    sync::{PoisonError, atomic::Ordering},
    task::Waker,
    time::Duration,
};

pub(crate) use checks::Checked;
pub(crate) use gate::{Gate, GateId};
pub(crate) use queue::Place;
use queue::Queue;
pub(crate) use queue::Want;
pub(crate) use reconfigure::Reconfiguration;
pub(crate) use toll::Toll;

use crate::{
    ThrottleCause,
    breaker::{Ticket, Transition},
    health::{HealthReason, HealthStatus},
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
        cause: ThrottleCause,
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
    /// Slots taken, over all endpoints, and how many may be.
    taken: u32,
    limit: u32,
    max_waiters: usize,
    /// The serial of the next endpoint that joins.
    next_serial: u64,
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

/// What holds for all of a pool's endpoints together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) max_waiters: usize,
    /// By how much later a caller of a lower priority ranks, for each class below the highest.
    pub(crate) ageing: Duration,
    /// Slots that may be taken at the same time.
    pub(crate) limit: u32,
}

/// See the module's text. `O` is the connection as the storage hands it out.
#[derive(Debug)]
pub(crate) struct Admission<O> {
    state: Mutex<State<O>>,
    /// Keys of the endpoints that may be picked; read without the lock.
    eligible: Published<Vec<u32>>,
    /// How many wait; a hint that saves a lock.
    waiting: AtomicUsize,
}

impl<O> Admission<O> {
    pub(crate) fn new(gates: Vec<Gate>, rules: Rules, seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                gates,
                queue: Queue::new(rules.ageing),
                eligible: Vec::new(),
                closed: false,
                taken: 0,
                limit: rules.limit,
                max_waiters: rules.max_waiters,
                next_serial: 1,
                timeouts: 0,
                rejections: 0,
                rng: fastrand::Rng::with_seed(seed),
            }),
            eligible: Published::new(Vec::new()),
            waiting: AtomicUsize::new(0),
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
