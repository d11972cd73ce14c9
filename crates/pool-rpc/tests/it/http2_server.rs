//! An HTTP/2 server that does what the called method says.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::{HeaderMap, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, broadcast},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Something to do on all open connections.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// GOAWAY; what is under way is finished.
    GoAway,
    /// Nothing is read or written any more, and the socket stays open.
    Freeze,
    /// The connection is closed without a word.
    Close,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Connections accepted.
    pub(crate) connections: AtomicUsize,
    /// Connections open.
    pub(crate) open: AtomicUsize,
    /// Requests under way.
    pub(crate) under_way: AtomicUsize,
    /// The most requests at once on one connection.
    pub(crate) most: AtomicU32,
    /// Streams that the client reset, and how.
    pub(crate) resets: Mutex<Vec<Reason>>,
    /// Host, path and headers of the last request.
    pub(crate) last: Mutex<Option<(String, HeaderMap)>>,
    /// Answers the method "slow".
    pub(crate) nudge: Notify,
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    orders: broadcast::Sender<Order>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves HTTP/2 without TLS.
    pub(crate) async fn start(max_streams: Option<u32>) -> Self {
        Self::with(max_streams, |stream| async { Some(stream) }).await
    }

    /// Serves HTTP/2 over TLS.
    pub(crate) async fn start_tls(acceptor: TlsAcceptor) -> Self {
        Self::with(None, move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream).await.ok() }
        })
        .await
    }

    async fn with<S, F>(max_streams: Option<u32>, accept: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let orders = broadcast::channel(8).0;
        let (sees, sender) = (Arc::clone(&seen), orders.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Some(stream) = accept(stream).await {
                    tokio::spawn(serve(stream, max_streams, Arc::clone(&sees), sender.subscribe()));
                }
            }
        });
        Self {
            addr,
            seen,
            orders,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts up, and down again when dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    max_streams: Option<u32>,
    seen: Arc<Seen>,
    mut orders: broadcast::Receiver<Order>,
) {
    seen.connections.fetch_add(1, SeqCst);
    let _open = Counted::new(&seen.open);
    let mut builder = h2::server::Builder::new();
    if let Some(max) = max_streams {
        builder.max_concurrent_streams(max);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let here = Arc::new(AtomicU32::new(0));
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(request, respond, Arc::clone(&seen), Arc::clone(&here)));
                }
                _ => return,
            },
            Ok(order) = orders.recv() => match order {
                Order::GoAway => connection.graceful_shutdown(),
                Order::Freeze => std::future::pending().await,
                Order::Close => return,
            },
        }
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: Arc<Seen>,
    here: Arc<AtomicU32>,
) {
    let _under_way = Counted::new(&seen.under_way);
    seen.most.fetch_max(here.fetch_add(1, SeqCst) + 1, SeqCst);
    let answered = act(request, &mut respond, &seen).await;
    here.fetch_sub(1, SeqCst);
    if let Err(reason) = answered {
        respond.send_reset(reason);
    }
}

/// Does what the method says. An error resets the stream.
async fn act(
    request: Request<h2::RecvStream>,
    respond: &mut SendResponse<Bytes>,
    seen: &Seen,
) -> Result<(), Reason> {
    let (head, mut incoming) = request.into_parts();
    *seen.last.lock().unwrap() = Some((head.uri.to_string(), head.headers));
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.map_err(|_| Reason::CANCEL)?;
        let _ = incoming.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let result = match asked["method"].as_str().unwrap() {
        "reset" => return Err(Reason::INTERNAL_ERROR),
        "refuse" => return Err(Reason::REFUSED_STREAM),
        "hang" => {
            if let Ok(reason) = poll_fn(|cx| respond.poll_reset(cx)).await {
                seen.resets.lock().unwrap().push(reason);
            }
            return Ok(());
        }
        "slow" => {
            seen.nudge.notified().await;
            "\"slow\"".to_owned()
        }
        "cut" => {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data("{\"json".into(), false).unwrap();
            // a reset discards what has not been written yet
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            return Err(Reason::INTERNAL_ERROR);
        }
        "large" => format!("\"{}\"", "x".repeat(5_000_000)),
        "eth_syncing" => "false".to_owned(),
        "eth_blockNumber" => "\"0x10\"".to_owned(),
        _ => "\"0x1f\"".to_owned(),
    };
    let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, asked["id"]);
    let mut stream = respond
        .send_response(Response::new(()), false)
        .map_err(|_| Reason::CANCEL)?;
    let mut left = Bytes::from(text);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.and_then(Result::ok).ok_or(Reason::CANCEL)?;
        let part = left.split_to(room.min(left.len()));
        stream
            .send_data(part, left.is_empty())
            .map_err(|_| Reason::CANCEL)?;
    }
    Ok(())
}

/// A frame's header and payload.
pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A server that sends its settings, waits for the head of a request and sends these bytes; then it reads on.
pub(crate) async fn raw(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header).await.unwrap();
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if header[3] == 1 {
                break;
            }
        }
        stream.write_all(&bytes).await.unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    addr
}
