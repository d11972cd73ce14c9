//! The HTTP answer to a request, as the plan for it wants it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::chain::Dialect;
use crate::faults::{CallFault, HttpBody, Plan, Reply};
use crate::rpc::{self, Call, Entry, ErrorObject, Request};
use crate::view::View;
use crate::{comet, evm};

/// A request as it was read.
#[derive(Debug)]
pub(super) struct Asked {
    request: Result<Request, ErrorObject>,
    /// CometBFT's GET form, whose errors are HTTP errors too.
    uri: bool,
}

impl Asked {
    pub(super) fn body(request: Result<Request, ErrorObject>) -> Self {
        Self { request, uri: false }
    }

    pub(super) fn uri(call: Result<Call, ErrorObject>) -> Self {
        Self {
            request: call.map(|call| Request::Single(Entry::Call(call))),
            uri: true,
        }
    }

    /// The methods it calls; one that can't be read counts as a call of "".
    pub(super) fn methods(&self) -> Vec<&str> {
        self.request.as_ref().map_or_else(|_| vec![""], Request::methods)
    }

    fn id(&self) -> Value {
        match &self.request {
            Ok(Request::Single(_)) => self.request.as_ref().map_or(Value::Null, Request::first_id),
            _ => Value::Null,
        }
    }
}

/// Composes the answer, garbage included. A body that is to be cut is cut later.
pub(super) fn compose(plan: &Plan, asked: &Asked, view: &View<'_>) -> Response<Bytes> {
    let Reply::Http {
        status,
        retry_after,
        body,
    } = plan.reply
    else {
        // Resets and hangs were dealt with before there was anything to compose.
        return Response::new(Bytes::new());
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match body {
        HttpBody::Answer => answer(plan, asked, view, status),
        HttpBody::RpcError => {
            let message = status.canonical_reason().unwrap_or("injected error");
            let error = ErrorObject::new(i64::from(status.as_u16()), message);
            json_response(status, &rpc::answer(&asked.id(), Err(error)))
        }
        HttpBody::Html => {
            let reason = status.canonical_reason().unwrap_or("Error");
            let page = format!(
                "<html><body><h1>{} {reason}</h1></body></html>\n",
                status.as_u16()
            );
            html_response(status, page)
        }
        HttpBody::Empty => with_status(Response::new(Bytes::new()), status),
    };
    if let Some(garbage) = &plan.garbage {
        *response.body_mut() = Bytes::from(garbage.clone());
        if response.status() == StatusCode::NO_CONTENT {
            *response.status_mut() = StatusCode::OK;
        }
    }
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn answer(plan: &Plan, asked: &Asked, view: &View<'_>, status: StatusCode) -> Response<Bytes> {
    let none = CallFault::default();
    let fault = |place: usize| plan.calls.get(place).unwrap_or(&none);
    match &asked.request {
        Err(error) => {
            // One fault was drawn for what couldn't be read, too.
            let error = fault(0).error.as_ref().unwrap_or(error).clone();
            let code = if asked.uri {
                uri_status(&error)
            } else {
                StatusCode::OK
            };
            json_response(first_error(status, code), &rpc::answer(&Value::Null, Err(error)))
        }
        Ok(Request::Single(entry)) => match entry_answer(entry, fault(0), view) {
            Some((value, error)) => {
                let code = error
                    .filter(|_| asked.uri)
                    .map_or(StatusCode::OK, |error| uri_status(&error));
                json_response(first_error(status, code), &value)
            }
            None => nothing(status),
        },
        Ok(Request::Batch(entries)) => {
            let answers: Vec<Value> = entries
                .iter()
                .enumerate()
                .filter_map(|(place, entry)| Some(entry_answer(entry, fault(place), view)?.0))
                .collect();
            if answers.is_empty() {
                nothing(status)
            } else {
                json_response(status, &Value::Array(answers))
            }
        }
    }
}

/// The answer to one member, and its error if it is one; `None` for a notification.
fn entry_answer(entry: &Entry, fault: &CallFault, view: &View<'_>) -> Option<(Value, Option<ErrorObject>)> {
    let (id, outcome) = match entry {
        Entry::Invalid { id, reason } => (
            id.clone(),
            Err(ErrorObject::new(
                rpc::INVALID_REQUEST,
                format!("invalid request: {reason}"),
            )),
        ),
        Entry::Call(call) => {
            // A notification is carried out as well; only its answer is left out.
            let outcome = match view.chain.config().dialect {
                Dialect::Evm => evm::answer,
                Dialect::CometBft => comet::answer,
            };
            let outcome = fault.error.clone().map_or_else(|| outcome(view, call), Err);
            (call.id.clone()?, outcome)
        }
    };
    let id = if fault.wrong_id { another_id(&id) } else { id };
    let error = outcome.as_ref().err().cloned();
    Some((rpc::answer(&id, outcome), error))
}

/// An id of the same type that wasn't asked.
fn another_id(id: &Value) -> Value {
    match id {
        Value::Number(number) => match number.as_i64() {
            Some(number) => json!(number.wrapping_add(1)),
            None => json!(0),
        },
        Value::String(text) => json!(format!("{text}-other")),
        _ => json!(0),
    }
}

/// CometBFT's GET form answers a bad question with 400 and any other error with 500.
fn uri_status(error: &ErrorObject) -> StatusCode {
    match error.code {
        rpc::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        rpc::INVALID_PARAMS => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An injected status wins over the one that the answer has by itself.
fn first_error(injected: StatusCode, own: StatusCode) -> StatusCode {
    if injected == StatusCode::OK { own } else { injected }
}

fn nothing(status: StatusCode) -> Response<Bytes> {
    with_status(
        Response::new(Bytes::new()),
        first_error(status, StatusCode::NO_CONTENT),
    )
}

fn json_response(status: StatusCode, value: &Value) -> Response<Bytes> {
    let mut response = with_status(Response::new(Bytes::from(value.to_string())), status);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn html_response(status: StatusCode, page: String) -> Response<Bytes> {
    let mut response = with_status(Response::new(Bytes::from(page)), status);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn with_status(mut response: Response<Bytes>, status: StatusCode) -> Response<Bytes> {
    *response.status_mut() = status;
    response
}
