//! `ConnectionLeak` and `RetryBudgetExhausted`.

use super::Case;
use crate::spec::AlertName;

pub(super) fn leaks() -> Vec<Case> {
    let case = |name| Case::new(AlertName::ConnectionLeak, "warning", name);
    vec![
        case("one is held for too long")
            .given("lease_leaks_total", "i/p", "0x10 1x200")
            .silent("50s")
            .says(
                "55s",
                "i/p",
                "Pool p loses connections.",
                "About 1 connections of pool p on i were not given back in time within 10m; the relayer's log names the places that \
                 took them.",
            )
            .fires("645s", ["i/p"])
            .silent("655s"),
        case("after a restart")
            .given("lease_leaks_total", "i/p", "7x5 0x2 2x20")
            .silent("40s")
            .fires("45s", ["i/p"]),
        case("none for long").given("lease_leaks_total", "i/p", "0 7x200").silent("11m"),
        case("one pool of one relayer among several")
            .given("lease_leaks_total", "i/p", "0x10 1x40")
            .given("lease_leaks_total", "i/q", "0x40")
            .given("lease_leaks_total", "j/p", "0x40")
            .fires("2m", ["i/p"]),
        case("only one of two jobs was there when it happened")
            .given("lease_leaks_total", "i/p/job=a", "0x5 1x20")
            .given("lease_leaks_total", "i/p/job=b", "_x8 1x20")
            .fires("1m", ["i/p"]),
    ]
}

pub(super) fn retries() -> Vec<Case> {
    let case = |name| Case::new(AlertName::RetryBudgetExhausted, "warning", name);
    let metric = "retry_budget_exhausted_total";
    vec![
        case("twenty are refused")
            .given(metric, "i/p", "0x10 20x100")
            .silent("50s")
            .says(
                "55s",
                "i/p",
                "The budget for retries and hedges of pool p is spent.",
                "About 20 retries and hedges of pool p on i were not sent within 5m, because too many others already were (limit \
                 10); callers see the errors of single nodes.",
            )
            .fires("345s", ["i/p"])
            .silent("355s"),
        case("ten are refused").given(metric, "i/p", "0x10 10x100").silent("55s").silent("2m"),
        case("a little more than ten").given(metric, "i/p", "0x10 10.5x100").fires("55s", ["i/p"]),
        case("eight, under two jobs no more").given(metric, "i/p", "0x10 8x100").silent("2m"),
        case("after a restart")
            .given(metric, "i/p", "70x5 0x2 20x20")
            .silent("40s")
            .fires("45s", ["i/p"]),
        case("one pool of one relayer among several")
            .given(metric, "i/p", "0x10 20x40")
            .given(metric, "i/q", "0x40")
            .given(metric, "j/p", "0x40")
            .fires("2m", ["i/p"]),
        case("only one of two jobs was there when it happened")
            .given(metric, "i/p/job=a", "0x5 20x20")
            .given(metric, "i/p/job=b", "_x8 20x20")
            .fires("1m", ["i/p"]),
    ]
}
