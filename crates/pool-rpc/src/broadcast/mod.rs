//! One signed transaction to several endpoints at once.
//!
//! A transaction that one provider drops, holds back or answers too late is as good as lost before a timelock. So it
//! goes to several, and one that takes it is enough. All of them get the same bytes: whichever is first, the chain
//! executes them once.

mod answer;
mod rlp;
mod tx;

use std::sync::Arc;

pub use answer::{BroadcastAnswer, BroadcastError, BroadcastSaid};
use pool_core::{EndpointId, Lease, Operation as _, Pool, Request};
use tokio::{sync::oneshot, time::Instant};
pub use tx::{RawTx, RawTxError};

use crate::{
    class::Class,
    distinct::Distinct,
    endpoint::JsonRpcEndpoint,
    error::RpcError,
    fan::{End, Fan, Stop, Work},
    malformed::Malformed,
};

/// Endpoints that a transaction is sent to unless told otherwise. Two may share a fault; a fourth adds cost and little
/// else.
pub const DEFAULT_BROADCAST: usize = 3;

/// How transactions are broadcast. Cheap to clone, used for any number of them.
///
/// Each transaction goes to so many endpoints that may be picked now, side by side, each on a lease of its own; to fewer
/// if there are fewer. If none may be picked, it waits for the first that may. An endpoint that fails by its own fault is
/// replaced by one that has not been asked, until one has taken the transaction; no endpoint gets it twice. Nothing is
/// sent on a timer.
///
/// What a node says counts as success when it takes the transaction, has it already ("already known", "tx already exists
/// in cache"), or refuses its nonce as used and, asked by hash, shows that this very transaction used it. An answer that
/// names another hash is no success.
#[derive(Clone, Debug)]
pub struct Broadcast {
    endpoints: usize,
    request: Request,
    distinct: Distinct,
}

impl Default for Broadcast {
    fn default() -> Self {
        Self::new()
    }
}

/// A transaction that at least one node has.
#[derive(Debug)]
#[must_use = "the hash is in it"]
pub struct Sent {
    /// The hash, computed here.
    pub hash: String,
    /// The first endpoint that had it.
    pub endpoint: EndpointId,
    /// What that endpoint said.
    pub answer: BroadcastAnswer,
    /// The others, which go on by themselves.
    pub rest: Rest,
}

/// What the other endpoints of a broadcast will have said. Dropping it changes nothing for them.
#[derive(Debug)]
pub struct Rest(oneshot::Receiver<Vec<BroadcastSaid>>);

impl Rest {
    /// Waits until every endpoint has answered or the broadcast's time is over, and tells what each said, in the order
    /// of the answers and the first one's included. Empty only if the runtime was shut down.
    ///
    /// # Cancellation
    /// Dropped before it ends, the endpoints go on all the same.
    pub async fn finish(self) -> Vec<BroadcastSaid> {
        self.0.await.unwrap_or_default()
    }
}

impl Broadcast {
    /// To [`DEFAULT_BROADCAST`] endpoints, within ten seconds.
    pub fn new() -> Self {
        Self {
            endpoints: DEFAULT_BROADCAST,
            request: Request::new(),
            distinct: Distinct::endpoints(),
        }
    }

    /// Sets to how many endpoints; at least 1.
    #[must_use]
    pub fn endpoints(mut self, count: usize) -> Self {
        self.endpoints = count.max(1);
        self
    }

    /// Sets what is needed from the pool: time-out (for everything together, default 10 s), priority, requirements. What
    /// it says of attempts and idempotency is not heeded.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.request = request;
        self
    }

    /// Sets which endpoints count as one, and get the transaction once. Default: each endpoint for itself.
    #[must_use]
    pub fn distinct(mut self, distinct: Distinct) -> Self {
        self.distinct = distinct;
        self
    }

    /// Sends a transaction. Returns as soon as one node has it; the other endpoints go on in the background until they
    /// have answered or the time is over, and [`Sent::rest`] waits for them.
    ///
    /// A refusal by one node is reported only when all have answered or the time is over: a node that is behind refuses
    /// what the others take.
    ///
    /// # Errors
    /// [`BroadcastError`] lists what each endpoint said. Ask its [`maybe_sent`](BroadcastError::maybe_sent) before
    /// signing another transaction with the same nonce.
    ///
    /// # Cancellation
    /// Dropped at any await, what has not been sent is not sent; what is on its way goes on in the background, for it
    /// cannot be called back.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn send(&self, pool: &Pool<JsonRpcEndpoint>, tx: &RawTx) -> Result<Sent, BroadcastError> {
        let (mut fan, stop) = Fan::new(
            pool,
            &tx.submit().needing(self.request.clone()),
            &self.distinct,
            Submit(tx.clone()),
        );
        if fan.ask(self.endpoints) == 0 {
            fan.ask_any();
        }
        let (first, answer) = oneshot::channel();
        let (all, rest) = oneshot::channel();
        tokio::spawn(drive(fan, tx.hash().to_owned(), first, all));
        let mut guard = StopUnsent(Some(stop));
        let answer = answer.await;
        guard.0 = None;
        let (endpoint, answer) = answer.map_err(|_| BroadcastError::Interrupted)??;
        Ok(Sent {
            hash: tx.hash().to_owned(),
            endpoint,
            answer,
            rest: Rest(rest),
        })
    }
}

/// Stops what has not been sent when its caller goes away.
struct StopUnsent(Option<Stop>);

impl Drop for StopUnsent {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.now();
        }
    }
}

type First = oneshot::Sender<Result<(EndpointId, BroadcastAnswer), BroadcastError>>;

/// Collects the answers, in a task of its own: the caller may go away.
async fn drive(mut fan: Fan<Submit>, hash: String, first: First, all: oneshot::Sender<Vec<BroadcastSaid>>) {
    let mut first = Some(first);
    let mut said = Vec::new();
    while let Some((endpoint, end)) = fan.next_end().await {
        let answer = match end {
            End::Done(answer) => answer,
            End::NoLease(error) => BroadcastAnswer::NoConnection(Arc::new(error)),
            End::Stopped => BroadcastAnswer::Stopped,
        };
        if let Some(endpoint) = endpoint.clone().filter(|_| answer.is_success()) {
            if let Some(first) = first.take() {
                // nobody there any more: the others are told nothing either way
                let _gone = first.send(Ok((endpoint, answer.clone())));
            }
        } else if answer.is_nodes_fault() && first.as_ref().is_some_and(|first| !first.is_closed()) {
            fan.failed(endpoint.as_ref());
            fan.ask(1);
        }
        said.push(BroadcastSaid { endpoint, answer });
    }
    match first {
        Some(first) => drop(first.send(Err(BroadcastError::of(hash, said)))),
        None => drop(all.send(said)),
    }
}

/// What is done on each endpoint.
struct Submit(RawTx);

impl Work for Submit {
    type Output = BroadcastAnswer;

    async fn on(&self, mut lease: Lease<JsonRpcEndpoint>, deadline: Instant) -> BroadcastAnswer {
        let begun = Instant::now();
        match tokio::time::timeout_at(deadline, self.submit(&mut lease)).await {
            Ok(Ok(answer)) => {
                lease.succeed();
                answer
            }
            Ok(Err(Refusal { error, unknown_nonce })) => {
                BroadcastAnswer::failed(error, |error| lease.fail(error), unknown_nonce)
            }
            Err(_) => {
                lease.cut_off();
                BroadcastAnswer::TimedOut {
                    after: begun.elapsed(),
                }
            }
        }
    }
}

/// How the node did not take it.
struct Refusal {
    error: RpcError,
    /// It refused the nonce as used, and could not be asked by whom.
    unknown_nonce: bool,
}

impl Submit {
    async fn submit(&self, lease: &mut Lease<JsonRpcEndpoint>) -> Result<BroadcastAnswer, Refusal> {
        let refusal = |error, unknown_nonce| Refusal { error, unknown_nonce };
        let error = match self.0.submit().call(lease).await {
            Ok(result) if self.0.is_named_by(&result) => return Ok(BroadcastAnswer::Accepted),
            Ok(_) => return Err(refusal(RpcError::Malformed(Malformed::OtherHash), false)),
            Err(error) => error,
        };
        match error.class() {
            Some(Class::AlreadyKnown) => Ok(BroadcastAnswer::AlreadyKnown),
            // the nonce may have been used by this very transaction
            Some(Class::NonceTooLow | Class::ReplacementUnderpriced) => {
                match self.0.lookup().call(lease).await {
                    Ok(shown) if self.0.is_shown_by(&shown) => Ok(BroadcastAnswer::Seen),
                    Ok(_) => Err(refusal(error, false)),
                    // CometBFT's way to say that it has not
                    Err(not_found) if not_found.says("not found") => Err(refusal(error, false)),
                    Err(_) => Err(refusal(error, true)),
                }
            }
            _ => Err(refusal(error, false)),
        }
    }
}
