//! Heads and logs of one chain.

use std::{
    iter,
    sync::{Arc, atomic::Ordering},
};

use pool_core::{Request, RunError};
use pool_rpc::{Class, RpcError};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{BlockRange, Failures, Follower, HeadMove, Looked, Ranges, comet, evm, stopped};
use crate::config::{Chain, Escrow};

/// Blocks that a node may be behind another without a line in the log.
const USUAL_LAG: u64 = 8;

/// CometBFT gives the events of one block at a time; a few of them share a connection.
const LONGEST_COMET_RANGE: u64 = 10;

/// What a request brought.
enum Done {
    Head(Option<u64>),
    Logs(BlockRange, Result<Looked, Failed>),
}

/// Why a range was not looked at.
enum Failed {
    TooLong,
    Other,
}

/// Follows heads and logs until told to stop, then waits for what is under way.
pub(super) async fn follow(follower: Arc<Follower>, mut stop: watch::Receiver<bool>) {
    let plan = &follower.plan;
    let longest = match follower.chain {
        Chain::CometBft { .. } => plan.max_block_range.min(LONGEST_COMET_RANGE),
        Chain::Evm { .. } => plan.max_block_range,
    };
    let mut blocks = Blocks {
        ranges: Ranges::new(longest, plan.confirmations, plan.lookback),
        requests: JoinSet::new(),
        asking_head: false,
        far_behind: Failures::default(),
        gaps: Vec::new(),
        follower: Arc::clone(&follower),
    };
    let mut poll = interval(plan.poll_interval);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(done) = blocks.requests.join_next() => match done {
                Ok(done) => blocks.take_in(done),
                // a request that panicked would leave a gap for ever: that must be seen
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            _ = poll.tick() => blocks.ask_head(),
        }
    }
    while blocks.requests.join_next().await.is_some() {}
    let block = follower.complete_to.load(Ordering::Relaxed);
    tracing::info!(pool = %follower.pool.id(), block, "stopped following; logs are complete up to this block");
}

struct Blocks {
    follower: Arc<Follower>,
    ranges: Ranges,
    requests: JoinSet<Done>,
    asking_head: bool,
    far_behind: Failures,
    /// As last logged.
    gaps: Vec<BlockRange>,
}

impl Blocks {
    /// Asks for the head, unless the last question is still open.
    fn ask_head(&mut self) {
        if std::mem::replace(&mut self.asking_head, true) {
            return;
        }
        let follower = Arc::clone(&self.follower);
        self.requests.spawn(async move {
            let what = "asking for the head";
            let head = match follower.chain {
                Chain::Evm { .. } => {
                    let request = follower.request(iter::once("eth_blockNumber"));
                    follower.run(what, &evm::Head, request).await
                }
                Chain::CometBft { .. } => {
                    let request = follower.request(iter::once("status"));
                    follower.run(what, &comet::Head, request).await
                }
            };
            Done::Head(head.ok())
        });
    }

    fn take_in(&mut self, done: Done) {
        match done {
            Done::Head(head) => {
                self.asking_head = false;
                if let Some(height) = head {
                    self.take_in_head(height);
                }
            }
            Done::Logs(range, Ok(Looked::Complete { logs })) => {
                tracing::debug!(pool = %self.follower.pool.id(), logs, "looked at {range}");
                self.ranges.done(range);
            }
            Done::Logs(range, Ok(Looked::NodeBehind { head })) => {
                tracing::debug!(pool = %self.follower.pool.id(), head, "a node does not have {range} yet");
                // halved: the older part is there already, and a node that has all of it may have refused it as too
                // long before the pool went on to this one
                self.ranges.failed(range, true);
            }
            Done::Logs(range, Err(failed)) => {
                self.ranges.failed(range, matches!(failed, Failed::TooLong));
            }
        }
        self.tell_gaps();
        self.ask_logs();
        let complete_to = self.ranges.complete_to().unwrap_or(0);
        self.follower.complete_to.store(complete_to, Ordering::Relaxed);
    }

    fn take_in_head(&mut self, height: u64) {
        self.follower.seen(height);
        let pool = self.follower.pool.id();
        match self.ranges.head(height) {
            HeadMove::First => tracing::info!(%pool, height, "following from here"),
            HeadMove::Advanced(blocks) => tracing::debug!(%pool, height, blocks, "new head"),
            HeadMove::Same => {}
            HeadMove::Behind(blocks) if blocks <= USUAL_LAG => {
                tracing::debug!(%pool, height, blocks, "a node is behind");
            }
            HeadMove::Behind(blocks) => {
                if let Some(unlogged) = self.far_behind.note(Instant::now()) {
                    tracing::warn!(%pool, height, blocks, unlogged, "a node that counts as healthy is far behind");
                }
            }
        }
    }

    /// Asks for the logs of as many ranges as may be asked for at once.
    fn ask_logs(&mut self) {
        let Some(escrow) = self.follower.plan.escrow.clone() else {
            // without an escrow a head is all there is to a block
            while let Some(range) = self.ranges.take() {
                self.ranges.done(range);
            }
            return;
        };
        while self.requests.len() < self.follower.plan.concurrency as usize {
            let Some(range) = self.ranges.take() else { return };
            let (follower, escrow) = (Arc::clone(&self.follower), escrow.clone());
            self.requests
                .spawn(async move { Done::Logs(range, look(&follower, range, &escrow).await) });
        }
    }

    /// Logs gaps when there are others than before.
    fn tell_gaps(&mut self) {
        let gaps = self.ranges.gaps();
        if gaps == self.gaps {
            return;
        }
        let pool = self.follower.pool.id();
        match gaps.first() {
            None => tracing::info!(%pool, "no logs are missing any more"),
            // the others are told when they are the oldest
            Some(oldest) if self.gaps.first() != Some(oldest) => {
                tracing::info!(%pool, gaps = gaps.len(), "logs of {oldest} are missing and asked for again");
            }
            Some(_) => {}
        }
        self.gaps = gaps;
    }
}

/// Looks at a range; when the node that answers lacks its last blocks, at once again on one that has shown them to the pool's
/// checks. A balancer may well go on choosing the one behind, in turn or because it is the quicker: that its answers are of
/// no use here it can't know.
async fn look(follower: &Follower, range: BlockRange, escrow: &Escrow) -> Result<Looked, Failed> {
    let looked = look_once(follower, range, escrow, None).await?;
    if !matches!(looked, Looked::NodeBehind { .. }) {
        return Ok(looked);
    }
    match look_once(follower, range, escrow, Some(range.to)).await {
        // no node is known to be there yet, or those that are fail: what is older is asked for next
        Err(Failed::Other) => Ok(looked),
        again => again,
    }
}

/// Looks at a range, on a node that is known to have got to this block if that is said.
async fn look_once(
    follower: &Follower,
    range: BlockRange,
    escrow: &Escrow,
    shown: Option<u64>,
) -> Result<Looked, Failed> {
    let what = "asking for the escrow's logs";
    let on_it = |request: Request| match shown {
        Some(block) => request.min_position(block),
        None => request,
    };
    let result = match escrow {
        Escrow::Evm { address, topics, .. } => match evm::Logs::new(range, address, topics) {
            Ok(logs) => {
                let request = follower.request(["eth_blockNumber", "eth_getLogs"].into_iter());
                follower.run(what, &logs, on_it(request)).await
            }
            Err(error) => {
                tracing::error!(%error, "the request for logs can't be written");
                return Err(Failed::Other);
            }
        },
        Escrow::CometBft { events } => {
            let blocks = (range.to - range.from + 1) as usize;
            let request = follower.request(iter::repeat_n("block_results", blocks));
            let events = comet::Events::new(range, events);
            follower.run(what, &events, request).await
        }
    };
    result.map_err(|error| match error {
        RunError::Failed { source, .. } if is_too_long(&source) => Failed::TooLong,
        _ => Failed::Other,
    })
}

fn is_too_long(error: &RpcError) -> bool {
    matches!(error, RpcError::TooLarge { .. })
        || error
            .object()
            .is_some_and(|object| object.class() == Class::RangeTooLarge)
}
