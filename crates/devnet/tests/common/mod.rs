//! A plain HTTP/1.1 client that sees what is on the wire, faults included.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devnet::{Chain, ChainConfig, Faults, Node, NodeConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A response as it came; `complete` says whether its framing was kept.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) complete: bool,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> std::io::Result<Self> {
        timeout(PATIENCE, TcpStream::connect(addr))
            .await
            .expect("connect in time")
            .map(Self)
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<()> {
        let length = body.len();
        let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        self.0.write_all(text.as_bytes()).await
    }

    /// Reads one response; an error or end before its head is an error.
    pub(crate) async fn receive(&mut self) -> std::io::Result<Seen> {
        timeout(PATIENCE, self.receive_unbounded())
            .await
            .expect("an answer in time")
    }

    pub(crate) async fn receive_unbounded(&mut self) -> std::io::Result<Seen> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more(&mut bytes).await? {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8(bytes.drain(..head_end).collect()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut seen = Seen {
            status,
            head,
            body: bytes,
            complete: true,
        };
        if let Some(length) = seen
            .header("content-length")
            .map(|length| length.parse::<usize>().unwrap())
        {
            while seen.body.len() < length && seen.complete {
                seen.complete = self.more(&mut seen.body).await.unwrap_or(false);
            }
        } else if seen.header("transfer-encoding").is_some() {
            while !seen.body.ends_with(b"0\r\n\r\n") && seen.complete {
                seen.complete = self.more(&mut seen.body).await.unwrap_or(false);
            }
        }
        Ok(seen)
    }

    async fn more(&mut self, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
        Ok(self.0.read_buf(bytes).await? > 0)
    }

    pub(crate) async fn rpc(&mut self, method: &str, params: Value) -> std::io::Result<Seen> {
        self.post(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string())
            .await
    }

    pub(crate) async fn post(&mut self, body: &str) -> std::io::Result<Seen> {
        self.send("POST", "/", body).await?;
        self.receive().await
    }

    /// Whether the server ended the connection in order, without a byte more.
    pub(crate) async fn ended(&mut self) -> bool {
        let mut byte = [0];
        matches!(
            timeout(PATIENCE, self.0.read(&mut byte))
                .await
                .expect("an end in time"),
            Ok(0)
        )
    }
}

pub(crate) fn evm_chain() -> Arc<Chain> {
    Arc::new(Chain::new(ChainConfig::evm(1, Duration::from_secs(3_600))).unwrap())
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// An EVM node at height 1000 (for an hour) with a control endpoint.
pub(crate) async fn start() -> Node {
    let config = NodeConfig {
        control: Some(loopback()),
        seed: 5,
        ..NodeConfig::default()
    };
    Node::start(evm_chain(), config).await.unwrap()
}

pub(crate) async fn start_with(faults: Faults) -> Node {
    let node = start().await;
    node.set_faults(faults).unwrap();
    node.settled().await.unwrap();
    node
}

/// One request on a connection of its own.
pub(crate) async fn once(node: &Node, method: &str) -> std::io::Result<Seen> {
    Client::connect(node.addr()).await?.rpc(method, json!([])).await
}

/// One request to the control endpoint.
pub(crate) async fn control(node: &Node, method: &str, path: &str, body: &str) -> Seen {
    let mut client = Client::connect(node.control_addr().unwrap()).await.unwrap();
    client.send(method, path, body).await.unwrap();
    client.receive().await.unwrap()
}
