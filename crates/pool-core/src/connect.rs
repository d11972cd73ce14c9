//! Connects that outlive who asked for them.
//!
//! Each connect runs in a task of its own. Whoever needs a connection waits in line for the next one that completes;
//! if the caller goes away, the connect goes on, and its result serves the next caller or is kept as a spare. So
//! connects that are slower than the callers' deadlines still converge, and callers that come and go start no more
//! connects than there are connections to be had.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{ConnectCx, Endpoint, chance::Chance, stats::Stats, transport::Transport};

/// Why a connect gave nothing.
#[derive(Debug)]
pub(crate) enum ConnectFailure<X> {
    /// The endpoint said so.
    Endpoint(X),
    /// It took longer than the connect time-out.
    TimedOut(Duration),
    /// It ended without anything that can be used; why.
    Useless(&'static str),
    /// Connections are at their limit and none is under way; look into the storage again.
    AtLimit,
    /// The pool is gone.
    Closed,
}

type Outcome<E> = Result<Arc<Transport<E>>, ConnectFailure<<E as Endpoint>::Error>>;

struct State<E: Endpoint> {
    /// Connects under way.
    pending: u32,
    /// Callers in line, oldest first; those that went away are closed.
    waiting: VecDeque<oneshot::Sender<Outcome<E>>>,
    /// Opened, and nobody was there any more.
    spare: Vec<Arc<Transport<E>>>,
}

/// Opens an endpoint's connections.
pub(crate) struct Connects<E: Endpoint> {
    pub(crate) endpoint: Arc<E>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) timeout: Duration,
    pub(crate) max_lifetime: Duration,
    pub(crate) max_connections: u32,
    pub(crate) chance: Arc<Chance>,
    /// Told of a failed connect that nobody waits for.
    pub(crate) unasked_failure: Box<dyn Fn() + Send + Sync>,
    pub(crate) shutdown: watch::Receiver<bool>,
    state: Mutex<State<E>>,
}

impl<E: Endpoint> Connects<E> {
    pub(crate) fn new(
        endpoint: Arc<E>,
        stats: Arc<Stats>,
        timeouts: (Duration, Duration),
        max_connections: u32,
        chance: Arc<Chance>,
        unasked_failure: Box<dyn Fn() + Send + Sync>,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let (timeout, max_lifetime) = timeouts;
        let state = Mutex::new(State {
            pending: 0,
            waiting: VecDeque::new(),
            spare: Vec::new(),
        });
        Self {
            endpoint,
            stats,
            timeout,
            max_lifetime,
            max_connections,
            chance,
            unasked_failure,
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
            let begin = self.room_for_more(&mut state);
            if state.pending == 0 && begin == 0 {
                state.waiting.pop_back();
                return Err(ConnectFailure::AtLimit);
            }
            state.pending += begin;
            drop(state);
            self.begin(begin);
            let connects = self;
            Arrival { connects, receiver }
        };
        (&mut arrival.receiver)
            .await
            .unwrap_or(Err(ConnectFailure::AtLimit))
    }

    /// Connects to begin so that everybody in line is served, within the limit.
    fn room_for_more(&self, state: &mut State<E>) -> u32 {
        state.waiting.retain(|sender| !sender.is_closed());
        let wanted = u32::try_from(state.waiting.len())
            .unwrap_or(u32::MAX)
            .saturating_sub(state.pending);
        let open = u32::try_from(self.stats.connections_open()).unwrap_or(u32::MAX);
        wanted.min(
            self.max_connections
                .saturating_sub(open.saturating_add(state.pending)),
        )
    }

    /// Begins connects that nobody waits for, within the limit, so that so many are under way.
    pub(crate) fn warm(self: &Arc<Self>, connects: u32) {
        if self.shut_down() {
            return;
        }
        let mut state = self.lock();
        let open = u32::try_from(self.stats.connections_open()).unwrap_or(u32::MAX);
        let room = self
            .max_connections
            .saturating_sub(open.saturating_add(state.pending));
        let begin = connects.saturating_sub(state.pending).min(room);
        state.pending += begin;
        drop(state);
        self.begin(begin);
    }

    /// What is open and waits for its first use.
    pub(crate) fn spares(&self) -> Vec<Arc<Transport<E>>> {
        self.lock().spare.clone()
    }

    fn begin(self: &Arc<Self>, connects: u32) {
        for _ in 0..connects {
            let underway = Underway(Some(Arc::clone(self)));
            tokio::spawn(underway.connect());
        }
    }

    async fn connect(&self) -> Outcome<E> {
        let cx = ConnectCx {
            timeout: self.timeout,
        };
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            // an error means that the pool is gone, which is as good
            _closed = shutdown.wait_for(|closed| *closed) => Err(ConnectFailure::Closed),
            result = tokio::time::timeout(self.timeout, self.endpoint.connect(&cx)) => match result {
                Ok(Ok(inner)) => Ok(self.wrap(inner)),
                Ok(Err(error)) => Err(ConnectFailure::Endpoint(error)),
                Err(_elapsed) => Err(ConnectFailure::TimedOut(self.timeout)),
            },
        }
    }

    /// Lifetimes are shortened by a random 10 to 25 %, so that what was opened together does not expire together.
    fn wrap(&self, inner: E::Transport) -> Arc<Transport<E>> {
        let share = 0.75 + 0.15 * self.chance.share();
        let now = Instant::now();
        let expires_at = now + self.max_lifetime.mul_f64(share);
        Arc::new(Transport::new(inner, now, expires_at, Arc::clone(&self.stats)))
    }

    /// A connect ended. Its result goes to whoever waits longest, and further connects are begun for the others.
    fn deliver(self: &Arc<Self>, result: Outcome<E>) {
        let (left_over, begin) = {
            let mut state = self.lock();
            state.pending -= 1;
            let left_over = self.hand_out(&mut state, result);
            let begin = self.room_for_more(&mut state);
            state.pending += begin;
            Self::release_the_stuck(&mut state);
            (left_over, begin)
        };
        self.begin(begin);
        self.dispose(left_over);
    }

    /// A connect ended without a result: it panicked, or its runtime is gone. Begins nothing, because it runs in a drop.
    fn abandon(&self) {
        let left_over = {
            let mut state = self.lock();
            state.pending -= 1;
            let left_over = self.hand_out(&mut state, Err(ConnectFailure::Useless("its connect panicked")));
            Self::release_the_stuck(&mut state);
            left_over
        };
        self.dispose(left_over);
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

    fn dispose(&self, left_over: Option<Outcome<E>>) {
        match left_over {
            None | Some(Ok(_) | Err(ConnectFailure::Closed | ConnectFailure::AtLimit)) => {}
            Some(Err(_failure)) => (self.unasked_failure)(),
        }
    }

    fn take_spare(&self) -> Option<Arc<Transport<E>>> {
        loop {
            // the lock is gone when the endpoint is asked and when a dead one is dropped
            let transport = self.lock().spare.pop()?;
            if Instant::now() < transport.expires_at && self.endpoint.lanes(&transport.inner) > 0 {
                return Some(transport);
            }
        }
    }

    /// Drops the spares, all of them or only the expired and closed ones.
    pub(crate) fn drop_spares(&self, all: bool, now: Instant) {
        let mut gone = self.lock().spare.clone();
        gone.retain(|t| all || now >= t.expires_at || self.endpoint.lanes(&t.inner) == 0);
        if !gone.is_empty() {
            let is_gone = |spare: &mut Arc<Transport<E>>| gone.iter().any(|other| Arc::ptr_eq(spare, other));
            let dropped: Vec<_> = self.lock().spare.extract_if(.., is_gone).collect();
            drop(dropped);
        }
    }
}

/// A caller who waits for a connect. What was delivered and never looked at is passed on when it goes away.
struct Arrival<'a, E: Endpoint> {
    connects: &'a Connects<E>,
    receiver: oneshot::Receiver<Outcome<E>>,
}

impl<E: Endpoint> Drop for Arrival<'_, E> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(outcome) = self.receiver.try_recv() {
            let left_over = self.connects.hand_out(&mut self.connects.lock(), outcome);
            self.connects.dispose(left_over);
        }
    }
}

/// A connect under way. It is counted until it delivers, or is dropped: by a panic, or with its runtime.
struct Underway<E: Endpoint>(Option<Arc<Connects<E>>>);

impl<E: Endpoint> Underway<E> {
    async fn connect(mut self) {
        if let Some(connects) = &self.0 {
            let result = connects.connect().await;
            if let Some(connects) = self.0.take() {
                connects.deliver(result);
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
