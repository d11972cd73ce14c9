//! One piece of work on several endpoints side by side, each on a lease of its own.

use std::{future::Future, sync::Arc, time::Duration};

use pool_core::{AcquireError, EndpointId, Lease, Pool, Request};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{distinct::Distinct, endpoint::JsonRpcEndpoint, error::RpcError};

/// What is done on each endpoint. The deadline is the fan's; the lease must be told how it went.
pub(crate) trait Work: Send + Sync + 'static {
    type Output: Send + 'static;

    fn on(
        &self,
        lease: Lease<JsonRpcEndpoint>,
        deadline: Instant,
    ) -> impl Future<Output = Self::Output> + Send;
}

/// How one endpoint's part ended.
pub(crate) enum End<T> {
    Done(T),
    /// No connection was had; nothing was sent.
    NoLease(AcquireError<RpcError>),
    /// It was stopped before anything was sent.
    Stopped,
}

/// Stops what has not been sent yet; what is on its way goes on.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

/// Endpoints at work. Each is used once; of those that [`Distinct`] holds for one, one at a time.
pub(crate) struct Fan<W: Work> {
    pool: Pool<JsonRpcEndpoint>,
    request: Request,
    distinct: Distinct,
    deadline: Instant,
    work: Arc<W>,
    stop: watch::Receiver<bool>,
    lanes: JoinSet<(Option<EndpointId>, End<W::Output>)>,
    /// Endpoints that were asked, ever.
    tried: Vec<EndpointId>,
    /// Those among them that are at work or have done it.
    taken: Vec<EndpointId>,
}

/// Time for everything together when the request names none.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl<W: Work> Fan<W> {
    pub(crate) fn new(
        pool: &Pool<JsonRpcEndpoint>,
        request: &Request,
        distinct: &Distinct,
        work: W,
    ) -> (Self, Stop) {
        let (stopper, stop) = watch::channel(false);
        let timeout = request.timeout.unwrap_or(DEFAULT_TIMEOUT);
        // longer than anybody waits; the sum cannot overflow
        let deadline = Instant::now() + timeout.min(Duration::from_secs(7 * 24 * 3600));
        let fan = Self {
            pool: pool.clone(),
            request: request.clone(),
            distinct: distinct.clone(),
            deadline,
            work: Arc::new(work),
            stop,
            lanes: JoinSet::new(),
            tried: Vec::new(),
            taken: Vec::new(),
        };
        (fan, Stop(stopper))
    }

    /// Asks so many more endpoints, or as many as there are. Returns how many.
    pub(crate) fn ask(&mut self, count: usize) -> usize {
        let mut asked = 0;
        if Instant::now() >= self.deadline {
            return asked;
        }
        while asked < count
            && let Some(endpoint) = self.next()
        {
            self.tried.push(endpoint.clone());
            self.taken.push(endpoint.clone());
            self.spawn(Some(endpoint));
            asked += 1;
        }
        asked
    }

    /// Asks whichever endpoint becomes usable first.
    pub(crate) fn ask_any(&mut self) {
        self.spawn(None);
    }

    /// Endpoints that could be asked beside those at work, at most so many.
    pub(crate) fn spare(&self, most: usize) -> usize {
        let mut found: Vec<EndpointId> = Vec::new();
        for endpoint in self.pool.candidates(&self.request) {
            if found.len() == most {
                break;
            }
            if self.is_free(&endpoint) && !found.iter().any(|other| self.distinct.same(other, &endpoint)) {
                found.push(endpoint);
            }
        }
        found.len()
    }

    /// Endpoints that have not ended.
    pub(crate) fn at_work(&self) -> usize {
        self.lanes.len()
    }

    /// The next to end; `None` when all have. Its endpoint is unknown if it never had one.
    pub(crate) async fn next_end(&mut self) -> Option<(Option<EndpointId>, End<W::Output>)> {
        loop {
            match self.lanes.join_next().await? {
                Ok((endpoint, end)) => {
                    if let Some(endpoint) = endpoint.as_ref().filter(|one| !self.tried.contains(one)) {
                        self.tried.push(endpoint.clone());
                        self.taken.push(endpoint.clone());
                    }
                    return Some((endpoint, end));
                }
                // a panic in a lane is a bug, and must not take the others' answers with it
                Err(error) => {
                    tracing::error!(pool = %self.pool.id(), %error, "one of several calls was lost");
                }
            }
        }
    }

    /// The endpoint failed: another of its group may be asked.
    pub(crate) fn failed(&mut self, endpoint: Option<&EndpointId>) {
        self.taken.retain(|taken| Some(taken) != endpoint);
    }

    fn next(&self) -> Option<EndpointId> {
        let mut candidates = self.pool.candidates(&self.request).into_iter();
        candidates.find(|endpoint| self.is_free(endpoint))
    }

    fn is_free(&self, endpoint: &EndpointId) -> bool {
        !self.tried.contains(endpoint) && !self.taken.iter().any(|taken| self.distinct.same(taken, endpoint))
    }

    fn spawn(&mut self, only: Option<EndpointId>) {
        let (pool, work, deadline) = (self.pool.clone(), Arc::clone(&self.work), self.deadline);
        let mut request = self.request.clone();
        request.timeout = Some(deadline.saturating_duration_since(Instant::now()));
        if let Some(endpoint) = &only {
            // it met the caller's own terms when it was chosen
            request.requirements.only = vec![endpoint.clone()];
        }
        let mut stop = self.stop.clone();
        self.lanes.spawn(async move {
            let lease = tokio::select! {
                biased;
                // an error means that nobody can stop it any more
                Ok(_) = stop.wait_for(|stop| *stop) => return (only, End::Stopped),
                lease = pool.acquire_with(&request) => lease,
            };
            match lease {
                Err(error) => (only, End::NoLease(error)),
                Ok(lease) => {
                    let endpoint = lease.endpoint().clone();
                    (Some(endpoint), End::Done(work.on(lease, deadline).await))
                }
            }
        });
    }
}
