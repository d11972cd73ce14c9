//! Classes of JSON-RPC errors, and what each means to the pool.

use std::{fmt, time::Duration};

use pool_core::{ErrorType, Verdict};

/// What a JSON-RPC error says, whatever code and words the provider chose for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The execution reverted; the data holds the reason. The same everywhere.
    Reverted,
    /// The node has this very transaction already: to who sent it a success.
    AlreadyKnown,
    /// The sender's nonce has been used. Fetch the nonce again, or find that the transaction was mined.
    NonceTooLow,
    /// A pending transaction with this nonce is not outbid. Raise the price by at least a tenth.
    ReplacementUnderpriced,
    /// The price is too low for this chain now. Raise it.
    Underpriced,
    /// The sender cannot pay. Fund the account.
    InsufficientFunds,
    /// The transaction is wrong or refused for another reason of its own.
    TxInvalid,
    /// More blocks or results than this provider gives at once. Split the range; another provider may give more.
    RangeTooLarge,
    /// The quota of the day, the month or the plan is spent.
    QuotaSpent,
    /// Too many requests now.
    RateLimited,
    /// Key or plan were refused.
    Unauthorized,
    /// The node is syncing.
    Syncing,
    /// The node has pruned, or never had, the state or block that is asked for. An archive node has it.
    Pruned,
    /// The node does not know this block, perhaps not yet.
    UnknownBlock,
    /// The node does not offer the method.
    Unsupported,
    /// The request is wrong wherever it is sent.
    InvalidRequest,
    /// The node gave up because the request took too long.
    Timeout,
    /// The node's transaction pool is full.
    PoolFull,
    /// The node or its gateway is overloaded or has no working backend.
    Overloaded,
    /// The node failed inside.
    Internal,
    /// Nothing above matches. It is taken for a fault of this node, tried elsewhere, and not held against the node's
    /// breaker: an unknown message may as well be the caller's mistake in a dialect of its own.
    Unknown,
}

/// Pause after a rate limit that does not say how long.
pub const DEFAULT_THROTTLE: Duration = Duration::from_secs(1);
/// Pause after a spent quota that does not say until when; then it is tried again.
pub const QUOTA_THROTTLE: Duration = crate::retry_after::MAX_RETRY_AFTER;

impl Class {
    /// All classes.
    pub const ALL: [Self; 21] = [
        Self::Reverted,
        Self::AlreadyKnown,
        Self::NonceTooLow,
        Self::ReplacementUnderpriced,
        Self::Underpriced,
        Self::InsufficientFunds,
        Self::TxInvalid,
        Self::RangeTooLarge,
        Self::QuotaSpent,
        Self::RateLimited,
        Self::Unauthorized,
        Self::Syncing,
        Self::Pruned,
        Self::UnknownBlock,
        Self::Unsupported,
        Self::InvalidRequest,
        Self::Timeout,
        Self::PoolFull,
        Self::Overloaded,
        Self::Internal,
        Self::Unknown,
    ];

    /// Its name, in lower case with underscores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reverted => "reverted",
            Self::AlreadyKnown => "already_known",
            Self::NonceTooLow => "nonce_too_low",
            Self::ReplacementUnderpriced => "replacement_underpriced",
            Self::Underpriced => "underpriced",
            Self::InsufficientFunds => "insufficient_funds",
            Self::TxInvalid => "tx_invalid",
            Self::RangeTooLarge => "range_too_large",
            Self::QuotaSpent => "quota_spent",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Syncing => "syncing",
            Self::Pruned => "pruned",
            Self::UnknownBlock => "unknown_block",
            Self::Unsupported => "unsupported",
            Self::InvalidRequest => "invalid_request",
            Self::Timeout => "timeout",
            Self::PoolFull => "pool_full",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::Unknown => "unknown",
        }
    }

    /// What it says and what to do, in one line.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Reverted => {
                "the execution reverted; the data holds the reason, which is the same everywhere"
            }
            Self::AlreadyKnown => "the node has this very transaction already: a success",
            Self::NonceTooLow => {
                "the nonce has been used: fetch it again, or find that the transaction was mined"
            }
            Self::ReplacementUnderpriced => {
                "a pending transaction with this nonce is not outbid: add a tenth at least"
            }
            Self::Underpriced => "the price is too low for this chain now: raise it",
            Self::InsufficientFunds => "the sender cannot pay: fund the account",
            Self::TxInvalid => "the transaction is wrong or refused for another reason of its own",
            Self::RangeTooLarge => "more blocks or results than this provider gives at once: split the range",
            Self::QuotaSpent => "the quota of the day, the month or the plan is spent",
            Self::RateLimited => "too many requests now",
            Self::Unauthorized => "key or plan were refused: check the endpoint's URL and headers",
            Self::Syncing => "the node is syncing",
            Self::Pruned => "the node has pruned, or never had, the state or block: an archive node has it",
            Self::UnknownBlock => "the node does not know this block, perhaps not yet",
            Self::Unsupported => {
                "the node does not offer the method, and is not asked for it for a while, or not what was asked of it"
            }
            Self::InvalidRequest => "the request is wrong wherever it is sent: mend it",
            Self::Timeout => "the node gave up because the request took too long",
            Self::PoolFull => "the node's transaction pool is full",
            Self::Overloaded => "the node or its gateway is overloaded or has no working backend",
            Self::Internal => "the node failed inside",
            Self::Unknown => {
                "no row matches: taken for this node's fault, tried elsewhere, held against no breaker"
            }
        }
    }

    /// Label value of errors of this class.
    pub const fn error_type(self) -> ErrorType {
        match self {
            Self::Reverted => ErrorType::Reverted,
            Self::AlreadyKnown
            | Self::NonceTooLow
            | Self::ReplacementUnderpriced
            | Self::Underpriced
            | Self::InsufficientFunds
            | Self::TxInvalid => ErrorType::TxRejected,
            Self::RangeTooLarge | Self::InvalidRequest => ErrorType::InvalidRequest,
            Self::QuotaSpent | Self::RateLimited => ErrorType::RateLimited,
            Self::Unauthorized => ErrorType::Unauthorized,
            Self::Syncing | Self::Pruned | Self::UnknownBlock => ErrorType::Unavailable,
            Self::Unsupported => ErrorType::Unsupported,
            Self::Timeout => ErrorType::Timeout,
            Self::PoolFull | Self::Overloaded | Self::Internal | Self::Unknown => ErrorType::NodeInternal,
        }
    }

    /// What the pool does about it; `retry_after` is the pause that the answer asked for.
    ///
    /// The answer was read to its end, so the connection is kept whatever it says.
    pub fn verdict(self, retry_after: Option<Duration>) -> Verdict {
        let verdict = Verdict::of(self.error_type()).with_keep_connection(true);
        match self {
            Self::RateLimited => verdict.with_throttle(Some(retry_after.unwrap_or(DEFAULT_THROTTLE))),
            Self::QuotaSpent => verdict.with_throttle(Some(retry_after.unwrap_or(QUOTA_THROTTLE))),
            // The limit is this provider's, not the chain's.
            Self::RangeTooLarge => verdict.with_retry_elsewhere(true),
            // Here it stays so: the same node answers the same.
            Self::Pruned | Self::Syncing | Self::Unknown => {
                verdict.with_retry_here(false).with_counts_for_breaker(false)
            }
            Self::PoolFull => verdict
                .with_retry_here(false)
                .with_counts_for_breaker(false)
                .with_maybe_executed(false),
            // The gateway says that no node was reached; asking it again at once reaches none.
            Self::Overloaded => verdict.with_retry_here(false).with_throttle(retry_after),
            Self::Unsupported | Self::Unauthorized => verdict.with_maybe_executed(false),
            _ => verdict,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
