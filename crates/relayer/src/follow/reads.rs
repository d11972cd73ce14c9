//! Typical reads at a rate, and transactions where they are wanted.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pool_core::RunError;
use pool_rpc::{RpcCall, is_duplicate_tx};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Follower, Pacer, comet, evm, stopped};
use crate::config::{Chain, Escrow};

/// Far enough for "never".
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Reads at the plan's rate until told to stop, then waits for what is under way.
pub(super) async fn work(follower: Arc<Follower>, mut rng: fastrand::Rng, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(follower.plan.concurrency as usize));
    let mut requests = JoinSet::new();
    let rate = follower.plan.requests_per_second;
    let begun = Instant::now();
    let mut pacer = (rate > 0.0).then(|| Pacer::new(rate, begun));
    let mut take = || {
        pacer
            .as_mut()
            .map_or(begun + NEVER, |pacer| pacer.take(Instant::now()))
    };
    let mut next_read = take();
    let every = follower.plan.send_transactions;
    let mut next_transaction = begun + every.unwrap_or(NEVER);
    loop {
        let call = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = requests.join_next() => {
                if let Err(error) = ended {
                    std::panic::resume_unwind(error.into_panic());
                }
                continue;
            }
            () = sleep_until(next_transaction) => {
                next_transaction += every.unwrap_or(NEVER);
                transaction(&follower, &mut rng)
            }
            // when all places are taken the rate suffers: reads are not piled up
            place = place_at(next_read, &room) => {
                next_read = take();
                let Some(place) = place else { break };
                let call = read(&follower, &mut rng);
                spawn(&mut requests, &follower, call, Some(place));
                continue;
            }
        };
        spawn(&mut requests, &follower, call, None);
    }
    while requests.join_next().await.is_some() {}
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn place_at(due: Instant, room: &Arc<Semaphore>) -> Option<Place> {
    sleep_until(due).await;
    // never closed, so there is always one in the end
    Arc::clone(room).acquire_owned().await.ok()
}

fn spawn(
    requests: &mut JoinSet<()>,
    follower: &Arc<Follower>,
    call: Result<RpcCall, serde_json::Error>,
    place: Option<Place>,
) {
    match call {
        Ok(call) => {
            let follower = Arc::clone(follower);
            requests.spawn(async move {
                run(&follower, &call).await;
                drop(place);
            });
        }
        Err(error) => tracing::error!(%error, "a request can't be written"),
    }
}

async fn run(follower: &Follower, call: &RpcCall) {
    let request = call.pool_request_at(&follower.costs);
    if request.idempotent {
        // a read's failure has been logged, and a read has no other consequence
        let _read = follower.run("a read", call, request).await;
        return;
    }
    let request = request.timeout(follower.plan.request_timeout);
    match follower.pool.run(call, &request).await {
        Ok(_) => {}
        // an earlier attempt got through although its answer did not
        Err(RunError::Failed { source, .. }) if source.object().is_some_and(is_duplicate_tx) => {}
        Err(error) => follower.log("a transaction", &error),
    }
}

fn read(follower: &Follower, rng: &mut fastrand::Rng) -> Result<RpcCall, serde_json::Error> {
    match (&follower.chain, &follower.plan.escrow) {
        (Chain::CometBft { .. }, _) => comet::read(follower.head.load(Ordering::Relaxed), rng),
        (
            Chain::Evm { .. },
            Some(Escrow::Evm {
                address, view_call, ..
            }),
        ) => evm::read(address, view_call.as_deref(), rng),
        (Chain::Evm { .. }, _) => evm::read(evm::ZERO_ADDRESS, None, rng),
    }
}

fn transaction(follower: &Follower, rng: &mut fastrand::Rng) -> Result<RpcCall, serde_json::Error> {
    match follower.chain {
        Chain::Evm { .. } => evm::transaction(rng),
        Chain::CometBft { .. } => comet::transaction(rng),
    }
}
