//! What Redis' errors mean.

use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError};
use pool_core::{ErrorType, Verdict};

use crate::database::unknown_error;

/// For how long a server is left alone that says that it takes no more clients (often the driver sees only that it hangs up:
/// then it is [`ErrorType::Connect`]). Short, because the connections that it has given us
/// work; long enough that new ones are not tried for at the speed at which it refuses them.
pub const CROWDED_PAUSE: Duration = Duration::from_millis(100);

/// With these words redis-rs quotes a value that it could not convert.
const QUOTE: &str = " (value was ";

/// Judges an error of redis-rs. The server's code decides; of a pipeline or an aborted transaction that of the first
/// command that failed.
///
/// | code | verdict |
/// | --- | --- |
/// | LOADING, MASTERDOWN | [`ErrorType::Unavailable`], surely not executed, counts for the breaker: the server refuses whatever it is asked; elsewhere |
/// | BUSY, CLUSTERDOWN | the same, except that an operation of several commands may have been executed in part |
/// | READONLY | [`ErrorType::Unsupported`], surely not executed: a replica writes nothing; elsewhere |
/// | MOVED, ASK | [`ErrorType::Unsupported`]: the key lives on another node of a cluster; elsewhere |
/// | TRYAGAIN | [`ErrorType::Unavailable`]; here or elsewhere |
/// | OOM, MISCONF, NOREPLICAS | [`ErrorType::Unavailable`]: no writes now, but reads work; elsewhere |
/// | NOAUTH, WRONGPASS, DENIED | [`ErrorType::Unauthorized`], surely not executed |
/// | an answer that is not of the type asked for | [`ErrorType::InvalidRequest`] |
/// | any other (ERR, WRONGTYPE, NOSCRIPT, CROSSSLOT, NOPERM, EXECABORT) | [`ErrorType::InvalidRequest`] |
///
/// "Here" and "elsewhere" are for idempotent requests, where the command may have been executed.
pub fn classify(error: &RedisError) -> Verdict {
    let servers = error.clone().into_server_errors();
    if let Some((_, first)) = servers.as_ref().and_then(|errors| errors.first()) {
        return of_code(first.code(), first.details().unwrap_or_default());
    }
    of_kind(error)
}

fn of_code(code: &str, details: &str) -> Verdict {
    let refuses_all = Verdict::of(ErrorType::Unavailable).with_counts_for_breaker(true);
    match code {
        "LOADING" | "MASTERDOWN" => refuses_all.with_maybe_executed(false),
        "BUSY" | "CLUSTERDOWN" => refuses_all,
        "READONLY" => Verdict::of(ErrorType::Unsupported).with_maybe_executed(false),
        "MOVED" | "ASK" => Verdict::of(ErrorType::Unsupported),
        "TRYAGAIN" => Verdict::of(ErrorType::Unavailable),
        "OOM" | "MISCONF" | "NOREPLICAS" => Verdict::of(ErrorType::Unavailable).with_retry_here(false),
        "NOAUTH" | "WRONGPASS" | "DENIED" => Verdict::of(ErrorType::Unauthorized).with_keep_connection(false),
        "ERR" if details.starts_with("max number of clients") => Verdict::of(ErrorType::RateLimited)
            .with_throttle(Some(CROWDED_PAUSE))
            .with_keep_connection(false),
        // what the server's source marks as an error of the whole transaction
        "EXECABORT" => Verdict::of(ErrorType::InvalidRequest).with_maybe_executed(false),
        _ => Verdict::of(ErrorType::InvalidRequest),
    }
}

/// The driver's own errors.
fn of_kind(error: &RedisError) -> Verdict {
    let error_type = match error.kind() {
        ErrorKind::Io if error.is_timeout() => ErrorType::Timeout,
        ErrorKind::Io => ErrorType::Transport,
        ErrorKind::AuthenticationFailed => ErrorType::Unauthorized,
        // mostly an answer that is not of the type that was asked for; an answer that is no Redis at all has the same kind
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::Client => ErrorType::InvalidRequest,
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => ErrorType::Local,
        _ => return unknown_error(),
    };
    let converting = error.kind() != ErrorKind::Parse || error.to_string().contains(QUOTE);
    let keep = error_type == ErrorType::InvalidRequest && converting;
    Verdict::of(error_type).with_keep_connection(keep)
}

#[cfg(test)]
mod tests {
    use std::io;

    use deadpool_redis::redis::{Value, from_redis_value, make_extension_error, parse_redis_value};
    use pool_core::Fault;

    use super::*;

    fn of(code: &str) -> Verdict {
        classify(&make_extension_error(code.to_owned(), None))
    }

    #[test]
    fn commands_that_are_wrong_are_the_callers() {
        for code in [
            "ERR",
            "WRONGTYPE",
            "NOSCRIPT",
            "CROSSSLOT",
            "NOPERM",
            "EXECABORT",
            "NOPROTO",
            "WHATEVER",
        ] {
            let verdict = of(code);
            assert_eq!(verdict.fault(), Fault::Caller, "{code}");
            assert!(!verdict.counts_for_breaker && verdict.keep_connection, "{code}");
        }
    }

    #[test]
    fn a_servers_trouble_is_tried_elsewhere() {
        for (code, counts, maybe_executed) in [
            ("LOADING", true, false),
            ("MASTERDOWN", true, false),
            ("BUSY", true, true),
            ("CLUSTERDOWN", true, true),
            ("READONLY", false, false),
            ("MOVED", false, true),
            ("ASK", false, true),
            ("TRYAGAIN", false, true),
            ("OOM", false, true),
            ("MISCONF", false, true),
            ("NOAUTH", true, false),
            ("WRONGPASS", true, false),
        ] {
            let verdict = of(code);
            assert_eq!(verdict.fault(), Fault::Node, "{code}");
            assert_eq!(
                (
                    verdict.counts_for_breaker,
                    verdict.maybe_executed,
                    verdict.retry_elsewhere
                ),
                (counts, maybe_executed, true),
                "{code}"
            );
        }
    }

    #[test]
    fn a_full_house_is_left_alone_for_a_moment() {
        let full = make_extension_error("ERR".to_owned(), Some("max number of clients reached".to_owned()));
        let verdict = classify(&full);
        assert_eq!(verdict.error_type, ErrorType::RateLimited);
        assert_eq!(verdict.throttle, Some(CROWDED_PAUSE));
    }

    #[test]
    fn broken_connections_are_not_kept() {
        let of = |kind: io::ErrorKind| classify(&RedisError::from(io::Error::from(kind)));
        assert_eq!(of(io::ErrorKind::BrokenPipe).error_type, ErrorType::Transport);
        assert_eq!(of(io::ErrorKind::TimedOut).error_type, ErrorType::Timeout);
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut] {
            assert!(!of(kind).keep_connection && of(kind).counts_for_breaker);
        }
        // not of the type that was asked for, or no Redis at all: the driver gives both the same kind
        let garbage = classify(&parse_redis_value(b"HTTP/1.1 400").unwrap_err());
        assert!(!garbage.keep_connection && !garbage.counts_for_breaker);
        let wrong_type = from_redis_value::<u64>(Value::SimpleString("x".to_owned())).unwrap_err();
        let wrong_type = classify(&wrong_type.into());
        assert_eq!(
            (wrong_type.fault(), wrong_type.keep_connection),
            (Fault::Caller, true)
        );
    }
}
