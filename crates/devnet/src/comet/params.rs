//! Reading parameters that may come by name or by position, as numbers or as strings.

use serde_json::Value;

use super::internal;
use crate::rpc::ErrorObject;
use crate::view::View;

/// The parameters of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'a>(&'a Value);

impl<'a> Params<'a> {
    pub(super) fn new(params: &'a Value) -> Self {
        Self(params)
    }

    pub(super) fn get(self, name: &str, position: usize) -> Option<&'a Value> {
        let value = match self.0 {
            Value::Array(positions) => positions.get(position),
            named => named.get(name),
        };
        value.filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str, position: usize) -> Result<Option<&'a str>, ErrorObject> {
        match self.get(name, position) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ErrorObject::invalid_params(format!("{name} must be a string"))),
        }
    }

    pub(super) fn flag(self, name: &str, position: usize) -> Result<bool, ErrorObject> {
        match self.get(name, position) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(ErrorObject::invalid_params(format!(
                "{name} must be true or false"
            ))),
        }
    }

    pub(super) fn number(self, name: &str, position: usize) -> Result<Option<u64>, ErrorObject> {
        let number = match self.get(name, position) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number
            .map(Some)
            .ok_or_else(|| ErrorObject::invalid_params(format!("{name} must be a whole number")))
    }

    /// The block that is asked for, by default the newest.
    ///
    /// # Errors
    /// When the node has no such block; blocks begin at 1.
    pub(super) fn height(self, view: &View<'_>) -> Result<u64, ErrorObject> {
        let height = self.number("height", 0)?.unwrap_or(view.tip);
        if height == 0 {
            return Err(internal("height must be greater than 0, but got 0"));
        }
        if height > view.tip {
            let message = "must be less than or equal to the current blockchain height";
            return Err(internal(format!("height {height} {message} {}", view.tip)));
        }
        Ok(height)
    }
}
