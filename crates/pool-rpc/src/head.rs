//! What the head of an answer says.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};

use crate::{
    body::Answered,
    client::Client,
    error::RpcError,
    malformed::Malformed,
    rate_headers::{is_rate_header, nothing_left_for},
    retry_after::retry_after,
    wire::Framing,
};

/// What the head of an answer says.
#[derive(Debug)]
pub(crate) struct Head {
    status: StatusCode,
    retry_after: Option<Duration>,
    nothing_left_for: Option<Duration>,
    pub(crate) gzip: bool,
    /// How the body ends with HTTP/1.1.
    pub(crate) framing: Framing,
    /// Whether an HTTP/1.1 connection stays open after it.
    pub(crate) stays_open: bool,
}

impl Head {
    /// Reads the head.
    ///
    /// # Errors
    /// When the body has a coding that was not asked for.
    pub(crate) fn of<B>(client: &Client, response: &Response<B>) -> Result<Self, RpcError> {
        let headers = response.headers();
        let seen = Seen::among(headers);
        let (mut wait, mut nothing_left) = (None, None);
        if seen.pauses {
            let wall_now = client.wall_clock.now();
            nothing_left = nothing_left_for(headers, wall_now);
            wait = retry_after(headers, wall_now).or(nothing_left);
        }
        let head = Self {
            status: response.status(),
            retry_after: wait,
            nothing_left_for: nothing_left,
            gzip: client.gzip && seen.coded && is_gzip(headers),
            framing: seen.framing(),
            stays_open: response.version() == Version::HTTP_11 && !seen.closes,
        };
        if seen.coded && !head.gzip && is_encoded(headers) {
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
    pub(crate) fn unreadable(&self, malformed: Malformed) -> RpcError {
        if self.status.is_success() {
            return malformed.into();
        }
        RpcError::HttpStatus {
            status: self.status.as_u16(),
            retry_after: self.retry_after,
        }
    }
}

/// Which headers there are, at one look: to look for each of them by its name costs as much as a small answer's body, and
/// most are missing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The first one; `Some(None)` when it is no number.
    length: Option<Option<u64>>,
    chunked: bool,
    closes: bool,
    /// The body has a coding, perhaps `identity`.
    coded: bool,
    /// The answer may ask for a pause.
    pauses: bool,
}

impl Seen {
    fn among(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            if *name == header::CONTENT_LENGTH {
                seen.length
                    .get_or_insert_with(|| value.to_str().ok()?.parse().ok());
            } else if *name == header::TRANSFER_ENCODING {
                seen.chunked = true;
            } else if *name == header::CONNECTION {
                seen.closes |= closes(value);
            } else if *name == header::CONTENT_ENCODING {
                seen.coded = true;
            } else if *name == header::RETRY_AFTER || is_rate_header(name) {
                seen.pauses = true;
            }
        }
        seen
    }

    fn framing(&self) -> Framing {
        match self.length {
            _ if self.chunked => Framing::Chunked,
            Some(Some(length)) => Framing::Length(length),
            Some(None) | None => Framing::Close,
        }
    }
}

/// Whether a `Connection` header announces that the connection is closed.
fn closes(value: &HeaderValue) -> bool {
    value.to_str().map_or(true, |tokens| {
        tokens
            .split(',')
            .any(|token| token.trim().eq_ignore_ascii_case("close"))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointUrl, Probe, RpcConfig};

    fn response(version: Version, headers: &[(&'static str, &'static str)]) -> Response<()> {
        let mut response = Response::new(());
        *response.version_mut() = version;
        for (name, value) in headers {
            response
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        response
    }

    fn head(version: Version, headers: &[(&'static str, &'static str)]) -> Result<Head, RpcError> {
        let url: EndpointUrl = "http://node.example/".parse().unwrap();
        let client = Client::new(&RpcConfig::new(url, Probe::Evm { chain_id: 1 })).unwrap();
        Head::of(&client, &response(version, headers))
    }

    #[test]
    fn an_announced_close_is_heard() {
        let stays_open = |version, headers: &[_]| head(version, headers).unwrap().stays_open;
        let close = [("connection", "x"), ("connection", "keep-alive, Close")];
        assert!(stays_open(Version::HTTP_11, &[]));
        assert!(stays_open(Version::HTTP_11, &[("connection", "keep-alive")]));
        assert!(!stays_open(Version::HTTP_11, &close));
        assert!(!stays_open(Version::HTTP_11, &[close[1], close[0]]));
        assert!(!stays_open(Version::HTTP_10, &[("connection", "keep-alive")]));
    }

    #[test]
    fn the_end_of_a_body_is_told_by_its_headers() {
        let framed = |headers: &[_]| head(Version::HTTP_11, headers).unwrap().framing;
        assert_eq!(framed(&[("content-length", "7")]), Framing::Length(7));
        assert_eq!(framed(&[("transfer-encoding", "chunked")]), Framing::Chunked);
        assert_eq!(
            framed(&[("transfer-encoding", "chunked"), ("content-length", "7")]),
            Framing::Chunked
        );
        assert_eq!(framed(&[("content-length", "x")]), Framing::Close);
        assert_eq!(
            framed(&[("content-length", "x"), ("content-length", "7")]),
            Framing::Close
        );
        assert_eq!(framed(&[]), Framing::Close);
    }

    #[test]
    fn pauses_are_heard_among_other_headers() {
        let pauses = |headers: &[_]| {
            let head = head(Version::HTTP_11, headers).unwrap();
            let seconds = |pause: Option<Duration>| pause.map(|pause| pause.as_secs());
            (seconds(head.retry_after), seconds(head.nothing_left_for))
        };
        let json = ("content-type", "application/json");
        assert_eq!(pauses(&[json]), (None, None));
        assert_eq!(pauses(&[json, ("retry-after", "7")]), (Some(7), None));
        for (name, value) in [
            ("ratelimit", "\"default\";r=0;t=30"),
            ("ratelimit", "limit=100, remaining=0, reset=30"),
        ] {
            assert_eq!(pauses(&[json, (name, value)]), (Some(30), Some(30)));
        }
        for [remaining, reset] in [
            ["x-ratelimit-remaining", "x-ratelimit-reset"],
            ["ratelimit-remaining", "ratelimit-reset"],
        ] {
            let headers = [json, (reset, "9"), (remaining, "0")];
            assert_eq!(pauses(&headers), (Some(9), Some(9)));
            let headers = [headers[1], headers[2], ("retry-after", "7")];
            assert_eq!(pauses(&headers), (Some(7), Some(9)));
        }
    }

    #[test]
    fn codings_are_told_apart() {
        let gzip = |codings: &[&'static str]| {
            let headers: Vec<_> = codings
                .iter()
                .map(|coding| ("content-encoding", *coding))
                .collect();
            head(Version::HTTP_11, &headers).map(|head| head.gzip).ok()
        };
        assert_eq!(gzip(&[]), Some(false));
        assert_eq!(gzip(&["Identity"]), Some(false));
        assert_eq!(gzip(&["GZIP"]), Some(true));
        assert_eq!(gzip(&["x-gzip"]), Some(true));
        for refused in [&["br"][..], &["identity", "br"], &["gzip, br"], &["gzip", "br"]] {
            assert_eq!(gzip(refused), None, "{refused:?}");
        }
    }
}
