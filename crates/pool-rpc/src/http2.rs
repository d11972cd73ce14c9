//! HTTP/2: many requests at once on one connection, each on a stream of its own.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use crate::{
    body::{Answered, read_body},
    client::Client,
    dial::{Stream, in_time},
    error::{ConnectPhase, Progress, RpcError},
    head::Head,
    http_config::Http2Config,
    link::{Link, Watched},
};

/// So much of an answer may come unread: enough for 20 MB/s at 100 ms of round trip.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// The same for all streams together; more than any one of them may hold.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// A connection that carries many requests at once. Dropping it closes the socket.
#[derive(Debug)]
pub(crate) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    link: Cut,
    max_streams: u32,
}

/// Closes the connection when dropped.
#[derive(Debug)]
struct Cut(Arc<Link>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// A stream to come: requests on it share the connection with others.
#[derive(Debug)]
pub(crate) struct Http2Lane {
    sender: SendRequest<Full<Bytes>>,
    link: Arc<Link>,
    /// Requests that were begun on it.
    pub(crate) served: u64,
}

impl Http2Lane {
    /// Whether the connection takes another request, as far as is known without a look at the network.
    pub(crate) fn is_open(&self) -> bool {
        !self.link.is_draining() && !self.sender.is_closed()
    }
}

impl Http2 {
    /// Puts HTTP/2 on a stream, and waits for the peer's settings: only they tell how many streams it allows, and that
    /// it speaks HTTP/2 at all. Cancelling closes the stream.
    pub(crate) async fn start(
        stream: impl Stream,
        config: &Http2Config,
        limit: Duration,
    ) -> Result<Self, RpcError> {
        let link = Cut(Arc::new(Link::new()));
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&link.0)));
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(config.ping_interval)
            .keep_alive_timeout(config.ping_timeout)
            .keep_alive_while_idle(true);
        let (sender, connection) = builder
            .handshake(io)
            .await
            .map_err(|source| RpcError::Transport {
                progress: Progress::Unsent,
                reused: false,
                source: Some(source),
            })?;
        // It ends by itself once the link is cut.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a node's connection ended");
            }
        });
        in_time(ConnectPhase::Http2, limit, link.0.settled()).await?;
        Ok(Self {
            sender,
            link,
            max_streams: config.max_streams,
        })
    }

    pub(crate) fn lanes(&self) -> u32 {
        if self.link.0.is_draining() || self.sender.is_closed() {
            return 0;
        }
        self.link.0.max_streams().min(self.max_streams)
    }

    /// Opens a lane. That says nothing to the peer: a stream begins with its request.
    pub(crate) fn open(&self) -> Result<Http2Lane, RpcError> {
        let lane = Http2Lane {
            sender: self.sender.clone(),
            link: Arc::clone(&self.link.0),
            served: 0,
        };
        if lane.is_open() {
            Ok(lane)
        } else {
            Err(RpcError::closed(true))
        }
    }
}

/// Sends a request and reads its answer to the end. Dropping the future resets the stream.
pub(crate) async fn round_trip(
    client: &Client,
    lane: &mut Http2Lane,
    body: Bytes,
    begun: Instant,
) -> Result<Answered, RpcError> {
    lane.served += 1;
    let patience = client.http2_config.ping_timeout.min(client.timeouts.response / 2);
    let under_way = lane.link.request(begun, patience);
    let request = client.http2.post(body);
    let response = match lane.sender.try_send_request(request).await {
        Ok(response) => response,
        Err(mut error) => {
            // hyper gives the request back when nothing of it was written.
            let unsent = error.take_message().is_some();
            let (error, ending) = (error.into_error(), lane.link.is_ending());
            // h2 does not tell who was still to be sent when a connection ended that was to end
            let crossed = under_way.crossed() || ending && !is_reset(&error);
            return Err(broke(error, unsent, crossed));
        }
    };
    let head = Head::of(client, &response)?;
    let body = read_body(response.into_body(), &head, client.max_response_bytes)
        .await?
        .map_err(|error| RpcError::Transport {
            progress: Progress::Answering,
            reused: lane.served > 1,
            source: presentable(error),
        })?;
    under_way.answered();
    // The protocol itself keeps answers apart.
    Ok(head.answered(body, true))
}

/// A request that ended before an answer came.
fn broke(error: hyper::Error, unsent: bool, crossed: bool) -> RpcError {
    let refusal = refusal(&error);
    let progress = if unsent || refusal.is_some() {
        Progress::Unsent
    } else {
        Progress::Sent
    };
    // A goodbye is planned, and an unanswered PING a fault, whether the connection was idle or not.
    let reused = match refusal {
        Some(Refusal::GoAway) => true,
        _ => crossed && !error.is_timeout(),
    };
    RpcError::Transport {
        progress,
        reused,
        source: presentable(error),
    }
}

/// A goodbye carries a text of the peer's, which might quote the URL, and its error shows it.
fn presentable(error: hyper::Error) -> Option<hyper::Error> {
    (refusal(&error) != Some(Refusal::GoAway)).then_some(error)
}

/// How a peer says that it has not acted on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It is going away, and the stream came too late (RFC 9113, section 6.8).
    GoAway,
    /// It refused the stream (section 8.7).
    Stream,
}

fn refusal(error: &hyper::Error) -> Option<Refusal> {
    let error = of_http2(error)?;
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    match error.is_remote() {
        true if error.is_go_away() => Some(Refusal::GoAway),
        true if refused => Some(Refusal::Stream),
        _ => None,
    }
}

/// Whether the stream alone has ended.
fn is_reset(error: &hyper::Error) -> bool {
    of_http2(error).is_some_and(h2::Error::is_reset)
}

fn of_http2(error: &hyper::Error) -> Option<&h2::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// hyper alone would wait until the peer has taken what is still to be written.
    #[tokio::test]
    async fn a_peer_that_takes_nothing_cannot_keep_a_connection_open() {
        let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
        theirs.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let limit = Duration::from_secs(5);
        let http2 = Http2::start(ours, &Http2Config::default(), limit).await.unwrap();
        let mut lane = http2.open().unwrap();
        let link = Arc::clone(&lane.link);
        let request = tokio::spawn(async move {
            let body = Full::from(vec![0; 60_000]);
            let request = Request::post("http://node.example/").body(body).unwrap();
            lane.sender.try_send_request(request).await.is_ok()
        });
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(!link.is_draining() && !request.is_finished());
        request.abort();
        drop(http2);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let mut taken = Vec::new();
        theirs.read_to_end(&mut taken).await.unwrap();
        assert!(taken.len() <= 16 * 1024, "{} bytes came", taken.len());
    }
}
