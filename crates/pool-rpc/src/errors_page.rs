//! `docs/errors.md`, written from the tables that the classifier reads, so that it cannot say anything else.
//!
//! `BLESS=1 cargo test -p pool-rpc errors_page` writes it; without `BLESS` the test compares.

use std::{fmt::Write as _, io, path::PathBuf, time::Duration};

use pool_core::{ErrorType, Fault, Verdict};
use serde_json::value::RawValue;

use crate::{
    class::Class,
    error::{ConnectPhase, Phase, Progress, RpcError},
    fixtures::SENT,
    jsonrpc::ErrorObject,
    malformed::Malformed,
    rules::{RULES, SDK_CODES},
    taxonomy::classify,
};

const INTRO: &str = "\
# Errors: what nodes say, and what follows

<!-- Generated from the tables in crates/pool-rpc/src. Do not edit: BLESS=1 cargo test -p pool-rpc errors_page -->

A remote node fails in ways that HTTP does not show: a rate limit comes as `200 OK`, a good answer as `500`. So the payload
is judged first. A JSON-RPC error keeps its meaning whatever status it came with; only where it says nothing
(`internal`, `unknown`) do the statuses 429, 401, 402 and 403 decide.

- **whose** fault: only the node's and the provider's count in error rates and alerts.
- **here**, **elsewhere**: may the same request be tried again on the same endpoint, on another one?
- **pause**: for how long the endpoint is left alone. `Retry-After` (seconds or date, at most 300 s) and Infura's
  `data.rate.backoff_seconds` come before the default.
- **acted**: can the node have acted on the request? Where it cannot, even a transaction may be sent again.
- **breaker**: does it count towards opening the endpoint's circuit breaker?
- **latency**: does it count as a slow answer for balancers and outlier detection? A fast failure must not look like a fast
  node.
- **connection**: can it be used again? Only where the answer was read to its end.
";

const CLASSES: &str = "
## What a JSON-RPC error means

| class | what it says | whose | error_type | here | elsewhere | pause | acted | breaker | latency | connection |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

const TRANSPORT: &str = "
## Without a JSON-RPC answer

| error | whose | error_type | here | elsewhere | pause | acted | breaker | latency | connection |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

const ROWS: &str = "
## How a JSON-RPC error is sorted

Read from the top; the first row that matches wins. A row matches when the code is among its codes (or it names none) and the
message, or data that is a short text, holds one of its words (or it names none); `^` ties a word to the beginning. What
matches no row is `unknown`: **the default is a fault of this node, tried elsewhere, held against no breaker**, because an
unknown message may as well be the caller's mistake in a dialect of its own.

| | class | codes | words | as sent |
| --- | --- | --- | --- | --- |
";

const SDK: &str = "
## Transactions that CometBFT's application refuses

`broadcast_tx_*` answers with a result whose `code` is not 0. Codes of the codespace `sdk`; all others are sorted by the words
of their `log`, by the table above, and what matches none is `tx_invalid`.

| code | class |
| --- | --- |
";

fn yes(it_is: bool) -> &'static str {
    if it_is { "yes" } else { "no" }
}

/// The columns that both tables share.
fn columns(verdict: &Verdict, pause_is_default: bool) -> String {
    let whose = match verdict.fault() {
        Fault::Node => "node, provider or network",
        Fault::Caller => "caller",
        Fault::Local => "this process",
    };
    let pause = match verdict.throttle {
        Some(pause) if pause_is_default => format!("as told, else {} s", pause.as_secs()),
        Some(_) => "as told".to_owned(),
        None => "-".to_owned(),
    };
    let slows = match (verdict.fault(), verdict.error_type) {
        (Fault::Node, ErrorType::Unsupported) => "not if the method is missing",
        (fault, _) => yes(fault == Fault::Node),
    };
    format!(
        "{whose} | `{}` | {} | {} | {pause} | {} | {} | {} | {} |",
        verdict.error_type.as_str(),
        yes(verdict.retry_here),
        yes(verdict.retry_elsewhere),
        yes(verdict.maybe_executed),
        yes(verdict.counts_for_breaker),
        slows,
        if verdict.keep_connection { "kept" } else { "closed" },
    )
}

/// Whether the pause has a default, or only follows what the answer asks for.
fn sample(class: Class) -> (Verdict, bool) {
    let told = class.verdict(Some(Duration::from_secs(7)));
    let untold = class.verdict(None);
    let default = untold.throttle.is_some();
    (if default { untold } else { told }, default)
}

fn errors() -> Vec<(&'static str, RpcError)> {
    let connect = |phase| RpcError::Connect {
        phase,
        source: io::ErrorKind::ConnectionRefused.into(),
    };
    let timeout = |phase| RpcError::Timeout {
        phase,
        after: Duration::from_secs(1),
    };
    let broke = |progress, reused| RpcError::Transport {
        progress,
        reused,
        source: None,
    };
    let status = |status, told: bool| RpcError::HttpStatus {
        status,
        retry_after: told.then_some(Duration::from_secs(7)),
    };
    vec![
        ("name not resolved", connect(ConnectPhase::Dns)),
        ("TCP connect failed", connect(ConnectPhase::Tcp)),
        (
            "TLS failed (wrong name, expired, unknown CA)",
            connect(ConnectPhase::Tls),
        ),
        ("connect timed out", timeout(Phase::Connect(ConnectPhase::Tcp))),
        ("no whole answer in time", timeout(Phase::Response)),
        (
            "connection broke before the request was written",
            broke(Progress::Unsent, false),
        ),
        ("kept connection found closed", broke(Progress::Unsent, true)),
        (
            "new connection broke before an answer",
            broke(Progress::Sent, false),
        ),
        (
            "kept connection closed before an answer (keep-alive time-out)",
            broke(Progress::Sent, true),
        ),
        (
            "connection broke in the middle of the answer",
            broke(Progress::Answering, true),
        ),
        ("HTTP 401, 402, 403", status(401, true)),
        ("HTTP 408", status(408, false)),
        ("HTTP 413", status(413, false)),
        ("HTTP 429", status(429, false)),
        (
            "any other HTTP status (301, 404, 500, 502, 503, 504...)",
            status(503, true),
        ),
        (
            "not HTTP, not JSON-RPC, wrong or missing id",
            RpcError::Malformed(Malformed::UnknownId),
        ),
        (
            "answer larger than the configured limit",
            RpcError::TooLarge { limit: 1 },
        ),
    ]
}

fn code_list(codes: &[i64]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    codes.join(" ")
}

/// An example of each row: what a provider has sent that it matches.
fn as_sent(row: usize) -> String {
    let found = SENT.iter().find(|(code, message, data, _)| {
        let data = data.and_then(|data| RawValue::from_string(data.to_owned()).ok());
        let object = ErrorObject {
            code: *code,
            message: (*message).to_owned(),
            data,
        };
        object.row() == Some(row)
    });
    let (code, message, data, _) = found.expect("each row has a fixture; see messages_are_sorted");
    let data = data.map(|data| format!(", data `{data}`")).unwrap_or_default();
    format!("`{code}` {message}{data}").replace('|', "\\|")
}

fn page() -> String {
    let mut page = format!("{INTRO}{CLASSES}");
    for class in Class::ALL {
        let (verdict, default) = sample(class);
        let line = columns(&verdict, default);
        writeln!(page, "| `{class}` | {} | {line}", class.meaning()).expect("a string takes all");
    }
    page += TRANSPORT;
    for (what, error) in errors() {
        let default = what == "HTTP 429";
        writeln!(page, "| {what} | {}", columns(&classify(&error), default)).expect("a string takes all");
    }
    page += ROWS;
    for (index, rule) in RULES.iter().enumerate() {
        let words: Vec<String> = rule.words.iter().map(|word| format!("`{word}`")).collect();
        let (row, class, codes) = (index + 1, rule.class, code_list(rule.codes));
        let (words, example) = (words.join(", "), as_sent(index));
        writeln!(page, "| {row} | `{class}` | {codes} | {words} | {example} |").expect("a string takes all");
    }
    page += SDK;
    for (code, class) in SDK_CODES {
        writeln!(page, "| {code} | `{class}` |").expect("a string takes all");
    }
    page
}

#[test]
fn the_errors_page_is_fresh() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/errors.md is stale; run: BLESS=1 cargo test -p pool-rpc errors_page"
    );
}
