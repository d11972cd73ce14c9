//! What an error means to the pool: whose fault, whether to retry, what to hold against the endpoint.

use std::time::Duration;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The node, its provider or the network to it. Counts in error rates.
    Node,
    /// The caller: the request could not have succeeded on any node. Never held against the endpoint.
    Caller,
    /// This process: its deadline, its resources. Never held against the endpoint.
    Local,
}

/// Class of an error: the closed set of values of the metric label `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorType {
    /// The connection could not be opened (DNS, TCP or TLS).
    Connect,
    /// No complete answer within the request time-out.
    Timeout,
    /// The connection broke while a request was on it.
    Transport,
    /// An HTTP error status without a JSON-RPC body.
    HttpStatus,
    /// The answer was not valid.
    Malformed,
    /// The provider throttled the request.
    RateLimited,
    /// The provider refused the credentials or the plan.
    Unauthorized,
    /// The node lacks the data: syncing, lagging or pruned.
    Unavailable,
    /// This node does not offer the method.
    Unsupported,
    /// The node answered with an internal error.
    NodeInternal,
    /// The request is wrong wherever it is sent.
    InvalidRequest,
    /// The execution reverted.
    Reverted,
    /// The transaction was refused on its merits (nonce, funds, price).
    TxRejected,
    /// The caller's deadline passed before the node's time-out.
    Deadline,
    /// This process could not do its part.
    Local,
}

impl ErrorType {
    /// All classes, in the order of the metric catalogue. An index into this array is [`ErrorType::index`].
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Timeout,
        Self::Transport,
        Self::HttpStatus,
        Self::Malformed,
        Self::RateLimited,
        Self::Unauthorized,
        Self::Unavailable,
        Self::Unsupported,
        Self::NodeInternal,
        Self::InvalidRequest,
        Self::Reverted,
        Self::TxRejected,
        Self::Deadline,
        Self::Local,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::HttpStatus => "http_status",
            Self::Malformed => "malformed",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::NodeInternal => "node_internal",
            Self::InvalidRequest => "invalid_request",
            Self::Reverted => "reverted",
            Self::TxRejected => "tx_rejected",
            Self::Deadline => "deadline",
            Self::Local => "local",
        }
    }

    /// Whose fault errors of this class are.
    pub const fn fault(self) -> Fault {
        match self {
            Self::InvalidRequest | Self::Reverted | Self::TxRejected => Fault::Caller,
            Self::Deadline | Self::Local => Fault::Local,
            _ => Fault::Node,
        }
    }

    /// Whether the time until such an error tells how long the node works on a request, at the least: it answered, or had not
    /// answered yet.
    #[inline]
    pub(crate) const fn tells_the_time(self) -> bool {
        matches!(self, Self::Timeout | Self::Deadline) || matches!(self.fault(), Fault::Caller)
    }

    /// Position in [`ErrorType::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What the pool does about an error. Made by [`Endpoint::classify`](crate::Endpoint::classify).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Class of the error.
    pub error_type: ErrorType,
    /// May the same request be sent to another endpoint?
    pub retry_elsewhere: bool,
    /// May the same request be sent to the same endpoint again?
    pub retry_here: bool,
    /// Can the node have acted on the request? `false` when it certainly never saw it (connect failed, refused
    /// before the request was written): then even an operation that is not idempotent may be retried.
    pub maybe_executed: bool,
    /// Keep the endpoint out of the choice for so long (Retry-After, cool-down).
    pub throttle: Option<Duration>,
    /// Is that pause meant for the whole account, and so for all endpoints of the provider
    /// ([`ProviderConfig::shared_cool_down`](crate::ProviderConfig::shared_cool_down))? So it is with rate limits and
    /// refused keys; an overloaded node speaks for itself.
    pub throttles_provider: bool,
    /// Does it count towards opening the circuit breaker?
    pub counts_for_breaker: bool,
    /// May the connection be used again? `false` after a broken or half-read answer.
    pub keep_connection: bool,
    /// Does the endpoint lack what the request [needed](crate::Requirements::need)? Then requests with the same need go
    /// elsewhere for a while (`lacks_for`), and neither breaker nor latency estimate hear of it.
    pub lacks: bool,
}

impl Verdict {
    /// The usual verdict for a class: a node's fault counts for the breaker and is retried elsewhere; a caller's or
    /// local fault does neither. Rate limits throttle for a second and do not count for the breaker: the node works,
    /// the quota is spent. Adjust the fields where more is known.
    pub const fn of(error_type: ErrorType) -> Self {
        let node = matches!(error_type.fault(), Fault::Node);
        let broken = matches!(
            error_type,
            ErrorType::Connect
                | ErrorType::Timeout
                | ErrorType::Transport
                | ErrorType::Malformed
                | ErrorType::Deadline
        );
        Self {
            error_type,
            retry_elsewhere: node,
            retry_here: matches!(
                error_type,
                ErrorType::Connect | ErrorType::Transport | ErrorType::Unavailable | ErrorType::NodeInternal
            ),
            maybe_executed: !matches!(
                error_type,
                ErrorType::Connect | ErrorType::RateLimited | ErrorType::Unauthorized
            ),
            throttle: if matches!(error_type, ErrorType::RateLimited) {
                Some(Duration::from_secs(1))
            } else {
                None
            },
            throttles_provider: matches!(error_type, ErrorType::RateLimited | ErrorType::Unauthorized),
            counts_for_breaker: node
                && !matches!(
                    error_type,
                    ErrorType::RateLimited | ErrorType::Unsupported | ErrorType::Unavailable
                ),
            keep_connection: !broken,
            lacks: false,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        self.error_type.fault()
    }

    /// Sets for how long the endpoint is kept out of the choice.
    #[must_use]
    pub const fn with_throttle(mut self, throttle: Option<Duration>) -> Self {
        self.throttle = throttle;
        self
    }

    /// Sets whether that pause is meant for the whole account.
    #[must_use]
    pub const fn with_throttles_provider(mut self, yes: bool) -> Self {
        self.throttles_provider = yes;
        self
    }

    /// Sets whether another endpoint may be tried.
    #[must_use]
    pub const fn with_retry_elsewhere(mut self, yes: bool) -> Self {
        self.retry_elsewhere = yes;
        self
    }

    /// Sets whether the same endpoint may be tried again.
    #[must_use]
    pub const fn with_retry_here(mut self, yes: bool) -> Self {
        self.retry_here = yes;
        self
    }

    /// Sets whether the error counts towards opening the breaker.
    #[must_use]
    pub const fn with_counts_for_breaker(mut self, yes: bool) -> Self {
        self.counts_for_breaker = yes;
        self
    }

    /// Sets whether the connection may be used again.
    #[must_use]
    pub const fn with_keep_connection(mut self, yes: bool) -> Self {
        self.keep_connection = yes;
        self
    }

    /// Sets whether the endpoint lacks what the request needed.
    #[must_use]
    pub const fn with_lacks(mut self, yes: bool) -> Self {
        self.lacks = yes;
        self
    }

    /// Sets whether the node can have acted on the request.
    #[must_use]
    pub const fn with_maybe_executed(mut self, yes: bool) -> Self {
        self.maybe_executed = yes;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_position() {
        for (i, class) in ErrorType::ALL.iter().enumerate() {
            assert_eq!(class.index(), i);
        }
    }

    #[test]
    fn a_callers_fault_is_never_held_against_the_node() {
        for class in ErrorType::ALL
            .into_iter()
            .filter(|class| class.fault() != Fault::Node)
        {
            let verdict = Verdict::of(class);
            assert!(
                !verdict.counts_for_breaker && !verdict.retry_elsewhere && verdict.throttle.is_none(),
                "{class:?}"
            );
        }
    }
}
