//! The byte stream under a connection, which can be cut where HTTP would not cut it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A stream a node can be served over.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes closing the stream abortive: the peer sees a reset instead of an orderly end.
    ///
    /// # Errors
    /// When the socket refuses.
    fn reset_on_close(&self) -> io::Result<()>;
}

impl Transport for TcpStream {
    fn reset_on_close(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Transport for TlsStream<TcpStream> {
    fn reset_on_close(&self) -> io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

/// The switches of one connection's stream.
#[derive(Debug, Default)]
pub(super) struct Cut {
    reset: AtomicBool,
    close_when_written: AtomicBool,
    ended: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

impl Cut {
    /// Resets the connection when it is closed next.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Release);
    }

    /// Closes the connection once what is being written has been written, as if the peer had hung up.
    pub(super) fn close_when_written(&self) {
        self.close_when_written.store(true, Ordering::Release);
    }

    /// Ends the connection now, as if the peer had hung up.
    pub(super) fn end(&self) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = reader {
                waker.wake();
            }
        }
    }

    fn written(&self) {
        if self.close_when_written.load(Ordering::Acquire) {
            self.end();
        }
    }
}

/// A stream with its switches.
#[derive(Debug)]
pub(super) struct FaultyStream<T: Transport> {
    stream: T,
    cut: Arc<Cut>,
}

impl<T: Transport> FaultyStream<T> {
    pub(super) fn new(stream: T, cut: Arc<Cut>) -> Self {
        Self { stream, cut }
    }
}

impl<T: Transport> Drop for FaultyStream<T> {
    fn drop(&mut self) {
        if self.cut.reset.load(Ordering::Acquire)
            && let Err(error) = self.stream.reset_on_close()
        {
            tracing::warn!(%error, "the connection is closed instead of reset");
        }
    }
}

impl<T: Transport> AsyncRead for FaultyStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The waker is stored before the switch is read, so that a switch thrown in between wakes us.
        *self.cut.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.cut.ended.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for FaultyStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.cut.written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.reset.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
