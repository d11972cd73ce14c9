//! What endpoints say to a transaction, and what that comes to.

use std::{fmt, sync::Arc, time::Duration};

use pool_core::{AcquireError, Fault, Verdict};

use crate::{
    class::Class,
    error::RpcError,
    said::{Everybody, Said},
};

/// What one endpoint said to a transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BroadcastAnswer {
    /// It took the transaction.
    Accepted,
    /// It had the transaction already.
    AlreadyKnown,
    /// It refused the nonce as used or not outbid, and shows this very transaction when asked by its hash.
    Seen,
    /// It failed, or refused the transaction.
    Failed {
        /// How.
        error: Arc<RpcError>,
        /// What it means.
        verdict: Verdict,
        /// Whether it may have the transaction all the same: it failed in the middle, or refused the nonce as used and could
        /// not say by whom.
        in_doubt: bool,
    },
    /// It had not answered when the broadcast's time was over. It may have taken the transaction.
    TimedOut {
        /// So long after it was sent.
        after: Duration,
    },
    /// No connection was had; nothing was sent.
    NoConnection(Arc<AcquireError<RpcError>>),
    /// The caller went away before anything was sent.
    Stopped,
}

impl BroadcastAnswer {
    /// A failure, and whether a nonce that was refused could not be looked up.
    pub(super) fn failed(
        error: RpcError,
        judge: impl FnOnce(&RpcError) -> Verdict,
        unknown_nonce: bool,
    ) -> Self {
        let verdict = judge(&error);
        // a node that refuses a transaction on its merits does not have it
        let in_doubt = match verdict.fault() {
            Fault::Caller => unknown_nonce,
            Fault::Node | Fault::Local => verdict.maybe_executed,
        };
        Self::Failed {
            error: Arc::new(error),
            verdict,
            in_doubt,
        }
    }

    /// Whether the node has the transaction.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Accepted | Self::AlreadyKnown | Self::Seen)
    }

    /// Whether the node may have the transaction, for all we know.
    pub const fn maybe_has_it(&self) -> bool {
        match self {
            Self::Accepted | Self::AlreadyKnown | Self::Seen | Self::TimedOut { .. } => true,
            Self::Failed { in_doubt, .. } => *in_doubt,
            Self::NoConnection(_) | Self::Stopped => false,
        }
    }

    /// Whether another node might do better.
    pub(super) fn is_nodes_fault(&self) -> bool {
        match self {
            Self::Failed { verdict, .. } => verdict.fault() == Fault::Node || verdict.retry_elsewhere,
            Self::NoConnection(error) => error.is_connect() || error.fault() == Fault::Node,
            _ => false,
        }
    }

    /// Why the transaction is refused, if that is the transaction's own fault.
    pub fn refusal(&self) -> Option<Class> {
        match self {
            Self::Failed { error, verdict, .. } if verdict.fault() == Fault::Caller => error.class(),
            _ => None,
        }
    }
}

impl fmt::Display for BroadcastAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::AlreadyKnown => f.write_str("already known"),
            Self::Seen => f.write_str("nonce used by this very transaction"),
            Self::Failed { error, .. } => error.fmt(f),
            Self::TimedOut { after } => write!(f, "no answer within {after:.1?}"),
            Self::NoConnection(error) => error.fmt(f),
            Self::Stopped => f.write_str("not sent"),
        }
    }
}

/// What one endpoint said.
pub type BroadcastSaid = Said<BroadcastAnswer>;

/// Why a broadcast did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The transaction was refused on its own merits, and no node has it. What to do is said at each [`Class`].
    #[error("transaction {hash} was refused ({class}): {}", Everybody(.said))]
    Refused {
        /// The transaction's hash.
        hash: String,
        /// What most of those who refused it said.
        class: Class,
        /// What each endpoint said.
        said: Vec<BroadcastSaid>,
    },
    /// No node is known to have the transaction, by the nodes' faults. Send the same bytes again: that is safe, whoever
    /// has them already.
    #[error("transaction {hash} was taken by no endpoint: {}", Everybody(.said))]
    Failed {
        /// The transaction's hash.
        hash: String,
        /// What each endpoint said.
        said: Vec<BroadcastSaid>,
    },
    /// The runtime was shut down in the middle. Look the transaction up by its hash.
    #[error("the runtime was shut down in the middle of a broadcast")]
    Interrupted,
}

impl BroadcastError {
    /// What no success comes to: a refusal outweighs the nodes' faults.
    pub(super) fn of(hash: String, said: Vec<BroadcastSaid>) -> Self {
        let refusals: Vec<Class> = said.iter().filter_map(|said| said.answer.refusal()).collect();
        let votes = |class: &Class| refusals.iter().filter(|other| *other == class).count();
        // of those with as many votes the first to have said it
        let most = refusals.iter().rev().max_by_key(|class| votes(class)).copied();
        match most {
            Some(class) => Self::Refused { hash, class, said },
            None => Self::Failed { hash, said },
        }
    }

    /// What each endpoint said.
    pub fn said(&self) -> &[BroadcastSaid] {
        match self {
            Self::Refused { said, .. } | Self::Failed { said, .. } => said,
            Self::Interrupted => &[],
        }
    }

    /// Whether a node may have the transaction all the same: one that did not answer, or failed in the middle. Then do
    /// not sign another with the same nonce and expect only one of the two to count; send the same bytes again, or look
    /// for the hash.
    pub fn maybe_sent(&self) -> bool {
        matches!(self, Self::Interrupted) || self.said().iter().any(|said| said.answer.maybe_has_it())
    }
}

#[cfg(test)]
mod tests {
    use pool_core::{EndpointId, ErrorType};

    use super::*;
    use crate::{error::RpcFailure, jsonrpc::ErrorObject, taxonomy::classify};

    fn refused(message: &str) -> BroadcastSaid {
        let object = ErrorObject {
            code: -32000,
            message: message.to_owned(),
            data: None,
        };
        let error = RpcError::Rpc(Box::new(RpcFailure {
            object,
            status: 200,
            retry_after: None,
        }));
        BroadcastSaid {
            endpoint: Some(EndpointId::new("n").unwrap()),
            answer: BroadcastAnswer::failed(error, classify, false),
        }
    }

    fn class(said: Vec<BroadcastSaid>) -> Option<Class> {
        match BroadcastError::of("0x1".to_owned(), said) {
            BroadcastError::Refused { class, .. } => Some(class),
            _ => None,
        }
    }

    #[test]
    fn the_class_that_most_said_is_told_and_the_first_of_as_many() {
        let (nonce, funds) = ("nonce too low", "insufficient funds for gas");
        let nodes = "header not found";
        assert_eq!(
            class(vec![refused(nodes), refused(funds)]),
            Some(Class::InsufficientFunds)
        );
        assert_eq!(
            class(vec![refused(funds), refused(nonce)]),
            Some(Class::InsufficientFunds)
        );
        assert_eq!(
            class(vec![refused(funds), refused(nonce), refused(nonce)]),
            Some(Class::NonceTooLow)
        );
        assert_eq!(class(vec![refused(nodes)]), None);
    }

    #[test]
    fn a_refusal_leaves_no_doubt_and_silence_does() {
        let sure = BroadcastError::of(String::new(), vec![refused("insufficient funds")]);
        assert!(!sure.maybe_sent());
        let silent = BroadcastSaid {
            endpoint: None,
            answer: BroadcastAnswer::TimedOut {
                after: Duration::from_secs(1),
            },
        };
        assert!(BroadcastError::of(String::new(), vec![refused("insufficient funds"), silent]).maybe_sent());
        let internal = refused("flux capacitor");
        assert!(internal.answer.maybe_has_it(), "{internal:?}");
        let limited = refused("rate limit");
        assert!(matches!(
            &limited.answer,
            BroadcastAnswer::Failed { verdict, .. } if verdict.error_type == ErrorType::RateLimited
        ));
        assert!(!limited.answer.maybe_has_it());
        let error = RpcError::TooLarge { limit: 1 };
        assert!(
            BroadcastAnswer::failed(error, classify, false).maybe_has_it(),
            "the answer may have been a yes"
        );
    }

    #[test]
    fn the_message_says_who_said_what() {
        let error = BroadcastError::of("0xab".to_owned(), vec![refused("nonce too low"), refused("x\ny")]);
        assert_eq!(
            error.to_string(),
            "transaction 0xab was refused (nonce_too_low): n: JSON-RPC error -32000: nonce too low; \
             n: JSON-RPC error -32000: x\\ny"
        );
    }
}
