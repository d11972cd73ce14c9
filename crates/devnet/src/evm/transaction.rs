//! Transactions: the escrow's own and those that callers submit.

use serde_json::{Value, json};

use super::SERVER_ERROR;
use super::block::base_fee;
use super::params::Params;
use crate::chain::Chain;
use crate::digest::{Hash, data, keccak, quantity};
use crate::escrow::{
    self, EscrowEvent, EscrowKind, escrow_address, order_created_topic, secret_revealed_topic,
};
use crate::rpc::{ErrorObject, Outcome};
use crate::view::View;

/// One transaction of a block.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) hash: Hash,
    pub(super) height: u64,
    pub(super) index: u64,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Escrow(EscrowEvent),
    Submitted(Vec<u8>),
}

/// One log of the escrow contract, before it is spelled in JSON.
#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) topics: Vec<Hash>,
    data: Vec<u8>,
    transaction: Hash,
    height: u64,
    index: u64,
}

/// All transactions of a block, in order: the escrow's, then the submitted ones.
pub(super) fn of_block(chain: &Chain, height: u64) -> Vec<Transaction> {
    let escrow = escrow::events_of(chain, height)
        .into_iter()
        .map(|event| Transaction {
            hash: escrow_hash(chain, height, event.index),
            height,
            index: event.index,
            source: Source::Escrow(event),
        });
    let mut all: Vec<_> = escrow.collect();
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
                source: Source::Submitted(submitted.raw),
            }),
    );
    all
}

/// The bloom filter of the logs of some transactions.
pub(super) fn bloom_of(transactions: &[Transaction]) -> [u8; 256] {
    let mut bloom = [0; 256];
    for log in transactions.iter().filter_map(Transaction::log) {
        add_to_bloom(&mut bloom, &escrow_address());
        for topic in &log.topics {
            add_to_bloom(&mut bloom, topic);
        }
    }
    bloom
}

pub(super) fn send_raw(view: &View<'_>, params: Params<'_>) -> Outcome {
    let raw = params.data(0)?;
    // The shortest thing that can be one: a legacy transaction is an RLP list, a typed one starts with its type.
    let plausible = raw.len() >= 10
        && raw
            .first()
            .is_some_and(|first| *first >= 0xc0 || (1..=4).contains(first));
    if !plausible {
        return Err(ErrorObject::new(
            SERVER_ERROR,
            "rlp: element is larger than containing list",
        ));
    }
    let hash = keccak(&[&raw]);
    if view.chain.mempool.submit(hash, raw, view.true_head) {
        Ok(json!(data(&hash)))
    } else {
        Err(ErrorObject::new(SERVER_ERROR, "already known"))
    }
}

pub(super) fn by_hash(view: &View<'_>, params: Params<'_>) -> Outcome {
    let transaction = find(view.chain, &params.hash(0)?);
    Ok(transaction.map_or(Value::Null, |transaction| transaction.render(view)))
}

pub(super) fn receipt(view: &View<'_>, params: Params<'_>) -> Outcome {
    let transaction = find(view.chain, &params.hash(0)?);
    let included = transaction.filter(|transaction| transaction.height <= view.tip);
    Ok(included.map_or(Value::Null, |transaction| transaction.render_receipt(view.chain)))
}

/// A transaction of this chain, included or not.
fn find(chain: &Chain, hash: &Hash) -> Option<Transaction> {
    if let Some(submitted) = chain.mempool.find(hash) {
        return of_block(chain, submitted.height)
            .into_iter()
            .find(|transaction| transaction.hash == *hash);
    }
    let height = u64::from_be_bytes(hash[16..24].try_into().ok()?);
    let index = u64::from_be_bytes(hash[24..].try_into().ok()?);
    if escrow_hash(chain, height, index) != *hash || index >= escrow::count_of(chain, height) {
        return None;
    }
    of_block(chain, height)
        .into_iter()
        .nth(usize::try_from(index).ok()?)
}

/// The hash of an escrow transaction. Its place is part of it, so that it can be found without an index.
fn escrow_hash(chain: &Chain, height: u64, index: u64) -> Hash {
    let mut hash = chain.derive("transaction", height, index);
    hash[16..24].copy_from_slice(&height.to_be_bytes());
    hash[24..].copy_from_slice(&index.to_be_bytes());
    hash
}

impl Transaction {
    pub(super) fn gas_used(&self) -> u64 {
        match &self.source {
            Source::Escrow(_) => 90_000,
            Source::Submitted(_) => 21_000,
        }
    }

    pub(super) fn log(&self) -> Option<Log> {
        let Source::Escrow(event) = &self.source else {
            return None;
        };
        let (topics, data) = match event.kind {
            EscrowKind::OrderCreated => {
                let topics = vec![order_created_topic(), event.order, word(&event.maker)];
                (
                    topics,
                    [event.hashlock(), word(&event.amount.to_be_bytes())].concat(),
                )
            }
            EscrowKind::SecretRevealed => (vec![secret_revealed_topic(), event.order], event.secret.to_vec()),
        };
        // Each escrow transaction writes one log and comes before the submitted ones, which write none: the
        // place of the log in its block is that of the transaction.
        Some(Log {
            topics,
            data,
            transaction: self.hash,
            height: self.height,
            index: self.index,
        })
    }

    fn sender(&self) -> [u8; 20] {
        match &self.source {
            Source::Escrow(event) => event.maker,
            // Signatures aren't checked, so the sender of a submitted transaction is made up from its hash.
            Source::Submitted(_) => {
                let mut sender = [0; 20];
                sender.copy_from_slice(&self.hash[..20]);
                sender
            }
        }
    }

    fn input(&self) -> &[u8] {
        match &self.source {
            Source::Escrow(event) => &event.order,
            Source::Submitted(raw) => raw,
        }
    }

    /// The transaction object; its place is `null` while the node hasn't seen its block.
    pub(super) fn render(&self, view: &View<'_>) -> Value {
        let mut object = json!({
            "type": "0x0",
            "hash": data(&self.hash),
            "nonce": quantity(self.index),
            "from": data(&self.sender()),
            "to": data(&escrow_address()),
            "value": "0x0",
            "gas": quantity(self.gas_used()),
            "gasPrice": quantity(base_fee(view.chain, self.height)),
            "input": data(self.input()),
            "chainId": quantity(view.chain.config().chain_id.parse().unwrap_or(0)),
            "v": "0x1b",
            "r": data(&view.chain.derive("r", self.height, self.index)),
            "s": data(&view.chain.derive("s", self.height, self.index)),
            "blockHash": null, "blockNumber": null, "transactionIndex": null,
        });
        // Quantities have no leading zeros, which a derived r or s may have.
        for part in ["r", "s"] {
            if let Some(digits) = object[part].as_str().and_then(|text| text.strip_prefix("0x")) {
                object[part] = json!(format!("0x{}", digits.trim_start_matches('0')));
            }
        }
        if self.height <= view.tip {
            object["blockHash"] = json!(data(&view.chain.block_hash(self.height)));
            object["blockNumber"] = json!(quantity(self.height));
            object["transactionIndex"] = json!(quantity(self.index));
        }
        object
    }

    fn render_receipt(&self, chain: &Chain) -> Value {
        let block = of_block(chain, self.height);
        let cumulative = block
            .iter()
            .take_while(|other| other.index <= self.index)
            .map(Self::gas_used)
            .sum();
        let logs: Vec<Value> = self.log().iter().map(|log| log.render(chain)).collect();
        json!({
            "type": "0x0",
            "status": "0x1",
            "transactionHash": data(&self.hash),
            "transactionIndex": quantity(self.index),
            "blockHash": data(&chain.block_hash(self.height)),
            "blockNumber": quantity(self.height),
            "from": data(&self.sender()),
            "to": data(&escrow_address()),
            "contractAddress": null,
            "cumulativeGasUsed": quantity(cumulative),
            "gasUsed": quantity(self.gas_used()),
            "effectiveGasPrice": quantity(base_fee(chain, self.height)),
            "logs": logs,
            "logsBloom": data(&bloom_of(std::slice::from_ref(self))),
        })
    }
}

impl Log {
    pub(super) fn render(&self, chain: &Chain) -> Value {
        let topics: Vec<String> = self.topics.iter().map(|topic| data(topic)).collect();
        json!({
            "address": data(&escrow_address()),
            "topics": topics,
            "data": data(&self.data),
            "blockNumber": quantity(self.height),
            "blockHash": data(&chain.block_hash(self.height)),
            "blockTimestamp": quantity(chain.time_of(self.height).as_secs()),
            "transactionHash": data(&self.transaction),
            "transactionIndex": quantity(self.index),
            "logIndex": quantity(self.index),
            "removed": false,
        })
    }
}

/// Pads to a 32-byte word on the left.
fn word(bytes: &[u8]) -> Hash {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    word
}

fn add_to_bloom(bloom: &mut [u8; 256], item: &[u8]) {
    let hash = keccak(&[item]);
    for pair in hash[..6].chunks_exact(2) {
        let bit = usize::from(u16::from_be_bytes([pair[0], pair[1]]) & 2_047);
        bloom[255 - bit / 8] |= 1 << (bit % 8);
    }
}
