//! What calls came to, and whether it is true.

use std::fmt;

use pool_core::{Pool, Request, RunError};
use pool_rpc::{JsonRpcEndpoint, RpcError};

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
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Failed {
    Run(RunError<RpcError>),
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

    pub(crate) fn add(&mut self, other: Self) {
        self.row.calls += other.row.calls;
        self.row.successes += other.row.successes;
        self.wrong.extend(other.wrong);
        self.errors.extend(other.errors);
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
