//! What a quorum read gives, and what can go wrong.

use std::{fmt, sync::Arc, time::Duration};

use pool_core::{AcquireError, EndpointId, Reasons, Unusable};
use serde_json::value::RawValue;

use crate::{
    error::RpcError,
    jsonrpc::shorten,
    said::{Everybody, Said},
};

/// A result that enough endpoints agree on.
#[derive(Debug)]
pub struct Agreed {
    /// The result, as the first of them wrote it.
    pub result: Box<RawValue>,
    /// Who agreed, in the order of the answers.
    pub by: Vec<EndpointId>,
    /// Who said something else or failed before that. Endpoints that had not answered are not listed.
    pub others: Vec<QuorumSaid>,
}

/// What one endpoint said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum QuorumAnswer {
    /// This result.
    Result(Box<RawValue>),
    /// It failed, or refused the request.
    Failed(Arc<RpcError>),
    /// It had not answered when the time was over.
    TimedOut {
        /// So long after it was asked.
        after: Duration,
    },
    /// No connection was had; it was not asked.
    NoConnection(Arc<AcquireError<RpcError>>),
    /// The answer was there, or the caller gone, before it was asked.
    Stopped,
}

impl fmt::Display for QuorumAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(result) => shorten(f, result.get()),
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut { after } => write!(f, "no answer within {after:.1?}"),
            Self::NoConnection(error) => error.fmt(f),
            Self::Stopped => f.write_str("not asked"),
        }
    }
}

/// What one endpoint said.
pub type QuorumSaid = Said<QuorumAnswer>;

/// Why a quorum read gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// The method does more than read, or is not known to only read. Send transactions by
    /// [`Broadcast`](crate::Broadcast).
    #[error("{method} is not known to only read, so it is not sent to several endpoints")]
    NotARead {
        /// The method.
        method: String,
    },
    /// Too few endpoints could be asked, or answered. Try again later, or add endpoints.
    #[error(
        "{needed} endpoints must agree, {usable} can: {}{}", Everybody(.said), Reasons(.unusable.clone())
    )]
    TooFew {
        /// Endpoints that must agree.
        needed: usize,
        /// Endpoints that could be asked, or did answer.
        usable: usize,
        /// What those said that were asked.
        said: Vec<QuorumSaid>,
        /// When none was asked: why each endpoint may not be picked now.
        unusable: Vec<Unusable>,
    },
    /// The endpoints do not agree. Read at a named block rather than at `latest`; if it is named, do not act on what any
    /// of them says.
    #[error("fewer than {needed} endpoints agree: {}", Everybody(.said))]
    Disputed {
        /// Endpoints that must agree.
        needed: usize,
        /// What each said.
        said: Vec<QuorumSaid>,
    },
    /// Enough endpoints agree that the request fails by its own fault: it reverts, or is wrong.
    #[error("agreed by {} endpoints: {error}", .by.len())]
    Refused {
        /// What they say.
        error: Arc<RpcError>,
        /// Who agreed.
        by: Vec<EndpointId>,
        /// Who said something else or failed.
        others: Vec<QuorumSaid>,
    },
    /// The runtime was shut down in the middle.
    #[error("the runtime was shut down in the middle of a quorum read")]
    Interrupted,
}

impl QuorumError {
    /// What each endpoint said that is known not to belong to an agreement.
    pub fn said(&self) -> &[QuorumSaid] {
        match self {
            Self::TooFew { said, .. } | Self::Disputed { said, .. } => said,
            Self::Refused { others, .. } => others,
            Self::NotARead { .. } | Self::Interrupted => &[],
        }
    }
}
