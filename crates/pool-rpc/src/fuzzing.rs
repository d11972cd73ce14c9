//! Parsers for fuzzers. Not part of the public interface.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::{
    ErrorObject, Malformed, RpcError, RpcFailure,
    jsonrpc::{self, BatchAnswer},
};

/// One answer: a raw result or the node's error.
pub type Answer = Result<Box<RawValue>, ErrorObject>;

/// Reads the answer to the request `id`.
///
/// # Errors
/// When it is none.
pub fn answer(body: &[u8], id: u64, strict: bool) -> Result<Answer, Malformed> {
    jsonrpc::decode(body, id, strict)
}

/// Reads the answer to a batch of `count` requests whose ids count up from `first`; `None` when it was refused as a whole.
///
/// # Errors
/// When it is none.
pub fn batch(body: &[u8], first: u64, count: usize, strict: bool) -> Result<Option<Vec<Answer>>, Malformed> {
    Ok(match jsonrpc::decode_batch(body, first, count, strict)? {
        BatchAnswer::Items(items) => Some(items),
        BatchAnswer::Refused(_) => None,
    })
}

/// The node's error with what HTTP said beside it.
pub fn failure(object: ErrorObject, status: u16, retry_after: Option<Duration>) -> RpcError {
    RpcError::Rpc(Box::new(RpcFailure {
        object,
        status,
        retry_after,
    }))
}
