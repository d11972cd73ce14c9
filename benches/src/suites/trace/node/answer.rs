//! What callers ask, and what they get.

use std::time::Duration;

/// A caller's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) id: u64,
    /// The block that the answer must know of.
    pub(crate) block: u64,
}

/// A good answer, or what looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The newest block that it knows of. No caller sees that in an answer; the judge does.
    pub(crate) block: u64,
}

/// Anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NodeError {
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// The connection broke before the answer was complete.
    #[error("connection reset")]
    Reset,
    /// HTTP 500.
    #[error("HTTP 500")]
    Http,
    /// HTTP 200 with a JSON-RPC error that says the node has a problem.
    #[error("JSON-RPC error -32603")]
    Payload,
    /// HTTP 429, perhaps with a Retry-After.
    #[error("HTTP 429")]
    TooMany(Option<Duration>),
    /// No answer in time.
    #[error("timed out")]
    TimedOut,
}
