//! Connects that outlive who asked for them.
//!
//! Each connect runs in a task of its own. Whoever needs a connection waits in line for the next one that completes;
//! if the caller goes away, the connect goes on, and its result serves the next caller or is kept as a spare. So
//! connects that are slower than the callers' deadlines still converge, and callers that come and go start no more
//! connects than there are connections to be had.
//!
//! Several callers may count on one connect, where a connection carries several lanes. When it fails all of them are
//! told, and try elsewhere: one after the other they would wait for as many failures as there are callers. It still is
//! one failure of the endpoint ([`Report`]).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    CloseReason, ConnectCx, Endpoint,
    ceiling::{Ceiling, Room},
    chance::Chance,
    connect_failure::{ConnectFailure, Report, Why},
    foreign,
    knobs::{Knobs, Limits},
    stats::Stats,
    transport::{Lane, Transport},
};

/// Why a connection is of no use that has no lanes from the first.
pub(crate) const CLOSED_AT_ONCE: &str = "the connection was closed as soon as it was opened";

type Outcome<E> = Result<Arc<Transport<E>>, ConnectFailure<<E as Endpoint>::Error>>;

struct State<E: Endpoint> {
    /// Connects under way.
    pending: u32,
    /// Callers in line, oldest first; those that went away are closed.
    waiting: VecDeque<oneshot::Sender<Outcome<E>>>,
    /// Opened, and nobody was there any more.
    spare: Vec<Arc<Transport<E>>>,
    /// Those that carry several lanes.
    shared: Vec<Weak<Transport<E>>>,
}

/// What connects ask of their pool.
pub(crate) struct Hooks {
    /// A connect failed that nobody waits for.
    pub(crate) unasked_failure: Arc<dyn Fn() + Send + Sync>,
    /// The pool's limit on connections is reached: closes an idle one of another endpoint, if there is one.
    pub(crate) make_room: Box<dyn Fn() -> bool + Send + Sync>,
    /// A connect took so long, and gave a connection or not.
    pub(crate) connect_ended: Box<dyn Fn(Duration, bool) + Send + Sync>,
}

/// Opens an endpoint's connections.
pub(crate) struct Connects<E: Endpoint> {
    pub(crate) endpoint: Arc<E>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) ceiling: Arc<Ceiling>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) hooks: Hooks,
    pub(crate) shutdown: watch::Receiver<bool>,
    state: Mutex<State<E>>,
}

impl<E: Endpoint> Connects<E> {
    pub(crate) fn new(
        endpoint: Arc<E>,
        stats: Arc<Stats>,
        (knobs, limits, ceiling): (Arc<Knobs>, Arc<Limits>, Arc<Ceiling>),
        chance: Arc<Chance>,
        hooks: Hooks,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let state = Mutex::new(State {
            pending: 0,
            waiting: VecDeque::new(),
            spare: Vec::new(),
            shared: Vec::new(),
        });
        Self {
            endpoint,
            stats,
            knobs,
            limits,
            ceiling,
            chance,
            hooks,
            shutdown,
            state,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut_down(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// A fresh transport. Cancel-safe: a connect that was begun goes on, and what was delivered to a caller who went
    /// away before it looked goes to the next.
    pub(crate) async fn next(self: &Arc<Self>) -> Outcome<E> {
        if let Some(spare) = self.take_spare() {
            return Ok(spare);
        }
        let mut arrival = {
            let mut state = self.lock();
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            drop(state);
            let connects = self;
            Arrival { connects, receiver }
        };
        if !self.begin_missing() {
            // nobody would ever deliver
            return Err(ConnectFailure::AtLimit);
        }
        (&mut arrival.receiver)
            .await
            .unwrap_or(Err(ConnectFailure::AtLimit))
    }

    /// Begins connects so that everybody in line is served, within the limits. Returns whether any is under way.
    fn begin_missing(self: &Arc<Self>) -> bool {
        let mut may_make_room = true;
        loop {
            let mut state = self.lock();
            state.waiting.retain(|sender| !sender.is_closed());
            let waiting = u32::try_from(state.waiting.len()).unwrap_or(u32::MAX);
            // one connect serves as many as a connection carries
            let wanted = waiting.div_ceil(self.lanes_expected());
            if wanted <= state.pending || !self.has_room(&state) {
                return state.pending > 0;
            }
            if let Some(room) = self.ceiling.reserve() {
                state.pending += 1;
                drop(state);
                self.begin(room);
                continue;
            }
            let under_way = state.pending > 0;
            drop(state);
            // the idle connection is closed outside the lock
            if !may_make_room || !(self.hooks.make_room)() {
                return under_way;
            }
            // somebody else may take what was made free; then the next look is his
            may_make_room = false;
        }
    }

    fn has_room(&self, state: &State<E>) -> bool {
        self.limits.open().saturating_add(state.pending) < self.limits.max_connections()
    }

    /// How many requests a connection is expected to carry.
    fn lanes_expected(&self) -> u32 {
        let slots = u32::try_from(self.stats.slots_max()).unwrap_or(u32::MAX);
        slots.div_ceil(self.limits.max_connections().max(1)).max(1)
    }

    /// Begins connects that nobody waits for, within the limit, so that so many are under way.
    pub(crate) fn warm(self: &Arc<Self>, connects: u32) {
        if self.shut_down() {
            return;
        }
        loop {
            let mut state = self.lock();
            if state.pending >= connects || !self.has_room(&state) {
                return;
            }
            let Some(room) = self.ceiling.reserve() else {
                return;
            };
            state.pending += 1;
            drop(state);
            self.begin(room);
        }
    }

    /// What is open and waits for its first use.
    pub(crate) fn spares(&self) -> Vec<Arc<Transport<E>>> {
        self.lock().spare.clone()
    }

    fn begin(self: &Arc<Self>, room: Room) {
        let underway = Underway(Some(Arc::clone(self)));
        tokio::spawn(underway.connect(room));
    }

    async fn connect(&self, room: Room) -> Outcome<E> {
        let timeout = self.knobs.connect_timeout.get();
        let cx = ConnectCx { timeout };
        let mut shutdown = self.shutdown.clone();
        let begun = Instant::now();
        let result = tokio::select! {
            biased;
            // an error means that the pool is gone, which is as good
            _closed = shutdown.wait_for(|closed| *closed) => Err(ConnectFailure::Closed),
            result = tokio::time::timeout(timeout, self.endpoint.connect(&cx)) => match result {
                Ok(Ok(inner)) => Ok(self.wrap(inner, room)),
                Ok(Err(error)) => Err(self.failure(Why::Endpoint(Arc::new(error)))),
                Err(_elapsed) => Err(self.failure(Why::TimedOut(timeout))),
            },
        };
        if !matches!(result, Err(ConnectFailure::Closed)) {
            (self.hooks.connect_ended)(begun.elapsed(), result.is_ok());
        }
        result
    }

    fn failure(&self, why: Why<E::Error>) -> ConnectFailure<E::Error> {
        ConnectFailure::Failed(why, Report::shared(&self.hooks.unasked_failure))
    }

    /// Lifetimes are shortened by a random 10 to 25 %, so that what was opened together does not expire together.
    fn wrap(&self, inner: E::Transport, room: Room) -> Arc<Transport<E>> {
        let share = 0.75 + 0.15 * self.chance.share();
        let now = Instant::now();
        let expires_at = now + self.knobs.max_lifetime.get().mul_f64(share);
        Arc::new(Transport::new(
            inner,
            (now, expires_at),
            room,
            (Arc::clone(&self.stats), Arc::clone(&self.limits)),
        ))
    }

    /// A connect ended. Its result goes to those who have waited longest, and further connects are begun for the others.
    fn deliver(self: &Arc<Self>, result: Outcome<E>, lanes: u32) {
        let left_over = {
            let mut state = self.lock();
            state.pending -= 1;
            match result {
                Ok(transport) => self.share_out(&mut state, transport, lanes),
                Err(failure) => {
                    self.tell(&mut state, &failure);
                    Some(Err(failure))
                }
            }
        };
        if !self.begin_missing() {
            Self::release_the_stuck(&mut self.lock());
        }
        // outside the lock: what nobody was told of is reported now
        drop(left_over);
    }

    /// A connection of so many lanes is there.
    fn share_out(
        &self,
        state: &mut State<E>,
        transport: Arc<Transport<E>>,
        lanes: u32,
    ) -> Option<Outcome<E>> {
        if lanes > 1 {
            state.shared.retain(|weak| weak.strong_count() > 0);
            state.shared.push(Arc::downgrade(&transport));
        }
        let left_over = self.hand_out(state, Ok(transport));
        // it carries others too: they look again
        for sender in (1..lanes).map_while(|_| state.waiting.pop_front()) {
            let _gone = sender.send(Err(ConnectFailure::AtLimit));
        }
        left_over
    }

    /// Tells of a failed connect: the oldest callers, as many as it would have carried; and more, if the connects that are
    /// still under way do not carry the others. A caller who is left in line so waits for one that was begun for him.
    fn tell(&self, state: &mut State<E>, failure: &ConnectFailure<E::Error>) {
        state.waiting.retain(|sender| !sender.is_closed());
        let lanes = self.lanes_expected();
        let carried = state.pending.saturating_mul(lanes) as usize;
        let (waiting, lanes) = (state.waiting.len(), lanes as usize);
        let told = waiting.min(lanes.max(waiting.saturating_sub(carried)));
        for sender in state.waiting.drain(..told) {
            let _gone = sender.send(Err(failure.clone()));
        }
    }

    /// A lane on a connection that has one to spare.
    pub(crate) fn spare_lane(&self, now: Instant) -> Option<Lane<E>> {
        // the endpoint is asked, and a handle that became the last one is dropped, outside the lock
        let transports: Vec<_> = {
            let state = self.lock();
            state.shared.iter().filter_map(Weak::upgrade).collect()
        };
        let mut usable = transports.iter().filter(|t| now < t.expires_at);
        usable.find_map(|transport| transport.reserve(&self.endpoint))
    }

    /// A connect ended without a result: it panicked, or its runtime is gone. Begins nothing, because it runs in a drop.
    fn abandon(&self) {
        let failure = self.failure(Why::Useless("its connect panicked"));
        let mut state = self.lock();
        state.pending -= 1;
        self.tell(&mut state, &failure);
        Self::release_the_stuck(&mut state);
        // what nobody was told of is reported outside the lock
        drop(state);
    }

    /// Gives a result to the oldest caller who is still there; keeps a connection that nobody wants as a spare. What is
    /// left is to be disposed of outside the lock.
    fn hand_out(&self, state: &mut State<E>, mut result: Outcome<E>) -> Option<Outcome<E>> {
        while let Some(next) = state.waiting.pop_front() {
            match next.send(result) {
                Ok(()) => return None,
                Err(returned) => result = returned,
            }
        }
        match result {
            // looked at under the lock: closing sets the flag first and empties the spares then
            Ok(transport) if !self.shut_down() => {
                state.spare.push(transport);
                None
            }
            other => Some(other),
        }
    }

    /// With no connect under way nobody would ever serve those in line: they look into the storage again.
    fn release_the_stuck(state: &mut State<E>) {
        if state.pending == 0 {
            for sender in state.waiting.drain(..) {
                let _gone = sender.send(Err(ConnectFailure::AtLimit));
            }
        }
    }

    fn take_spare(&self) -> Option<Arc<Transport<E>>> {
        loop {
            // the lock is gone when the endpoint is asked and when a dead one is dropped
            let transport = self.lock().spare.pop()?;
            let now = Instant::now();
            if now < transport.expires_at && self.endpoint.lanes(&transport.inner) > 0 {
                return Some(transport);
            }
            transport.closing_at(now, CloseReason::Dead);
        }
    }

    /// Takes this one out of the spares, if it is still there.
    pub(crate) fn take_this_spare(&self, wanted: &Arc<Transport<E>>) -> bool {
        let mut state = self.lock();
        let at = state.spare.iter().position(|spare| Arc::ptr_eq(spare, wanted));
        // not the last handle: the caller has one
        at.map(|at| state.spare.remove(at)).is_some()
    }

    /// Closes one spare that nobody has asked for, if there is any.
    pub(crate) fn drop_one_spare(&self) -> bool {
        let spare = self.lock().spare.pop();
        let found = spare.is_some();
        spare.iter().for_each(|spare| spare.closing(CloseReason::Surplus));
        foreign::close(spare, &self.stats.id);
        found
    }

    /// Drops all spares.
    pub(crate) fn drop_spares(&self, why: CloseReason) {
        let all = std::mem::take(&mut self.lock().spare);
        all.iter().for_each(|spare| spare.closing(why));
        foreign::close(all, &self.stats.id);
    }

    /// Drops the spares that have expired or are closed.
    pub(crate) fn drop_unfit_spares(&self, now: Instant) {
        let mut gone = self.lock().spare.clone();
        gone.retain(|t| now >= t.expires_at || self.endpoint.lanes(&t.inner) == 0);
        if !gone.is_empty() {
            gone.iter()
                .for_each(|spare| spare.closing_at(now, CloseReason::Dead));
            let is_gone = |spare: &mut Arc<Transport<E>>| gone.iter().any(|other| Arc::ptr_eq(spare, other));
            let dropped: Vec<_> = self.lock().spare.extract_if(.., is_gone).collect();
            drop(gone);
            foreign::close(dropped, &self.stats.id);
        }
    }
}

/// A caller who waits for a connect. What was delivered and never looked at is passed on when it goes away; but not a
/// failure, since all who counted on that connect were told.
struct Arrival<'a, E: Endpoint> {
    connects: &'a Connects<E>,
    receiver: oneshot::Receiver<Outcome<E>>,
}

impl<E: Endpoint> Drop for Arrival<'_, E> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(outcome @ (Ok(_) | Err(ConnectFailure::AtLimit))) = self.receiver.try_recv() {
            // outside the lock it may be closed
            let left_over = self.connects.hand_out(&mut self.connects.lock(), outcome);
            drop(left_over);
        }
    }
}

/// A connect under way. It is counted until it delivers, or is dropped: by a panic, or with its runtime.
struct Underway<E: Endpoint>(Option<Arc<Connects<E>>>);

impl<E: Endpoint> Underway<E> {
    async fn connect(mut self, room: Room) {
        if let Some(connects) = &self.0 {
            let mut result = connects.connect(room).await;
            // asked while it is still counted: the endpoint may panic
            let lanes = result.as_ref().map_or(0, |t| connects.endpoint.lanes(&t.inner));
            if let Ok(transport) = &result
                && lanes == 0
            {
                transport.closing(CloseReason::Dead);
                result = Err(connects.failure(Why::Useless(CLOSED_AT_ONCE)));
            }
            if let Some(connects) = self.0.take() {
                connects.deliver(result, lanes);
            }
        }
    }
}

impl<E: Endpoint> Drop for Underway<E> {
    fn drop(&mut self) {
        if let Some(connects) = self.0.take() {
            connects.abandon();
        }
    }
}
