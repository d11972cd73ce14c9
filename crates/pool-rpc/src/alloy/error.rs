//! Errors of ours as alloy's.

use std::{error::Error as StdError, fmt, time::Duration};

use alloy_json_rpc::{ErrorPayload, ResponsePayload};
use alloy_transport::{TransportError, TransportErrorKind};
use pool_core::{AcquireError, NotUsable, Phase, RunError};

use crate::{
    error::RpcError,
    jsonrpc::{Answer, ErrorObject},
};

/// Why the pool has no node's answer.
///
/// It is inside alloy's `TransportErrorKind::NonRetryable` and `Custom`: `downcast_ref` finds it there. `Display` tells
/// the whole chain in one line, without URLs or keys.
#[derive(Debug)]
pub struct PoolTransportError {
    cause: RunError<RpcError>,
    sent: bool,
}

impl PoolTransportError {
    /// What the pool says.
    pub const fn cause(&self) -> &RunError<RpcError> {
        &self.cause
    }

    /// Whether a node may have seen the request. If not, it can be sent again whatever it does.
    pub const fn sent(&self) -> bool {
        self.sent
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.cause.retry_after()
    }
}

impl fmt::Display for PoolTransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)?;
        let mut next = self.cause.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

// The chain is in the text already.
impl StdError for PoolTransportError {}

/// A failed run, and whether a node may have seen the request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: RunError<RpcError>,
    pub(super) sent: bool,
}

impl From<Failure> for TransportError {
    fn from(Failure { cause, sent }: Failure) -> Self {
        let status = match &cause {
            RunError::Acquire(AcquireError::NoHealthyEndpoint { reasons, .. }) if !sent => {
                let throttled = |reason: &NotUsable| matches!(reason, NotUsable::Throttled { .. });
                let all = reasons.0.iter().all(|unusable| throttled(&unusable.reason));
                Some(if all { 429 } else { 503 })
            }
            _ => None,
        };
        let wait = cause.retry_after();
        let waited_in_vain = matches!(
            cause,
            RunError::Acquire(
                AcquireError::QueueFull { .. }
                    | AcquireError::QueueTimeout { .. }
                    | AcquireError::NoHealthyEndpoint { .. }
            )
        );
        let error = PoolTransportError { cause, sent };
        match (status, wait) {
            (Some(status), Some(_)) => {
                TransportErrorKind::http_error_with_retry_after(status, error.to_string(), wait)
            }
            _ if waited_in_vain && !sent => TransportErrorKind::custom(error),
            _ => TransportErrorKind::non_retryable(error),
        }
    }
}

/// The time is over.
pub(super) const fn late(phase: Phase, attempts: u32) -> RunError<RpcError> {
    RunError::Deadline {
        phase,
        attempts,
        last: None,
    }
}

/// The time was over before anything was done.
pub(super) const fn out_of_time() -> Failure {
    Failure {
        cause: late(Phase::Queue, 0),
        sent: false,
    }
}

/// What came of a single call, as alloy has it.
pub(super) fn settle(answer: Result<Answer, Failure>) -> Result<ResponsePayload, TransportError> {
    let failure = match answer {
        Ok(Ok(result)) => return Ok(ResponsePayload::Success(result)),
        Ok(Err(object)) => return Ok(ResponsePayload::Failure(payload(object))),
        Err(failure) => failure,
    };
    let said = match &failure.cause {
        RunError::Failed { source, .. } => said(source),
        _ => None,
    };
    match said.map(payload) {
        // a layer above would send it again, after all our attempts
        Some(error) if !error.is_retry_err() => Ok(ResponsePayload::Failure(error)),
        _ => Err(failure.into()),
    }
}

/// An item of a batch, as alloy has it.
pub(super) fn item(answer: Answer) -> ResponsePayload {
    unrepeated(match answer {
        Ok(result) => ResponsePayload::Success(result),
        Err(object) => ResponsePayload::Failure(payload(object)),
    })
}

/// A layer that retries looks at the first error of a batch and sends the whole batch again, transactions included. So
/// an error that would make it do so is wrapped: the node's own is in the data.
pub(super) fn unrepeated(payload: ResponsePayload) -> ResponsePayload {
    match payload {
        ResponsePayload::Failure(error) if error.is_retry_err() => ResponsePayload::Failure(ErrorPayload {
            code: -32603,
            message: "the pool's own attempts are over; the node's error is in the data".into(),
            data: serde_json::value::to_raw_value(&error).ok(),
        }),
        payload => payload,
    }
}

/// What the node said, if it is that.
fn said(error: &RpcError) -> Option<ErrorObject> {
    match error {
        RpcError::Rpc(failure) => Some(failure.object.clone()),
        RpcError::TxRefused(refusal) => Some(ErrorObject {
            code: i64::from(refusal.code),
            message: refusal.log.clone(),
            data: None,
        }),
        _ => None,
    }
}

fn payload(object: ErrorObject) -> ErrorPayload {
    ErrorPayload {
        code: object.code,
        message: object.message.into(),
        data: object.data,
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
