//! When two results are the same.
//!
//! Nodes of different make write the same thing differently. Before results are compared,
//!
//! - members of objects are put in order, and those that are `null` count as absent: some nodes leave out what others
//!   send as `null`;
//! - hexadecimal (`0x...`) is compared in lower case;
//! - quantities lose leading zeros. Which texts are quantities is known by name: the results of [`QUANTITIES`], and
//!   members named in [`QUANTITY_MEMBERS`]. All other hexadecimal is data, where a zero more is another value: `0x` (no
//!   contract) is not `0x00..00` (a contract that says zero);
//! - members that the caller wants left out are left out, at any depth.
//!
//! The order of arrays counts, and so does everything else.

use std::borrow::Cow;

use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};

use crate::{class::Class, error::RpcError};

/// Methods whose result is a quantity.
const QUANTITIES: [&str; 14] = [
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_chainId",
    "eth_estimateGas",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    // a word of 32 bytes, which some nodes cut
    "eth_getStorageAt",
    "eth_getTransactionCount",
    "eth_getUncleCountByBlockHash",
    "eth_getUncleCountByBlockNumber",
    "eth_maxPriorityFeePerGas",
    "net_peerCount",
];

/// Members of blocks, transactions, receipts and logs that are quantities.
const QUANTITY_MEMBERS: [&str; 34] = [
    "balance",
    "baseFeePerGas",
    "blobGasPrice",
    "blobGasUsed",
    "blockNumber",
    "blockTimestamp",
    "chainId",
    "cumulativeGasUsed",
    "depositNonce",
    "difficulty",
    "effectiveGasPrice",
    "excessBlobGas",
    "gas",
    "gasLimit",
    "gasPrice",
    "gasUsed",
    "index",
    "l1BlockNumber",
    "logIndex",
    "maxFeePerBlobGas",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "nonce",
    "number",
    "r",
    "s",
    "size",
    "status",
    "timestamp",
    "totalDifficulty",
    "transactionIndex",
    "type",
    "v",
    "value",
];

/// What stands for a result: equal for results that are the same.
pub(super) type Mark = [u8; 32];

/// The mark of a result of this method, without the members named in `ignored`.
pub(super) fn mark(method: &str, result: &RawValue, ignored: &[Cow<'static, str>]) -> Mark {
    let mut hasher = Sha256::new();
    match serde_json::from_str(result.get()) {
        Ok(value) => feed(&mut hasher, &value, QUANTITIES.contains(&method), ignored),
        // nested deeper than anybody reads: as it is
        Err(_) => hasher.update(result.get()),
    }
    hasher.finalize().into()
}

/// The mark of an error that is an answer: its class, and the data of a revert.
pub(super) fn mark_error(error: &RpcError) -> Mark {
    let mut hasher = Sha256::new();
    // no value begins so
    hasher.update(b"e");
    let class = error.class();
    hasher.update(class.map_or("", Class::as_str));
    let data = error.object().and_then(|object| object.data.as_deref());
    let data = data.and_then(|data| serde_json::from_str::<String>(data.get()).ok());
    // a revert without a reason comes with `0x`, or without data
    if let Some(data) = data.filter(|data| class == Some(Class::Reverted) && data != "0x") {
        hasher.update(plain(&data, false).as_bytes());
    }
    hasher.finalize().into()
}

/// Each value is written with its kind and length, so that no two different ones can write the same.
fn feed(hasher: &mut Sha256, value: &Value, quantity: bool, ignored: &[Cow<'static, str>]) {
    match value {
        Value::Null => hasher.update(b"n"),
        Value::Bool(yes) => hasher.update([b'b', u8::from(*yes)]),
        Value::Number(number) => text(hasher, b'd', &number.to_string()),
        Value::String(string) => text(hasher, b's', &plain(string, quantity)),
        Value::Array(items) => {
            hasher.update(b"a");
            hasher.update((items.len() as u64).to_be_bytes());
            for item in items {
                feed(hasher, item, quantity, ignored);
            }
        }
        Value::Object(members) => {
            let counts = |(name, value): &(&String, &Value)| {
                !value.is_null() && !ignored.iter().any(|ignored| ignored == name.as_str())
            };
            let mut members: Vec<_> = members.iter().filter(counts).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            hasher.update(b"o");
            hasher.update((members.len() as u64).to_be_bytes());
            for (name, value) in members {
                text(hasher, b'k', name);
                feed(hasher, value, QUANTITY_MEMBERS.contains(&name.as_str()), ignored);
            }
        }
    }
}

fn text(hasher: &mut Sha256, kind: u8, text: &str) {
    hasher.update([kind]);
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text);
}

fn plain(string: &str, quantity: bool) -> Cow<'_, str> {
    let prefix = string.strip_prefix("0x").or_else(|| string.strip_prefix("0X"));
    let Some(digits) = prefix.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) else {
        return Cow::Borrowed(string);
    };
    let digits = if quantity {
        digits.trim_start_matches('0')
    } else {
        digits
    };
    Cow::Owned(format!("0x{}", digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, json: &str) -> Mark {
        let ignored = [Cow::Borrowed("blockTimestamp")];
        mark(method, &RawValue::from_string(json.to_owned()).unwrap(), &ignored)
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        for (method, a, b) in [
            ("eth_call", r#""0xAB""#, r#""0xab""#),
            ("eth_getBalance", r#""0x0a""#, r#""0xa""#),
            ("eth_getBalance", r#""0x0""#, r#""0x""#),
            ("eth_getStorageAt", r#""0x0""#, r#""0x0000""#),
            ("x", r#"{"a":1,"b":[2]}"#, "{ \"b\" : [ 2 ], \"a\" : 1 }"),
            ("x", r#"{"a":1,"b":null}"#, r#"{"a":1}"#),
            ("x", r#"{"gasUsed":"0x01"}"#, r#"{"gasUsed":"0x1"}"#),
            ("x", r#"[{"r":"0x00Aa"}]"#, r#"[{"r":"0xaa"}]"#),
            (
                "eth_getLogs",
                r#"[{"a":1,"blockTimestamp":"0x1"}]"#,
                r#"[{"a":1}]"#,
            ),
            ("x", r#""é""#, r#""\u00e9""#),
        ] {
            assert_eq!(of(method, a), of(method, b), "{method} {a} {b}");
        }
    }

    #[test]
    fn what_means_something_else_is_not() {
        for (method, a, b) in [
            ("eth_call", r#""0x""#, r#""0x00""#),
            ("eth_call", r#""0x01""#, r#""0x1""#),
            ("eth_call", r#""0xzA""#, r#""0xza""#),
            ("eth_getBalance", r#""0x10""#, r#""0x1""#),
            ("x", r#"{"input":"0x00"}"#, r#"{"input":"0x"}"#),
            ("x", "[1,2]", "[2,1]"),
            ("x", "[[1],2]", "[[1,2]]"),
            ("x", r#"["a","b"]"#, r#"["ab"]"#),
            ("x", "null", r#"{}"#),
            ("x", "1", r#""1""#),
            ("x", "[null]", "[]"),
            ("x", r#"{"a":"b"}"#, r#"{"a":"c"}"#),
        ] {
            assert_ne!(of(method, a), of(method, b), "{method} {a} {b}");
        }
    }

    #[test]
    fn a_result_that_is_nested_too_deep_is_compared_as_it_is() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(of("x", &deep(200)), of("x", &deep(200)));
        assert_ne!(of("x", &deep(200)), of("x", &deep(201)));
    }

    #[test]
    fn the_names_are_in_order() {
        assert!(QUANTITIES.is_sorted() && QUANTITY_MEMBERS.is_sorted());
    }
}
