//! Connections: taken, limited, and ended in order.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{Routes, Tls, stall::Impatient};

/// Connections at once; further ones wait in the listen queue.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// For a request's head to arrive, and for a connection to be idle between two scrapes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// For the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the other side to take an answer.
const TAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a request's head; a longer one is answered with 431. Bodies are never read.
const MAX_HEAD: usize = 16 * 1024;

/// Headers of a request; more are answered with 431.
const MAX_HEADERS: usize = 64;

/// Pause after a failed accept: the usual reason, no file descriptor left, does not go away by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) routes: Routes,
    pub(super) tls: Option<Tls>,
    pub(super) room: Arc<Semaphore>,
    /// Its end is the sign to stop.
    pub(super) stopped: watch::Receiver<()>,
}

impl Reception {
    /// Takes connections until the sign to stop, then waits for those that it took. Cancelled, it closes them.
    pub(super) async fn accept(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let shared = self.clone();
        loop {
            let accepted = async {
                // never closed, so this can't fail
                let place = Arc::clone(&shared.room).acquire_owned().await.ok();
                (place, listener.accept().await)
            };
            tokio::select! {
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let connection = shared.clone();
                        connections.spawn(async move {
                            if let Err(error) = connection.serve(stream).await {
                                tracing::debug!(%error, "a connection to the metrics server broke");
                            }
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the metrics server could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                // ends when the sender is dropped
                _ = self.stopped.changed() => break,
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn serve(mut self, stream: TcpStream) -> io::Result<()> {
        let stream = Impatient::new(stream, TAKE_TIMEOUT);
        let Some(tls) = self.tls.take() else {
            return self.converse(stream).await;
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long");
        let handshake = tls.acceptor().accept(stream);
        let stream = tokio::select! {
            agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => agreed.map_err(late)??,
            _ = self.stopped.changed() => return Ok(()),
        };
        self.converse(stream).await
    }

    async fn converse(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let routes = self.routes;
        let service = service_fn(move |request| {
            let routes = routes.clone();
            async move { Ok::<_, Infallible>(routes.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = self.stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        ended.map_err(io::Error::other)
    }
}
