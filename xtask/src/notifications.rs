//! The notification log: a webhook receiver on this machine that keeps every notification Alertmanager sends.
//!
//! It stands in for a pager until the operator names a receiver, and beside one it is the record of what was sent.

mod http;
mod payload;

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use self::http::{Answer, Request};
pub(crate) use self::payload::{Payload, lines, utc};

/// Connections served at once; Alertmanager keeps one or two.
const MOST_CONNECTIONS: usize = 32;
/// A peer that sends nothing for so long is let go. Longer than the usual group interval's keep-alive is no use.
const IDLE: Duration = Duration::from_secs(30);

/// Where the notifications of a run are kept.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("notifications.jsonl")
}

/// Listens on all addresses until the process ends.
pub(crate) fn serve(addresses: &[SocketAddr], file: &Path) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    let file = File::options()
        .create(true)
        .append(true)
        .open(file)
        .with_context(|| format!("can't open {}", file.display()))?;
    let file = Mutex::new(file);
    let shared = Arc::new(Shared {
        take: Box::new(move |request| match request.path.as_str() {
            "/" => record(&request.body, &file),
            _ => Err(Refused::Path),
        }),
        connections: AtomicUsize::new(0),
    });
    let mut threads = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).with_context(|| format!("can't listen on {address}"))?;
        outln!("listening on http://{}", listener.local_addr()?);
        let shared = Arc::clone(&shared);
        threads.push(std::thread::spawn(move || accept(&listener, &shared)));
    }
    for thread in threads {
        // An accept loop never returns; a panic in it must not leave a deaf process behind.
        if thread.join().is_err() {
            anyhow::bail!("a listener broke down");
        }
    }
    Ok(())
}

/// Takes notifications on a listener for as long as this process lives, and hands over path and body of each. What is refused
/// is answered with 400 and the reason.
pub(crate) fn receive(
    listener: TcpListener,
    take: impl Fn(&str, &[u8]) -> Result<(), String> + Send + Sync + 'static,
) {
    let shared = Arc::new(Shared {
        take: Box::new(move |request| take(&request.path, &request.body).map_err(Refused::Payload)),
        connections: AtomicUsize::new(0),
    });
    std::thread::spawn(move || accept(&listener, &shared));
}

type Take = dyn Fn(&Request) -> Result<(), Refused> + Send + Sync;

struct Shared {
    /// What becomes of a notification.
    take: Box<Take>,
    connections: AtomicUsize,
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // Out of file handles, mostly: without a pause this would spin.
                errln!("can't accept a connection: {error}");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if shared.connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            if let Err(error) = converse(stream, &shared) {
                errln!("a connection ended: {error:#}");
            }
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut connection = http::Connection::new(stream);
    while let Some(request) = connection.next()? {
        match request {
            Ok(request) => {
                let close = request.close;
                connection.answer(&handle(&request, shared), close)?;
                if close {
                    break;
                }
            }
            Err(refusal) => {
                connection.answer(&refusal, true)?;
                break;
            }
        }
    }
    Ok(())
}

fn handle(request: &Request, shared: &Shared) -> Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/healthz") => Answer::new(200, "ok\n"),
        ("POST", _) => match (shared.take)(request) {
            Ok(()) => Answer::new(200, "kept\n"),
            // Alertmanager tries 5xx again and gives up on 4xx.
            Err(Refused::Payload(why)) => Answer::new(400, &format!("{why}\n")),
            Err(Refused::Disk(why)) => Answer::new(500, &format!("{why}\n")),
            Err(Refused::Path) => Answer::new(404, USAGE),
        },
        (_, "/" | "/healthz") => Answer::new(405, USAGE),
        _ => Answer::new(404, USAGE),
    }
}

const USAGE: &str = "POST / takes a notification; GET /healthz tells that I live\n";

enum Refused {
    /// Nothing is taken there.
    Path,
    Payload(String),
    Disk(String),
}

fn record(body: &[u8], file: &Mutex<File>) -> Result<(), Refused> {
    let raw: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| Refused::Payload(format!("not JSON: {error}")))?;
    let payload: Payload = serde_json::from_slice(body)
        .map_err(|error| Refused::Payload(format!("not a notification: {error}")))?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let line = format!("{raw}\n");
    {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // One write: lines of two notifications never mix.
        file.write_all(line.as_bytes())
            .map_err(|error| Refused::Disk(format!("can't keep it: {error}")))?;
    }
    for line in lines(&payload, now.as_secs()) {
        outln!("{line}");
    }
    Ok(())
}
