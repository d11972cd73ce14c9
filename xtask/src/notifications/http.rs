//! As much of HTTP/1.1 as a webhook receiver needs: bounded heads and bodies, keep-alive, chunked bodies refused.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, Result, bail};

/// Alertmanager's largest notifications are some hundred kilobytes.
pub(super) const BODY_LIMIT: usize = 4 * 1024 * 1024;
const HEAD_LIMIT: usize = 16 * 1024;

/// A request with its whole body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    /// The peer ends the connection after the answer.
    pub(super) close: bool,
}

/// A status and a plain text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    pub(super) fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            body: body.to_owned(),
        }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.status
    }
}

/// One connection, which may carry several requests.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
}

struct Head {
    request: Request,
    length: usize,
    body: usize,
    expects_continue: bool,
}

impl<S: Read + Write> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The next request; `None` when the peer is done. The inner error is an answer to a request that can't be taken.
    pub(super) fn next(&mut self) -> Result<Option<Result<Request, Answer>>> {
        let head = loop {
            match parse(&self.buffer) {
                Ok(Some(head)) => break head,
                Ok(None) if self.buffer.len() > HEAD_LIMIT => {
                    return Ok(Some(Err(Answer::new(431, "head too large\n"))));
                }
                Ok(None) => {}
                Err(refusal) => return Ok(Some(Err(refusal))),
            }
            if !self.read_more()? {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                bail!("the peer left amid a request");
            }
        };
        let Head {
            mut request,
            length,
            body,
            expects_continue,
        } = head;
        if expects_continue && self.buffer.len() < length + body {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        while self.buffer.len() < length + body {
            if !self.read_more()? {
                bail!("the peer left amid a body");
            }
        }
        request.body = self.buffer[length..length + body].to_vec();
        self.buffer.drain(..length + body);
        Ok(Some(Ok(request)))
    }

    /// Sends the answer.
    pub(super) fn answer(&mut self, answer: &Answer, close: bool) -> Result<()> {
        let reason = match answer.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            411 => "Length Required",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            _ => "Error",
        };
        let text = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{}\r\n{}",
            answer.status,
            answer.body.len(),
            if close { "Connection: close\r\n" } else { "" },
            answer.body
        );
        self.stream.write_all(text.as_bytes()).context("can't answer")
    }

    /// False at the end of the stream; a peer that is silent for too long counts as gone.
    fn read_more(&mut self) -> Result<bool> {
        let mut chunk = [0; 8192];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if self.buffer.is_empty()
                        && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(error).context("can't read"),
            }
        }
    }
}

/// `None` while the head is not complete.
fn parse(buffer: &[u8]) -> Result<Option<Head>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Answer::new(400, &format!("not HTTP: {error}\n"))),
    };
    let mut body = None;
    let mut close = parsed.version == Some(0);
    let mut expects_continue = false;
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        let value = value.trim();
        match header.name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let size = value
                    .parse::<usize>()
                    .map_err(|_| Answer::new(400, "Content-Length is not a number\n"))?;
                if body.replace(size).is_some_and(|other| other != size) {
                    return Err(Answer::new(400, "two different Content-Length\n"));
                }
            }
            "transfer-encoding" => {
                return Err(Answer::new(
                    411,
                    "send a Content-Length instead of Transfer-Encoding\n",
                ));
            }
            "connection" => close |= value.eq_ignore_ascii_case("close"),
            "expect" => expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    let method = parsed.method.unwrap_or_default().to_owned();
    if body.is_none() && method == "POST" {
        return Err(Answer::new(411, "a notification needs a Content-Length\n"));
    }
    let body = body.unwrap_or(0);
    if body > BODY_LIMIT {
        return Err(Answer::new(413, &format!("at most {BODY_LIMIT} bytes\n")));
    }
    let path = parsed
        .path
        .unwrap_or("/")
        .split('?')
        .next()
        .unwrap_or("/")
        .to_owned();
    Ok(Some(Head {
        request: Request {
            method,
            path,
            body: Vec::new(),
            close,
        },
        length,
        body,
        expects_continue,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its input in pieces of `step` bytes and keeps what is written.
    struct Pieces {
        input: Vec<u8>,
        at: usize,
        step: usize,
        output: Vec<u8>,
    }

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.step.min(self.input.len() - self.at).min(out.len());
            out[..count].copy_from_slice(&self.input[self.at..self.at + count]);
            self.at += count;
            Ok(count)
        }
    }

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.output.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn connection(input: &str, step: usize) -> Connection<Pieces> {
        Connection::new(Pieces {
            input: input.as_bytes().to_vec(),
            at: 0,
            step,
            output: Vec::new(),
        })
    }

    #[test]
    fn two_requests_on_one_connection_however_they_are_cut() {
        let input = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /healthz?x HTTP/1.1\r\nConnection: close\r\n\r\n";
        for step in [1, 3, 1000] {
            let mut connection = connection(input, step);
            let first = connection.next().unwrap().unwrap().unwrap();
            assert_eq!(
                (first.method.as_str(), first.body.as_slice(), first.close),
                ("POST", &b"hello"[..], false)
            );
            let second = connection.next().unwrap().unwrap().unwrap();
            assert_eq!((second.path.as_str(), second.close), ("/healthz", true));
            assert!(connection.next().unwrap().is_none());
        }
    }

    #[test]
    fn what_can_not_be_taken_is_refused_by_status() {
        let cases = [
            ("nonsense\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\n\r\n", 411),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                400,
            ),
        ];
        for (input, status) in cases {
            let refusal = connection(input, 1000).next().unwrap().unwrap().unwrap_err();
            assert_eq!(refusal.status(), status, "{input:?}");
        }
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_LIMIT));
        assert_eq!(
            connection(&endless, 4096)
                .next()
                .unwrap()
                .unwrap()
                .unwrap_err()
                .status(),
            431
        );
    }

    #[test]
    fn a_body_cut_short_is_no_request() {
        assert!(
            connection("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel", 1000)
                .next()
                .is_err()
        );
    }
}
