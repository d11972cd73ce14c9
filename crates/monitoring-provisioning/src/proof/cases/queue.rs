//! `ConnectionPoolQueueTimeouts` and `ConnectionPoolQueueGrowing`.

use super::Case;
use crate::spec::AlertName;

pub(super) fn timeouts() -> Vec<Case> {
    let case = |name| Case::new(AlertName::ConnectionPoolQueueTimeouts, "critical", name);
    vec![
        case("one timed out")
            .given("queue_timeouts_total", "i/p", "0x10 1x100")
            .silent("50s")
            .says(
                "55s",
                "i/p",
                "Requests time out in the queue of pool p.",
                "About 1 callers of pool p on i ran out of time in the queue within 5m.",
            )
            .fires("345s", ["i/p"])
            .silent("355s"),
        case("after a restart")
            .given("queue_timeouts_total", "i/p", "7x5 0x2 2x20")
            .silent("40s")
            .fires("45s", ["i/p"]),
        case("none for long")
            .given("queue_timeouts_total", "i/p", "0 7x100")
            .silent("6m"),
        case("one pool of one relayer among several")
            .given("queue_timeouts_total", "i/p", "0x10 1x100")
            .given("queue_timeouts_total", "i/q", "0x100")
            .given("queue_timeouts_total", "j/p", "0x100")
            .fires("2m", ["i/p"]),
        case("only one of two jobs was there when it happened")
            .given("queue_timeouts_total", "i/p/job=a", "0x5 1x20")
            .given("queue_timeouts_total", "i/p/job=b", "_x8 1x20")
            .fires("1m", ["i/p"]),
        case("one failed scrape")
            .given("queue_timeouts_total", "i/p", "0x10 stale 1x100")
            .fires("2m", ["i/p"]),
    ]
}

pub(super) fn growing() -> Vec<Case> {
    let case = |name| Case::new(AlertName::ConnectionPoolQueueGrowing, "warning", name);
    vec![
        case("twenty wait for two minutes")
            .given("queue_size", "i/p", "20x60")
            .given("queue_size", "i/q", "0x60")
            .given("queue_size", "j/p", "0x60")
            .silent("115s")
            .says(
                "2m",
                "i/p",
                "Callers queue for pool p.",
                "20 callers wait for a slot of pool p on i (mean over 1m, limit 10).",
            ),
        case("ten wait").given("queue_size", "i/p", "10x60").silent("4m"),
        case("a little more than ten wait")
            .given("queue_size", "i/p", "10.5x60")
            .fires("2m", ["i/p"]),
        case("the mean of a minute counts")
            .given("queue_size", "i/p", "0x19 30x100")
            .silent("235s")
            .fires("240s", ["i/p"]),
        case("a peak that the mean levels")
            .given("queue_size", "i/p", "0x20 60 0x60")
            .silent("4m"),
        case("one failed scrape doesn't restart the two minutes")
            .given("queue_size", "i/p", "20x12 stale 20x40")
            .silent("115s")
            .fires("2m", ["i/p"]),
        case("eight wait, under two jobs no more")
            .given("queue_size", "i/p", "8x60")
            .silent("4m"),
        case("one of two jobs scrapes in the lulls")
            .given("queue_size", "i/p/job=a", "20x60")
            .given("queue_size", "i/p/job=b", "0x60")
            .fires("2m", ["i/p"]),
    ]
}
