//! What really went over a connection.
//!
//! hyper reports a connection ready for the next request although it still holds bytes that nobody asked for, or a
//! cancelled request is on it. A wrong answer to a relayer costs money, so a connection is only used again when the
//! byte counts prove that exactly one request went out and exactly one answer came in.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// Counts one direction of one exchange.
#[derive(Debug, Default)]
struct Meter {
    total: u64,
    /// Length of the head, once its end was seen.
    head: Option<u64>,
    /// How much of the blank line that ends the head was just seen.
    matched: u8,
    tail: [u8; 5],
}

/// The blank line that ends a head.
const BLANK: &[u8; 4] = b"\r\n\r\n";
/// Made once: to look for it by other means costs more to prepare than to do.
static FIND_BLANK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(BLANK));

impl Meter {
    fn feed(&mut self, bytes: &[u8]) {
        if self.head.is_none() {
            self.look_for_head(bytes);
        }
        if let Some(tail) = bytes.last_chunk() {
            self.tail = *tail;
        } else {
            self.tail.rotate_left(bytes.len());
            let start = self.tail.len() - bytes.len();
            self.tail[start..].copy_from_slice(bytes);
        }
        self.total += bytes.len() as u64;
    }

    fn look_for_head(&mut self, bytes: &[u8]) {
        let (mut at, mut rest) = (self.total, bytes);
        // the blank line may have begun in what came before
        while let (1.., [byte, after @ ..]) = (self.matched, rest) {
            self.step(*byte);
            (at, rest) = (at + 1, after);
            if self.matched == 4 {
                self.head = Some(at);
                return;
            }
        }
        match FIND_BLANK.find(rest) {
            Some(found) => self.head = Some(at + (found + BLANK.len()) as u64),
            None => {
                let last = rest.len().saturating_sub(BLANK.len() - 1);
                rest[last..].iter().for_each(|byte| self.step(*byte));
            }
        }
    }

    const fn step(&mut self, byte: u8) {
        self.matched = match (self.matched, byte) {
            (0 | 2, b'\r') | (1 | 3, b'\n') => self.matched + 1,
            (_, b'\r') => 1,
            _ => 0,
        };
    }

    fn is_exactly(&self, body: u64) -> bool {
        self.head.is_some_and(|head| self.total == head + body)
    }
}

/// State of the wire, shared by the stream under hyper and the connection above it.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    in_flight: bool,
    /// Bytes came that no request had asked for, or before the request was out.
    stray: bool,
    request_body: u64,
    sent: Meter,
    received: Meter,
}

impl Wire {
    /// A request with a body of so many bytes is about to be handed to hyper.
    pub(crate) fn begin(&mut self, request_body: u64) {
        *self = Self {
            in_flight: true,
            stray: self.stray,
            request_body,
            ..Self::default()
        };
    }

    /// The answer was read to its end: was it exactly one, and the wire is now silent?
    pub(crate) fn finish(&mut self, framing: Framing) -> bool {
        self.in_flight = false;
        let whole = match framing {
            Framing::Length(length) => self.received.is_exactly(length),
            // With trailers it ends otherwise; they are rare enough to pay for a new connection.
            Framing::Chunked => self.received.head.is_some() && self.received.tail == *b"0\r\n\r\n",
            Framing::Close => false,
        };
        whole && !self.stray && self.sent.is_exactly(self.request_body)
    }

    /// Whether bytes came that no request had asked for.
    pub(crate) const fn is_stray(&self) -> bool {
        self.stray
    }

    /// Whether a part of an answer has come.
    pub(crate) const fn has_answer(&self) -> bool {
        self.received.total > 0
    }

    fn read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let early = !self.has_answer() && !self.sent.is_exactly(self.request_body);
        self.stray |= !self.in_flight || early;
        self.received.feed(bytes);
    }
}

/// Handle on the state of the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedWire(Arc<Mutex<Wire>>);

impl SharedWire {
    /// The state. Held for a few instructions only.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that notes what goes over it.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    wire: SharedWire,
}

impl<S> Metered<S> {
    pub(crate) const fn new(stream: S, wire: SharedWire) -> Self {
        Self { stream, wire }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.wire.lock().read(&buf.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.wire.lock().sent.feed(&buf[..written]);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut written)) = polled {
            let mut wire = self.wire.lock();
            for buf in bufs {
                let part = written.min(buf.len());
                wire.sent.feed(&buf[..part]);
                written -= part;
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\n\r\nbody";

    /// Runs one exchange; the parts of the answer are fed piece by piece.
    fn exchange(wire: &mut Wire, parts: &[&[u8]], framing: Framing) -> bool {
        wire.begin(4);
        for byte in REQUEST {
            wire.sent.feed(&[*byte]);
        }
        parts.iter().for_each(|part| wire.read(part));
        wire.finish(framing)
    }

    #[test]
    fn exactly_one_answer_leaves_the_wire_clean() {
        let mut wire = Wire::default();
        let length = Framing::Length(2);
        assert!(exchange(
            &mut wire,
            &[b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{}"],
            length
        ));
        assert!(
            exchange(&mut wire, &[b"HTTP/1.1 200 OK\r", b"\n\r\n{", b"}"], length),
            "and the next one too"
        );
        assert!(
            !exchange(&mut wire, &[b"HTTP/1.1 200 OK\r\n\r\n{}HTTP/1.1"], length),
            "more than one"
        );
        assert!(
            !exchange(&mut wire, &[b"HTTP/1.1 200 OK\r\n\r\n{"], length),
            "less than one"
        );
        assert!(
            !exchange(&mut wire, &[b"HTTP/1.1 200 OK\n\n{}"], length),
            "end of head not proven"
        );
        assert!(!exchange(
            &mut wire,
            &[b"HTTP/1.1 200 OK\r\n\r\n{}"],
            Framing::Close
        ));

        let chunked = Framing::Chunked;
        assert!(exchange(
            &mut wire,
            &[b"HTTP/1.1 200 OK\r\n\r\n2\r\n{}\r\n0\r", b"\n\r\n"],
            chunked
        ));
        assert!(!exchange(
            &mut wire,
            &[b"HTTP/1.1 200 OK\r\n\r\n2\r\n{}\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
            chunked
        ));
    }

    #[test]
    fn the_head_ends_where_it_ends_however_it_comes() {
        for text in [
            &b"a\r\n\r\nbody\r\n\r\nmore"[..],
            b"a\r\r\n\r\n\r\n\r\n",
            b"\r\n\r\n",
            b"a\r\nb\r\n\rc\r\n\r\n",
            b"a\n\n\r\n\r",
        ] {
            let end = text.windows(4).position(|four| four == BLANK);
            let end = end.map(|at| at as u64 + 4);
            for piece in 1..=text.len() {
                let mut meter = Meter::default();
                text.chunks(piece).for_each(|bytes| meter.feed(bytes));
                assert_eq!(meter.head, end, "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn bytes_between_requests_are_never_forgotten() {
        let mut wire = Wire::default();
        assert!(exchange(
            &mut wire,
            &[b"HTTP/1.1 200 OK\r\n\r\n{}"],
            Framing::Length(2)
        ));
        wire.read(b"H");
        assert!(wire.is_stray());
        assert!(!exchange(
            &mut wire,
            &[b"HTTP/1.1 200 OK\r\n\r\n{}"],
            Framing::Length(2)
        ));
    }

    #[test]
    fn an_answer_before_the_request_is_out_is_early() {
        let mut wire = Wire::default();
        wire.begin(4);
        wire.sent.feed(&REQUEST[..REQUEST.len() - 1]);
        wire.read(b"HTTP/1.1 200 OK\r\n\r\n{}");
        wire.sent.feed(b"y");
        assert!(!wire.finish(Framing::Length(2)));
        assert!(wire.is_stray());
    }
}
