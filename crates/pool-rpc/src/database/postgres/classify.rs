//! What tokio-postgres' errors mean.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{
    Error,
    error::{DbError, Severity},
};
use pool_core::{ErrorType, Verdict};

use super::sqlstate::{Told, verdict};
use crate::database::unknown_error;

/// For how long a server is left alone that has no connection left (53300). Short, because the connections that it has
/// given us work; long enough that new ones are not tried for at the speed at which it refuses them.
pub const CROWDED_PAUSE: Duration = Duration::from_millis(100);

/// Judges an error of tokio-postgres.
///
/// What the server says of a statement is the caller's fault unless its SQLSTATE is known to say otherwise, and never
/// counts for the breaker. Only what keeps the server as a whole from working does: a broken connection, a shutdown
/// (57P01, 57P02), a server that does not take requests yet or any more (57P03), an I/O error of its disks (58030), and a
/// refused login (class 28).
///
/// | SQLSTATE | verdict |
/// | --- | --- |
/// | 53300 too many connections | throttled for [`CROWDED_PAUSE`]; elsewhere |
/// | 57P01, 57P02, class 08 | [`ErrorType::Transport`]; here or elsewhere |
/// | 57P03 | [`ErrorType::Unavailable`], surely not executed; elsewhere |
/// | 25006 read-only | [`ErrorType::Unsupported`], surely not executed: a replica writes nothing; elsewhere |
/// | 40001 by recovery, 72000 | [`ErrorType::Unavailable`]: a replica's own trouble; elsewhere |
/// | 40001, 40P01, 55P03 | [`ErrorType::Reverted`]: callers in each other's way; again here |
/// | 57014 cancelled, statement time-out | [`ErrorType::Timeout`]; elsewhere |
/// | class 53, 58, F0, HV, XX | [`ErrorType::NodeInternal`]; elsewhere |
/// | class 28 | [`ErrorType::Unauthorized`] |
/// | class 23 | [`ErrorType::TxRejected`] |
/// | class P0 (RAISE) | [`ErrorType::Reverted`] |
/// | cached plan must not change result type | [`ErrorType::Local`]: our prepared statement is stale; again on another connection |
/// | any other | [`ErrorType::InvalidRequest`] |
///
/// "Here" and "elsewhere" are for idempotent requests: an operation may consist of several statements, of which the first
/// were committed before one failed. If every operation is one transaction, wrap this function and set
/// [`with_maybe_executed(false)`](Verdict::with_maybe_executed) for `Reverted`.
pub fn classify(error: &Error) -> Verdict {
    match error.as_db_error() {
        Some(error) => verdict(&told(error)),
        None => by_the_driver(error),
    }
}

fn told(error: &DbError) -> Told<'_> {
    Told {
        code: error.code().code(),
        fatal: matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        file: error.file().unwrap_or_default(),
        routine: error.routine().unwrap_or_default(),
    }
}

/// The driver's own errors. It keeps their kinds to itself; its words for them are all there is.
fn by_the_driver(error: &Error) -> Verdict {
    const KINDS: [(&str, ErrorType); 13] = [
        ("error serializing parameter", ErrorType::InvalidRequest),
        ("error deserializing column", ErrorType::InvalidRequest),
        ("invalid column", ErrorType::InvalidRequest),
        ("expected ", ErrorType::InvalidRequest),
        ("query returned an unexpected number", ErrorType::InvalidRequest),
        ("error encoding message", ErrorType::InvalidRequest),
        ("invalid con", ErrorType::Local),
        ("error connecting", ErrorType::Connect),
        ("error performing TLS handshake", ErrorType::Connect),
        ("timeout waiting", ErrorType::Timeout),
        ("authentication error", ErrorType::Unauthorized),
        ("unexpected message", ErrorType::Malformed),
        ("error parsing response", ErrorType::Malformed),
    ];
    if error.is_closed() {
        return Verdict::of(ErrorType::Transport);
    }
    let text = error.to_string();
    if text.starts_with("error communicating") {
        return Verdict::of(ErrorType::Transport);
    }
    KINDS
        .into_iter()
        .find(|(words, _)| text.starts_with(words))
        .map_or_else(unknown_error, |(_, error_type)| Verdict::of(error_type))
}
