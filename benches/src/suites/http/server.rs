//! A node in a process of its own that costs as little as can be.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The case that makes this program the server.
pub(super) const CASE: &str = "server";

/// The server, as its client sees it. Ends with it.
pub(super) struct Served {
    pub(super) http1: SocketAddr,
    pub(super) http2: SocketAddr,
    child: Child,
    control: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Served {
    pub(super) fn start() -> Result<Self> {
        // under valgrind `current_exe` would be valgrind
        let program = std::env::args_os().next().context("there is no program's name")?;
        let mut child = Command::new(program)
            .args(["--only", "http", "--case", CASE, "--operations", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .context("the server has no pipes")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = || {
            let mut line = String::new();
            stdout.read_line(&mut line)?;
            Ok::<_, anyhow::Error>(line.trim().to_owned())
        };
        Ok(Self {
            http1: line()?.parse()?,
            http2: line()?.parse()?,
            child,
            control: Mutex::new((stdin, stdout)),
        })
    }

    /// Connections that were opened to it.
    pub(super) fn opened(&self) -> Result<u64> {
        let mut control = self.control.lock().map_err(|_| anyhow!("a thread panicked"))?;
        control.0.write_all(b"\n")?;
        let mut line = String::new();
        control.1.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's own process: prints its addresses, and for each line that it reads how many connections it has seen.
pub(super) fn main() -> Result<()> {
    let opened = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&opened);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_err() {
                break;
            }
            println!("{}", opened.load(Ordering::Relaxed));
        }
        // whoever started it has gone
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let http1 = TcpListener::bind("127.0.0.1:0").await?;
        let http2 = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}\n{}", http1.local_addr()?, http2.local_addr()?);
        loop {
            let (stream, is_http2) = tokio::select! {
                accepted = http1.accept() => (accepted?.0, false),
                accepted = http2.accept() => (accepted?.0, true),
            };
            seen.fetch_add(1, Ordering::Relaxed);
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                // a client that goes away is no fault
                let _gone = if is_http2 {
                    serve_http2(stream).await
                } else {
                    serve_http1(stream).await
                };
            });
        }
    })
}

/// One request after the other, by hand: what the server costs is missing to the client.
async fn serve_http1(mut stream: TcpStream) -> Result<()> {
    let (mut read, mut answer) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    loop {
        if let Some(end) = whole(&read) {
            let body = body(&read[..end]);
            answer.clear();
            write!(
                answer,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )?;
            stream.write_all(&answer).await?;
            read.drain(..end);
        } else if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

/// Where the first request ends, if all of it has come.
fn whole(read: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let at = read
        .windows(LENGTH.len())
        .position(|name| name.eq_ignore_ascii_case(LENGTH))?
        + LENGTH.len();
    let length = digits(&read[at..]).parse::<usize>().ok()?;
    (read.len() >= head + length).then_some(head + length)
}

fn digits(text: &[u8]) -> &str {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).unwrap_or_default()
}

async fn serve_http2(stream: TcpStream) -> Result<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let read = request.into_body().collect().await?.to_bytes();
        let mut response = Response::new(Full::new(Bytes::from(body(&read))));
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
        Ok::<_, hyper::Error>(response)
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(256);
    Ok(builder.serve_connection(TokioIo::new(stream), service).await?)
}

/// The answer to a call: a health check finds a node in sync on chain 1.
fn body(request: &[u8]) -> String {
    let has = |word: &str| request.windows(word.len()).any(|found| found == word.as_bytes());
    let result = if has("eth_getBalance") {
        "\"0x1158e460913d00000\""
    } else if has("eth_syncing") {
        "false"
    } else {
        "\"0x1\""
    };
    let at = request
        .windows(5)
        .position(|name| name == b"\"id\":")
        .map_or(0, |at| at + 5);
    let id = digits(&request[at..]);
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")
}
