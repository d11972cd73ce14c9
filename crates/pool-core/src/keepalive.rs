//! Connections that have rested for long are tried before anybody needs them.
//!
//! What lies between us and a node (NAT, load balancer, firewall) forgets idle connections, often without a word; a
//! connection that is kept open for a caller to come is only worth it if it works when he comes. So an idle connection
//! that has rested for [`PoolConfig::keepalive`](crate::PoolConfig::keepalive) is validated as it would be before a use
//! (`Endpoint::recycle`); what is dead is closed, with everything that has rested at least as long, and replaced as far
//! as `min_idle` asks for it.
//!
//! How this works over deadpool, which can neither lend what is idle without giving it out nor be given anything: a
//! connection that is to be tried is taken *out* of the storage for good. If it answers it waits in a list of its own,
//! the proven ones, from which the storage's next `create` takes it instead of opening another. Counts don't change by
//! this, because connections are counted where they are open and not where they lie; and no slot is taken, so nobody
//! waits for a slot because of it. A caller who has a slot when all other connections are busy waits for the trial's end, at most
//! `recycle_timeout`, which he would have waited for his own.
//!
//! Once a second, for each endpoint that may be picked (not while it is throttled: a trial may cost quota), at most one
//! trial is begun, and none while one is under way. When exactly is drawn anew each time from the last fifth of the
//! time, so that what was opened together is not tried together. What the idle time-out will close soon is left alone.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{CloseReason, Endpoint, connection::Pooled, member::Member, transport::Transport};

/// Connections outside the storage.
pub(crate) struct Proven<E: Endpoint> {
    state: Mutex<State<E>>,
}

struct State<E: Endpoint> {
    ready: Vec<Box<Pooled<E>>>,
    trying: Option<Arc<Transport<E>>>,
}

impl<E: Endpoint> Default for Proven<E> {
    fn default() -> Self {
        let (ready, trying) = (Vec::new(), None);
        Self {
            state: Mutex::new(State { ready, trying }),
        }
    }
}

impl<E: Endpoint> Proven<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was tried last, if there is any.
    pub(crate) fn take(&self) -> Option<Box<Pooled<E>>> {
        self.lock().ready.pop()
    }

    /// Closes those of which this is true.
    pub(crate) fn close_if(&self, mut gone: impl FnMut(&Pooled<E>) -> bool) {
        let closed: Vec<_> = self.lock().ready.extract_if(.., |pooled| gone(pooled)).collect();
        drop(closed);
    }

    /// What is idle here, also what is just being tried.
    pub(crate) fn transports(&self) -> Vec<Arc<Transport<E>>> {
        let state = self.lock();
        let ready = state.ready.iter().map(|pooled| pooled.lane.transport());
        ready.chain(&state.trying).cloned().collect()
    }
}

/// What has rested, out of the storage.
enum Rested<E: Endpoint> {
    Used(Box<Pooled<E>>),
    /// Opened ahead.
    Fresh(Arc<Transport<E>>),
}

/// An idle connection.
struct Idle<E: Endpoint> {
    transport: Arc<Transport<E>>,
    /// When it was last returned.
    returned_at: Instant,
    /// When it was last known to work.
    worked_at: Instant,
}

impl<E: Endpoint> Member<E> {
    /// Begins to try the connection that has rested longest, if it has rested for long enough and is to stay.
    pub(crate) fn keep_alive(self: &Arc<Self>, keepalive: Duration, idle_timeout: Duration, now: Instant) {
        let connector = self.storage.manager();
        if connector.proven.lock().trying.is_some() {
            return;
        }
        let chance = connector.connects.chance.share();
        let rest = keepalive.mul_f64(1.0 - 0.2 * chance);
        let mut idle = self.resting();
        idle.sort_by_key(|idle| idle.returned_at);
        let surplus = idle.len().saturating_sub(self.limits.min_idle() as usize);
        let stays = |(at, idle): &(usize, &Idle<E>)| {
            let rested = now.saturating_duration_since(idle.returned_at);
            *at >= surplus || rested + 2 * keepalive <= idle_timeout
        };
        let due = idle.iter().enumerate().filter(stays).map(|(_, idle)| idle);
        let due = due.filter(|idle| now.saturating_duration_since(idle.worked_at) >= rest);
        let Some(longest) = due.min_by_key(|idle| idle.worked_at) else {
            return;
        };
        let Some(rested) = self.take_out(&longest.transport) else {
            return;
        };
        connector.proven.lock().trying = Some(Arc::clone(&longest.transport));
        tokio::spawn(Trial(Arc::clone(self)).run(rested));
    }

    /// Connections that carry no request, each once, however many lanes are idle on it.
    fn resting(&self) -> Vec<Idle<E>> {
        let connector = self.storage.manager();
        let spares = connector.connects.spares().into_iter();
        let mut idle: Vec<_> = spares
            .map(|transport| Idle {
                returned_at: transport.opened_at,
                worked_at: transport.opened_at,
                transport,
            })
            .collect();
        let mut note = |pooled: &Pooled<E>| {
            let transport = pooled.lane.transport();
            if transport.is_busy() {
                return;
            }
            let known = idle
                .iter_mut()
                .find(|idle| Arc::ptr_eq(&idle.transport, transport));
            if let Some(known) = known {
                known.returned_at = known.returned_at.max(pooled.returned_at);
                known.worked_at = known.worked_at.max(pooled.worked_at());
            } else {
                idle.push(Idle {
                    transport: Arc::clone(transport),
                    returned_at: pooled.returned_at,
                    worked_at: pooled.worked_at(),
                });
            }
        };
        let all = self.storage.retain(|pooled, _| {
            note(pooled);
            true
        });
        drop(all);
        connector
            .proven
            .lock()
            .ready
            .iter()
            .for_each(|pooled| note(pooled));
        idle
    }

    /// Takes a lane on this connection out of wherever it rests, unless somebody else has taken it meanwhile.
    fn take_out(&self, wanted: &Arc<Transport<E>>) -> Option<Rested<E>> {
        let connector = self.storage.manager();
        let is_it = |pooled: &Pooled<E>| Arc::ptr_eq(pooled.lane.transport(), wanted);
        let ready = {
            let mut state = connector.proven.lock();
            let at = state.ready.iter().position(|pooled| is_it(pooled));
            at.map(|at| state.ready.remove(at))
        };
        if let Some(pooled) = ready {
            return Some(Rested::Used(pooled));
        }
        let mut found = false;
        let taken = self.storage.retain(|pooled, _| {
            let take = !found && is_it(pooled);
            found |= take;
            !take
        });
        if let Some(pooled) = taken.removed.into_iter().next() {
            return Some(Rested::Used(pooled));
        }
        let spare = connector.connects.take_this_spare(wanted);
        spare.then(|| Rested::Fresh(Arc::clone(wanted)))
    }
}

/// A trial under way. Whatever becomes of it, the next one may begin.
struct Trial<E: Endpoint>(Arc<Member<E>>);

impl<E: Endpoint> Trial<E> {
    async fn run(self, rested: Rested<E>) {
        let connector = self.0.storage.manager();
        let mut shutdown = connector.connects.shutdown.clone();
        let answered = tokio::select! {
            biased;
            // an error means that the pool is gone, which is as good
            _closed = shutdown.wait_for(|closed| *closed) => None,
            answered = async {
                match rested {
                    Rested::Used(mut pooled) => {
                        let answers = connector.answers(&mut pooled).await;
                        if !answers {
                            pooled.lane.transport().closing(CloseReason::Dead);
                        }
                        answers.then_some(pooled)
                    }
                    Rested::Fresh(transport) => connector.first_use(&transport).await,
                }
            } => answered,
        };
        let now = Instant::now();
        let Some(mut pooled) = answered else { return };
        let mut state = connector.proven.lock();
        // looked at under the lock: whoever distrusts what is idle does so first and empties the list then
        if connector.usable(&pooled, now) && !self.0.keeps_nothing() {
            // under the same lock, so that it is never counted twice
            state.trying = None;
            pooled.proven_at = Some(now);
            state.ready.push(pooled);
        } else {
            drop(state);
            let why = if self.0.is_shut_down() {
                CloseReason::Shutdown
            } else if self.0.keeps_nothing() {
                CloseReason::Surplus
            } else {
                CloseReason::Distrusted
            };
            pooled.lane.transport().closing_at(now, why);
            drop(pooled);
        }
    }
}

impl<E: Endpoint> Drop for Trial<E> {
    fn drop(&mut self) {
        let tried = self.0.storage.manager().proven.lock().trying.take();
        drop(tried);
    }
}
