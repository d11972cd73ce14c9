//! One read from several nodes, believed only when enough of them agree.
//!
//! A single node can be wrong without knowing it: a fork that it has not left, a cache in front of it, a provider that
//! answers from another chain's shard. What moves money is worth a second and a third opinion.

mod answer;
mod canonical;
mod counts;
mod pinned;
mod tally;

use std::{borrow::Cow, sync::Arc};

pub use answer::{Agreed, QuorumAnswer, QuorumError, QuorumSaid};
use counts::Counts;
pub use counts::{Dissents, QuorumCounts};
use pool_core::{Fault, Lease, NotUsable, Operation as _, Pool, Request, Unusable};
use tally::{Tally, Vote};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    distinct::Distinct,
    endpoint::JsonRpcEndpoint,
    fan::{End, Fan, Stop, Work},
    method::Idempotency,
    operation::RpcCall,
};

/// A quorum that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a quorum of {agree} among {ask} endpoints can be reached twice or never; allowed: more than half, at most all"
)]
pub struct InvalidQuorum {
    /// Endpoints that were to agree.
    pub agree: usize,
    /// Endpoints that were to be asked.
    pub ask: usize,
}

/// How reads are agreed on. Cheap to clone; clones share their counts.
///
/// So many endpoints that may be picked now are asked side by side, each on a lease of its own. An endpoint that fails by
/// its own fault has no vote and is replaced by one that has not been asked, while there is one. The answer is there as
/// soon as enough agree, the error as soon as they no longer can; those that were asked and have not answered go on in
/// the background until the request's time is over, so that their connections can be used again and a wrong answer that
/// comes late is noticed too.
///
/// **Which results agree**: JSON is compared by meaning. Order of members and `null` members do not count, hexadecimal is
/// compared in lower case, and quantities (known by method and by name of the member) without leading zeros; data is
/// not: `0x` and `0x00` differ. `blockTimestamp` and `totalDifficulty`, which only some nodes send, are left out; see
/// [`ignore`](Self::ignore). An error that is the caller's own (a revert) is an answer as well, and can be agreed on.
///
/// **What becomes of the odd one out**: it is counted ([`counts`](Self::counts)). If the request names a block (by number
/// or hash), its answer counts against it like one that is malformed, for breaker, balancer and error metrics, and an
/// answer of `null` as data that the node lacks. With `latest`, or no block, honest nodes differ by a block, so nothing
/// is held against anyone: **name the block** to have a reading that nodes can agree on.
#[derive(Clone, Debug)]
pub struct Quorum {
    ask: usize,
    agree: usize,
    request: Request,
    distinct: Distinct,
    ignored: Vec<Cow<'static, str>>,
    counts: Arc<Counts>,
}

impl Quorum {
    /// Asks `ask` endpoints, and believes what `agree` of them say, within ten seconds.
    ///
    /// # Errors
    /// [`InvalidQuorum`] unless `agree` is more than half of `ask` and at most all of them.
    pub fn new(agree: usize, ask: usize) -> Result<Self, InvalidQuorum> {
        if agree > ask || agree <= ask / 2 {
            return Err(InvalidQuorum { agree, ask });
        }
        Ok(Self {
            ask,
            agree,
            request: Request::new(),
            distinct: Distinct::providers(),
            ignored: ["blockTimestamp", "totalDifficulty"].map(Cow::Borrowed).to_vec(),
            counts: Arc::default(),
        })
    }

    /// Sets what is needed from the pool: time-out (for everything together, default 10 s), priority, requirements. What
    /// it says of attempts and idempotency is not heeded.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.request = request;
        self
    }

    /// Sets which endpoints count as one: only one of them has a vote. Default: those of one provider.
    #[must_use]
    pub fn distinct(mut self, distinct: Distinct) -> Self {
        self.distinct = distinct;
        self
    }

    /// Leaves members of this name out of the comparison, at any depth.
    #[must_use]
    pub fn ignore(mut self, member: impl Into<Cow<'static, str>>) -> Self {
        self.ignored.push(member.into());
        self
    }

    /// What all reads through this quorum and its clones came to.
    pub fn counts(&self) -> QuorumCounts {
        self.counts.read()
    }

    /// Reads.
    ///
    /// # Errors
    /// [`QuorumError`] lists what each endpoint said.
    ///
    /// # Cancellation
    /// Dropped at any await, what has not been sent is not sent; what is on its way goes on in the background until the
    /// request's time is over, and is counted.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn read(&self, pool: &Pool<JsonRpcEndpoint>, call: &RpcCall) -> Result<Agreed, QuorumError> {
        if call.idempotency() == Idempotency::NotIdempotent {
            let method = call.request().method().to_owned();
            return Err(QuorumError::NotARead { method });
        }
        let work = Read {
            call: call.clone(),
            ignored: self.ignored.clone(),
        };
        let needs = call.needing(self.request.clone());
        let (mut fan, stop) = Fan::new(pool, &needs, &self.distinct, work);
        self.counts.update(|counts| counts.reads += 1);
        let usable = fan.spare(self.ask);
        if usable < self.agree {
            self.counts.update(|counts| counts.too_few += 1);
            return Err(QuorumError::TooFew {
                needed: self.agree,
                usable,
                said: Vec::new(),
                unusable: unusable(pool, &needs),
            });
        }
        fan.ask(self.ask);
        let (reply, answer) = oneshot::channel();
        let tally = Tally::new(self.agree, call.request(), Arc::clone(&self.counts));
        tokio::spawn(drive(fan, tally, reply));
        let _unsent = StopUnsent(stop);
        answer.await.unwrap_or(Err(QuorumError::Interrupted))
    }
}

/// Who cannot be asked, and why. Who only has no slot free is waited for.
fn unusable(pool: &Pool<JsonRpcEndpoint>, needs: &Request) -> Vec<Unusable> {
    let explained = pool.explain_for(needs).into_iter();
    let unusable = explained.filter_map(|one| {
        Some(Unusable {
            endpoint: one.endpoint,
            reason: one.not_usable?,
        })
    });
    unusable
        .filter(|one| !matches!(one.reason, NotUsable::Full { .. }))
        .collect()
}

/// What has not been sent when there is an answer, or nobody to give it to, need not be.
struct StopUnsent(Stop);

impl Drop for StopUnsent {
    fn drop(&mut self) {
        self.0.now();
    }
}

/// Collects the votes, in a task of its own: those that come late count too.
async fn drive(mut fan: Fan<Read>, mut tally: Tally, reply: oneshot::Sender<Result<Agreed, QuorumError>>) {
    let mut reply = Some(reply);
    while let Some((endpoint, end)) = fan.next_end().await {
        let failed = match end {
            End::Done(Ballot::Vote(vote)) => {
                tally.add(*vote);
                None
            }
            End::Done(Ballot::Spoilt(answer)) => Some(answer),
            End::NoLease(error) => Some(QuorumAnswer::NoConnection(Arc::new(error))),
            End::Stopped => Some(QuorumAnswer::Stopped),
        };
        if let Some(answer) = failed {
            tally.failed(endpoint.clone(), answer);
            if reply.as_ref().is_some_and(|reply| !reply.is_closed()) {
                fan.failed(endpoint.as_ref());
                fan.ask(1);
            }
        }
        if reply.is_some()
            && let Some(decided) = tally.decide(fan.at_work())
            && let Some(reply) = reply.take()
        {
            // nobody there any more: the votes are counted all the same
            let _gone = reply.send(decided);
        }
    }
}

/// What is done on each endpoint.
struct Read {
    call: RpcCall,
    ignored: Vec<Cow<'static, str>>,
}

/// What came of one endpoint.
enum Ballot {
    Vote(Box<Vote>),
    /// It failed by its own fault, and its lease knows.
    Spoilt(QuorumAnswer),
}

impl Work for Read {
    type Output = Ballot;

    async fn on(&self, mut lease: Lease<JsonRpcEndpoint>, deadline: Instant) -> Ballot {
        let begun = Instant::now();
        let answer = tokio::time::timeout_at(deadline, self.call.call(&mut lease)).await;
        match answer {
            Err(_) => {
                lease.cut_off();
                let after = begun.elapsed();
                Ballot::Spoilt(QuorumAnswer::TimedOut { after })
            }
            Ok(Ok(result)) => {
                lease.answered();
                let mark = canonical::mark(self.call.request().method(), &result, &self.ignored);
                Ballot::Vote(Box::new(Vote::new(lease, mark, Ok(result))))
            }
            Ok(Err(error)) => {
                let verdict = lease.judge(&error);
                if verdict.fault() == Fault::Caller && !verdict.retry_elsewhere {
                    lease.answered();
                    let mark = canonical::mark_error(&error);
                    return Ballot::Vote(Box::new(Vote::new(lease, mark, Err(Arc::new(error)))));
                }
                lease.fail(&error);
                Ballot::Spoilt(QuorumAnswer::Failed(Arc::new(error)))
            }
        }
    }
}
