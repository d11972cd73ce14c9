//! One operation on a lease that its caller has chosen.

use pool_core::{EndpointId, Lease, Operation, Phase, Request, RunError, Verdict};
use tokio::time::Instant;

use super::error::{Failure, late};
use crate::{endpoint::JsonRpcEndpoint, error::RpcError};

/// A connection.
pub(super) type Lent = Lease<JsonRpcEndpoint>;

/// One operation on its way, with what is left of its time.
pub(super) struct Way<O> {
    pub(super) operation: O,
    pub(super) request: Request,
    pub(super) deadline: Option<Instant>,
    pub(super) attempts: u32,
}

impl<O: Operation<JsonRpcEndpoint>> Way<O> {
    /// The operation with its request's time from `now` on.
    pub(super) fn new(operation: O, request: Request, now: Instant) -> Self {
        let deadline = request.timeout.and_then(|timeout| now.checked_add(timeout));
        Self {
            operation,
            request,
            deadline,
            attempts: 0,
        }
    }

    pub(super) const fn failed(&self, cause: RunError<RpcError>) -> Failure {
        Failure {
            cause,
            sent: self.attempts > 0,
        }
    }

    /// What the request needs, within what is left of its time.
    pub(super) fn needs(&self) -> Request {
        let mut needs = self.request.clone();
        needs.timeout = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        needs
    }

    /// One attempt. An error comes with what it means.
    pub(super) async fn attempt(
        &mut self,
        mut lease: Lent,
    ) -> Result<Result<O::Output, (RpcError, Verdict)>, Failure> {
        self.attempts += 1;
        let call = self.operation.call(&mut lease);
        let answer = match self.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, call).await.ok(),
            None => Some(call.await),
        };
        match answer {
            // the lease is dropped: its connection is destroyed, and nothing is held against the endpoint
            None => Err(self.failed(late(Phase::Attempt, self.attempts))),
            Some(Ok(output)) => {
                lease.succeed();
                Ok(Ok(output))
            }
            Some(Err(error)) => {
                let verdict = lease.fail(&error);
                Ok(Err((error, verdict)))
            }
        }
    }

    pub(super) const fn over(&self, source: RpcError, endpoint: EndpointId, verdict: Verdict) -> Failure {
        self.failed(RunError::Failed {
            endpoint,
            attempts: self.attempts,
            source,
            verdict,
        })
    }
}
