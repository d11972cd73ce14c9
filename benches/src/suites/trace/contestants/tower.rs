//! tower's balancer: power of two choices by peak EWMA, with the values of tower's own example `tower-balance` (30 ms, 10 s),
//! behind a `Buffer`, as one shares it. With retries it also has tower's `Retry`: three attempts, tower's budget with its
//! defaults, no pause, and a policy of ours that looks into the payload, as a user who knows JSON-RPC would write it.

use std::{convert::Infallible, future, sync::Arc, time::Duration};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
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
    contestant::{Arena, BoxFuture, Client, Contestant, Side, attempt},
    node::{Answer, Call, Node, NodeError},
};

/// What the example assumes of an endpoint that has not answered yet.
const DEFAULT_RTT: Duration = Duration::from_millis(30);
/// How fast its estimates fade.
const DECAY: Duration = Duration::from_secs(10);
/// Requests that the buffer holds; it hands them on at once.
const BUFFER: usize = 1_024;
/// Attempts of one call, as ours.
const ATTEMPTS: u32 = 3;

/// The contestant.
#[derive(Debug)]
pub(crate) struct Tower {
    pub(crate) retries: bool,
}

impl Contestant for Tower {
    fn name(&self) -> String {
        let retries = if self.retries { " + retry" } else { "" };
        format!("tower P2C peak EWMA{retries}")
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>> {
        let retries = self.retries;
        Box::pin(async move {
            let (joining, joined) = unbounded_channel();
            for node in arena.first() {
                // the receiver lives as long as the balancer
                let _sent = joining.send(inserted(Arc::clone(node)));
            }
            let discover = PeakEwmaDiscover::new(
                UnboundedReceiverStream::new(joined),
                DEFAULT_RTT,
                DECAY,
                CompleteOnResponse::default(),
            );
            let balance = Balance::from_rng(discover, Seeded(fastrand::Rng::with_seed(arena.seed)));
            let balanced = BoxCloneSyncService::new(Buffer::new(balance, BUFFER));
            let budget = Arc::new(TpsBudget::default());
            Arc::new(Stack {
                balanced,
                joining,
                budget,
                retries,
            }) as Arc<dyn Client>
        })
    }
}

fn inserted(node: Arc<Node>) -> Inserted {
    Ok(Change::Insert(node.id, Remote(node)))
}

type Inserted = Result<Change<usize, Remote>, Infallible>;
/// Erased, because the compiler can't prove of the futures within that they are `Send` for every lifetime of a boxed error.
type Balanced = BoxCloneSyncService<Call, Answer, BoxError>;

struct Stack {
    balanced: Balanced,
    joining: UnboundedSender<Inserted>,
    budget: Arc<TpsBudget>,
    retries: bool,
}

impl Client for Stack {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
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

    fn join(&self, node: Arc<Node>) {
        let _sent = self.joining.send(inserted(node));
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

/// A node as tower sees it: what is no good answer is an error.
struct Remote(Arc<Node>);

impl Service<Call> for Remote {
    type Response = Answer;
    type Error = NodeError;
    type Future = BoxFuture<Result<Answer, NodeError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), NodeError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let node = Arc::clone(&self.0);
        Box::pin(async move { attempt(&node, call).await })
    }
}

/// Three attempts within tower's budget.
#[derive(Clone)]
struct Attempts {
    left: u32,
    budget: Arc<TpsBudget>,
}

impl Policy<Call, Answer, BoxError> for Attempts {
    type Future = future::Ready<()>;

    fn retry(&mut self, _: &mut Call, result: &mut Result<Answer, BoxError>) -> Option<Self::Future> {
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
