//! What the server's error codes mean.

use pool_core::{ErrorType, Verdict};

use super::CROWDED_PAUSE;

/// What of a server's error decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// SQLSTATE.
    pub(super) code: &'a str,
    /// The server closes the connection after it.
    pub(super) fatal: bool,
    /// File and function of the server's source that raised it: unlike the message they are never translated.
    pub(super) file: &'a str,
    pub(super) routine: &'a str,
}

pub(super) fn verdict(told: &Told<'_>) -> Verdict {
    let verdict = of_code(told);
    let keep = verdict.keep_connection && !told.fatal;
    verdict.with_keep_connection(keep)
}

fn of_code(told: &Told<'_>) -> Verdict {
    match told.code {
        "53300" => Verdict::of(ErrorType::RateLimited)
            .with_throttle(Some(CROWDED_PAUSE))
            .with_keep_connection(false),
        "57P01" | "57P02" => Verdict::of(ErrorType::Transport),
        "57P03" => Verdict::of(ErrorType::Unavailable)
            .with_counts_for_breaker(true)
            .with_maybe_executed(false)
            .with_keep_connection(false),
        // the session was idle for too long: nothing ran
        "57P05" => Verdict::of(ErrorType::Transport)
            .with_counts_for_breaker(false)
            .with_maybe_executed(false),
        "57014" => Verdict::of(ErrorType::Timeout)
            .with_counts_for_breaker(false)
            .with_keep_connection(true),
        "25006" => Verdict::of(ErrorType::Unsupported)
            .with_retry_here(false)
            .with_maybe_executed(false),
        // the loop that reads requests raises it for a replica's conflict with what it replays
        "40001" if told.file == "postgres.c" => Verdict::of(ErrorType::Unavailable),
        "40001" | "40P01" | "55P03" => Verdict::of(ErrorType::Reverted).with_retry_here(true),
        // of a transaction that failed before: recycling would find it, too
        "25P02" | "26000" => Verdict::of(ErrorType::InvalidRequest).with_keep_connection(false),
        "0A000" if told.routine == "RevalidateCachedQuery" => Verdict::of(ErrorType::Local)
            .with_retry_here(true)
            .with_retry_elsewhere(true)
            .with_keep_connection(false),
        "58030" => Verdict::of(ErrorType::NodeInternal).with_retry_here(false),
        code => of_class(code.get(..2).unwrap_or_default()),
    }
}

fn of_class(class: &str) -> Verdict {
    match class {
        "08" => Verdict::of(ErrorType::Transport),
        "23" => Verdict::of(ErrorType::TxRejected),
        "28" => Verdict::of(ErrorType::Unauthorized).with_keep_connection(false),
        "57" | "72" => Verdict::of(ErrorType::Unavailable),
        "53" | "58" | "F0" | "HV" | "XX" => Verdict::of(ErrorType::NodeInternal)
            .with_retry_here(false)
            .with_counts_for_breaker(false),
        "P0" => Verdict::of(ErrorType::Reverted),
        _ => Verdict::of(ErrorType::InvalidRequest),
    }
}

#[cfg(test)]
mod tests {
    use pool_core::Fault;

    use super::*;

    fn of(code: &str) -> Verdict {
        let (fatal, file, routine) = (false, "", "");
        verdict(&Told {
            code,
            fatal,
            file,
            routine,
        })
    }

    #[test]
    fn what_is_said_of_a_statement_is_the_callers() {
        for code in [
            "22012", "22P02", "23505", "42601", "42P01", "42501", "40001", "40P01", "55P03", "P0001",
            "54001", "3D000", "0A000", "25P02", "26000", "ZZ999", "", "ü",
        ] {
            let verdict = of(code);
            assert_eq!(verdict.fault(), Fault::Caller, "{code}");
            assert!(
                !verdict.counts_for_breaker && verdict.throttle.is_none() && !verdict.retry_elsewhere,
                "{code}"
            );
        }
    }

    #[test]
    fn only_a_server_that_cannot_work_trips_the_breaker() {
        for (code, counts) in [
            ("08006", true),
            ("57P01", true),
            ("57P02", true),
            ("57P03", true),
            ("58030", true),
            ("28P01", true),
            ("53300", false),
            ("53100", false),
            ("53200", false),
            ("57014", false),
            ("57P05", false),
            ("25006", false),
            ("XX000", false),
            ("72000", false),
        ] {
            let verdict = of(code);
            assert_eq!(
                (verdict.fault(), verdict.counts_for_breaker),
                (Fault::Node, counts),
                "{code}"
            );
            assert!(verdict.retry_elsewhere, "{code}");
        }
    }

    #[test]
    fn what_surely_was_not_executed_is_tried_elsewhere_even_if_it_writes() {
        for code in ["53300", "57P03", "25006", "57P05", "28P01"] {
            assert!(!of(code).maybe_executed, "{code}");
        }
        // an operation may be several statements, and the first of them committed
        for code in ["40001", "40P01", "57P01", "57014", "42601"] {
            assert!(of(code).maybe_executed, "{code}");
        }
    }

    #[test]
    fn a_replicas_conflict_is_the_replicas() {
        let conflict = verdict(&Told {
            code: "40001",
            fatal: true,
            file: "postgres.c",
            routine: "ProcessInterrupts",
        });
        assert_eq!(conflict.error_type, ErrorType::Unavailable);
        assert!(conflict.retry_elsewhere && !conflict.keep_connection);
    }

    #[test]
    fn a_stale_statement_is_cured_by_another_connection() {
        let stale = verdict(&Told {
            code: "0A000",
            fatal: false,
            file: "plancache.c",
            routine: "RevalidateCachedQuery",
        });
        assert_eq!(stale.fault(), Fault::Local);
        assert!(stale.retry_here && !stale.keep_connection && !stale.counts_for_breaker);
    }
}
