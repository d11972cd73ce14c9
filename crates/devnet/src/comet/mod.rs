//! The CometBFT dialect: over POST and, by [`uri`], over GET.

mod block;
mod params;
mod search;
mod status;
mod transaction;
pub(crate) mod uri;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::rpc::{Call, ErrorObject, INTERNAL_ERROR, Outcome};
use crate::view::View;
use params::Params;

/// Answers one call as a node with this sight of the chain.
pub(crate) fn answer(view: &View<'_>, call: &Call) -> Outcome {
    let params = Params::new(&call.params);
    match call.method.as_str() {
        "health" => Ok(json!({})),
        "status" => Ok(status::status(view)),
        "block" => block::block(view, params),
        "block_results" => block::results(view, params),
        "tx" => transaction::by_hash(view, params),
        "tx_search" => search::search(view, params),
        "broadcast_tx_sync" => transaction::broadcast(view, params),
        other => Err(ErrorObject::method_not_found(other)),
    }
}

/// Bytes as CometBFT puts them in JSON.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A block's time as CometBFT writes it.
fn rfc3339(since_epoch: std::time::Duration) -> Value {
    json!(humantime::format_rfc3339_nanos(std::time::UNIX_EPOCH + since_epoch).to_string())
}

/// How CometBFT reports whatever went wrong inside a method.
fn internal(data: impl Into<String>) -> ErrorObject {
    ErrorObject::new(INTERNAL_ERROR, "Internal error").with_data(json!(data.into()))
}

#[cfg(test)]
mod tests;
