//! Answers: what their heads say, and their bodies, decoded and limited in size.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::{
    client::Client, error::RpcError, malformed::Malformed, rate_headers::nothing_left_for,
    retry_after::retry_after,
};

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// For how long nothing is left of the provider's quota, as its headers say.
    pub(crate) nothing_left_for: Option<Duration>,
    pub(crate) body: Bytes,
    /// Whether the connection is proven to be silent and to stay open.
    pub(crate) whole: bool,
}

/// What the head of an answer says.
#[derive(Debug)]
pub(crate) struct Head {
    status: StatusCode,
    retry_after: Option<Duration>,
    nothing_left_for: Option<Duration>,
    gzip: bool,
}

impl Head {
    /// Reads the head.
    ///
    /// # Errors
    /// When the body has a coding that was not asked for.
    pub(crate) fn of<B>(client: &Client, response: &Response<B>) -> Result<Self, RpcError> {
        let wall_now = client.wall_clock.now();
        let nothing_left_for = nothing_left_for(response.headers(), wall_now);
        let head = Self {
            status: response.status(),
            retry_after: retry_after(response.headers(), wall_now).or(nothing_left_for),
            nothing_left_for,
            gzip: client.gzip && is_gzip(response.headers()),
        };
        if !head.gzip && is_encoded(response.headers()) {
            return Err(head.unreadable(Malformed::Encoding));
        }
        Ok(head)
    }

    /// The answer with its body.
    pub(crate) fn answered(self, body: Bytes, whole: bool) -> Answered {
        Answered {
            status: self.status,
            retry_after: self.retry_after,
            nothing_left_for: self.nothing_left_for,
            body,
            whole,
        }
    }

    /// The body cannot be read. A bad status says more than that.
    fn unreadable(&self, malformed: Malformed) -> RpcError {
        if self.status.is_success() {
            return malformed.into();
        }
        RpcError::HttpStatus {
            status: self.status.as_u16(),
            retry_after: self.retry_after,
        }
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// One coding, gzip or its old name.
fn is_gzip(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let first = codings.next().map_or(&b""[..], |coding| coding.as_bytes());
    let gzip = first.eq_ignore_ascii_case(b"gzip") || first.eq_ignore_ascii_case(b"x-gzip");
    gzip && codings.next().is_none()
}

/// Reads the body up to the limit. The outer error is ours, the inner one the connection's.
pub(crate) async fn read_body(
    body: Incoming,
    head: &Head,
    limit: usize,
) -> Result<Result<Bytes, hyper::Error>, RpcError> {
    if head.gzip {
        read_gzip(body, head, limit).await
    } else {
        read_plain(body, limit).await
    }
}

async fn read_plain(mut body: Incoming, limit: usize) -> Result<Result<Bytes, hyper::Error>, RpcError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(RpcError::TooLarge { limit });
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Ok(Err(error)),
        };
        if whole.len() + data.len() > limit {
            return Err(RpcError::TooLarge { limit });
        }
        if whole.is_empty() && data.len() == announced {
            // Most answers come in one piece.
            whole = BytesMut::from(data);
        } else {
            whole.extend_from_slice(&data);
        }
    }
    Ok(Ok(whole.freeze()))
}

async fn read_gzip(
    mut body: Incoming,
    head: &Head,
    limit: usize,
) -> Result<Result<Bytes, hyper::Error>, RpcError> {
    let mut gunzip = Gunzip::new(limit);
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Ok(Err(error)),
        };
        gunzip.feed(&data).map_err(|error| error.of(head))?;
    }
    gunzip.finish().map(Ok).map_err(|error| error.of(head))
}

/// Why a compressed body was given up.
#[derive(Debug, PartialEq, Eq)]
enum GzipError {
    TooLarge { limit: usize },
    Damaged,
}

impl GzipError {
    fn of(self, head: &Head) -> RpcError {
        match self {
            Self::TooLarge { limit } => RpcError::TooLarge { limit },
            Self::Damaged => head.unreadable(Malformed::Gzip),
        }
    }
}

/// Decodes gzip as it comes. Holds at most the limit of decoded bytes and the decoder's window of 32 KiB.
struct Gunzip {
    decoder: MultiGzDecoder<Capped>,
    limit: usize,
    fed: usize,
}

impl Gunzip {
    fn new(limit: usize) -> Self {
        Self {
            decoder: MultiGzDecoder::new(Capped {
                bytes: Vec::new(),
                limit,
                burst: false,
            }),
            limit,
            fed: 0,
        }
    }

    fn feed(&mut self, data: &[u8]) -> Result<(), GzipError> {
        self.fed += data.len();
        // What does not compress grows a little. Without this limit empty members could come for ever.
        let most = self.limit.saturating_add(self.limit / 1024 + 64);
        if self.fed > most {
            return Err(GzipError::TooLarge { limit: self.limit });
        }
        let fed = self.decoder.write_all(data);
        fed.map_err(|_| self.reason())
    }

    /// The decoded body, once its length and checksum are proven. No bytes at all are an empty body.
    fn finish(mut self) -> Result<Bytes, GzipError> {
        if self.fed == 0 {
            return Ok(Bytes::new());
        }
        if self.decoder.try_finish().is_err() {
            return Err(self.reason());
        }
        Ok(Bytes::from(std::mem::take(&mut self.decoder.get_mut().bytes)))
    }

    fn reason(&self) -> GzipError {
        if self.decoder.get_ref().burst {
            GzipError::TooLarge { limit: self.limit }
        } else {
            GzipError::Damaged
        }
    }
}

/// Takes bytes up to a limit.
struct Capped {
    bytes: Vec<u8>,
    limit: usize,
    /// More came than the limit allows.
    burst: bool,
}

impl io::Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.limit {
            self.burst = true;
            return Err(io::Error::other("larger than the limit"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use http::HeaderValue;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(packed: &[u8], piece: usize, limit: usize) -> Result<Bytes, GzipError> {
        let mut gunzip = Gunzip::new(limit);
        packed.chunks(piece).try_for_each(|data| gunzip.feed(data))?;
        gunzip.finish()
    }

    #[test]
    fn gzip_is_decoded_in_pieces_of_any_size() {
        let plain: Vec<u8> = (0..20_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let packed = gzip(&plain);
        for piece in [1, 7, 4096, packed.len()] {
            assert_eq!(gunzip(&packed, piece, plain.len()).unwrap(), plain, "{piece}");
        }
        let members = [gzip(b"two "), gzip(b"members")].concat();
        assert_eq!(&gunzip(&members, 3, 100).unwrap()[..], b"two members");
        assert_eq!(gunzip(&gzip(b""), 5, 100).unwrap().len(), 0);
        assert_eq!(gunzip(b"", 5, 100).unwrap().len(), 0);
    }

    #[test]
    fn damage_is_found() {
        let packed = gzip(b"a body that is long enough to be cut somewhere");
        for cut in 1..packed.len() {
            assert_eq!(gunzip(&packed[..cut], 9, 100), Err(GzipError::Damaged), "{cut}");
        }
        let mut flipped = packed.clone();
        let checksum = packed.len() - 6;
        flipped[checksum] ^= 1;
        assert_eq!(gunzip(&flipped, 9, 100), Err(GzipError::Damaged));
        let trailed = [&packed[..], b"trailing"].concat();
        assert_eq!(gunzip(&trailed, 9, 100), Err(GzipError::Damaged));
        assert_eq!(gunzip(b"{}", 9, 100), Err(GzipError::Damaged));
    }

    #[test]
    fn a_bomb_never_holds_more_than_the_limit() {
        let bomb = gzip(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < 100_000, "{} bytes are a bomb", bomb.len());
        let limit = 1_000_000;
        let mut gunzip = Gunzip::new(limit);
        let burst = bomb.chunks(1000).find_map(|data| gunzip.feed(data).err());
        assert_eq!(burst, Some(GzipError::TooLarge { limit }));
        let held = gunzip.decoder.get_ref().bytes.capacity();
        assert!(held <= 2 * limit, "{held}");

        let empty = gzip(b"").repeat(100);
        assert_eq!(
            super::tests::gunzip(&empty, 1000, 10),
            Err(GzipError::TooLarge { limit: 10 })
        );
    }

    #[test]
    fn codings_are_told_apart() {
        let headers = |codings: &[&'static str]| {
            let pairs = codings
                .iter()
                .map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
            pairs.collect::<HeaderMap>()
        };
        assert!(!is_encoded(&headers(&[])) && !is_encoded(&headers(&["Identity"])));
        assert!(is_encoded(&headers(&["br"])) && is_encoded(&headers(&["identity", "br"])));
        assert!(is_gzip(&headers(&["GZIP"])) && is_gzip(&headers(&["x-gzip"])));
        assert!(!is_gzip(&headers(&["gzip, br"])));
    }
}
