//! The JSON-RPC 2.0 envelope, whatever the dialect.

use serde_json::{Map, Value, json};

pub(crate) const PARSE_ERROR: i64 = -32700;
pub(crate) const INVALID_REQUEST: i64 = -32600;
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
pub(crate) const INVALID_PARAMS: i64 = -32602;
pub(crate) const INTERNAL_ERROR: i64 = -32603;

/// The most calls one batch may hold.
pub(crate) const MAX_BATCH: usize = 1_000;

/// A JSON-RPC error object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ErrorObject {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl ErrorObject {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(crate) fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        Self::new(
            METHOD_NOT_FOUND,
            format!("the method {method} does not exist/is not available"),
        )
    }
}

/// What a method answers.
pub(crate) type Outcome = Result<Value, ErrorObject>;

/// One well-formed call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// `None` for a notification, which gets no answer.
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    /// An array or an object; an empty array when the caller sent none.
    pub(crate) params: Value,
}

/// One member of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Call(Call),
    /// Not a request at all; answered with -32600 under the id it had, if any.
    Invalid {
        id: Value,
        reason: &'static str,
    },
}

impl Entry {
    fn method(&self) -> &str {
        match self {
            Self::Call(call) => &call.method,
            Self::Invalid { .. } => "",
        }
    }
}

/// A request body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Single(Entry),
    Batch(Vec<Entry>),
}

impl Request {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON (-32700), an empty batch or one of more than [`MAX_BATCH`] calls (-32600). The error
    /// is answered with id `null`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ErrorObject> {
        let value = serde_json::from_slice(body).map_err(|_| ErrorObject::new(PARSE_ERROR, "parse error"))?;
        match value {
            Value::Array(entries) if entries.is_empty() => {
                Err(ErrorObject::new(INVALID_REQUEST, "empty batch"))
            }
            Value::Array(entries) if entries.len() > MAX_BATCH => Err(ErrorObject::new(
                INVALID_REQUEST,
                format!("batch too large: at most {MAX_BATCH} calls"),
            )),
            Value::Array(entries) => Ok(Self::Batch(entries.into_iter().map(read_entry).collect())),
            single => Ok(Self::Single(read_entry(single))),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match self {
            Self::Single(entry) => std::slice::from_ref(entry),
            Self::Batch(entries) => entries,
        }
    }

    /// The methods it calls, in order; an invalid member counts as a call of the method "".
    pub(crate) fn methods(&self) -> Vec<&str> {
        self.entries().iter().map(Entry::method).collect()
    }

    /// The first id in it, for an answer to the request as a whole.
    pub(crate) fn first_id(&self) -> Value {
        let id = |entry: &Entry| match entry {
            Entry::Call(call) => call.id.clone(),
            Entry::Invalid { id, .. } => Some(id.clone()),
        };
        self.entries().iter().find_map(id).unwrap_or(Value::Null)
    }
}

fn read_entry(value: Value) -> Entry {
    let Value::Object(mut object) = value else {
        return Entry::Invalid {
            id: Value::Null,
            reason: "a request is an object",
        };
    };
    let id = match object.remove("id") {
        Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => Some(id),
        Some(_) => {
            return Entry::Invalid {
                id: Value::Null,
                reason: "an id is a string or a number",
            };
        }
        None => None,
    };
    match read_call(id.clone(), object) {
        Ok(call) => Entry::Call(call),
        Err(reason) => Entry::Invalid {
            id: id.unwrap_or(Value::Null),
            reason,
        },
    }
}

fn read_call(id: Option<Value>, mut object: Map<String, Value>) -> Result<Call, &'static str> {
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err("jsonrpc must be \"2.0\"");
    }
    let Some(Value::String(method)) = object.remove("method") else {
        return Err("method must be a string");
    };
    match object.remove("params") {
        None | Some(Value::Null) => Ok(Call {
            id,
            method,
            params: Value::Array(vec![]),
        }),
        Some(params @ (Value::Array(_) | Value::Object(_))) => Ok(Call { id, method, params }),
        Some(_) => Err("params must be an array or an object"),
    }
}

/// An answer object.
pub(crate) fn answer(id: &Value, outcome: Outcome) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => {
            let mut object = json!({ "code": error.code, "message": error.message });
            if let Some(data) = error.data {
                object["data"] = data;
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": object })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(body: &str) -> Entry {
        match Request::parse(body.as_bytes()).unwrap() {
            Request::Single(entry) => entry,
            Request::Batch(_) => panic!("a batch"),
        }
    }

    #[test]
    fn calls_and_notifications_are_told_apart() {
        let Entry::Call(call) = single(r#"{"jsonrpc":"2.0","id":null,"method":"m","params":[1]}"#) else {
            panic!()
        };
        assert_eq!((call.id, call.params), (Some(Value::Null), json!([1])));
        let Entry::Call(call) = single(r#"{"jsonrpc":"2.0","method":"m"}"#) else {
            panic!()
        };
        assert_eq!((call.id, call.params), (None, json!([])));
    }

    #[test]
    fn what_is_no_request_is_invalid_under_its_id() {
        let cases = [
            (r#"{"id":7,"method":"m"}"#, json!(7)),
            (r#"{"jsonrpc":"2.0","id":"a","method":1}"#, json!("a")),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}"#, json!(1)),
            (r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#, Value::Null),
            ("1", Value::Null),
        ];
        for (body, expected) in cases {
            match single(body) {
                Entry::Invalid { id, .. } => assert_eq!(id, expected, "{body}"),
                Entry::Call(call) => panic!("{body} was read as {call:?}"),
            }
        }
    }

    #[test]
    fn bodies_that_cannot_be_read_are_refused_as_a_whole() {
        let code = |body: &str| Request::parse(body.as_bytes()).unwrap_err().code;
        assert_eq!(code("{"), PARSE_ERROR);
        assert_eq!(code(""), PARSE_ERROR);
        assert_eq!(code("[]"), INVALID_REQUEST);
        assert_eq!(code(&format!("[{}1]", "1,".repeat(MAX_BATCH))), INVALID_REQUEST);
        let batch = Request::parse(br#"[1,{"jsonrpc":"2.0","id":4,"method":"m"}]"#).unwrap();
        assert_eq!(batch.methods(), ["", "m"]);
        assert_eq!(batch.first_id(), Value::Null);
    }
}
