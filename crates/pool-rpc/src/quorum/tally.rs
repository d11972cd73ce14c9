//! Counting votes, and telling each lease what its answer was worth.

use std::sync::Arc;

use pool_core::{EndpointId, ErrorType, Lease, Verdict};
use serde_json::value::RawValue;

use super::{
    answer::{Agreed, QuorumAnswer, QuorumError, QuorumSaid},
    canonical::Mark,
    counts::Counts,
    pinned::is_pinned,
};
use crate::{class::Class, endpoint::JsonRpcEndpoint, error::RpcError, jsonrpc::RpcRequest};

type Answer = Result<Box<RawValue>, Arc<RpcError>>;

/// One endpoint's answer, with its lease: only the others' answers tell what to report.
pub(super) struct Vote {
    lease: Lease<JsonRpcEndpoint>,
    mark: Mark,
    answer: Answer,
}

impl Vote {
    pub(super) const fn new(lease: Lease<JsonRpcEndpoint>, mark: Mark, answer: Answer) -> Self {
        Self { lease, mark, answer }
    }
}

/// An answer that was reported to its lease.
struct Counted {
    endpoint: EndpointId,
    mark: Mark,
    answer: Answer,
}

enum State {
    Open(Vec<Vote>),
    /// Enough agree on this; whether it is `null`, and whether it is a value at all.
    Won {
        mark: Mark,
        is_null: bool,
    },
    /// They no longer can.
    Lost,
}

/// The votes on one read.
pub(super) struct Tally {
    needed: usize,
    pinned: bool,
    state: State,
    failed: Vec<QuorumSaid>,
    counts: Arc<Counts>,
}

impl Tally {
    pub(super) fn new(needed: usize, request: &RpcRequest, counts: Arc<Counts>) -> Self {
        Self {
            needed,
            pinned: is_pinned(request),
            state: State::Open(Vec::new()),
            failed: Vec::new(),
            counts,
        }
    }

    /// A vote; one that comes after the decision is held against it at once.
    pub(super) fn add(&mut self, vote: Vote) {
        match &mut self.state {
            State::Open(votes) => votes.push(vote),
            State::Won { mark, is_null } => {
                let (mark, is_null) = (*mark, *is_null);
                self.settle(vote, mark, is_null);
            }
            State::Lost => {
                let _counted = undisputed(vote);
            }
        }
    }

    /// An endpoint without a vote.
    pub(super) fn failed(&mut self, endpoint: Option<EndpointId>, answer: QuorumAnswer) {
        self.failed.push(QuorumSaid { endpoint, answer });
    }

    /// The decision, once there is one; `at_work` more votes may come.
    pub(super) fn decide(&mut self, at_work: usize) -> Option<Result<Agreed, QuorumError>> {
        let State::Open(votes) = &mut self.state else {
            return None;
        };
        let count = |mark: &Mark| votes.iter().filter(|vote| vote.mark == *mark).count();
        let best = votes.iter().max_by_key(|vote| count(&vote.mark));
        let most = best.map_or(0, |vote| count(&vote.mark));
        if let Some(best) = best.filter(|_| most >= self.needed) {
            let mark = best.mark;
            let is_null = best.answer.as_ref().is_ok_and(|result| result.get() == "null");
            let votes = std::mem::take(votes);
            self.state = State::Won { mark, is_null };
            return Some(self.won(votes, mark, is_null));
        }
        if most + at_work >= self.needed {
            return None;
        }
        let votes = std::mem::take(votes);
        self.state = State::Lost;
        Some(Err(self.lost(votes, most)))
    }

    fn won(&mut self, votes: Vec<Vote>, mark: Mark, is_null: bool) -> Result<Agreed, QuorumError> {
        let mut said = std::mem::take(&mut self.failed);
        let (mut by, mut answer) = (Vec::new(), None);
        for vote in votes {
            let counted = self.settle(vote, mark, is_null);
            if counted.mark == mark {
                by.push(counted.endpoint);
                answer.get_or_insert(counted.answer);
            } else {
                said.push(counted.into());
            }
        }
        self.counts.update(|counts| counts.agreed += 1);
        match answer {
            Some(Ok(result)) => Ok(Agreed {
                result,
                by,
                others: said,
            }),
            Some(Err(error)) => Err(QuorumError::Refused {
                error,
                by,
                others: said,
            }),
            None => Err(QuorumError::Interrupted),
        }
    }

    fn lost(&mut self, votes: Vec<Vote>, most: usize) -> QuorumError {
        let disputed = most < votes.len();
        let mut said: Vec<QuorumSaid> = votes.into_iter().map(|vote| undisputed(vote).into()).collect();
        let usable = said.len();
        said.append(&mut self.failed);
        let needed = self.needed;
        if disputed {
            self.counts.update(|counts| counts.disputed += 1);
            QuorumError::Disputed { needed, said }
        } else {
            self.counts.update(|counts| counts.too_few += 1);
            QuorumError::TooFew {
                needed,
                usable,
                said,
                unusable: Vec::new(),
            }
        }
    }

    /// Reports a vote to its lease, now that enough agree on `mark`.
    fn settle(&self, vote: Vote, mark: Mark, is_null: bool) -> Counted {
        if vote.mark == mark {
            return undisputed(vote);
        }
        let Vote { lease, mark, answer } = vote;
        let endpoint = lease.endpoint().clone();
        let verdict = self.dissent(&answer, is_null);
        self.counts.dissent(&endpoint, verdict.is_some());
        match (verdict, &answer) {
            (Some(verdict), _) => lease.fail_with(&verdict),
            (None, Err(error)) => drop(lease.fail(error)),
            (None, Ok(_)) => lease.succeed(),
        }
        Counted {
            endpoint,
            mark,
            answer,
        }
    }

    /// What is held against an endpoint whose answer is another than what enough agree on.
    fn dissent(&self, answer: &Answer, agreed_on_null: bool) -> Option<Verdict> {
        if !self.pinned {
            return None;
        }
        let kind = match answer {
            // it may be ahead of the others
            Ok(_) if agreed_on_null => return None,
            // it has not got there, or has it no more
            Ok(result) if result.get() == "null" => ErrorType::Unavailable,
            Ok(_) => ErrorType::Malformed,
            Err(error) if error.class() == Some(Class::Reverted) => ErrorType::Malformed,
            // a dialect of its own
            Err(_) => return None,
        };
        // the answer was read to its end
        Some(Verdict::of(kind).with_keep_connection(true))
    }
}

/// Reports a vote that nothing speaks against.
fn undisputed(vote: Vote) -> Counted {
    let Vote { lease, mark, answer } = vote;
    let endpoint = lease.endpoint().clone();
    match &answer {
        Ok(_) => lease.succeed(),
        Err(error) => drop(lease.fail(error)),
    }
    Counted {
        endpoint,
        mark,
        answer,
    }
}

impl From<Counted> for QuorumSaid {
    fn from(counted: Counted) -> Self {
        Self {
            endpoint: Some(counted.endpoint),
            answer: match counted.answer {
                Ok(result) => QuorumAnswer::Result(result),
                Err(error) => QuorumAnswer::Failed(error),
            },
        }
    }
}
