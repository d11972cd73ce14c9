//! What a balancer hears of the endpoints.

use std::time::Duration;

use crate::{ErrorType, Fault};

/// What became of a slot on an endpoint. Every [`Started`](Self::Started) is followed by exactly one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feedback {
    /// A caller got a slot.
    Started,
    /// An attempt ended, so long after the connection was leased.
    Done {
        /// From lease to report.
        latency: Duration,
        /// How it ended.
        outcome: Outcome,
    },
    /// There was no connection to be had; nothing was sent.
    NoConnection,
    /// The caller went away, or had nothing to tell.
    Cancelled,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Success,
    /// With an error of this class.
    Failure(ErrorType),
}

impl Outcome {
    /// Whether the node failed, and not its caller.
    pub const fn is_nodes_fault(self) -> bool {
        matches!(self, Self::Failure(class) if matches!(class.fault(), Fault::Node))
    }
}

impl From<Option<ErrorType>> for Outcome {
    fn from(error: Option<ErrorType>) -> Self {
        error.map_or(Self::Success, Self::Failure)
    }
}
