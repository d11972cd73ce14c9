//! Reading the positional parameters of EVM calls.

use serde_json::Value;

use crate::digest::{Hash, parse_hex};
use crate::rpc::ErrorObject;
use crate::view::View;

/// The positional parameters of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'a>(&'a [Value]);

impl<'a> Params<'a> {
    pub(super) fn new(positions: &'a [Value]) -> Self {
        Self(positions)
    }

    /// A parameter that may be absent.
    pub(super) fn get(self, index: usize) -> Option<&'a Value> {
        self.0.get(index).filter(|value| !value.is_null())
    }

    fn text(self, index: usize) -> Result<&'a str, ErrorObject> {
        match self.get(index) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(ErrorObject::invalid_params(format!(
                "invalid argument {index}: must be a string"
            ))),
            None => Err(ErrorObject::invalid_params(format!(
                "missing value for required argument {index}"
            ))),
        }
    }

    pub(super) fn object(self, index: usize) -> Result<&'a serde_json::Map<String, Value>, ErrorObject> {
        match self.get(index) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(ErrorObject::invalid_params(format!(
                "invalid argument {index}: must be an object"
            ))),
        }
    }

    pub(super) fn flag(self, index: usize) -> Result<bool, ErrorObject> {
        match self.get(index) {
            Some(Value::Bool(flag)) => Ok(*flag),
            None => Ok(false),
            Some(_) => Err(ErrorObject::invalid_params(format!(
                "invalid argument {index}: must be a boolean"
            ))),
        }
    }

    pub(super) fn data(self, index: usize) -> Result<Vec<u8>, ErrorObject> {
        bytes(self.text(index)?, index)
    }

    pub(super) fn hash(self, index: usize) -> Result<Hash, ErrorObject> {
        fixed(self.text(index)?, index)
    }

    pub(super) fn address(self, index: usize) -> Result<[u8; 20], ErrorObject> {
        fixed(self.text(index)?, index)
    }

    pub(super) fn number(self, index: usize) -> Result<u64, ErrorObject> {
        match self.get(index) {
            // Some clients send small counts as plain numbers.
            Some(Value::Number(number)) => number.as_u64(),
            _ => quantity(self.text(index)?),
        }
        .ok_or_else(|| ErrorObject::invalid_params(format!("invalid argument {index}: must be a quantity")))
    }

    /// The block a state query is about; the tip when it doesn't say.
    ///
    /// # Errors
    /// When it is no block, or one that the node can't show (-32000, as geth says it).
    pub(super) fn state_block(self, view: &View<'_>, index: usize) -> Result<u64, ErrorObject> {
        let height = match self.get(index) {
            None => view.tip,
            Some(Value::Object(by)) => match (by.get("blockHash"), by.get("blockNumber")) {
                (Some(Value::String(hash)), None) => {
                    view.chain.height_of(&fixed(hash, index)?).unwrap_or(u64::MAX)
                }
                (None, Some(number)) => block(view, number)?,
                _ => {
                    return Err(ErrorObject::invalid_params(
                        "a block has a blockHash or a blockNumber",
                    ));
                }
            },
            Some(number) => block(view, number)?,
        };
        if height > view.tip {
            return Err(ErrorObject::new(super::SERVER_ERROR, "header not found"));
        }
        Ok(height)
    }
}

/// A block number or tag; it may lie above the tip.
pub(super) fn block(view: &View<'_>, value: &Value) -> Result<u64, ErrorObject> {
    let refused = || ErrorObject::invalid_params(format!("invalid block number or tag: {value}"));
    match value.as_str().ok_or_else(refused)? {
        "latest" | "pending" => Ok(view.tip),
        "safe" => Ok(view.safe()),
        "finalized" => Ok(view.finalized()),
        "earliest" => Ok(0),
        number => quantity(number).ok_or_else(refused),
    }
}

/// Data of exactly `N` bytes.
pub(super) fn fixed<const N: usize>(text: &str, index: usize) -> Result<[u8; N], ErrorObject> {
    let wrong = |got: Vec<u8>| {
        let length = got.len();
        ErrorObject::invalid_params(format!("invalid argument {index}: want {N} bytes, got {length}"))
    };
    bytes(text, index)?.try_into().map_err(wrong)
}

pub(super) fn bytes(text: &str, index: usize) -> Result<Vec<u8>, ErrorObject> {
    let digits = text.strip_prefix("0x").and_then(parse_hex);
    digits.ok_or_else(|| {
        ErrorObject::invalid_params(format!(
            "invalid argument {index}: must be hex data with a 0x prefix"
        ))
    })
}

fn quantity(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    canonical.then(|| u64::from_str_radix(digits, 16).ok())?
}
