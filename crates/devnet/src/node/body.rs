//! Response bodies, whole and cut short.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::faults::TruncateStyle;

/// A response body.
#[derive(Debug)]
pub(super) struct ReplyBody {
    bytes: Option<Bytes>,
    cut: Option<Cut>,
}

#[derive(Debug)]
struct Cut {
    /// The length the head promises; unknown makes the body chunked.
    promised: Option<u64>,
    /// Whether the server had a chance to write out what there is before it is told to give up.
    paused: bool,
}

/// The end of a body that was cut on purpose.
#[derive(Debug, thiserror::Error)]
#[error("body cut on purpose")]
pub(super) struct CutOff;

impl ReplyBody {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: Some(bytes.into()),
            cut: None,
        }
    }

    /// Sends `keep` of the bytes (at least one too few) and then breaks off.
    pub(super) fn cut(bytes: &Bytes, keep: Option<u64>, style: TruncateStyle) -> Self {
        let keep = keep
            .and_then(|keep| usize::try_from(keep).ok())
            .unwrap_or(bytes.len() / 2);
        let kept = bytes.slice(..keep.min(bytes.len().saturating_sub(1)));
        let promised = (style == TruncateStyle::ContentLength).then_some(bytes.len() as u64);
        Self {
            bytes: (!kept.is_empty()).then_some(kept),
            cut: Some(Cut {
                promised,
                paused: false,
            }),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.cut {
            None => Poll::Ready(None),
            // The server writes its buffer out when a body has nothing more for now; an error at once would
            // throw the buffer away.
            Some(cut) if !cut.paused => {
                cut.paused = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(_) => Poll::Ready(Some(Err(CutOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.cut {
            None => SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Some(Cut {
                promised: Some(length),
                ..
            }) => SizeHint::with_exact(*length),
            Some(Cut { promised: None, .. }) => SizeHint::default(),
        }
    }
}
