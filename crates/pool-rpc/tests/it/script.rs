//! A server that answers with exactly the bytes it is told to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};

/// Makes an answer of a request and its id.
pub(crate) type Make = Arc<dyn Fn(&[u8], &str) -> Vec<u8> + Send + Sync>;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Writes this, `{id}` replaced by the request's id, and reads the next request.
    Bytes(String),
    /// Writes this and closes the connection.
    Last(String),
    /// Writes the first, waits to be nudged, writes the second.
    Then(String, String),
    /// Writes this once a thousand bytes of the request were read, then reads the rest.
    Early(String),
    /// Writes what is made of the request and its id.
    Made(Make),
    /// Never answers.
    Hang,
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) nudge: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request of each connection as told.
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (connections, nudge) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (seen, nudged) = (Arc::clone(&connections), Arc::clone(&nudge));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, reply.clone(), Arc::clone(&nudged)));
            }
        });
        Self {
            addr,
            connections,
            nudge,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A good answer with this body and these header lines.
pub(crate) fn http(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")
}

/// The body of a good answer.
pub(crate) const GOOD: &str = r#"{"jsonrpc":"2.0","id":{id},"result":"0x1f"}"#;

/// Serves one connection until either side closes it.
pub(crate) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: Reply, nudge: Arc<Notify>) {
    loop {
        let mut request = Vec::new();
        if let Reply::Early(text) = &reply {
            while request.len() < 1000 {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let id = id_of(&request);
            if stream.write_all(fill(text, &id).as_bytes()).await.is_err() {
                return;
            }
        }
        let Some(request) = read_request(&mut stream, request).await else {
            return;
        };
        let id = id_of(&request);
        let written = match &reply {
            Reply::Early(_) => Ok(()),
            Reply::Bytes(text) => stream.write_all(fill(text, &id).as_bytes()).await,
            Reply::Last(text) => {
                let _ = stream.write_all(fill(text, &id).as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Then(first, second) => {
                let _ = stream.write_all(fill(first, &id).as_bytes()).await;
                nudge.notified().await;
                stream.write_all(fill(second, &id).as_bytes()).await
            }
            Reply::Made(make) => stream.write_all(&make(&request, &id)).await,
            Reply::Hang => std::future::pending().await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// The content length is computed for bodies that hold an id.
fn fill(text: &str, id: &str) -> String {
    let filled = text.replace("{id}", id);
    match filled.split_once("\r\n\r\n") {
        Some((head, body)) => format!(
            "{}\r\n\r\n{body}",
            head.replace("{length}", &body.len().to_string())
        ),
        None => filled,
    }
}

fn id_of(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let after = text.split_once(r#""id":"#).map_or("0", |(_, after)| after);
    after.chars().take_while(char::is_ascii_digit).collect()
}

pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    mut read: Vec<u8>,
) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)?
                .split("\r\n")
                .next()?
                .parse::<usize>()
                .ok()?;
            if read.len() >= end + 4 + length {
                return Some(read);
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
