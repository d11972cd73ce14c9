//! A signed transaction, checked and named before anything is sent.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{json, value::RawValue};
use sha2::Digest as _;

use super::rlp;
use crate::{jsonrpc::RpcRequest, operation::RpcCall};

/// Why some bytes were not taken as a transaction. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawTxError {
    /// There are no bytes. Pass the signed transaction.
    #[error("the transaction is empty; pass the signed transaction's bytes")]
    Empty,
    /// It is not hexadecimal. Pass `0x` and two digits for each byte.
    #[error("the transaction is not hexadecimal at character {at}; pass 0x and two digits for each byte")]
    NotHex {
        /// Where, counted from 0.
        at: usize,
    },
    /// The bytes are no transaction in its wire form: the list is cut short, or something comes after it. Pass exactly
    /// what the signer returned.
    #[error("the bytes are no signed transaction: {why}")]
    NotTx {
        /// What is wrong.
        why: &'static str,
    },
    /// The hash of transactions of this type is not computed from their bytes alone (zkSync's 0x71). Send it as an
    /// [`RpcCall`] to one node and take the hash from there.
    #[error("the hash of transactions of type {type_id:#04x} cannot be computed from their bytes")]
    Type {
        /// The type.
        type_id: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Evm,
    CometBft,
}

struct Inner {
    dialect: Dialect,
    digest: [u8; 32],
    hash: String,
    /// Sends it.
    submit: RpcCall,
    /// Asks whether a node knows it.
    lookup: RpcCall,
}

/// A signed transaction with its hash. Cheap to clone. `Debug` shows the hash alone.
#[derive(Clone)]
pub struct RawTx(Arc<Inner>);

impl RawTx {
    /// A signed transaction of an EVM chain: what `eth_sendRawTransaction` takes, with or without `0x`.
    ///
    /// The hash is Keccak-256 of the bytes, for legacy and typed transactions alike; for one that carries blobs
    /// (EIP-4844, EIP-7594) of the transaction without them, as the chain names it.
    ///
    /// # Errors
    /// [`RawTxError`], before anything is sent.
    pub fn evm(hex: &str) -> Result<Self, RawTxError> {
        Self::evm_bytes(&from_hex(hex)?)
    }

    /// The same from bytes.
    ///
    /// # Errors
    /// As [`evm`](Self::evm).
    pub fn evm_bytes(raw: &[u8]) -> Result<Self, RawTxError> {
        let digest = evm_hash(raw)?;
        let hash = format!("0x{}", hex(&digest, false));
        Ok(Self(Arc::new(Inner {
            dialect: Dialect::Evm,
            digest,
            submit: call(
                "eth_sendRawTransaction",
                &json!([format!("0x{}", hex(raw, false))]),
            )?,
            lookup: call("eth_getTransactionByHash", &json!([hash]))?,
            hash,
        })))
    }

    /// A signed transaction of a CometBFT chain, sent by `broadcast_tx_sync`. The hash is SHA-256 of the bytes, in upper
    /// case hexadecimal.
    ///
    /// # Errors
    /// [`RawTxError::Empty`].
    pub fn comet_bytes(raw: &[u8]) -> Result<Self, RawTxError> {
        if raw.is_empty() {
            return Err(RawTxError::Empty);
        }
        let digest: [u8; 32] = sha2::Sha256::digest(raw).into();
        Ok(Self(Arc::new(Inner {
            dialect: Dialect::CometBft,
            digest,
            hash: hex(&digest, true),
            submit: call("broadcast_tx_sync", &json!({ "tx": BASE64_STANDARD.encode(raw) }))?,
            lookup: call(
                "tx",
                &json!({ "hash": BASE64_STANDARD.encode(digest), "prove": false }),
            )?,
        })))
    }

    /// The hash as the chain's tools write it: `0x` and lower case for EVM, upper case without `0x` for CometBFT.
    pub fn hash(&self) -> &str {
        &self.0.hash
    }

    /// The hash's bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }

    pub(super) fn submit(&self) -> &RpcCall {
        &self.0.submit
    }

    pub(super) fn lookup(&self) -> &RpcCall {
        &self.0.lookup
    }

    /// Whether a node that took the transaction named it as we do; CometBFT's result is an object.
    pub(super) fn is_named_by(&self, result: &RawValue) -> bool {
        self.name_in(result, "hash")
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.0.hash))
    }

    /// Whether the answer to [`lookup`](Self::lookup) shows this very transaction.
    pub(super) fn is_shown_by(&self, result: &RawValue) -> bool {
        let shown: Option<serde_json::Value> = serde_json::from_str(result.get()).ok();
        shown.is_some_and(|shown| {
            shown["hash"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(&self.0.hash))
        })
    }

    fn name_in(&self, result: &RawValue, field: &str) -> Option<String> {
        match self.0.dialect {
            Dialect::Evm => serde_json::from_str(result.get()).ok(),
            Dialect::CometBft => {
                let object: serde_json::Value = serde_json::from_str(result.get()).ok()?;
                object[field].as_str().map(str::to_owned)
            }
        }
    }
}

impl fmt::Debug for RawTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawTx({})", self.0.hash)
    }
}

fn call(method: &'static str, params: &serde_json::Value) -> Result<RpcCall, RawTxError> {
    let request = RpcRequest::new(method, params);
    // strings in an array or object can always be written
    request.map(RpcCall::new).map_err(|_| RawTxError::NotTx {
        why: "it cannot be written as JSON",
    })
}

fn evm_hash(raw: &[u8]) -> Result<[u8; 32], RawTxError> {
    const BLOBS: u8 = 0x03;
    const ZKSYNC: u8 = 0x71;
    let why = |why| RawTxError::NotTx { why };
    let (type_id, body) = match raw {
        [] => return Err(RawTxError::Empty),
        [0xc0..=0xff, ..] => (None, raw),
        [ZKSYNC, ..] => return Err(RawTxError::Type { type_id: ZKSYNC }),
        [type_id @ 0x01..=0x7f, body @ ..] => (Some(*type_id), body),
        _ => return Err(why("it begins neither with a list nor with a transaction type")),
    };
    let list = rlp::item(body).filter(|item| item.is_list);
    let list = list.ok_or_else(|| why("its list is cut short"))?;
    if !list.rest.is_empty() {
        return Err(why("something comes after its list"));
    }
    if type_id == Some(BLOBS)
        && let Some(inner) = rlp::item(list.payload).filter(|item| item.is_list)
    {
        // on the wire the blobs come along; the chain names the transaction without them
        return Ok(keccak(&[&[BLOBS], inner.whole]));
    }
    Ok(keccak(&[raw]))
}

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = sha3::Keccak256::default();
    for part in parts {
        sha3::Digest::update(&mut hasher, part);
    }
    sha3::Digest::finalize(hasher).into()
}

fn hex(bytes: &[u8], upper: bool) -> String {
    let digits: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let digit = |nibble: u8| char::from(digits[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Result<Vec<u8>, RawTxError> {
    let (skipped, digits) = match text.strip_prefix("0x") {
        Some(digits) => (2, digits),
        None => (0, text),
    };
    if digits.is_empty() {
        return Err(RawTxError::Empty);
    }
    let wrong = |at: usize| RawTxError::NotHex { at: skipped + at };
    let nibble = |(at, digit): (usize, u8)| {
        let value = char::from(digit).to_digit(16);
        value.map(|value| value as u8).ok_or_else(|| wrong(at))
    };
    let nibbles: Vec<u8> = digits.bytes().enumerate().map(nibble).collect::<Result<_, _>>()?;
    let (pairs, odd) = nibbles.as_chunks::<2>();
    if odd.is_empty() {
        Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
    } else {
        Err(wrong(digits.len()))
    }
}

#[cfg(test)]
#[path = "tx_tests.rs"]
mod tests;
