//! HTTP/1.1: one request at a time, on a connection whose bytes are counted.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::{
    body::{Answered, read_body},
    client::Client,
    dial::Stream,
    error::{Progress, RpcError},
    head::Head,
    malformed::Malformed,
    wire::{Metered, SharedWire},
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
    let head = Head::of(client, &response)?;
    let body = read_body(response.into_body(), &head, client.max_response_bytes)
        .await?
        .map_err(|error| broke(error, Progress::Answering, reused))?;
    let whole = lane.wire.lock().finish(head.framing) && head.stays_open;
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
