//! HTTP/1.1: one request at a time, on a connection whose bytes are counted.

use bytes::Bytes;
use http::{HeaderMap, Response, Version, header};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::{
    body::{Answered, Head, read_body},
    client::Client,
    dial::Stream,
    error::{Progress, RpcError},
    malformed::Malformed,
    wire::{Framing, Metered, SharedWire},
};

/// hyper's sending half with what we know of the wire below.
#[derive(Debug)]
pub(crate) struct Http1Lane {
    sender: SendRequest<Full<Bytes>>,
    wire: SharedWire,
    /// Requests that were begun on it.
    pub(crate) served: u64,
}

impl Http1Lane {
    /// Whether the peer has left it open, and silent, as far as is known without a look at the network.
    ///
    /// hyper's `is_ready` is not asked: it is true right after a cancelled request, and still false after some good
    /// answers, until hyper's task has run again.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.wire.lock().is_stray()
    }
}

/// Puts HTTP/1.1 on a stream. Nothing is sent before the first request. The task drives the connection; aborting it
/// closes the socket.
pub(crate) async fn start(stream: impl Stream) -> Result<(Http1Lane, JoinHandle<()>), RpcError> {
    let wire = SharedWire::default();
    let io = TokioIo::new(Metered::new(stream, wire.clone()));
    let (sender, connection) = handshake(io).await.map_err(|source| RpcError::Transport {
        progress: Progress::Unsent,
        reused: false,
        source: Some(source),
    })?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a node's connection ended");
        }
    });
    let served = 0;
    Ok((Http1Lane { sender, wire, served }, driver))
}

/// Sends a request and reads its answer to the end.
pub(crate) async fn round_trip(
    client: &Client,
    lane: &mut Http1Lane,
    body: Bytes,
) -> Result<Answered, RpcError> {
    let reused = lane.served > 0;
    lane.served += 1;
    // After some good answers hyper needs another turn before it takes the next request.
    if let Err(error) = lane.sender.ready().await {
        return Err(broke(error, Progress::Unsent, reused));
    }
    lane.wire.lock().begin(body.len() as u64);
    let request = client.http1.post(body);
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
    let head = Head::of(client, &response)?;
    let body = read_body(response.into_body(), &head, client.max_response_bytes)
        .await?
        .map_err(|error| broke(error, Progress::Answering, reused))?;
    let whole = lane.wire.lock().finish(framing) && stays_open;
    Ok(head.answered(body, whole))
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
