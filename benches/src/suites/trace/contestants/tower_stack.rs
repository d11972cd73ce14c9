//! tower's layers with their settings, whoever the nodes are: power of two choices by peak EWMA, with the values of tower's own
//! example `tower-balance` (30 ms, 10 s), behind a `Buffer`, as one shares it. With retries it also has tower's `Retry`: three
//! attempts, tower's budget with its defaults, no pause, and a policy that repeats whatever was no good answer.

use std::{convert::Infallible, future, sync::Arc, time::Duration};

use tokio_stream::Stream;
use tower::{
    BoxError, Service, ServiceExt,
    balance::p2c::Balance,
    buffer::Buffer,
    discover::Change,
    load::{CompleteOnResponse, PeakEwmaDiscover},
    retry::{
        Policy, Retry,
        budget::{Budget, TpsBudget},
    },
    util::{BoxCloneSyncService, rng::Rng},
};

use crate::suites::trace::{
    contestant::BoxFuture,
    node::{Call, NodeError},
};

/// What the example assumes of an endpoint that has not answered yet.
const DEFAULT_RTT: Duration = Duration::from_millis(30);
/// How fast its estimates fade.
const DECAY: Duration = Duration::from_secs(10);
/// Requests that the buffer holds; it hands them on at once.
const BUFFER: usize = 1_024;
/// Attempts of one call, as ours.
const ATTEMPTS: u32 = 3;

/// A node that joins, under its number.
pub(crate) type Inserted<N> = Result<Change<usize, N>, Infallible>;

/// What tower's contestants are called.
pub(crate) fn name(retries: bool) -> String {
    let retries = if retries { " + retry" } else { "" };
    format!("tower P2C peak EWMA{retries}")
}

/// The layers over nodes that answer `A`. What is no good answer must be an error of theirs.
pub(crate) struct Stack<A> {
    /// Erased, because the compiler can't prove of the futures within that they are `Send` for every lifetime of a boxed error.
    balanced: BoxCloneSyncService<Call, A, BoxError>,
    budget: Arc<TpsBudget>,
    retries: bool,
}

impl<A: Send + 'static> Stack<A> {
    pub(crate) fn new<N>(
        joined: impl Stream<Item = Inserted<N>> + Send + Unpin + 'static,
        retries: bool,
        seed: u64,
    ) -> Self
    where
        N: Service<Call, Response = A, Error = NodeError, Future = BoxFuture<Result<A, NodeError>>>
            + Send
            + 'static,
    {
        let discover = PeakEwmaDiscover::new(joined, DEFAULT_RTT, DECAY, CompleteOnResponse::default());
        let balance = Balance::from_rng(discover, Seeded(fastrand::Rng::with_seed(seed)));
        Self {
            balanced: BoxCloneSyncService::new(Buffer::new(balance, BUFFER)),
            budget: Arc::new(TpsBudget::default()),
            retries,
        }
    }

    pub(crate) fn call(&self, call: Call) -> BoxFuture<Result<A, NodeError>> {
        let policy = Attempts {
            left: ATTEMPTS - 1,
            budget: Arc::clone(&self.budget),
        };
        let balanced = self.balanced.clone();
        let service = if self.retries {
            BoxCloneSyncService::new(Retry::new(policy, balanced))
        } else {
            balanced
        };
        Box::pin(async move { service.oneshot(call).await.map_err(unboxed) })
    }
}

/// The node's own error, from under those of the layers.
fn unboxed(error: BoxError) -> NodeError {
    error.downcast().map_or(NodeError::TimedOut, |error| *error)
}

/// tower's chance, seeded.
struct Seeded(fastrand::Rng);

impl Rng for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}

/// Three attempts within tower's budget.
#[derive(Clone)]
struct Attempts {
    left: u32,
    budget: Arc<TpsBudget>,
}

impl<A> Policy<Call, A, BoxError> for Attempts {
    type Future = future::Ready<()>;

    fn retry(&mut self, _: &mut Call, result: &mut Result<A, BoxError>) -> Option<Self::Future> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        let again = self.left > 0 && self.budget.withdraw();
        self.left = self.left.saturating_sub(1);
        again.then(|| future::ready(()))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(*call)
    }
}
