//! The wire below an HTTP/2 connection: what the peer said on it, and a switch to cut it.
//!
//! hyper hears a GOAWAY when it sends the next request, and drives the connection in a task that nobody can abort. So
//! what decides whether a connection takes new requests is read off the wire, and closing it is done there, too.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use crate::frames::{Frames, News};

/// What is known of the connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// What the peer allows.
    max_streams: AtomicU32,
    /// The peer's settings have come.
    settled: AtomicBool,
    /// No new streams.
    draining: AtomicBool,
    /// The peer has said goodbye.
    goodbye: AtomicBool,
    /// The stream is gone.
    closed: AtomicBool,
    received: AtomicU64,
    begun: Instant,
    /// Milliseconds from its begin to the last byte that came.
    heard: AtomicU64,
    /// Requests that were begun.
    served: AtomicU64,
    /// Told when it settles or closes.
    changed: Notify,
    switch: Mutex<Switch>,
}

#[derive(Debug, Default)]
struct Switch {
    cut: bool,
    /// The task that drives the connection.
    driver: Option<Waker>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            max_streams: AtomicU32::new(u32::MAX),
            settled: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            goodbye: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            received: AtomicU64::new(0),
            begun: Instant::now(),
            heard: AtomicU64::new(0),
            served: AtomicU64::new(0),
            changed: Notify::new(),
            switch: Mutex::default(),
        }
    }

    /// Streams that the peer allows at once; no limit until its settings have come.
    pub(crate) fn max_streams(&self) -> u32 {
        self.max_streams.load(Relaxed)
    }

    /// Whether it takes no new streams.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Acquire) || self.closed.load(Acquire)
    }

    /// Whether the peer has said goodbye. That the connection ends is planned then.
    pub(crate) fn is_ending(&self) -> bool {
        self.goodbye.load(Acquire)
    }

    /// Takes no new streams from now on. Those under way go on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Release);
    }

    /// Waits until the peer's settings have come.
    ///
    /// # Errors
    /// When the connection ended before.
    pub(crate) async fn settled(&self) -> io::Result<()> {
        loop {
            if self.settled.load(Acquire) {
                return Ok(());
            }
            if self.closed.load(Acquire) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the connection ended before the node's settings came; does it speak HTTP/2?",
                ));
            }
            self.changed.notified().await;
        }
    }

    /// Closes the connection at once, whoever still uses it.
    pub(crate) fn cut(&self) {
        self.drain();
        let driver = {
            let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
            switch.cut = true;
            switch.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// A request begins. Whoever sends it has so much patience with a connection on which nothing comes.
    pub(crate) fn request(&self, begun: Instant, patience: Duration) -> Request<'_> {
        Request {
            link: self,
            reused: self.served.fetch_add(1, Relaxed) > 0,
            received: self.received.load(Relaxed),
            begun,
            patience,
            answered: false,
        }
    }

    /// For how long nothing has come.
    fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Relaxed));
        self.begun.elapsed().saturating_sub(heard)
    }

    fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
        let heard = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(heard, Relaxed);
    }

    /// Notes who drives the connection, and whether it has been cut.
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        if switch.cut {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by us"));
        }
        match &mut switch.driver {
            Some(driver) => driver.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Ok(())
    }

    fn hear(&self, news: News) {
        match news {
            News::MaxStreams(streams) => self.max_streams.store(streams, Relaxed),
            News::GoAway => {
                self.goodbye.store(true, Release);
                self.drain();
            }
            News::Settled => {
                self.settled.store(true, Release);
                self.changed.notify_one();
            }
        }
    }
}

/// A request under way. Dropped after a good while in which nothing at all has come, no answer and nothing else, it takes
/// the connection for dead: new requests go to another one. Else each of them would wait for a time-out of its own until
/// an unanswered PING tells.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    link: &'a Link,
    reused: bool,
    received: u64,
    begun: Instant,
    patience: Duration,
    answered: bool,
}

impl Request<'_> {
    /// The answer has come.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }

    /// Whether the connection had served a request before, and not a byte has come since this one began: then its end
    /// is as good as always that of an idle connection, and the two crossed.
    pub(crate) fn crossed(&self) -> bool {
        self.reused && self.link.received.load(Relaxed) == self.received
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if self.link.silence().min(self.begun.elapsed()) >= self.patience {
            self.link.drain();
        }
    }
}

/// A stream that reads along and can be cut.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    link: Arc<Link>,
    frames: Frames,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, link: Arc<Link>) -> Self {
        Self {
            stream,
            link,
            frames: Frames::default(),
        }
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.link.closed.store(true, Release);
        self.link.changed.notify_one();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.link.check(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        let read = &mut buf.filled_mut()[before..];
        if !read.is_empty() {
            this.link.receive(read.len());
            this.frames.feed(read, |news| this.link.hear(news));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.link.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.link.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.check(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
