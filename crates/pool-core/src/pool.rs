//! The pool: its handle.

use std::{
    fmt,
    panic::Location,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    AcquireError, Applied, BuildError, Endpoint, EndpointId, Event, Explanation, Lease, Operation,
    PoolBuilder, PoolId, PoolSnapshot, PoolUpdate, ProviderId, Request, RunError, Source, core::Core,
    moment::after,
};

/// A pool over several endpoints. Cheap to clone; the last clone's drop ends the pool's background tasks.
pub struct Pool<E: Endpoint> {
    handle: Arc<Handle<E>>,
}

/// Ends the background tasks when the last clone is gone; leases and tasks hold the core itself.
struct Handle<E: Endpoint> {
    core: Arc<Core<E>>,
}

impl<E: Endpoint> Drop for Handle<E> {
    fn drop(&mut self) {
        self.core.shut_down();
    }
}

impl<E: Endpoint> Clone for Pool<E> {
    fn clone(&self) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
        }
    }
}

impl<E: Endpoint> fmt::Debug for Pool<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("id", self.id())
            .finish_non_exhaustive()
    }
}

/// What [`Pool::close`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// Requests that were still under way when the deadline passed. Their leases stay valid; their connections are
    /// closed when they come back.
    pub unfinished: usize,
}

impl<E: Endpoint> Pool<E> {
    pub(crate) fn of(core: Arc<Core<E>>) -> Self {
        Self {
            handle: Arc::new(Handle { core }),
        }
    }

    /// Starts building a pool.
    pub fn builder(id: PoolId) -> PoolBuilder<E> {
        PoolBuilder::new(id)
    }

    /// The pool's id.
    pub fn id(&self) -> &PoolId {
        &self.handle.core.id
    }

    /// Leases a connection, within the pool's `acquire_timeout`.
    ///
    /// # Errors
    /// [`AcquireError`] says in which phase it failed and what to do.
    ///
    /// # Cancellation
    /// Dropped at any await it gives everything back: its place in line, its slot, its probe permit. A connect that was
    /// begun goes on and serves the next caller.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<Lease<E>, AcquireError<E::Error>>> {
        self.acquire_within(self.handle.core.setup.load().config.acquire_timeout)
    }

    /// Leases a connection within the given time, for queue and connect together.
    ///
    /// # Errors
    /// See [`acquire`](Self::acquire).
    // a plain function, because an async one would not know who called it
    #[track_caller]
    pub fn acquire_within(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<Lease<E>, AcquireError<E::Error>>> {
        let location = Location::caller();
        self.handle.core.acquire_anything(timeout, location)
    }

    /// Leases a connection for a request: with its priority, on an endpoint that meets its requirements, within its
    /// time-out or else the pool's `acquire_timeout`. What the request says of attempts is not heeded: there is one.
    ///
    /// # Errors
    /// See [`acquire`](Self::acquire). Where the requirements are what stands in the way, the reasons say so.
    ///
    /// # Cancellation
    /// As for [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_with(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Lease<E>, AcquireError<E::Error>>> {
        let location = Location::caller();
        async move {
            let core = &self.handle.core;
            let now = Instant::now();
            let timeout = request
                .timeout
                .unwrap_or_else(|| core.setup.load().config.acquire_timeout);
            let mut wish = core.wish(request, after(now, timeout));
            core.acquire(&mut wish, now, location).await
        }
    }

    /// Runs an operation: on a connection of its own, again elsewhere when it fails through a node's fault and may be
    /// repeated, within the request's time.
    ///
    /// # Errors
    /// [`RunError`] keeps the last attempt's error and its verdict.
    ///
    /// # Cancellation
    /// Dropped at any await, the attempt under way is cancelled and its connection destroyed; nothing is held against
    /// the endpoint.
    #[track_caller]
    pub fn run<O: Operation<E>>(
        &self,
        operation: &O,
        request: &Request,
    ) -> impl Future<Output = Result<O::Output, RunError<E::Error>>> {
        let location = Location::caller();
        async move { self.handle.core.run(operation, request, location).await }
    }

    /// Makes the pool what the update says, without disturbing what is in flight: endpoints join, leave, or get other
    /// settings; so does the pool. Those who wait keep their places, and whatever becomes free by it is given to them
    /// at once. A limit that is lowered below what is in use is reached as requests end. Removed endpoints take no more
    /// requests, and drain; a request that runs on one ends there.
    ///
    /// # Errors
    /// [`BuildError`] names what cannot work; then nothing has changed. A closed pool cannot be changed any more.
    ///
    /// # Panics
    /// Where the [`Observer`](crate::Observer) panics when it is told of an endpoint that joins; nothing has changed then.
    pub fn apply(&self, update: PoolUpdate<E>) -> Result<Applied, BuildError> {
        self.handle.core.reconfigure(update)
    }

    /// Notes that other settings were refused before they came to [`apply`](Self::apply), say because their file cannot be
    /// read: [`PoolSnapshot::updates_refused`] counts them too.
    pub fn note_refused_update(&self) {
        self.handle.core.effort.updated(false);
    }

    /// The endpoints that may be picked for this request now, the balancer's first choice first. For callers who ask
    /// several endpoints side by side: each is then leased by [`acquire_with`](Self::acquire_with) and
    /// [`Request::only`]. Endpoints whose slots are all taken come after the others, and those to avoid last.
    pub fn candidates(&self, request: &Request) -> Vec<EndpointId> {
        self.handle.core.candidates(request)
    }

    /// The provider of an endpoint; `None` also when the pool has no such endpoint.
    pub fn provider(&self, endpoint: &EndpointId) -> Option<ProviderId> {
        self.handle.core.provider(endpoint)
    }

    /// The pool's numbers now.
    pub fn snapshot(&self) -> PoolSnapshot {
        self.handle.core.snapshot()
    }

    /// For each endpoint, in the order of the configuration, why it would or would not be picked now, and which one the
    /// next request would be sent to. Meant for people and logs: it costs a short look under the pool's lock and some
    /// allocations, and disturbs nothing; round robins don't move on.
    ///
    /// What it says holds for a request without demands that comes now; a moment later others may have come.
    pub fn explain(&self) -> Vec<Explanation> {
        self.explain_for(&Request::new())
    }

    /// The same for a request with its demands, key and endpoints to avoid. Its priority makes no difference: who comes
    /// when others wait, waits.
    pub fn explain_for(&self, request: &Request) -> Vec<Explanation> {
        self.handle.core.explain(request)
    }

    /// Waits until at least one endpoint is healthy, or the time is over. Starting with some endpoints down is normal.
    /// Returns whether one is; a closed pool never is.
    pub async fn ready(&self, within: Duration) -> bool {
        let core = &self.handle.core;
        let deadline = after(Instant::now(), within);
        loop {
            let changed = core.changed.notified();
            if core.is_closed() {
                return false;
            }
            if core.admission.any_healthy() {
                return true;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return core.admission.any_healthy();
            }
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.handle.core.is_closed()
    }

    /// Takes no more requests, tells those who wait, and gives those under way until the deadline to finish.
    ///
    /// # Cancellation
    /// Dropped before it ends, the pool is closed all the same.
    pub async fn close(&self, within: Duration) -> CloseReport {
        let core = &self.handle.core;
        let deadline = after(Instant::now(), within);
        if !core.closed.swap(true, Ordering::AcqRel) {
            core.apply(core.admission.close());
            core.shut_down();
            tracing::info!(pool = %core.id, "pool closed, draining");
            core.tell(&Event::Closed);
        }
        loop {
            let changed = core.changed.notified();
            let unfinished = core.admission.taken();
            if unfinished == 0 || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return CloseReport {
                    unfinished: core.admission.taken(),
                };
            }
        }
    }
}
