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

use crate::{ConnectCx, Endpoint, stats::Stats, transport::Transport};

/// Why a connect gave nothing.
#[derive(Debug)]
pub(crate) enum ConnectFailure<X> {
    /// The endpoint said so.
    Endpoint(X),
    /// It took longer than the connect time-out.
    TimedOut(Duration),
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
            unasked_failure,
            shutdown,
            state,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh transport. Cancel-safe: a connect that was begun goes on.
    pub(crate) async fn next(self: &Arc<Self>) -> Outcome<E> {
        if let Some(spare) = self.take_spare() {
            return Ok(spare);
        }
        let receiver = {
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
            receiver
        };
        receiver.await.unwrap_or(Err(ConnectFailure::Closed))
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

    fn begin(self: &Arc<Self>, connects: u32) {
        for _ in 0..connects {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.connect().await });
        }
    }

    async fn connect(self: Arc<Self>) {
        let cx = ConnectCx {
            timeout: self.timeout,
        };
        let mut shutdown = self.shutdown.clone();
        let result = tokio::select! {
            biased;
            // an error means that the pool is gone, which is as good
            _closed = shutdown.wait_for(|closed| *closed) => Err(ConnectFailure::Closed),
            result = tokio::time::timeout(self.timeout, self.endpoint.connect(&cx)) => match result {
                Ok(Ok(inner)) => Ok(self.wrap(inner)),
                Ok(Err(error)) => Err(ConnectFailure::Endpoint(error)),
                Err(_elapsed) => Err(ConnectFailure::TimedOut(self.timeout)),
            },
        };
        self.deliver(result);
    }

    /// Lifetimes are shortened by a random 10 to 25 %, so that what was opened together does not expire together.
    fn wrap(&self, inner: E::Transport) -> Arc<Transport<E>> {
        let share = 0.75 + 0.15 * fastrand::f64();
        let expires_at = Instant::now() + self.max_lifetime.mul_f64(share);
        Arc::new(Transport::new(inner, expires_at, Arc::clone(&self.stats)))
    }

    fn deliver(self: &Arc<Self>, mut result: Outcome<E>) {
        let mut unasked = false;
        let begin = {
            let mut state = self.lock();
            state.pending -= 1;
            loop {
                let Some(next) = state.waiting.pop_front() else {
                    match result {
                        Ok(transport) => state.spare.push(transport),
                        Err(failure) => unasked = !matches!(failure, ConnectFailure::Closed),
                    }
                    break;
                };
                match next.send(result) {
                    Ok(()) => break,
                    Err(returned) => result = returned,
                }
            }
            let begin = self.room_for_more(&mut state);
            state.pending += begin;
            begin
        };
        self.begin(begin);
        if unasked {
            (self.unasked_failure)();
        }
    }

    fn take_spare(&self) -> Option<Arc<Transport<E>>> {
        let mut dead = Vec::new();
        let found = {
            let mut state = self.lock();
            loop {
                let Some(transport) = state.spare.pop() else {
                    break None;
                };
                if Instant::now() < transport.expires_at && self.endpoint.lanes(&transport.inner) > 0 {
                    break Some(transport);
                }
                dead.push(transport);
            }
        };
        drop(dead);
        found
    }

    /// Drops the spares, all of them or only the expired ones.
    pub(crate) fn drop_spares(&self, all: bool, now: Instant) {
        let gone: Vec<_> = {
            let mut state = self.lock();
            let keep =
                |t: &Arc<Transport<E>>| !all && now < t.expires_at && self.endpoint.lanes(&t.inner) > 0;
            state.spare.extract_if(.., |transport| !keep(transport)).collect()
        };
        drop(gone);
    }
}
