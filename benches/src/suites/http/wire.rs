//! What is written and read by those that leave JSON to their users.

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Uri,
    header::{self, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) const METHOD: &str = "eth_getBalance";
pub(super) const PARAMS: (&str, &str) = ("0x00000000219ab540356cbb839cbe05303d7705fa", "latest");

/// The headers that ours sends.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const GZIP: HeaderValue = HeaderValue::from_static("gzip");
pub(super) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("pool-rpc/", env!("CARGO_PKG_VERSION")));

/// The request that ours writes.
pub(super) fn request(target: Uri, id: u64) -> Result<Request<Full<Bytes>>> {
    Ok(Request::post(target)
        .header(header::CONTENT_TYPE, JSON)
        .header(header::ACCEPT, JSON)
        .header(header::ACCEPT_ENCODING, GZIP)
        .header(header::USER_AGENT, AGENT)
        .body(Full::new(written(id)?.into()))?)
}

/// A call.
pub(super) fn written(id: u64) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Call {
        jsonrpc: &'static str,
        id: u64,
        method: &'static str,
        params: (&'static str, &'static str),
    }
    Ok(serde_json::to_vec(&Call {
        jsonrpc: "2.0",
        id,
        method: METHOD,
        params: PARAMS,
    })?)
}

/// The result, if it is the answer to this call.
pub(super) fn read(body: &[u8], expected: u64) -> Result<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        jsonrpc: &'a str,
        id: u64,
        #[serde(borrow)]
        result: &'a RawValue,
    }
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    ensure!(
        answer.jsonrpc == "2.0" && answer.id == expected,
        "another's answer"
    );
    Ok(answer.result.to_owned())
}
