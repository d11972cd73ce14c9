//! Answers that the protocol does not allow.

/// What is wrong with an answer. Says where, never what the node sent: that may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes are not an HTTP response.
    #[error("not an HTTP response")]
    NotHttp,
    /// The body has a coding that was not asked for, such as brotli, or gzip while that is switched off.
    #[error("the body has a content encoding that was not asked for")]
    Encoding,
    /// The body is said to be gzip, and is not, or it is damaged or cut short.
    #[error("the body is not the gzip that it is said to be, or is damaged or cut short")]
    Gzip,
    /// The body is not JSON, or not of the shape of a JSON-RPC response.
    #[error("not a JSON-RPC response (line {line}, column {column})")]
    NotJsonRpc {
        /// Line in the body, counted from 1.
        line: usize,
        /// Column in the line, counted from 1; 0 before the first.
        column: usize,
    },
    /// A single answer came to a batch or a batch to a single request.
    #[error("a single answer where a batch was expected, or the other way round")]
    Shape,
    /// The answer holds neither a result nor an error, or both.
    #[error("neither a result nor an error, or both")]
    NoResult,
    /// The answer's id belongs to no request under way.
    #[error("the answer's id belongs to no request that was sent")]
    UnknownId,
    /// Two answers of a batch have the same id.
    #[error("two answers to one request of the batch")]
    DuplicateId,
    /// Answers of a batch are missing.
    #[error("{missing} of {of} answers of the batch are missing")]
    MissingId {
        /// So many.
        missing: usize,
        /// Requests in the batch.
        of: usize,
    },
    /// A node took a transaction and named it by another hash than its own.
    #[error("the node names the transaction by another hash")]
    OtherHash,
    /// The result of a health probe's call is not what the method returns.
    #[error("the result of {method} is not what the method returns")]
    Result {
        /// The method.
        method: &'static str,
    },
}

impl From<serde_json::Error> for Malformed {
    /// Keeps the position only: serde's text quotes the input.
    fn from(error: serde_json::Error) -> Self {
        Self::NotJsonRpc {
            line: error.line(),
            column: error.column(),
        }
    }
}
