//! A node that answers each call with what a closure says, in batches too.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, task::JoinSet};

use crate::{script::read_request, support::CHAIN_ID};

/// What a call is answered: a result as JSON text, or the text of an error object.
pub(crate) type Answered = Result<String, String>;

/// Health checks are answered by the node itself.
pub(crate) struct Answering {
    pub(crate) url: String,
    /// The calls that came, health checks left out: method and parameters.
    pub(crate) calls: Arc<Mutex<Vec<(String, Value)>>>,
    _task: JoinSet<()>,
}

impl Answering {
    pub(crate) async fn start(answer: impl Fn(&str, &Value) -> Answered + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::default();
        let (seen, answer) = (Arc::clone(&calls), Arc::new(answer));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                connections.spawn(async move {
                    while let Some(request) = read_request(&mut stream, Vec::new()).await {
                        let body = reply(&request, &seen, &*answer);
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        if stream.write_all((head + &body).as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            url,
            calls,
            _task: task,
        }
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(called, _)| called == method).count()
    }
}

fn reply(
    request: &[u8],
    seen: &Mutex<Vec<(String, Value)>>,
    answer: &dyn Fn(&str, &Value) -> Answered,
) -> String {
    let start = request
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    let one = |call: &Value| {
        let method = call["method"].as_str().unwrap();
        let answered = match method {
            "eth_chainId" => Ok(format!("\"{CHAIN_ID:#x}\"")),
            "eth_syncing" => Ok("false".to_owned()),
            "eth_blockNumber" => Ok("\"0x10\"".to_owned()),
            _ => {
                seen.lock()
                    .unwrap()
                    .push((method.to_owned(), call["params"].clone()));
                answer(method, &call["params"])
            }
        };
        let (member, text) = match answered {
            Ok(result) => ("result", result),
            Err(error) => ("error", error),
        };
        format!(r#"{{"jsonrpc":"2.0","id":{},"{member}":{text}}}"#, call["id"])
    };
    match serde_json::from_slice(&request[start..]).unwrap_or(json!(null)) {
        Value::Array(calls) => {
            // a node may answer in any order
            let answers: Vec<_> = calls.iter().rev().map(one).collect();
            format!("[{}]", answers.join(","))
        }
        call => one(&call),
    }
}
