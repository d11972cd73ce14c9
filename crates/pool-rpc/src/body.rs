//! Answers read to their end: their bodies, decoded and limited in size.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::{error::RpcError, head::Head, malformed::Malformed};

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
    // most answers come in one piece, which is taken as it is
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    while !body.is_end_stream() {
        let data = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Ok(Err(error)),
        };
        let read = first.len() + whole.len() + data.len();
        if read > limit {
            return Err(RpcError::TooLarge { limit });
        }
        if read == data.len() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(announced.max(read));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(Ok(if whole.is_empty() { first } else { whole.freeze() }))
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
    use super::*;
    use flate2::{Compression, write::GzEncoder};

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
}
