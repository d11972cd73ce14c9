use std::{io, time::Duration};

use pool_core::Fault;
use serde_json::value::RawValue;

use super::*;
use crate::{class::DEFAULT_THROTTLE, fixtures::SENT, malformed::Malformed, retry_after::MAX_RETRY_AFTER};

fn object(code: i64, message: &str, data: Option<&str>) -> ErrorObject {
    let data = data.map(|data| RawValue::from_string(data.to_owned()).unwrap());
    ErrorObject {
        code,
        message: message.to_owned(),
        data,
    }
}

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

/// A word that an earlier row swallows is dead, and its row says what is not so.
#[test]
fn no_word_is_hidden_by_an_earlier_row() {
    for rule in RULES {
        let code = rule.codes.first().copied().unwrap_or(-32000);
        for word in rule.words {
            let message = match word.strip_prefix('^') {
                Some(start) => format!("{start} 5"),
                None => format!("so {word} 5"),
            };
            assert_eq!(object(code, &message, None).class(), rule.class, "{word:?}");
        }
    }
}

#[test]
fn every_class_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Class::ALL.iter().map(|class| class.as_str()).collect();
    assert_eq!(names.len(), Class::ALL.len());
    assert!(CLASSES.iter().map(|(class, _)| *class).eq(Class::ALL));
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
fn only_a_method_that_is_missing_is_remembered() {
    for (code, message, lacks) in [
        (
            -32601,
            "the method trace_block does not exist/is not available",
            true,
        ),
        (-32004, "x", true),
        (-32000, "Unsupported method: eth_getLogs", true),
        (-32000, "block tag 'safe' is not supported", false),
        (-32000, "archive blocks are not available on the free tier", false),
        (-32000, "header not found", false),
    ] {
        let verdict = classify(&rpc(200, code, message, None));
        assert_eq!(verdict.lacks, lacks, "{code} {message}");
    }
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
