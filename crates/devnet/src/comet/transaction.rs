//! Transactions: the escrow's own and those that callers submit.

use serde_json::{Value, json};

use super::params::Params;
use super::{base64, from_base64, internal};
use crate::chain::Chain;
use crate::digest::{Hash, parse_hex, sha256, upper_hex};
use crate::escrow::{self, EscrowEvent, EscrowKind};
use crate::rpc::{ErrorObject, Outcome};
use crate::view::View;

/// One transaction of a block.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) hash: Hash,
    pub(super) height: u64,
    pub(super) index: u64,
    pub(super) raw: Vec<u8>,
    event: Option<EscrowEvent>,
}

/// All transactions of a block, in order: the escrow's, then the submitted ones.
pub(super) fn of_block(chain: &Chain, height: u64) -> Vec<Transaction> {
    let mut all: Vec<_> = escrow::events_of(chain, height)
        .into_iter()
        .map(|event| {
            let raw = format!("{}/{}", action(event.kind), upper_hex(&event.order)).into_bytes();
            Transaction {
                hash: sha256(&raw),
                height,
                index: event.index,
                raw,
                event: Some(event),
            }
        })
        .collect();
    let first = all.len() as u64;
    all.extend(
        chain
            .mempool
            .included_in(height)
            .into_iter()
            .map(|submitted| Transaction {
                hash: submitted.hash,
                height,
                index: first + submitted.index as u64,
                raw: submitted.raw,
                event: None,
            }),
    );
    all
}

/// A transaction by its hash: any that was submitted, and the escrow's of the newest blocks, as many as one
/// search may cover (a node that prunes its index).
pub(super) fn find(view: &View<'_>, hash: &Hash) -> Option<Transaction> {
    let in_block = |height| {
        of_block(view.chain, height)
            .into_iter()
            .find(|tx| tx.hash == *hash)
    };
    match view.chain.mempool.find(hash) {
        Some(submitted) if submitted.height > view.tip => None,
        Some(submitted) => in_block(submitted.height),
        None => {
            let oldest = view
                .tip
                .saturating_sub(view.chain.config().max_log_range - 1)
                .max(1);
            (oldest..=view.tip).rev().find_map(in_block)
        }
    }
}

pub(super) fn by_hash(view: &View<'_>, params: Params<'_>) -> Outcome {
    let text = params
        .text("hash", 0)?
        .ok_or_else(|| ErrorObject::invalid_params("hash is missing"))?;
    // Base64 is what the POST form sends and what 0x... becomes in the GET form.
    let hash: Option<Hash> = from_base64(text)
        .filter(|bytes| bytes.len() == 32)
        .or_else(|| parse_hex(text))
        .and_then(|bytes| bytes.try_into().ok());
    let hash = hash.ok_or_else(|| ErrorObject::invalid_params("hash must be 32 bytes"))?;
    find(view, &hash)
        .map(|tx| tx.render())
        .ok_or_else(|| internal(format!("tx ({}) not found", upper_hex(&hash))))
}

pub(super) fn broadcast(view: &View<'_>, params: Params<'_>) -> Outcome {
    let text = params
        .text("tx", 0)?
        .ok_or_else(|| ErrorObject::invalid_params("tx is missing"))?;
    let raw = from_base64(text).ok_or_else(|| ErrorObject::invalid_params("tx must be base64"))?;
    if raw.is_empty() {
        return Err(ErrorObject::invalid_params("tx is empty"));
    }
    let hash = sha256(&raw);
    if !view.chain.mempool.submit(hash, raw, view.true_head) {
        return Err(internal("tx already exists in cache"));
    }
    Ok(json!({ "code": 0, "data": "", "log": "", "codespace": "", "hash": upper_hex(&hash) }))
}

fn action(kind: EscrowKind) -> &'static str {
    match kind {
        EscrowKind::OrderCreated => "order_created",
        EscrowKind::SecretRevealed => "secret_revealed",
    }
}

impl Transaction {
    /// The attributes of its `escrow` event, if it has one.
    pub(super) fn attributes(&self) -> Vec<(&'static str, String)> {
        let Some(event) = &self.event else { return vec![] };
        let mut attributes = vec![
            ("action", action(event.kind).to_owned()),
            ("order", upper_hex(&event.order)),
        ];
        match event.kind {
            EscrowKind::OrderCreated => {
                attributes.push(("maker", upper_hex(&event.maker)));
                attributes.push(("hashlock", upper_hex(&event.hashlock())));
                attributes.push(("amount", event.amount.to_string()));
            }
            EscrowKind::SecretRevealed => attributes.push(("secret", upper_hex(&event.secret))),
        }
        attributes
    }

    /// What executing it gave.
    pub(super) fn result(&self) -> Value {
        let attributes: Vec<Value> = self
            .attributes()
            .into_iter()
            .map(|(key, value)| json!({ "key": key, "value": value, "index": true }))
            .collect();
        let events = if attributes.is_empty() {
            json!([])
        } else {
            json!([{ "type": "escrow", "attributes": attributes }])
        };
        json!({
            "code": 0, "data": null, "log": "", "info": "",
            "gas_wanted": "200000", "gas_used": "90000",
            "events": events, "codespace": "",
        })
    }

    pub(super) fn render(&self) -> Value {
        json!({
            "hash": upper_hex(&self.hash),
            "height": self.height.to_string(),
            "index": self.index,
            "tx_result": self.result(),
            "tx": base64(&self.raw),
        })
    }
}
