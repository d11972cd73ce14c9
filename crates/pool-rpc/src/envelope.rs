//! JSON-RPC 2.0 requests, written by hand: all but the method's name is known to need no escapes.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{digits::Digits, jsonrpc::RpcRequest};

/// One request in parts.
struct Envelope<'a> {
    id: Digits,
    /// Between the quotes.
    method: Cow<'a, str>,
    params: Option<&'a str>,
}

const BEGIN: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
const METHOD: &[u8] = br#","method":""#;
const QUOTE: &[u8] = br#"""#;
const PARAMS: &[u8] = br#","params":"#;
const END: &[u8] = b"}";

impl<'a> Envelope<'a> {
    fn new(id: u64, method: &'a str, params: Option<&'a str>) -> Self {
        Self {
            id: Digits::of(id),
            method: escaped(method),
            params,
        }
    }

    fn len(&self) -> usize {
        let params = self.params.map_or(0, |params| PARAMS.len() + params.len());
        let head = BEGIN.len() + self.id.as_bytes().len() + METHOD.len();
        head + self.method.len() + QUOTE.len() + params + END.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(BEGIN);
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(METHOD);
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(QUOTE);
        if let Some(params) = self.params {
            out.extend_from_slice(PARAMS);
            out.extend_from_slice(params.as_bytes());
        }
        out.extend_from_slice(END);
    }
}

/// A method's name as it stands between quotes. No method that is known needs an escape.
fn escaped(method: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if method.bytes().all(is_plain) {
        return Cow::Borrowed(method);
    }
    let mut quoted = serde_json::Value::from(method).to_string();
    quoted.pop();
    quoted.remove(0);
    Cow::Owned(quoted)
}

/// Writes a request; its parameters are JSON.
pub(crate) fn encode(id: u64, method: &str, params: Option<&str>) -> Bytes {
    let envelope = Envelope::new(id, method, params);
    // no more room than it takes: then the bytes are handed on as they are
    let mut out = Vec::with_capacity(envelope.len());
    envelope.write(&mut out);
    out.into()
}

/// Writes a batch; its ids count up from `first`.
pub(crate) fn encode_batch(first: u64, requests: &[RpcRequest]) -> Bytes {
    let envelopes = (first..)
        .zip(requests)
        .map(|(id, request)| Envelope::new(id, request.method(), request.params_text()));
    let mut out = vec![b'['];
    for (place, envelope) in envelopes.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        envelope.write(&mut out);
    }
    out.push(b']');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn requests_are_written() {
        let params = r#"["0x1", true]"#;
        assert_eq!(
            text(&encode(7, "eth_x", Some(params))),
            r#"{"jsonrpc":"2.0","id":7,"method":"eth_x","params":["0x1", true]}"#
        );
        let batch = [RpcRequest::raw("a", None), RpcRequest::new("b", &[1]).unwrap()];
        assert_eq!(
            text(&encode_batch(7, &batch)),
            r#"[{"jsonrpc":"2.0","id":7,"method":"a"},{"jsonrpc":"2.0","id":8,"method":"b","params":[1]}]"#
        );
    }

    #[test]
    fn any_name_is_written_as_json() {
        for method in [
            "",
            "eth_call",
            "a\"b",
            "\\",
            "a\nb\u{0}",
            "\"",
            "\u{e9}\u{1f600}",
            "\u{7f}",
        ] {
            let written = encode(u64::MAX, method, None);
            let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
            let expected = serde_json::json!({ "jsonrpc": "2.0", "id": u64::MAX, "method": method });
            assert_eq!(read, expected, "{}", text(&written));
        }
    }

    /// Else the bytes would be handed on at the price of one more piece of memory.
    #[test]
    fn the_room_is_reckoned_exactly() {
        for (id, method, params) in [(7, "eth_x", Some("[1]")), (1234, "\u{e9}\n", None)] {
            let envelope = Envelope::new(id, method, params);
            let mut out = Vec::new();
            envelope.write(&mut out);
            assert_eq!(out.len(), envelope.len());
        }
    }
}
