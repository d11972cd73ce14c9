//! Peers that repeat whatever they were told, in every place and form that a provider might choose.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a peer makes of a request's head and its JSON.
pub(crate) type Say = fn(head: &str, body: &Value) -> Vec<u8>;

/// Each way to repeat it.
pub(crate) const WAYS: &[(&str, Say)] = &[
    ("message", |head, body| {
        rpc(body, &json!({"code": -32000, "message": head, "data": head}))
    }),
    ("encoded message", |head, body| {
        let encoded = utf8_percent_encode(head, NON_ALPHANUMERIC).to_string();
        rpc(
            body,
            &json!({"code": -32000, "message": encoded, "data": {"seen": [encoded]}}),
        )
    }),
    ("upper case", |head, body| {
        rpc(body, &json!({"code": 0, "message": head.to_uppercase()}))
    }),
    ("lower case", |head, body| {
        rpc(body, &json!({"code": 0, "message": head.to_lowercase()}))
    }),
    ("shortened words", |head, body| {
        let short = |word: &str| word.chars().take(10).collect::<String>();
        let words: Vec<_> = head.split([' ', '/', '=', '&', '\r', ':']).map(short).collect();
        rpc(body, &json!({"code": -32001, "message": words.join("… ")}))
    }),
    ("JSON in a message", |head, body| {
        rpc(
            body,
            &json!({"code": -32002, "message": format!(r#"{{"url":"{}"}}"#, escaped(head))}),
        )
    }),
    ("decoded credentials", |head, body| {
        let basics = head
            .split("Basic ")
            .skip(1)
            .map(|rest| rest.split("\r\n").next().unwrap());
        let plain: Vec<_> = basics
            .map(|basic| String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap())
            .collect();
        rpc(
            body,
            &json!({"code": -32003, "message": plain.join(" "), "data": plain}),
        )
    }),
    ("a bare text", |head, body| rpc(body, &json!(head))),
    ("escapes", |head, body| {
        let id = &id(body);
        let escaped = escaped(head);
        http(
            "200 OK",
            &format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":1,"message":"no","data":"{escaped}"}}}}"#
            ),
        )
    }),
    ("429", |head, _| http("429 Slow Down", head)),
    ("Retry-After", |head, _| {
        let path = path(head);
        http(&format!("429 Slow Down\r\nretry-after: {path}"), "")
    }),
    ("redirect", |head, _| {
        http(
            &format!("302 Found\r\nlocation: https://login.example{}", path(head)),
            head,
        )
    }),
    ("reason", |head, _| http(&format!("500 no {}", path(head)), head)),
    ("not HTTP", |head, _| head.as_bytes().to_vec()),
    ("a bad header", |head, _| {
        http(&format!("200 OK\r\nbad header {}", path(head)), "{}")
    }),
    ("a bad length", |head, _| {
        http(&format!("200 OK\r\ncontent-length: {}", path(head)), "{}")
    }),
    ("not JSON", |head, _| http("200 OK", head)),
    ("JSON of another shape", |head, _| {
        http("200 OK", &json!({"jsonrpc": head, "result": [head]}).to_string())
    }),
    ("another id", |head, _| {
        http(
            "200 OK",
            &json!({"jsonrpc": "2.0", "id": head, "result": 1}).to_string(),
        )
    }),
    ("no gzip", |head, _| {
        http("200 OK\r\ncontent-encoding: gzip", head)
    }),
    ("brotli", |head, _| {
        http(&format!("200 OK\r\ncontent-encoding: {}", path(head)), head)
    }),
    ("cut short", |head, _| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{head}").into_bytes()
    }),
    ("too much", |head, _| http("200 OK", &head.repeat(4000))),
    ("a refused transaction", |head, body| {
        let refused = json!({"code": 5, "codespace": path(head), "log": head, "data": "", "hash": "00"});
        http(
            "200 OK",
            &json!({"jsonrpc": "2.0", "id": body["id"], "result": refused}).to_string(),
        )
    }),
    ("another chain", |head, body| {
        let sync = json!({"latest_block_height": "1", "latest_block_time": path(head), "catching_up": false});
        let status = json!({"node_info": {"network": path(head)}, "sync_info": sync});
        http(
            "200 OK",
            &json!({"jsonrpc": "2.0", "id": body["id"], "result": status}).to_string(),
        )
    }),
    ("odd times and heights", |head, body| {
        let sync =
            json!({"latest_block_height": path(head), "latest_block_time": path(head), "catching_up": false});
        let status = json!({"node_info": {"network": "test-1"}, "sync_info": sync});
        http(
            "200 OK",
            &json!({"jsonrpc": "2.0", "id": body["id"], "result": status}).to_string(),
        )
    }),
    ("hang up", |_, _| Vec::new()),
];

/// The node's results are handed on as they are: who shows them shows what the node said.
pub(crate) const IN_RESULTS: [&str; 3] = ["a refused transaction", "another chain", "odd times and heights"];

pub(crate) fn http(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    if head.contains("content-length") {
        return format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes();
    }
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The same error for each call.
fn rpc(body: &Value, error: &Value) -> Vec<u8> {
    let one = |call: &Value| json!({"jsonrpc": "2.0", "id": call["id"], "error": error});
    let answer = match body {
        Value::Array(calls) => calls.iter().map(one).collect(),
        call => one(call),
    };
    http("200 OK", &answer.to_string())
}

fn id(body: &Value) -> Value {
    body.get("id").cloned().unwrap_or_default()
}

fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// As a very careful writer of JSON would put it.
fn escaped(text: &str) -> String {
    text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()
}

/// What a node says that a health check finds nothing wrong with; `None` to what is no part of one.
pub(crate) fn healthy(body: &Value) -> Option<Vec<u8>> {
    let result = match body["method"].as_str()? {
        "eth_chainId" | "eth_blockNumber" => json!("0x1"),
        "eth_syncing" => json!(false),
        _ => return None,
    };
    let answer = json!({"jsonrpc": "2.0", "id": body["id"], "result": result});
    Some(http("200 OK", &answer.to_string()))
}

/// A peer that says the same to all.
pub(crate) struct Echo {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Echo {
    pub(crate) async fn start(say: impl Fn(&str, &Value) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let say = Arc::new(say);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&say)));
            }
        });
        Self { addr, task }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, say: Arc<impl Fn(&str, &Value) -> Vec<u8>>) {
    let mut read = Vec::new();
    loop {
        if let Some((head, body, rest)) = whole(&read) {
            read = rest;
            let answer = say(&head, &serde_json::from_slice(&body).unwrap_or_default());
            if answer.is_empty() || stream.write_all(&answer).await.is_err() || head.starts_with("PRI ") {
                return;
            }
        } else if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// A request's head, its body, and what came after.
fn whole(read: &[u8]) -> Option<(String, Vec<u8>, Vec<u8>)> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&read[..end - 4]).into_owned();
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let body = read.get(end..end + length)?.to_vec();
    Some((head, body, read[end + length..].to_vec()))
}

/// Speaks as much HTTP/2 as it takes to say goodbye in these words; `late` after the first request.
pub(crate) async fn goodbye(words: &'static str, late: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut goaway = Vec::from(u32::try_from(8 + words.len()).unwrap().to_be_bytes());
                goaway.remove(0);
                // GOAWAY on stream 0: nothing was processed, ENHANCE_YOUR_CALM
                goaway.extend([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]);
                goaway.extend(words.as_bytes());
                let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
                let mut read = Vec::new();
                // preface, settings and window together are shorter than any request
                let enough = if late { 200 } else { 24 };
                while read.len() < enough && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
                let _ = stream.write_all(&goaway).await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            });
        }
    });
    addr
}
