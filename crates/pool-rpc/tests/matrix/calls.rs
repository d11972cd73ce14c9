//! What calls came to, and whether it is true.

use std::fmt;

use pool_core::{Pool, Request, RunError};
use pool_rpc::{Broadcast, BroadcastAnswer, BroadcastError, BroadcastSaid, JsonRpcEndpoint, RawTx, RpcError};

use crate::{
    cell::Row,
    work::{Answer, Truth, Work},
};

/// What calls came to.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) row: Row,
    pub(crate) wrong: Vec<String>,
    pub(crate) errors: Vec<Failed>,
    /// Transactions, and what their callers believe of them.
    transactions: Vec<(String, Believed)>,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Failed {
    Run(RunError<RpcError>),
    Broadcast(BroadcastError),
}

/// What a caller was told of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Believed {
    Taken,
    /// Some node may have it.
    Unknown,
    Lost,
}

impl Calls {
    pub(crate) async fn one(
        &mut self,
        pool: &Pool<JsonRpcEndpoint>,
        truth: &Truth,
        request: Request,
        work: &Work,
    ) {
        self.row.calls += 1;
        let before = truth.head();
        let answer = match work {
            Work::Read(_, call) => pool.run(call, &request).await.map(Answer::One),
            Work::Batch(_, batch) => pool.run(batch, &request).await.map(Answer::Many),
            Work::Broadcast(tx, _) => return self.broadcast(pool, request, tx).await,
            Work::Send(tx, call) => {
                let answer = pool.run(call, &request).await.map(Answer::One);
                self.transactions.push((tx.hash().to_owned(), believed(&answer)));
                answer
            }
        };
        match answer {
            Ok(answer) => {
                self.row.successes += 1;
                let heads = before..=truth.head();
                self.wrong.extend(truth.refute(work, &answer, &heads).await);
            }
            Err(error) => self.errors.push(Failed::Run(error)),
        }
    }

    async fn broadcast(&mut self, pool: &Pool<JsonRpcEndpoint>, request: Request, tx: &RawTx) {
        let hash = tx.hash().to_owned();
        let believed = match Broadcast::new().request(request).send(pool, tx).await {
            Ok(sent) => {
                self.row.successes += 1;
                if sent.hash != hash {
                    self.wrong.push(format!("{} is not the hash {hash}", sent.hash));
                }
                let said = sent.rest.finish().await;
                let took = |said: &&BroadcastSaid| matches!(said.answer, BroadcastAnswer::Accepted);
                if said.iter().filter(took).count() > 1 {
                    self.wrong.push(format!("taken more than once: {said:?}"));
                }
                Believed::Taken
            }
            Err(error) => {
                let believed = if error.maybe_sent() {
                    Believed::Unknown
                } else {
                    Believed::Lost
                };
                self.errors.push(Failed::Broadcast(error));
                believed
            }
        };
        self.transactions.push((hash, believed));
    }

    /// Holds what callers believe of their transactions against what the chain has.
    pub(crate) async fn settle(&mut self, truth: &Truth) {
        let hashes: Vec<_> = self.transactions.iter().map(|(hash, _)| hash.clone()).collect();
        for ((hash, believed), taken) in self.transactions.iter().zip(truth.taken(&hashes).await) {
            match (believed, taken) {
                (Believed::Taken, false) => self.wrong.push(format!("{hash} succeeded and is not there")),
                (Believed::Lost, true) => self.wrong.push(format!("{hash} failed for sure and is there")),
                _ => {}
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.row.calls += other.row.calls;
        self.row.successes += other.row.successes;
        self.wrong.extend(other.wrong);
        self.errors.extend(other.errors);
        self.transactions.extend(other.transactions);
    }

    /// No answer is wrong.
    pub(crate) fn right(&self) -> Result<(), String> {
        match self.wrong.first() {
            Some(wrong) => Err(format!("{} wrong answers: {wrong}", self.wrong.len())),
            None => Ok(()),
        }
    }

    /// No answer is wrong, and 999 of 1000 have come.
    pub(crate) fn verified(&self) -> Result<Row, String> {
        self.right()?;
        let Row { calls, successes, .. } = self.row;
        if successes * 1000 < calls * 999 {
            let error = &self.errors[0];
            return Err(format!("{successes} of {calls} calls succeeded: {error}"));
        }
        Ok(self.row)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error: &dyn std::error::Error = match self {
            Self::Run(error) => error,
            Self::Broadcast(error) => error,
        };
        write!(f, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// What a caller may believe who sent a transaction through one node.
fn believed(answer: &Result<Answer, RunError<RpcError>>) -> Believed {
    let maybe = |error: &RpcError| pool_rpc::classify(error).maybe_executed;
    match answer {
        Ok(_) => Believed::Taken,
        Err(RunError::Failed { source, .. }) if !maybe(source) => Believed::Lost,
        Err(RunError::Acquire(_)) => Believed::Lost,
        Err(_) => Believed::Unknown,
    }
}
