//! Admission: the only truth about slots. Who gets one, who waits, and what wakes the line.
//!
//! Everything lies under one short lock. Nothing foreign runs under it: no balancer, waker, `Drop` or observer. What has
//! to happen outside is collected in [`Effects`] and done by the caller after the lock is gone.
//!
//! The rules, each of which somebody got wrong before:
//!
//! - A slot that becomes free goes to the oldest caller who may use it, by priority. A newcomer never overtakes the
//!   line: it is given at once only what nobody in line may use, and whatever somebody may use is given out at once.
//! - The connection is back in its storage before its slot is free, or lies ready for the next caller from the same
//!   moment on, or is handed over together with it.
//! - A caller who was given a slot and goes away hands it on. On time-out it looks first whether it was given one.
//! - Whether the endpoint may still be used is checked again when the caller takes what it was given; if not, it stands
//!   in line again with its old number.
//! - Slots become usable by time and events too, not only by a release: every such change serves the line.

mod asking;
mod checks;
mod clocks;
mod ejection;
mod expiry;
mod gate;
mod limits;
mod lines;
mod lockers;
mod offers;
mod queue;
mod read;
mod reconfigure;
mod release;
mod shortage;
mod stash;
mod terms;
mod toll;
mod upkeep;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    task::Waker,
    time::Duration,
};

pub(crate) use checks::Checked;
pub(crate) use clocks::ClockId;
pub(crate) use ejection::Ejection;
pub(crate) use gate::{Gate, GateId};
use limits::Stretch;
pub(crate) use lines::Rank;
pub(crate) use lockers::Kept;
use lockers::Lockers;
pub(crate) use queue::Place;
use queue::Queue;
pub(crate) use queue::Want;
pub(crate) use reconfigure::Reconfiguration;
pub(crate) use shortage::Panic;
use stash::Stash;
pub(crate) use terms::Terms;
pub(crate) use toll::Toll;

use crate::{
    Balancer, LeastRequests, Outlier, ThrottleCause,
    breaker::{Ticket, Transition},
    foreign,
    health::{HealthReason, HealthStatus},
    need::NeedHint,
    stats::Stats,
    sync::{AtomicUsize, Loaded, Mutex, MutexGuard, Published},
};

/// What a caller is given: a slot on an endpoint, and perhaps a connection with it. Must come back through
/// [`Admission::give_back`].
#[derive(Debug)]
pub(crate) struct Grant<O> {
    pub(crate) key: u32,
    pub(crate) ticket: Ticket,
    /// Units that it took of the quotas of the endpoint and its provider; what was not used is to be given back.
    pub(crate) paid: u32,
    /// The place in line that it was collected from, which goes back with it.
    pub(crate) kept: Kept,
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
pub(crate) enum Asked<O> {
    /// A slot at once.
    Go(Grant<O>),
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
    Ejected {
        wait: Duration,
        why: Outlier,
    },
    Readmitted,
}

/// What must be done after the lock is gone. Mostly nothing, or one caller to be woken; that costs no allocation.
#[derive(Debug, Default)]
#[must_use = "wakers and events wait in it"]
pub(crate) struct Effects {
    waker: Option<Waker>,
    rest: Option<Box<Rest>>,
    /// The next change by time may have moved.
    pub(crate) rearm: bool,
    /// The timer of this clock is to be set, by who waits for it.
    pub(crate) clock: Option<ClockId>,
}

/// What is rarely to be done.
#[derive(Debug, Default)]
struct Rest {
    wakers: Vec<Waker>,
    changes: Vec<(u32, Change)>,
    panic: Option<Panic>,
}

impl Effects {
    #[cfg(all(test, not(pool_loom)))]
    const fn is_empty(&self) -> bool {
        self.waker.is_none() && self.rest.is_none() && !self.rearm
    }

    /// Wakes the one who is to be woken, if that or nothing is all there is to do.
    #[inline]
    pub(crate) fn wake_one(mut self) -> Result<(), Self> {
        if self.rest.is_some() || self.rearm {
            return Err(self);
        }
        if let Some(waker) = self.waker.take() {
            foreign::wake([waker]);
        }
        Ok(())
    }

    #[cold]
    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    fn wake(&mut self, waker: Option<Waker>) {
        if self.waker.is_none() {
            self.waker = waker;
        } else if waker.is_some() {
            self.rest().wakers.extend(waker);
        }
    }

    fn change(&mut self, key: u32, change: Change) {
        self.rest().changes.push((key, change));
    }

    /// The pool goes into panic, or comes out of it.
    fn panics(&mut self, panic: Panic) {
        self.rest().panic = Some(panic);
    }

    /// Wakes who is to be woken. Returns what has changed, by the endpoint's key, and for the pool.
    pub(crate) fn wake_all(self) -> (Vec<(u32, Change)>, Option<Panic>) {
        foreign::wake(self.waker);
        let Some(rest) = self.rest else {
            return (Vec::new(), None);
        };
        foreign::wake(rest.wakers);
        (rest.changes, rest.panic)
    }
}

/// What a balancer must know of the endpoints, whoever of them may be picked.
pub(crate) struct View {
    /// By key, also of those that have left.
    pub(crate) stats: Vec<Arc<Stats>>,
    pub(crate) balancer: Arc<dyn Balancer>,
    /// The largest of the configured weights.
    pub(crate) heaviest: f64,
}

impl Default for View {
    fn default() -> Self {
        Self {
            stats: Vec::new(),
            balancer: Arc::new(LeastRequests::new()),
            heaviest: 0.0,
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// Who may be picked, and by whom: all that a pick needs, published as one.
#[derive(Debug)]
pub(crate) struct Roster {
    /// Keys of the endpoints that may be picked; all of them are in the view.
    pub(crate) keys: Vec<u32>,
    pub(crate) view: Arc<View>,
}

#[derive(Debug)]
struct State<O> {
    gates: Vec<Gate>,
    stash: Stash<O>,
    queue: Queue<()>,
    stretch: Stretch,
    eligible: Vec<u32>,
    view: Arc<View>,
    closed: bool,
    /// Slots taken, over all endpoints, and how many may be.
    taken: u32,
    limit: u32,
    max_waiters: usize,
    /// Below this share of usable endpoints those with a poor record are used too.
    panic_below: Option<f64>,
    /// There are fewer.
    short: bool,
    /// Some are used in spite of their record.
    panic: bool,
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
    /// Below this share of usable endpoints those with a poor record are used too.
    pub(crate) panic_below: Option<f64>,
}

/// See the module's text. `O` is the connection as the storage hands it out.
#[derive(Debug)]
pub(crate) struct Admission<O> {
    state: Mutex<State<O>>,
    /// What those in line were given.
    lockers: Lockers<O>,
    /// Who may be picked; read without the lock.
    roster: Published<Roster>,
    /// How many wait; a hint that saves a lock.
    waiting: AtomicUsize,
    /// 1 since somebody who would have taken any slot found none, until one may be free again; a hint that saves a pick.
    crowded: AtomicUsize,
    /// Needs that some endpoint lacks, and those that every endpoint has been asked about; hints.
    lacked: NeedHint,
    known: NeedHint,
}

impl<O> Admission<O> {
    pub(crate) fn new(gates: Vec<Gate>, rules: Rules, seed: u64) -> Self {
        let view = Arc::new(View::default());
        Self {
            state: Mutex::new(State {
                gates,
                stash: Stash::new(),
                queue: Queue::new(rules.ageing),
                stretch: Stretch::default(),
                eligible: Vec::new(),
                view: Arc::clone(&view),
                closed: false,
                taken: 0,
                limit: rules.limit,
                max_waiters: rules.max_waiters,
                panic_below: rules.panic_below,
                short: false,
                panic: false,
                next_serial: 1,
                timeouts: 0,
                rejections: 0,
                rng: fastrand::Rng::with_seed(seed),
            }),
            lockers: Lockers::new(),
            roster: Published::new(Roster {
                keys: Vec::new(),
                view: Arc::clone(&view),
            }),
            waiting: AtomicUsize::new(0),
            crowded: AtomicUsize::new(0),
            lacked: NeedHint::default(),
            known: NeedHint::default(),
        }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock()
    }

    /// Who may be picked now.
    pub(crate) fn roster(&self) -> Loaded<Roster> {
        self.roster.load()
    }

    /// From now on this belongs to the roster. Whoever calls it keeps what was there before, so that nothing foreign is
    /// dropped under the lock.
    pub(crate) fn show(&self, view: &Arc<View>) {
        let mut state = self.lock();
        state.view = Arc::clone(view);
        self.publish_roster(&state);
    }

    fn publish_roster(&self, state: &State<O>) {
        self.set_crowded(false);
        self.roster.store(Roster {
            keys: state.eligible.clone(),
            view: Arc::clone(&state.view),
        });
    }

    /// Keys of the endpoints that may be picked now, have got as far as this and suit these terms.
    pub(crate) fn eligible_for(&self, min_position: Option<u64>, terms: &Terms) -> Vec<u32> {
        let state = self.lock();
        let meets = |key: &u32| state.gates[*key as usize].meets(min_position, terms);
        state.eligible.iter().copied().filter(meets).collect()
    }

    /// Whether there is a line or no slot, so that it does not matter whom a balancer would pick; a hint.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 || self.crowded.load(Ordering::Relaxed) > 0
    }

    /// Called under the lock.
    #[inline]
    fn set_crowded(&self, crowded: bool) {
        let crowded = usize::from(crowded);
        if self.crowded.load(Ordering::Relaxed) != crowded {
            self.crowded.store(crowded, Ordering::Relaxed);
        }
    }

    /// Takes no more requests; those who wait are told.
    pub(crate) fn close(&self) -> Effects {
        let mut state = self.lock();
        state.closed = true;
        let mut effects = Effects::default();
        effects.rest().wakers = state.queue.close();
        self.publish_waiting(&mut state);
        effects
    }
}

#[cfg(test)]
#[cfg(not(pool_loom))]
mod tests;

#[cfg(test)]
#[cfg(pool_loom)]
mod loom_tests;
