//! One HTTP request and its answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::{
    client::Client,
    error::{Phase, Progress, RpcError},
    malformed::Malformed,
    rate_headers::nothing_left_for,
    retry_after::retry_after,
    transport::Lane,
    wire::Framing,
};

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// For how long nothing is left of the provider's quota, as its headers say.
    pub(crate) nothing_left_for: Option<Duration>,
    pub(crate) body: Bytes,
    /// Whether the connection is proven to be silent and to stay open.
    pub(crate) whole: bool,
}

/// Posts a body and reads the whole answer within the response time-out.
pub(crate) async fn exchange(client: &Client, lane: &mut Lane, body: Bytes) -> Result<Answered, RpcError> {
    let reused = lane.served > 0;
    lane.served += 1;
    let limit = client.timeouts.response;
    match timeout(limit, round_trip(client, lane, body, reused)).await {
        Ok(done) => done,
        Err(_) => Err(RpcError::Timeout {
            phase: Phase::Response,
            after: limit,
        }),
    }
}

async fn round_trip(
    client: &Client,
    lane: &mut Lane,
    body: Bytes,
    reused: bool,
) -> Result<Answered, RpcError> {
    // After some good answers hyper needs another turn before it takes the next request.
    if let Err(error) = lane.sender.ready().await {
        return Err(broke(error, Progress::Unsent, reused));
    }
    lane.wire.lock().begin(body.len() as u64);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = client.target.clone();
    *request.headers_mut() = client.headers.clone();
    let response = match lane.sender.try_send_request(request).await {
        Ok(response) => response,
        Err(mut error) => {
            // hyper gives the request back when nothing of it was written.
            let progress = match error.take_message() {
                Some(_) => Progress::Unsent,
                None if lane.wire.lock().has_answer() => Progress::Answering,
                None => Progress::Sent,
            };
            return Err(broke(error.into_error(), progress, reused));
        }
    };
    let (stays_open, framing) = (stays_open(&response), framing(response.headers()));
    let status = response.status();
    let wall_now = client.wall_clock.now();
    let nothing_left_for = nothing_left_for(response.headers(), wall_now);
    let retry_after = retry_after(response.headers(), wall_now).or(nothing_left_for);
    if is_encoded(response.headers()) {
        return Err(Malformed::Encoding.into());
    }
    let body = read_body(response.into_body(), client.max_response_bytes)
        .await?
        .map_err(|error| broke(error, Progress::Answering, reused))?;
    let whole = lane.wire.lock().finish(framing) && stays_open;
    Ok(Answered {
        status,
        retry_after,
        nothing_left_for,
        body,
        whole,
    })
}

fn broke(error: hyper::Error, progress: Progress, reused: bool) -> RpcError {
    if error.is_parse() {
        return Malformed::NotHttp.into();
    }
    RpcError::Transport {
        progress,
        reused,
        source: Some(error),
    }
}

fn framing(headers: &HeaderMap) -> Framing {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Framing::Chunked;
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    length.map_or(Framing::Close, Framing::Length)
}

fn stays_open<B>(response: &Response<B>) -> bool {
    let closes = |value: &header::HeaderValue| {
        value.to_str().map_or(true, |tokens| {
            tokens
                .split(',')
                .any(|token| token.trim().eq_ignore_ascii_case("close"))
        })
    };
    response.version() == Version::HTTP_11
        && !response.headers().get_all(header::CONNECTION).iter().any(closes)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Reads the body up to the limit. The outer error is ours, the inner one the connection's.
async fn read_body(mut body: Incoming, limit: usize) -> Result<Result<Bytes, hyper::Error>, RpcError> {
    use hyper::body::Body as _;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(RpcError::TooLarge { limit });
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Ok(Err(error)),
        };
        if whole.len() + data.len() > limit {
            return Err(RpcError::TooLarge { limit });
        }
        if whole.is_empty() && data.len() == announced {
            // Most answers come in one piece.
            whole = BytesMut::from(data);
        } else {
            whole.extend_from_slice(&data);
        }
    }
    Ok(Ok(whole.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(version: Version, headers: &[(&'static str, &'static str)]) -> Response<()> {
        let mut response = Response::new(());
        *response.version_mut() = version;
        for (name, value) in headers {
            response
                .headers_mut()
                .append(*name, header::HeaderValue::from_static(value));
        }
        response
    }

    #[test]
    fn an_announced_close_is_heard() {
        let close = [("connection", "x"), ("connection", "keep-alive, Close")];
        assert!(stays_open(&response(Version::HTTP_11, &[])));
        assert!(stays_open(&response(
            Version::HTTP_11,
            &[("connection", "keep-alive")]
        )));
        assert!(!stays_open(&response(Version::HTTP_11, &close)));
        assert!(!stays_open(&response(
            Version::HTTP_10,
            &[("connection", "keep-alive")]
        )));
    }

    #[test]
    fn the_end_of_a_body_is_told_by_its_headers() {
        let framed = |headers: &[_]| framing(response(Version::HTTP_11, headers).headers());
        assert_eq!(framed(&[("content-length", "7")]), Framing::Length(7));
        assert_eq!(framed(&[("transfer-encoding", "chunked")]), Framing::Chunked);
        assert_eq!(
            framed(&[("transfer-encoding", "chunked"), ("content-length", "7")]),
            Framing::Chunked
        );
        assert_eq!(framed(&[("content-length", "x")]), Framing::Close);
        assert_eq!(framed(&[]), Framing::Close);
    }
}
