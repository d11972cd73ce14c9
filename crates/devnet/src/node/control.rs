//! The control endpoint: faults and counters over HTTP, on a port of its own.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET /faults` | shows the faults in force |
//! | `PUT /faults` | replaces all of them |
//! | `PATCH /faults` | replaces those that are named; `null` switches one off |
//! | `DELETE /faults` | switches all of them off |
//! | `GET /stats` | shows the counters |
//! | `POST /stop`, `POST /start` | closes the node's port and connections, and opens it again |

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::listener::Gate;
use super::state::State;
use crate::answers::{Answer, fail, not_allowed, read, show};
use crate::faults::{Faults, InvalidFaults};

const MAX_BODY: usize = 1024 * 1024;

/// Serves the endpoint until it is aborted, which closes its connections.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, gate: Arc<Gate>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (state, gate) = (Arc::clone(&state), Arc::clone(&gate));
                    connections.spawn(async move {
                        let service = service_fn(|request| answer(request, &state, &gate));
                        let server = hyper::server::conn::http1::Builder::new();
                        if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                            tracing::debug!(%error, "control connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept on the control port failed");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
        }
    }
}

async fn answer(request: Request<Incoming>, state: &State, gate: &Gate) -> http::Result<Answer> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    Ok(match (&method, path.as_str()) {
        (&Method::GET, "/faults") => show(StatusCode::OK, &json!(state.faults())),
        (&Method::PUT | &Method::PATCH, "/faults") => match read(request, MAX_BODY).await {
            Ok(body) => {
                let changed = if method == Method::PUT {
                    change(state, gate, |_| parse(&body))
                } else {
                    change(state, gate, |old| merge(old, &body))
                };
                settle(changed, gate).await
            }
            Err(refused) => refused,
        },
        (&Method::DELETE, "/faults") => settle(change(state, gate, |_| Ok(Faults::default())), gate).await,
        (&Method::GET, "/stats") => show(
            StatusCode::OK,
            &json!(state.stats(Instant::now(), gate.is_listening())),
        ),
        (&Method::POST, "/stop" | "/start") => {
            gate.set_stopped(path == "/stop");
            settle(Ok(state.faults()), gate).await
        }
        (_, "/faults") => not_allowed("GET, PUT, PATCH, DELETE"),
        (_, "/stats") => not_allowed("GET"),
        (_, "/stop" | "/start") => not_allowed("POST"),
        _ => fail(
            StatusCode::NOT_FOUND,
            "not found: there are /faults, /stats, /stop and /start",
        ),
    })
}

fn change(
    state: &State,
    gate: &Gate,
    change: impl FnOnce(&Faults) -> Result<Faults, InvalidFaults>,
) -> Result<Faults, InvalidFaults> {
    state.change_faults(Instant::now(), gate, change)
}

/// Answers with the faults in force, once the listener is what they ask for.
async fn settle(changed: Result<Faults, InvalidFaults>, gate: &Gate) -> Answer {
    match changed {
        Err(error) => fail(StatusCode::BAD_REQUEST, &error.to_string()),
        Ok(faults) => match gate.settled().await {
            Ok(()) => show(StatusCode::OK, &json!(faults)),
            Err(error) => fail(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
    }
}

fn parse(body: &[u8]) -> Result<Faults, InvalidFaults> {
    serde_json::from_slice(body).map_err(|error| InvalidFaults::new(error.to_string()))
}

/// Puts the keys of `body` over the present faults; each replaces its fault as a whole.
fn merge(old: &Faults, body: &[u8]) -> Result<Faults, InvalidFaults> {
    let invalid = |error: serde_json::Error| InvalidFaults::new(error.to_string());
    let patch: Map<String, Value> = serde_json::from_slice(body).map_err(invalid)?;
    let Value::Object(mut merged) = json!(old) else {
        return Err(InvalidFaults::new("faults are not an object".to_owned()));
    };
    let off = json!(Faults::default());
    for (key, value) in patch {
        let value = if value.is_null() {
            off.get(&key).cloned().unwrap_or(value)
        } else {
            value
        };
        merged.insert(key, value);
    }
    serde_json::from_value(Value::Object(merged)).map_err(invalid)
}
