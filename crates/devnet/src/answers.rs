//! What a small control endpoint answers over HTTP: JSON, in one line. The relayer's fault endpoint speaks the same way.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// A request's body, of at most so many bytes.
///
/// # Errors
/// What to answer when it is longer, or breaks off.
pub async fn read(request: Request<Incoming>, most: usize) -> Result<Bytes, Answer> {
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(fail(
            StatusCode::BAD_REQUEST,
            &format!("body could not be read: {error}"),
        )),
    }
}

/// This.
pub fn show(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{value}\n"))));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Why not.
pub fn fail(status: StatusCode, message: &str) -> Answer {
    show(status, &json!({ "error": message }))
}

/// The path is there, and takes these methods only.
pub fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = fail(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("method not allowed: use {allowed}"),
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
