//! Building blocks of answers.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// What the routes answer.
pub(super) type Answer = Response<Full<Bytes>>;

pub(super) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Shorter bodies than this are sent as they are: the frame of gzip and a packet cost as much.
const WORTH_PACKING: usize = 1024;

/// A body, perhaps packed already: packing is work for a blocking thread.
pub(super) struct Body {
    bytes: Bytes,
    packed: bool,
}

impl Body {
    /// # Errors
    /// None is expected: it writes to memory.
    pub(super) fn new(text: String, gzip: bool) -> io::Result<Self> {
        if !gzip || text.len() < WORTH_PACKING {
            return Ok(Self {
                bytes: text.into(),
                packed: false,
            });
        }
        // the fastest level: label names repeat so much that more effort gains little
        let mut packer = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
        packer.write_all(text.as_bytes())?;
        Ok(Self {
            bytes: packer.finish()?.into(),
            packed: true,
        })
    }
}

/// 200 with a body whose form depended on what the client accepts.
pub(super) fn negotiated(content_type: HeaderValue, body: Body) -> Answer {
    let mut answer = answer(StatusCode::OK, content_type, body.bytes);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if body.packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, PLAIN, text)
}

fn answer(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
