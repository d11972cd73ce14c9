//! The relayer's work on one chain: its head, the escrow's logs of every block, and typical reads.
//!
//! Everything goes through [`Pool::run`] with a deadline. The pool finds a node that works and tries again elsewhere;
//! what is left to do here is to see that the answers make sense together: heads that never fall, logs without gaps.
//!
//! - [`Ranges`] is the bookkeeping of blocks, [`Pacer`] the rate, [`Failures`] the restraint of the log: pure, each in a
//!   file of its own.
//! - `evm` and `comet` are what is asked of a node.
//! - `blocks` and `reads` are the two tasks of a pool.

mod blocks;
mod comet;
mod evm;
mod failures;
mod pacer;
mod ranges;
mod reads;

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use pool_core::{AcquireError, Operation, Pool, Request, RunError};
use pool_rpc::{JsonRpcEndpoint, MethodCosts, RpcError};
use tokio::{sync::watch, task::JoinSet, time::Instant};

pub use failures::Failures;
pub use pacer::Pacer;
pub use ranges::{BlockRange, HeadMove, Ranges};

use crate::config::{Chain, FollowPlan};

#[cfg(test)]
mod tests;

/// What looking at a range of blocks gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// Everything in it, so many logs.
    Complete { logs: usize },
    /// The node does not have all of it yet.
    NodeBehind { head: u64 },
}

/// What the tasks of one pool share.
#[derive(Debug)]
struct Follower {
    pool: Pool<JsonRpcEndpoint>,
    chain: Chain,
    plan: FollowPlan,
    costs: MethodCosts,
    failures: Mutex<Failures>,
    /// The highest head seen; 0 before the first.
    head: AtomicU64,
    /// The block up to which all logs have been looked at; 0 before the first.
    complete_to: AtomicU64,
}

/// Starts following a chain through its pool, until `stop` holds `true`.
///
/// What is under way then is given the time to end; the tasks end with it. Aborted, they drop their requests, and the
/// pool takes everything back.
pub fn start(
    pool: Pool<JsonRpcEndpoint>,
    chain: Chain,
    plan: FollowPlan,
    costs: MethodCosts,
    seed: u64,
    stop: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    let follower = Arc::new(Follower {
        pool,
        chain,
        plan,
        costs,
        failures: Mutex::default(),
        head: AtomicU64::new(0),
        complete_to: AtomicU64::new(0),
    });
    tasks.spawn(blocks::follow(Arc::clone(&follower), stop.clone()));
    tasks.spawn(reads::work(
        follower,
        fastrand::Rng::with_seed(seed),
        stop.clone(),
    ));
}

impl Follower {
    /// What asking a node for these methods needs from the pool.
    fn request<'a>(&self, methods: impl Iterator<Item = &'a str> + Clone) -> Request {
        Request::new().cost(self.costs.cost(methods))
    }

    /// Runs a read with the plan's deadline. Failures are logged here.
    async fn run<O: Operation<JsonRpcEndpoint>>(
        &self,
        what: &'static str,
        operation: &O,
        request: Request,
    ) -> Result<O::Output, RunError<RpcError>> {
        let request = request.timeout(self.plan.request_timeout);
        let result = self.pool.run(operation, &request).await;
        if let Err(error) = &result {
            self.log(what, error);
        }
        result
    }

    fn log(&self, what: &'static str, error: &RunError<RpcError>) {
        if is_closed(error) {
            return;
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = failures.note(Instant::now());
        drop(failures);
        if let Some(silent) = noted {
            let pool = self.pool.id();
            tracing::warn!(%pool, unlogged = silent, "{what} failed: {}", in_one_line(error));
        }
    }

    fn seen(&self, head: u64) {
        self.head.fetch_max(head, Ordering::Relaxed);
    }
}

/// Whether the pool was closed: the relayer stops, and that is no failure.
fn is_closed(error: &RunError<RpcError>) -> bool {
    matches!(error, RunError::Acquire(AcquireError::Closed { .. }))
}

fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Ends when `stop` holds `true`, or nobody can set it any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // an error means that the relayer is gone, which is as good
    let _gone = stop.wait_for(|stop| *stop).await;
}
