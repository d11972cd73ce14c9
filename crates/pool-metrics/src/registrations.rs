//! Which pools are there.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "server")]
use pool_core::Explanation;
use pool_core::{EndpointId, PoolId, PoolSnapshot, Source, TimeoutsInForce};

/// Whether a pool's latencies are recorded. Opens and never closes again.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    fn new(open: bool) -> Self {
        Self(Arc::new(AtomicBool::new(open)))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns whether it was closed.
    fn open(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

/// The pools that are followed, oldest first.
///
/// Of several pools with one id only the oldest that lives is exposed: two would share series, and both would be
/// wrong. When it goes, the next takes its place.
#[derive(Default)]
pub(crate) struct Registrations {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    attached: Vec<Attached>,
    /// Gates of pools whose endpoints have joined but which are not attached yet.
    pending: HashMap<PoolId, Gate>,
    /// What callers give a request, by pool, as far as somebody has told.
    request_timeouts: HashMap<PoolId, Duration>,
}

struct Attached {
    id: PoolId,
    source: Weak<dyn Source>,
    gate: Gate,
    /// As they were when somebody looked last.
    timeouts: Option<TimeoutsInForce>,
}

impl Registrations {
    /// A pool is complete, and has these time-outs.
    pub(crate) fn attach(&self, id: &PoolId, source: Weak<dyn Source>, timeouts: Option<TimeoutsInForce>) {
        let mut inner = self.lock();
        inner.forget_dead();
        let taken = inner.attached.iter().any(|pool| pool.id == *id);
        let gate = inner.pending.remove(id).unwrap_or_else(|| Gate::new(!taken));
        if !taken {
            gate.open();
        }
        inner.attached.push(Attached {
            id: id.clone(),
            source,
            gate,
            timeouts,
        });
        drop(inner);
        if taken {
            tracing::error!(
                pool = %id,
                "another pool with this id is alive, so this one is not exposed in the metrics until that is gone; \
                 give each pool of a process its own id"
            );
        }
    }

    /// A pool is being built: the gate of its latencies, closed while another with its id lives.
    pub(crate) fn pool_gate(&self, pool: &PoolId) -> Gate {
        let mut inner = self.lock();
        inner.forget_dead();
        let taken = inner.attached.iter().any(|attached| attached.id == *pool);
        inner.pending(pool, !taken)
    }

    /// An endpoint joins a pool: the gate of its latencies.
    ///
    /// The observer is told names only. A name that the living pool lists already must come from a second pool with
    /// the same id; any other belongs to the living pool (it was reconfigured), or to one that is being built.
    pub(crate) fn gate(&self, pool: &PoolId, endpoint: &EndpointId) -> Gate {
        let owner = {
            let mut inner = self.lock();
            inner.forget_dead();
            let owner = inner.attached.iter().find(|attached| attached.id == *pool);
            owner.and_then(|owner| Some((owner.source.upgrade()?, owner.gate.clone())))
        };
        let Some((source, gate)) = owner else {
            return self.lock().pending(pool, true);
        };
        let listed =
            snapshot(pool, &*source).is_some_and(|now| now.endpoints.iter().any(|e| e.id == *endpoint));
        if listed {
            self.lock().pending(pool, false)
        } else {
            gate
        }
    }

    /// What the exposed pools look like now. A pool whose source panics is left out.
    pub(crate) fn snapshots(&self) -> Vec<PoolSnapshot> {
        let exposed = self.lock().exposed();
        exposed
            .iter()
            .filter_map(|(id, source)| self.snapshot(id, &**source))
            .collect()
    }

    /// A pool's numbers, with what is known of its callers.
    fn snapshot(&self, id: &PoolId, source: &dyn Source) -> Option<PoolSnapshot> {
        let mut now = snapshot(id, source)?;
        if let Some(timeouts) = &mut now.timeouts {
            timeouts.request = self.lock().request_timeouts.get(id).copied();
        }
        Some(now)
    }

    /// The time-outs in force in a pool that lives.
    pub(crate) fn timeouts(&self, id: &PoolId, source: &Weak<dyn Source>) -> Option<TimeoutsInForce> {
        self.snapshot(id, &*source.upgrade()?)?.timeouts
    }

    /// What callers of this pool give a request from now on.
    pub(crate) fn set_request_timeout(&self, id: &PoolId, timeout: Duration) {
        self.lock().request_timeouts.insert(id.clone(), timeout);
    }

    /// The time-outs of the exposed pool of this name, if they are others than at the last look.
    pub(crate) fn changed_timeouts(&self, id: &PoolId) -> Option<TimeoutsInForce> {
        let source = {
            let mut inner = self.lock();
            inner.forget_dead();
            let pool = inner.attached.iter().find(|pool| pool.id == *id)?;
            Weak::clone(&pool.source)
        };
        // not under the lock: it runs the pool's code
        let now = self.timeouts(id, &source);
        let mut inner = self.lock();
        let mut all = inner.attached.iter_mut();
        let pool = all.find(|pool| Weak::ptr_eq(&pool.source, &source))?;
        (pool.timeouts != now).then(|| pool.timeouts = now)?;
        now
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can leave the lists half-changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_dead(&mut self) {
        self.attached.retain(|pool| pool.source.strong_count() > 0);
    }

    fn pending(&mut self, pool: &PoolId, open: bool) -> Gate {
        self.pending
            .entry(pool.clone())
            .or_insert_with(|| Gate::new(open))
            .clone()
    }

    fn exposed(&mut self) -> Vec<(PoolId, Arc<dyn Source>)> {
        self.forget_dead();
        let mut seen = HashSet::new();
        let mut exposed = Vec::with_capacity(self.attached.len());
        for pool in &self.attached {
            let Some(source) = pool.source.upgrade() else {
                continue;
            };
            if !seen.insert(pool.id.clone()) {
                continue;
            }
            if pool.gate.open() {
                tracing::info!(pool = %pool.id, "the older pool with this id is gone; this one is exposed now");
            }
            exposed.push((pool.id.clone(), source));
        }
        exposed
    }
}

/// A panic here would poison the SDK's pipeline and end all metrics of the process, so it is caught.
fn snapshot(id: &PoolId, source: &dyn Source) -> Option<PoolSnapshot> {
    let taken = catch_unwind(AssertUnwindSafe(|| source.snapshot()));
    if taken.is_err() {
        tracing::error!(pool = %id, "the pool panicked while its numbers were read; it is missing in this collection");
    }
    taken.ok()
}

/// A pool at one moment, for those who want to know more of it.
#[cfg(feature = "server")]
pub(crate) struct Followed {
    pub(crate) snapshot: PoolSnapshot,
    source: Arc<dyn Source>,
}

#[cfg(feature = "server")]
impl Followed {
    /// What each endpoint would be picked for, or not. Nothing if the pool panics.
    pub(crate) fn explain(&self) -> Vec<Explanation> {
        catch_unwind(AssertUnwindSafe(|| self.source.explain())).unwrap_or_else(|_| {
            tracing::error!(pool = %self.snapshot.id, "the pool panicked while it was asked to explain itself");
            Vec::new()
        })
    }
}

#[cfg(feature = "server")]
impl Registrations {
    /// The exposed pools, as [`snapshots`](Self::snapshots).
    pub(crate) fn followed(&self) -> Vec<Followed> {
        let exposed = self.lock().exposed();
        let follow = |(id, source): (PoolId, Arc<dyn Source>)| {
            let snapshot = self.snapshot(&id, &*source)?;
            Some(Followed { snapshot, source })
        };
        exposed.into_iter().filter_map(follow).collect()
    }
}
