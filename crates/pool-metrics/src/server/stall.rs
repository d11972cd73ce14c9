//! A stream that loses patience with a peer who does not take what is written.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// From the first moment at which the peer takes no more, all that is to be written must be gone within `limit`; else
/// writing fails. So a peer who takes a byte now and then is cut off as well.
pub(super) struct Impatient<S> {
    stream: S,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            stalled: None,
        }
    }

    /// Lets what was written pass, unless the time for it is over.
    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() {
            let limit = self.limit;
            let stalled = self
                .stalled
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            if stalled.as_mut().poll(cx).is_ready() {
                let error = "the other side does not take the answer";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)));
            }
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.stalled = None;
        }
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_who_takes_nothing_is_cut_off() {
        let (near, _far) = tokio::io::duplex(16);
        let mut near = Impatient::new(near, LIMIT);
        let begun = Instant::now();
        let error = near.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_does_not_help() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = Impatient::new(near, LIMIT);
        let taker = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if far.read_u8().await.is_err() {
                    break;
                }
            }
        });
        let begun = Instant::now();
        assert!(near.write_all(&[0; 100]).await.is_err());
        assert!(
            begun.elapsed() <= LIMIT + Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        taker.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_all_in_time_starts_afresh() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = Impatient::new(near, LIMIT);
        for _ in 0..5 {
            let both = tokio::try_join!(
                async {
                    near.write_all(&[7; 32]).await?;
                    near.flush().await
                },
                async {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    far.read_exact(&mut [0; 32]).await
                }
            );
            both.unwrap();
        }
    }
}
