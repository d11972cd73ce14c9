//! JSON-RPC 2.0: requests written, answers matched to them. Results stay raw.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{digits::Digits, malformed::Malformed, redact::Redactor};

pub(crate) use crate::envelope::{encode, encode_batch};

/// A request: method and parameters, already written as JSON. Ids are given when it is sent.
#[derive(Clone, Debug)]
pub struct RpcRequest {
    pub(crate) method: Cow<'static, str>,
    params: Option<Params>,
}

/// Parameters as JSON.
#[derive(Clone, Debug)]
enum Params {
    /// By the caller.
    Given(Box<RawValue>),
    /// By us. To make a `RawValue` of it, which has no room to spare, costs as much as to write it, and it is sent as text.
    Written(String),
}

impl RpcRequest {
    /// A request whose parameters are `params` written as JSON: an array or an object.
    ///
    /// # Errors
    /// When the parameters cannot be written as JSON (a map with keys that are not strings, for example).
    pub fn new(
        method: impl Into<Cow<'static, str>>,
        params: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            method: method.into(),
            params: Some(Params::Written(serde_json::to_string(params)?)),
        })
    }

    /// A request with parameters that are JSON already, or without any.
    pub fn raw(method: impl Into<Cow<'static, str>>, params: Option<Box<RawValue>>) -> Self {
        Self {
            method: method.into(),
            params: params.map(Params::Given),
        }
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The parameters as JSON. Those that were given to [`new`](Self::new) are looked through for it.
    pub fn params(&self) -> Option<&RawValue> {
        match self.params.as_ref()? {
            Params::Given(params) => Some(params),
            // serde_json has written it, and reads it again
            Params::Written(params) => serde_json::from_str(params).ok(),
        }
    }

    /// The same as text.
    pub(crate) fn params_text(&self) -> Option<&str> {
        match self.params.as_ref()? {
            Params::Given(params) => Some(params.get()),
            Params::Written(params) => Some(params),
        }
    }
}

/// The error that a node answered with.
///
/// The endpoint's own secrets have been taken out of message and data. `Display` cuts it at 200 characters and escapes
/// control characters; `Debug` tells only the size of the data.
#[derive(Clone)]
pub struct ErrorObject {
    /// The code; 0 where the node sent none.
    pub code: i64,
    /// The message.
    pub message: String,
    /// What came with it, as the node wrote it: revert data, hints.
    pub data: Option<Box<RawValue>>,
}

impl ErrorObject {
    /// Without the endpoint's own secrets in its message and data.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        self.message = redactor.clean(self.message);
        self.data = self.data.and_then(|data| redactor.clean_json(data));
        self
    }
}

impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON-RPC error {}: ", self.code)?;
        shorten(f, &self.message)
    }
}

/// Writes what a node said: at most 200 characters of it, control characters escaped.
pub(crate) fn shorten(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars().take(200) {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?;
        } else {
            write!(f, "{c}")?;
        }
    }
    if text.chars().nth(200).is_some() {
        f.write_str("…")
    } else {
        Ok(())
    }
}

impl fmt::Debug for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ErrorObject({self}, {} bytes of data)",
            self.data.as_ref().map_or(0, |data| data.get().len())
        )
    }
}

/// One answer: a raw result or the node's error.
pub(crate) type Answer = Result<Box<RawValue>, ErrorObject>;

/// Answer to a batch.
#[derive(Debug)]
pub(crate) enum BatchAnswer {
    /// One answer for each request, in the order of the requests.
    Items(Vec<Answer>),
    /// One error for the whole batch.
    Refused(ErrorObject),
}

/// Borrowed where it holds no escapes; inside `Option` serde would copy it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Text<'a>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    // `Option` alone would take a null result, which is a result, for none.
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    // Here null is none: JSON-RPC 1.0 servers send `"error":null` beside a result.
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

enum Id {
    None,
    Number(u64),
    Other,
}

impl Response<'_> {
    fn is_2_0(&self) -> bool {
        self.jsonrpc
            .as_ref()
            .is_some_and(|Text(version)| version == "2.0")
    }

    fn id(&self) -> Id {
        match self.id.map(RawValue::get) {
            None | Some("null") => Id::None,
            Some(text) => text.parse().map_or(Id::Other, Id::Number),
        }
    }

    fn answer(&self) -> Result<Answer, Malformed> {
        match (self.result, self.error) {
            (Some(result), None) => Ok(Ok(result.to_owned())),
            (Some(result), Some(error)) if result.get() == "null" => error_object(error).map(Err),
            (None, Some(error)) => error_object(error).map(Err),
            _ => Err(Malformed::NoResult),
        }
    }

    /// The error of an answer without an id: the node could not, or did not care to, say what it refuses.
    fn unaddressed_error(&self) -> Option<ErrorObject> {
        if matches!(self.id(), Id::None) {
            self.answer().ok()?.err()
        } else {
            None
        }
    }
}

fn error_object(error: &RawValue) -> Result<ErrorObject, Malformed> {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(default)]
        code: Option<i64>,
        #[serde(borrow, default)]
        message: Option<Cow<'a, str>>,
        #[serde(default)]
        data: Option<Box<RawValue>>,
    }
    if let Ok(message) = serde_json::from_str::<String>(error.get()) {
        // Not JSON-RPC, but gateways do it: "error": "unauthorized".
        return Ok(ErrorObject {
            code: 0,
            message,
            data: None,
        });
    }
    let object: Object<'_> = serde_json::from_str(error.get())?;
    Ok(ErrorObject {
        code: object.code.unwrap_or(0),
        message: object.message.map(Cow::into_owned).unwrap_or_default(),
        data: object.data,
    })
}

fn is_array(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// The result, if the answer is written as nearly every node writes it: then only the result itself has to be looked
/// through. `None` says nothing; the answer may be good all the same.
fn plain_result(body: &[u8], id: u64) -> Option<Box<RawValue>> {
    let rest = body.strip_prefix(br#"{"jsonrpc":"2.0","id":"#)?;
    let rest = rest.strip_prefix(Digits::of(id).as_bytes())?;
    let rest = rest.strip_prefix(br#","result":"#)?;
    let result = trim_end(rest).strip_suffix(b"}")?;
    // one whole value and nothing else: so the object holds these three members and no other
    let result: &RawValue = serde_json::from_slice(result).ok()?;
    Some(result.to_owned())
}

/// Without the space at its end that JSON allows.
const fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\n' | b'\r' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Reads the answer to the request `id`.
///
/// `strict` asks for the `jsonrpc` member: beside an HTTP error status, an `error` member alone is a gateway's page.
pub(crate) fn decode(body: &[u8], id: u64, strict: bool) -> Result<Answer, Malformed> {
    match plain_result(body, id) {
        Some(result) => Ok(Ok(result)),
        None => decode_any(body, id, strict),
    }
}

/// The same, however the answer is written.
fn decode_any(body: &[u8], id: u64, strict: bool) -> Result<Answer, Malformed> {
    if is_array(body) {
        return Err(Malformed::Shape);
    }
    let response: Response<'_> = serde_json::from_slice(body)?;
    if strict && !response.is_2_0() {
        return Err(Malformed::NoResult);
    }
    match response.id() {
        Id::Number(found) if found == id => response.answer(),
        Id::None => response.unaddressed_error().map(Err).ok_or(Malformed::UnknownId),
        Id::Number(_) | Id::Other => Err(Malformed::UnknownId),
    }
}

/// Reads the answer to a batch of `count` requests whose ids count up from `first`. For `strict` see [`decode`].
pub(crate) fn decode_batch(
    body: &[u8],
    first: u64,
    count: usize,
    strict: bool,
) -> Result<BatchAnswer, Malformed> {
    if !is_array(body) {
        let response: Response<'_> = serde_json::from_slice(body)?;
        if strict && !response.is_2_0() {
            return Err(Malformed::NoResult);
        }
        return match response.answer()? {
            Err(error) => Ok(BatchAnswer::Refused(error)),
            Ok(_) => Err(Malformed::Shape),
        };
    }
    let responses: Vec<Response<'_>> = serde_json::from_slice(body)?;
    let mut items: Vec<Option<Answer>> = std::iter::repeat_with(|| None).take(count).collect();
    let mut refusal = None;
    for response in &responses {
        let id = match response.id() {
            Id::Number(id) => id,
            Id::None => {
                refusal = Some(response.unaddressed_error().ok_or(Malformed::UnknownId)?);
                continue;
            }
            Id::Other => return Err(Malformed::UnknownId),
        };
        let index = id
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        let item = index
            .and_then(|index| items.get_mut(index))
            .ok_or(Malformed::UnknownId)?;
        if item.replace(response.answer()?).is_some() {
            return Err(Malformed::DuplicateId);
        }
    }
    let missing = items.iter().filter(|item| item.is_none()).count();
    match (missing, refusal) {
        (0, None) => Ok(BatchAnswer::Items(items.into_iter().flatten().collect())),
        // It tells more than that an answer is missing.
        (1.., Some(refusal)) => Ok(BatchAnswer::Refused(refusal)),
        (0, Some(_)) => Err(Malformed::UnknownId),
        (missing, None) => Err(Malformed::MissingId { missing, of: count }),
    }
}

#[cfg(test)]
#[path = "jsonrpc_tests.rs"]
mod tests;
