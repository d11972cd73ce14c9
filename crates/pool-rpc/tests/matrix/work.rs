//! The calls, and the truth that their answers are held against.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
    time::Duration,
};

use devnet::{Chain, Node, NodeConfig};
use pool_core::{Operation as _, Request};
use pool_rpc::{
    ErrorObject, JsonRpcEndpoint, Probe, RawTx, RpcBatch, RpcCall, RpcConfig, RpcConn, RpcError, RpcRequest,
};
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::Mutex, time::Instant};

use crate::wire::CHAIN_ID;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Read,
    Batch,
    /// A transaction to several nodes at once.
    Broadcast,
    /// A transaction to one node.
    Send,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Batch, Self::Broadcast, Self::Send];

    /// Whether a transaction is sent: the node's answer may be lost, what it did is not.
    pub(crate) const fn sends(self) -> bool {
        matches!(self, Self::Broadcast | Self::Send)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Batch => "batch",
            Self::Broadcast => "broadcast",
            Self::Send => "send",
        }
    }
}

/// Methods that faults are limited to where they can be: the health checks must not notice, and help.
pub(crate) const METHODS: [&str; 4] = ["eth_getBalance", "eth_getBlockByNumber", "eth_getLogs", SEND];
pub(crate) const SEND: &str = "eth_sendRawTransaction";

/// A transaction that devnet takes, another for each number.
fn transaction(number: u64) -> RawTx {
    let [.., high, low] = number.to_be_bytes();
    let mut raw = vec![0x80; 13];
    raw[0] = 0xcc;
    raw[10..].copy_from_slice(&[0x82, high | 0x80, low]);
    RawTx::evm_bytes(&raw).unwrap()
}

/// The same transaction as a call.
fn send(number: u64) -> RpcCall {
    let [.., high, low] = number.to_be_bytes();
    let raw = format!("0xcc{}82{:02x}{low:02x}", "80".repeat(9), high | 0x80);
    RpcCall::of(SEND, &[raw]).unwrap()
}

/// A read whose answer is the same at any time.
fn pinned(number: u64) -> (&'static str, Value) {
    let block = 100 + number % 800;
    match number % 3 {
        0 => ("eth_getBalance", json!([format!("0x{number:040x}"), "latest"])),
        1 => ("eth_getBlockByNumber", json!([format!("{block:#x}"), false])),
        _ => {
            let (from, to) = (format!("{block:#x}"), format!("{:#x}", block + 1));
            ("eth_getLogs", json!([{ "fromBlock": from, "toBlock": to }]))
        }
    }
}

fn request(number: u64) -> RpcRequest {
    let (method, params) = pinned(number);
    RpcRequest::new(method, &params).unwrap()
}

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Work {
    Read(u64, RpcCall),
    Batch(u64, RpcBatch),
    Broadcast(RawTx, RpcCall),
    Send(RawTx, RpcCall),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    One(Box<RawValue>),
    Many(Vec<Result<Box<RawValue>, ErrorObject>>),
}

impl Work {
    pub(crate) fn new(kind: Kind, number: u64) -> Self {
        match kind {
            Kind::Read => Self::Read(number, RpcCall::new(request(number))),
            Kind::Batch => {
                let items = (number..number + 2)
                    .map(request)
                    .chain(std::iter::once(head_request()));
                Self::Batch(number, RpcBatch::new(items.collect()))
            }
            Kind::Broadcast => Self::Broadcast(transaction(number), send(number)),
            Kind::Send => Self::Send(transaction(number), send(number)),
        }
    }

    pub(crate) fn request(&self) -> Request {
        match self {
            Self::Batch(_, batch) => batch.pool_request(),
            Self::Read(_, call) | Self::Broadcast(_, call) | Self::Send(_, call) => call.pool_request(),
        }
    }

    /// On a connection, without a pool.
    pub(crate) async fn on(&self, conn: &mut RpcConn) -> Result<Answer, RpcError> {
        match self {
            Self::Batch(_, batch) => batch.call(conn).await.map(Answer::Many),
            Self::Read(_, call) | Self::Broadcast(_, call) | Self::Send(_, call) => {
                call.call(conn).await.map(Answer::One)
            }
        }
    }
}

/// Asks for the head.
pub(crate) fn head_request() -> RpcRequest {
    RpcRequest::raw("eth_blockNumber", None)
}

/// The height in an answer to [`head_request`].
pub(crate) fn height(answer: &RawValue) -> Option<u64> {
    let text: String = serde_json::from_str(answer.get()).ok()?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// What the chain really has: said by a node of it without faults, which is asked directly, once for each question.
#[derive(Debug)]
pub(crate) struct Truth {
    chain: Arc<Chain>,
}

/// Blocks and what is in them depend on the time between them alone.
type Told = Mutex<HashMap<(Duration, u64), String>>;

static TOLD: OnceLock<Told> = OnceLock::new();

impl Truth {
    pub(crate) fn of(chain: &Arc<Chain>) -> Self {
        Self {
            chain: Arc::clone(chain),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.chain.height_at(Instant::now())
    }

    async fn ask(&self, number: u64) -> String {
        let mut told = TOLD.get_or_init(Told::default).lock().await;
        let question = (self.chain.config().block_time, number);
        if let Some(answer) = told.get(&question) {
            return answer.clone();
        }
        let (_node, mut conn) = self.witness().await;
        let answer = conn.send(&request(number)).await.unwrap().get().to_owned();
        told.insert(question, answer.clone());
        answer
    }

    /// A node without faults, and a connection to it.
    async fn witness(&self) -> (Node, RpcConn) {
        let node = Node::start(Arc::clone(&self.chain), NodeConfig::default())
            .await
            .unwrap();
        let config = RpcConfig::new(node.url().parse().unwrap(), Probe::Evm { chain_id: CHAIN_ID });
        let conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
        (node, conn)
    }

    /// Which of these transactions the chain has taken.
    pub(crate) async fn taken(&self, hashes: &[String]) -> Vec<bool> {
        let (_node, mut conn) = self.witness().await;
        let mut taken = Vec::new();
        for hash in hashes {
            let asked = RpcRequest::new("eth_getTransactionByHash", &[hash]).unwrap();
            taken.push(conn.send(&asked).await.unwrap().get() != "null");
        }
        taken
    }

    /// Says what is wrong with an answer, if anything is. `heads` were the chain's while it was under way.
    pub(crate) async fn refute(
        &self,
        work: &Work,
        answer: &Answer,
        heads: &RangeInclusive<u64>,
    ) -> Option<String> {
        match (work, answer) {
            (Work::Read(number, _), Answer::One(found)) => self.refute_pinned(*number, found).await,
            (Work::Batch(number, _), Answer::Many(found)) if found.len() == 3 => {
                for (number, item) in (*number..).zip(&found[..2]) {
                    let Ok(item) = item else {
                        return Some(format!("{}: {item:?}", pinned(number).0));
                    };
                    let wrong = self.refute_pinned(number, item).await;
                    if wrong.is_some() {
                        return wrong;
                    }
                }
                let head = found[2].as_ref().ok().and_then(|head| height(head));
                let right = head.is_some_and(|head| heads.contains(&head));
                (!right).then(|| format!("{:?} is no head in {heads:?}", found[2]))
            }
            (Work::Broadcast(tx, _) | Work::Send(tx, _), Answer::One(found)) => {
                let named = serde_json::from_str::<&str>(found.get()).is_ok_and(|name| name == tx.hash());
                (!named).then(|| format!("{found} is not the hash {}", tx.hash()))
            }
            _ => Some(format!("{answer:?} is no answer to {work:?}")),
        }
    }

    async fn refute_pinned(&self, number: u64, found: &RawValue) -> Option<String> {
        let truth = self.ask(number).await;
        (found.get() != truth).then(|| {
            let (method, params) = pinned(number);
            format!("{method} {params}: {} instead of {truth}", found.get())
        })
    }
}
