//! Nodes that are behind what the caller has been shown.
//!
//! Nodes of one chain are a block or two apart, and that is no fault. But a caller who has been told of block N by one
//! node, and asks the next for it or for a receipt in it, must not hear that there is none: alloy takes a receipt that is
//! missing after its block was seen for an error.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use pool_core::Operation;
use serde_json::value::RawValue;

use crate::{
    client::Client, conn::RpcConn, endpoint::JsonRpcEndpoint, error::RpcError, jsonrpc::RpcRequest,
    operation::RpcCall,
};

/// Further behind than this is a matter for health checks, or the head that was shown was a lie.
const NEAR: u64 = 256;

/// The highest block that the caller was shown, and the highest that each node was seen to have.
#[derive(Debug, Default)]
pub(super) struct Heads {
    shown: AtomicU64,
    seen: Mutex<Vec<(Weak<Client>, u64)>>,
}

impl Heads {
    fn all_seen(&self) -> MutexGuard<'_, Vec<(Weak<Client>, u64)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller is shown that this block exists.
    pub(super) fn show(&self, block: u64) {
        self.shown.fetch_max(block, Ordering::Relaxed);
    }

    fn saw(&self, node: &Arc<Client>, block: u64) {
        let node = Arc::downgrade(node);
        let mut seen = self.all_seen();
        // endpoints that left the pool
        seen.retain(|(node, _)| node.strong_count() > 0);
        match seen.iter_mut().find(|(known, _)| known.ptr_eq(&node)) {
            Some((_, height)) => *height = block.max(*height),
            None => seen.push((node, block)),
        }
    }

    /// Whether a node is known to have all that was shown.
    fn is_abreast(&self, node: &Arc<Client>) -> bool {
        let node = Arc::downgrade(node);
        let seen = self.all_seen();
        let height = seen.iter().find(|(known, _)| known.ptr_eq(&node));
        height.is_some_and(|(_, height)| *height >= self.shown.load(Ordering::Relaxed))
    }

    /// Whether a head is a little behind what was shown.
    fn is_behind(&self, head: u64) -> bool {
        let ahead = self.shown.load(Ordering::Relaxed).saturating_sub(head);
        (1..=NEAR).contains(&ahead)
    }
}

/// What an answer can tell of a node's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is the head.
    Head,
    /// It is this block, or null.
    Block(u64),
    /// It is null where the node does not have what is asked for.
    Nullable,
    /// Nothing.
    Other,
}

impl Kind {
    pub(super) fn of(request: &RpcRequest) -> Self {
        match request.method() {
            "eth_blockNumber" => Self::Head,
            "eth_getBlockByNumber" | "eth_getHeaderByNumber" | "eth_getBlockReceipts" => {
                first(request).map_or(Self::Other, Self::Block)
            }
            "eth_getTransactionReceipt"
            | "eth_getTransactionByHash"
            | "eth_getBlockByHash"
            | "eth_getHeaderByHash" => Self::Nullable,
            _ => Self::Other,
        }
    }

    /// The block that an answer shows to exist.
    pub(super) fn shows(self, result: &RawValue) -> Option<u64> {
        match self {
            Self::Head => quantity(result),
            Self::Block(block) => (!is_null(result)).then_some(block),
            Self::Nullable | Self::Other => None,
        }
    }
}

/// The block that a request names by its number, as its first parameter.
fn first(request: &RpcRequest) -> Option<u64> {
    let params: Vec<&RawValue> = serde_json::from_str(request.params()?.get()).ok()?;
    quantity(params.first()?)
}

fn quantity(value: &RawValue) -> Option<u64> {
    let text: Cow<'_, str> = serde_json::from_str(value.get()).ok()?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// A call that does not take a node's word for null when the node is behind.
pub(super) struct Reading {
    pub(super) call: RpcCall,
    pub(super) kind: Kind,
    pub(super) heads: Arc<Heads>,
}

/// What was read.
pub(super) struct Read {
    pub(super) result: Box<RawValue>,
    /// The node that answered null, and does not have the head that the caller was shown.
    pub(super) behind: Option<Arc<Client>>,
}

impl Operation<JsonRpcEndpoint> for Reading {
    type Output = Read;

    /// Only where the answer is null, and the node is not known to have all that was shown, is it asked for its head; if
    /// it has caught up, it is asked again, for it may have done so since.
    async fn call(&self, conn: &mut RpcConn) -> Result<Read, RpcError> {
        let result = self.call.call(conn).await?;
        if let Some(block) = self.kind.shows(&result) {
            self.heads.saw(conn.client(), block);
        }
        let trusted = matches!(self.kind, Kind::Head | Kind::Other) || !is_null(&result);
        if trusted || self.heads.is_abreast(conn.client()) {
            return Ok(Read { result, behind: None });
        }
        let head = conn.call("eth_blockNumber", None).await?;
        let Some(head) = quantity(&head) else {
            return Ok(Read { result, behind: None });
        };
        self.heads.saw(conn.client(), head);
        if self.heads.is_behind(head) {
            let behind = Some(Arc::clone(conn.client()));
            return Ok(Read { result, behind });
        }
        let result = self.call.call(conn).await?;
        Ok(Read { result, behind: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_tell_of_blocks() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let of = |method: &'static str, params: &str| Kind::of(&RpcRequest::raw(method, Some(raw(params))));
        assert_eq!(of("eth_getBlockByNumber", r#"["0x10",false]"#), Kind::Block(16));
        assert_eq!(of("eth_getBlockByNumber", r#"["latest",false]"#), Kind::Other);
        assert_eq!(of("eth_getBlockByNumber", "[]"), Kind::Other);
        assert_eq!(of("eth_getTransactionReceipt", r#"["0x1"]"#), Kind::Nullable);
        assert_eq!(Kind::Head.shows(&raw("\"0x1f\"")), Some(31));
        assert_eq!(Kind::Block(7).shows(&raw("{}")), Some(7));
        assert_eq!(Kind::Block(7).shows(&raw("null")), None);
    }

    #[test]
    fn only_a_little_behind_counts() {
        let heads = Heads::default();
        assert!(!heads.is_behind(0), "nothing was shown");
        heads.show(1000);
        heads.show(999);
        assert!(heads.is_behind(999) && heads.is_behind(1000 - NEAR));
        assert!(!heads.is_behind(1000) && !heads.is_behind(2000));
        assert!(!heads.is_behind(1000 - NEAR - 1));
    }
}
