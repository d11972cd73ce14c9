//! The GET form: `/block?height=5`, `/tx_search?query="tx.height=5"`.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::digest::parse_hex;
use crate::rpc::{Call, ErrorObject};

/// Reads a URI as a call. Its id is -1, as CometBFT answers such calls.
///
/// Values are strings in double quotes (plain text counts as a string, too), numbers, booleans, or bytes as hex
/// digits after `0x`, which become the base64 that the POST form has.
///
/// # Errors
/// When an escape or a value is malformed.
pub(crate) fn parse(uri: &Uri) -> Result<Call, ErrorObject> {
    let mut params = Map::new();
    for pair in uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (unescape(key)?, unescape(value)?);
        params.insert(key, read_value(&value)?);
    }
    let method = uri.path().trim_matches('/').to_owned();
    Ok(Call {
        id: Some(json!(-1)),
        method,
        params: Value::Object(params),
    })
}

fn read_value(text: &str) -> Result<Value, ErrorObject> {
    if let Some(rest) = text.strip_prefix('"') {
        let inner = rest.strip_suffix('"');
        return inner.map(|inner| json!(inner)).ok_or_else(|| {
            ErrorObject::invalid_params(format!("a string that begins with \" must end with it: {text}"))
        });
    }
    if let Some(digits) = text.strip_prefix("0x") {
        let bytes = parse_hex(digits)
            .ok_or_else(|| ErrorObject::invalid_params(format!("malformed hex digits: {text}")))?;
        return Ok(json!(super::base64(&bytes)));
    }
    Ok(match text {
        "true" => json!(true),
        "false" => json!(false),
        other => json!(other),
    })
}

fn unescape(text: &str) -> Result<String, ErrorObject> {
    let malformed = || ErrorObject::invalid_params(format!("malformed escape in {text}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [
                    rest.next().ok_or_else(malformed)?,
                    rest.next().ok_or_else(malformed)?,
                ];
                let digits = std::str::from_utf8(&digits).ok().and_then(parse_hex);
                digits
                    .and_then(|bytes| bytes.first().copied())
                    .ok_or_else(malformed)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(uri: &str) -> Result<Value, String> {
        parse(&uri.parse().unwrap())
            .map(|call| call.params)
            .map_err(|error| error.message)
    }

    #[test]
    fn values_of_every_kind_are_read() {
        assert_eq!(
            parse(&"/block?height=5".parse().unwrap()).unwrap().method,
            "block"
        );
        assert_eq!(params("/block?height=5"), Ok(json!({"height": "5"})));
        assert_eq!(
            params("/tx_search?query=%22tx.height%3D5%22&prove=true"),
            Ok(json!({"query": "tx.height=5", "prove": true}))
        );
        assert_eq!(
            params("/broadcast_tx_sync?tx=0x616263"),
            Ok(json!({"tx": "YWJj"}))
        );
        assert_eq!(params("/status"), Ok(json!({})));
    }

    #[test]
    fn malformed_values_are_refused() {
        for uri in [
            "/block?height=%4",
            "/block?height=%zz",
            "/tx?hash=0xabc",
            "/tx?hash=%22a",
        ] {
            assert!(params(uri).is_err(), "{uri}");
        }
    }
}
