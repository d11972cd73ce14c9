//! tower's balancer over hyper-util's client, with the settings of the simulated traces: power of two choices by peak EWMA with the
//! values of tower's own example `tower-balance` (30 ms, 10 s), behind a `Buffer`; with retries also tower's `Retry`: three
//! attempts, its budget with its defaults, no pause.

use std::{convert::Infallible, future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
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

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire::Wire,
    },
    trace::{
        contestant::{BoxFuture, Side},
        node::{Call, NodeError},
    },
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
pub(super) struct Tower {
    pub(super) retries: bool,
}

impl Contestant for Tower {
    fn name(&self) -> String {
        let retries = if self.retries { " + retry" } else { "" };
        format!("tower P2C peak EWMA{retries}")
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        let retries = self.retries;
        Box::pin(async move {
            let wire = Wire::new();
            let inserted: Vec<_> = arena
                .places
                .iter()
                .map(|place| {
                    let remote = Remote {
                        wire: wire.clone(),
                        addr: place.addr,
                    };
                    Ok::<_, Infallible>(Change::Insert(place.id, remote))
                })
                .collect();
            let discover = PeakEwmaDiscover::new(
                tokio_stream::iter(inserted),
                DEFAULT_RTT,
                DECAY,
                CompleteOnResponse::default(),
            );
            let balance = Balance::from_rng(discover, Seeded(fastrand::Rng::with_seed(arena.seed)));
            Ok(Arc::new(Stack {
                balanced: BoxCloneSyncService::new(Buffer::new(balance, BUFFER)),
                budget: Arc::new(TpsBudget::default()),
                retries,
            }) as Arc<dyn Client>)
        })
    }
}

struct Stack {
    balanced: BoxCloneSyncService<Call, Answer, BoxError>,
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
        Box::pin(async move {
            let answer: Result<Answer, BoxError> = service.oneshot(call).await;
            answer.map_err(|error| error.downcast().map_or(NodeError::TimedOut, |error| *error))
        })
    }
}

/// tower's chance, seeded.
struct Seeded(fastrand::Rng);

impl Rng for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}

/// A node as tower sees it: what is no good answer is an error.
struct Remote {
    wire: Wire,
    addr: SocketAddr,
}

impl Service<Call> for Remote {
    type Response = Answer;
    type Error = NodeError;
    type Future = BoxFuture<Result<Answer, NodeError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), NodeError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (wire, addr) = (self.wire.clone(), self.addr);
        Box::pin(async move { wire.attempt(addr, call).await })
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
