use std::{io, time::Duration};

use pool_core::Fault;
use serde_json::value::RawValue;

use super::*;
use crate::{class::DEFAULT_THROTTLE, malformed::Malformed, retry_after::MAX_RETRY_AFTER};

fn object(code: i64, message: &str, data: Option<&str>) -> ErrorObject {
    let data = data.map(|data| RawValue::from_string(data.to_owned()).unwrap());
    ErrorObject {
        code,
        message: message.to_owned(),
        data,
    }
}

/// What providers send, row by row: code, message, data, class.
#[rustfmt::skip]
const SENT: &[(i64, &str, Option<&str>, Class)] = &[
    // reverts, with whatever words the contract chose
    (3, "execution reverted: rate limit exceeded", Some("\"0x08c379a0\""), Class::Reverted),
    (3, "x", Some("\"0x\""), Class::Reverted),
    (-32000, "execution reverted: insufficient funds", None, Class::Reverted),
    (-32603, "Error: VM Exception while processing transaction: reverted with reason string 'x'", None, Class::Reverted),
    (-32015, "x", None, Class::Reverted),
    (-32015, "VM execution error.", Some("\"Reverted 0x08c379a0\""), Class::Reverted),
    (-32000, "invalid opcode: INVALID", None, Class::Reverted),
    (-32015, "request timed out", None, Class::Timeout),
    // transactions
    (-32000, "already known", None, Class::AlreadyKnown),
    (-32000, "known transaction: 5f0a", None, Class::AlreadyKnown),
    (-32010, "Transaction with the same hash was already imported.", None, Class::AlreadyKnown),
    (-32000, "AlreadyKnown, Hash: 0xaa", None, Class::AlreadyKnown),
    (-32603, "Internal error", Some("\"tx already exists in cache\""), Class::AlreadyKnown),
    (-32000, "nonce too low: next nonce 7, tx nonce 5", None, Class::NonceTooLow),
    (-32003, "nonce too low", None, Class::NonceTooLow),
    (-32010, "OldNonce, Current nonce: 7", None, Class::NonceTooLow),
    (-32603, "Internal error", Some("\"account sequence mismatch, expected 7, got 5\""), Class::NonceTooLow),
    (-32000, "replacement transaction underpriced", None, Class::ReplacementUnderpriced),
    (-32000, "transaction underpriced", None, Class::Underpriced),
    (-32000, "max fee per gas less than block base fee: address 0x0, maxFeePerGas: 1", None, Class::Underpriced),
    (-32000, "insufficient funds for gas * price + value: balance 0", None, Class::InsufficientFunds),
    (-32003, "insufficient funds for transfer", None, Class::InsufficientFunds),
    (-32000, "intrinsic gas too low: gas 1, minimum needed 21000", None, Class::TxInvalid),
    (-32000, "gas required exceeds allowance (21000)", None, Class::TxInvalid),
    (-32000, "exceeds block gas limit", None, Class::TxInvalid),
    (-32000, "invalid sender", None, Class::TxInvalid),
    (-32003, "transaction rejected", None, Class::TxInvalid),
    // -32005 in its two meanings, and other limits on what one request may ask for
    (-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2].", None, Class::RangeTooLarge),
    (-32005, "logs matched by query exceeds limit of 10000", None, Class::RangeTooLarge),
    (-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range", None, Class::RangeTooLarge),
    (-32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range.", None, Class::RangeTooLarge),
    (-32614, "eth_getLogs is limited to a 10,000 range", None, Class::RangeTooLarge),
    (-32000, "exceed maximum block range: 5000", None, Class::RangeTooLarge),
    (-32600, "query timeout exceeded. Consider reducing your block range.", None, Class::RangeTooLarge),
    (-32005, "limit exceeded", None, Class::RateLimited),
    (-32005, "project ID request rate exceeded", None, Class::RateLimited),
    (-32005, "x", None, Class::RateLimited),
    (-32007, "50/second request limit reached - reduce calls per second or upgrade your account", None, Class::RateLimited),
    (-32016, "over rate limit", None, Class::RateLimited),
    (-32029, "slow down", None, Class::RateLimited),
    (429, "Your app has exceeded its compute units per second capacity.", None, Class::RateLimited),
    (-32090, "Too many requests, reason: call rate limit exhausted", None, Class::RateLimited),
    (-32012, "usage beyond plan: credits", None, Class::QuotaSpent),
    (-32005, "daily request count exceeded, request rate limited", None, Class::QuotaSpent),
    (429, "Monthly capacity limit exceeded. Visit the dashboard to upgrade.", None, Class::QuotaSpent),
    (-32012, "credits limit for this plan is spent", None, Class::QuotaSpent),
    // credentials
    (-32600, "Must be authenticated!", None, Class::Unauthorized),
    (-32000, "invalid api key", None, Class::Unauthorized),
    (-32002, "invalid project id", None, Class::Unauthorized),
    (0, "unauthorized", None, Class::Unauthorized),
    // what the node lacks
    (-32000, "missing trie node 5f0a (path ) state 0xaa is not available", None, Class::Pruned),
    (-32000, "required historical state unavailable (reexec=128)", None, Class::Pruned),
    (4444, "pruned history unavailable", None, Class::Pruned),
    (-32603, "Internal error", Some("\"height 5 is not available, lowest height is 100\""), Class::Pruned),
    (-32000, "header not found", None, Class::UnknownBlock),
    (-32001, "Resource not found.", None, Class::UnknownBlock),
    (-32000, "Unknown block", None, Class::UnknownBlock),
    (-32602, "block range extends beyond current head block", None, Class::UnknownBlock),
    (-32603, "Internal error", Some("\"height 9 must be less than or equal to the current blockchain height 7\""), Class::UnknownBlock),
    (-32000, "node is syncing", None, Class::Syncing),
    (-32014, "no data", None, Class::Pruned),
    (-32019, "x", None, Class::UnknownBlock),
    (-32000, "unknown transaction: 5f0a", None, Class::Unknown),
    // methods and requests
    (-32601, "the method trace_block does not exist/is not available", None, Class::Unsupported),
    (-32004, "Method not supported", None, Class::Unsupported),
    (-32000, "the method trace_block does not exist/is not available", None, Class::Unsupported),
    (-32004, "x", None, Class::Unsupported),
    (-32601, "x", None, Class::Unsupported),
    (-32000, "method is disabled", None, Class::Unsupported),
    (-32602, "invalid argument 0: hex string without 0x prefix", None, Class::InvalidRequest),
    (-32000, "invalid block range params", None, Class::InvalidRequest),
    (-32000, "invalid argument 0", None, Class::InvalidRequest),
    (-32602, "x", None, Class::InvalidRequest),
    (-32600, "Invalid Request", None, Class::InvalidRequest),
    (-32700, "Parse error", None, Class::InvalidRequest),
    // the node's own trouble
    (-32000, "execution timeout", None, Class::Timeout),
    (-32000, "txpool is full", None, Class::PoolFull),
    (-32603, "Internal error", Some("\"mempool is full: number of txs 5000 (max: 5000)\""), Class::PoolFull),
    (-32011, "no backend is currently healthy to serve traffic", None, Class::Overloaded),
    (-32011, "x", None, Class::Overloaded),
    (-32603, "Internal error", None, Class::Internal),
    (-32000, "internal error: goroutine panicked", None, Class::Internal),
    (500, "Internal Server Error", None, Class::Internal),
    (-32603, "Internal error", Some("{\"a\":1}"), Class::Internal),
    // the default
    (-32000, "flux capacitor", None, Class::Unknown),
    (12345, "", None, Class::Unknown),
];

#[test]
fn messages_are_sorted() {
    for (code, message, data, expected) in SENT {
        assert_eq!(
            object(*code, message, *data).class(),
            *expected,
            "{code} {message:?} {data:?}"
        );
    }
}

#[test]
fn every_row_of_the_table_is_reached_by_a_fixture() {
    for (index, rule) in RULES.iter().enumerate() {
        let reached = SENT
            .iter()
            .any(|(code, message, data, _)| object(*code, message, *data).row() == Some(index));
        assert!(reached, "no fixture for {rule:?}");
        for word in rule.words {
            assert_eq!(*word, word.to_lowercase(), "words are compared in lower case");
        }
    }
}

/// error_type, retry elsewhere, retry here, maybe executed, throttle in seconds, breaker, keep the connection.
type Row = (ErrorType, bool, bool, bool, Option<u64>, bool, bool);

fn row(verdict: &Verdict) -> Row {
    (
        verdict.error_type,
        verdict.retry_elsewhere,
        verdict.retry_here,
        verdict.maybe_executed,
        verdict.throttle.map(|pause| pause.as_secs()),
        verdict.counts_for_breaker,
        verdict.keep_connection,
    )
}

#[rustfmt::skip]
const CLASSES: [(Class, Row); 21] = [
    (Class::Reverted,               (ErrorType::Reverted, false, false, true, None, false, true)),
    (Class::AlreadyKnown,           (ErrorType::TxRejected, false, false, true, None, false, true)),
    (Class::NonceTooLow,            (ErrorType::TxRejected, false, false, true, None, false, true)),
    (Class::ReplacementUnderpriced, (ErrorType::TxRejected, false, false, true, None, false, true)),
    (Class::Underpriced,            (ErrorType::TxRejected, false, false, true, None, false, true)),
    (Class::InsufficientFunds,      (ErrorType::TxRejected, false, false, true, None, false, true)),
    (Class::TxInvalid,              (ErrorType::TxRejected, false, false, true, None, false, true)),
    (Class::RangeTooLarge,          (ErrorType::InvalidRequest, true, false, true, None, false, true)),
    (Class::QuotaSpent,             (ErrorType::RateLimited, true, false, false, Some(300), false, true)),
    (Class::RateLimited,            (ErrorType::RateLimited, true, false, false, Some(1), false, true)),
    (Class::Unauthorized,           (ErrorType::Unauthorized, true, false, false, None, true, true)),
    (Class::Syncing,                (ErrorType::Unavailable, true, false, true, None, false, true)),
    (Class::Pruned,                 (ErrorType::Unavailable, true, false, true, None, false, true)),
    (Class::UnknownBlock,           (ErrorType::Unavailable, true, true, true, None, false, true)),
    (Class::Unsupported,            (ErrorType::Unsupported, true, false, false, None, false, true)),
    (Class::InvalidRequest,         (ErrorType::InvalidRequest, false, false, true, None, false, true)),
    (Class::Timeout,                (ErrorType::Timeout, true, false, true, None, true, true)),
    (Class::PoolFull,               (ErrorType::NodeInternal, true, false, false, None, false, true)),
    (Class::Overloaded,             (ErrorType::NodeInternal, true, false, true, None, true, true)),
    (Class::Internal,               (ErrorType::NodeInternal, true, true, true, None, true, true)),
    (Class::Unknown,                (ErrorType::NodeInternal, true, false, true, None, false, true)),
];

#[test]
fn each_class_has_its_verdict() {
    for (class, expected) in CLASSES {
        assert_eq!(row(&class.verdict(None)), expected, "{class:?}");
        let verdict = class.verdict(None);
        if verdict.fault() == Fault::Caller {
            assert!(
                !verdict.counts_for_breaker && verdict.throttle.is_none(),
                "{class:?} is the caller's"
            );
        }
    }
    let pause = Some(Duration::from_secs(7));
    assert_eq!(Class::RateLimited.verdict(pause).throttle, pause);
    assert_eq!(Class::QuotaSpent.verdict(pause).throttle, pause);
    assert_eq!(Class::Reverted.verdict(pause).throttle, None);
}

fn connect(phase: ConnectPhase) -> RpcError {
    RpcError::Connect {
        phase,
        source: io::ErrorKind::ConnectionRefused.into(),
    }
}

fn broke(progress: Progress, reused: bool) -> RpcError {
    RpcError::Transport {
        progress,
        reused,
        source: None,
    }
}

fn timeout(phase: Phase) -> RpcError {
    RpcError::Timeout {
        phase,
        after: Duration::from_secs(1),
    }
}

fn status(status: u16, retry_after: Option<u64>) -> RpcError {
    RpcError::HttpStatus {
        status,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

fn rpc(status: u16, code: i64, message: &str, retry_after: Option<u64>) -> RpcError {
    let retry_after = retry_after.map(Duration::from_secs);
    RpcError::Rpc(Box::new(RpcFailure {
        object: object(code, message, None),
        status,
        retry_after,
    }))
}

#[test]
#[rustfmt::skip]
fn each_error_has_its_verdict() {
    use ErrorType as T;
    for (error, expected) in [
        (connect(ConnectPhase::Dns),                 (T::Connect, true, true, false, None, true, false)),
        (connect(ConnectPhase::Tcp),                 (T::Connect, true, true, false, None, true, false)),
        (connect(ConnectPhase::Tls),                 (T::Connect, true, false, false, None, true, false)),
        (timeout(Phase::Connect(ConnectPhase::Tls)), (T::Connect, true, false, false, None, true, false)),
        (timeout(Phase::Response),                   (T::Timeout, true, false, true, None, true, false)),
        (broke(Progress::Unsent, false),             (T::Transport, true, true, false, None, true, false)),
        (broke(Progress::Unsent, true),              (T::Transport, true, true, false, None, false, false)),
        (broke(Progress::Sent, false),               (T::Transport, true, true, true, None, true, false)),
        (broke(Progress::Sent, true),                (T::Transport, true, true, true, None, false, false)),
        (broke(Progress::Answering, true),           (T::Transport, true, true, true, None, true, false)),
        (status(401, None),                          (T::Unauthorized, true, false, false, None, true, true)),
        (status(402, None),                          (T::Unauthorized, true, false, false, None, true, true)),
        (status(403, None),                          (T::Unauthorized, true, false, false, None, true, true)),
        (status(404, None),                          (T::HttpStatus, true, false, true, None, true, true)),
        (status(408, None),                          (T::Timeout, true, false, true, None, true, false)),
        (status(413, None),                          (T::InvalidRequest, true, false, true, None, false, true)),
        (status(429, None),                          (T::RateLimited, true, false, false, Some(1), false, true)),
        (status(429, Some(30)),                      (T::RateLimited, true, false, false, Some(30), false, true)),
        (status(500, None),                          (T::HttpStatus, true, false, true, None, true, true)),
        (status(503, Some(9)),                       (T::HttpStatus, true, false, true, Some(9), true, true)),
        (status(301, None),                          (T::HttpStatus, true, false, true, None, true, true)),
        (RpcError::TooLarge { limit: 1 },            (T::Local, false, false, true, None, false, false)),
        (RpcError::Malformed(Malformed::UnknownId),  (T::Malformed, true, false, true, None, true, false)),
        // the payload counts, not the status line
        (rpc(500, 3, "execution reverted", None),    (T::Reverted, false, false, true, None, false, true)),
        (rpc(400, -32602, "invalid params", None),   (T::InvalidRequest, false, false, true, None, false, true)),
        (rpc(200, -32005, "limit exceeded", None),   (T::RateLimited, true, false, false, Some(1), false, true)),
        (rpc(200, -32005, "limit exceeded", Some(5)),(T::RateLimited, true, false, false, Some(5), false, true)),
        // but where the payload says nothing, the status does
        (rpc(413, 413, "Payload Too Large", None),   (T::InvalidRequest, true, false, true, None, false, true)),
        (rpc(429, -32000, "no", Some(8)),            (T::RateLimited, true, false, false, Some(8), false, true)),
        (rpc(403, -32603, "no", None),               (T::Unauthorized, true, false, false, None, true, true)),
        (rpc(500, -32000, "no", None),               (T::NodeInternal, true, false, true, None, false, true)),
    ] {
        assert_eq!(row(&classify(&error)), expected, "{error:?}");
    }
}

#[test]
fn a_pause_in_the_error_data_counts() {
    let hint = Some(r#"{"rate":{"backoff_seconds":30}}"#);
    let failure = RpcFailure {
        object: object(-32005, "request rate exceeded", hint),
        status: 429,
        retry_after: None,
    };
    assert_eq!(
        classify(&RpcError::Rpc(Box::new(failure))).throttle,
        Some(Duration::from_secs(30))
    );
    assert!(DEFAULT_THROTTLE < MAX_RETRY_AFTER);
}

#[test]
fn duplicates_are_told_from_other_refusals() {
    assert!(is_duplicate_tx(&object(-32000, "already known", None)));
    assert!(is_duplicate_tx(&object(
        -32603,
        "Internal error",
        Some("\"tx already exists in cache\"")
    )));
    assert!(!is_duplicate_tx(&object(-32000, "nonce too low", None)));
    assert!(!is_duplicate_tx(&object(-32000, "unknown transaction", None)));
}
