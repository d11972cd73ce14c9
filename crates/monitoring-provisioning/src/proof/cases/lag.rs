//! `EndpointBlockLag`, `EndpointThrottled` and `ReconfigurationFailed`.

use super::Case;
use crate::spec::AlertName;

pub(super) fn block_lag() -> Vec<Case> {
    let case = |name| Case::new(AlertName::EndpointBlockLag, "warning", name);
    vec![
        case("twenty behind for a minute")
            .given("block_lag", "i/p/e", "20x40")
            .given("block_lag", "i/p/f", "0x40")
            .given("block_lag", "i/q/e", "0x40")
            .given("block_lag", "j/p/e", "0x40")
            .silent("55s")
            .says(
                "60s",
                "i/p/e",
                "Endpoint e of pool p is behind.",
                "Endpoint e of pool p on i is 20 blocks behind the others (least of 1m, limit 10): what it answers is of the past.",
            ),
        case("ten behind").given("block_lag", "i/p/e", "10x60").silent("4m"),
        case("a little more than ten behind").given("block_lag", "i/p/e", "10.5x60").fires("60s", ["i/p/e"]),
        case("falls behind, and catches up")
            .given("block_lag", "i/p/e", "0x19 20x40 0x20")
            .silent("210s")
            .fires("220s", ["i/p/e"])
            .fires("300s", ["i/p/e"])
            .silent("305s"),
        case("touches the head once a minute")
            .given("block_lag", "i/p/e", "20x9 0 20x9 0 20x9 0 20x9 0 20x9")
            .silent("4m"),
        case("one failed scrape doesn't restart the minute")
            .given("block_lag", "i/p/e", "20x6 stale 20x20")
            .silent("55s")
            .fires("60s", ["i/p/e"]),
        case("eight behind, under two jobs no more").given("block_lag", "i/p/e", "8x60").silent("4m"),
        case("one of two jobs has not yet seen it fall behind")
            .given("block_lag", "i/p/e/job=a", "20x60")
            .given("block_lag", "i/p/e/job=b", "0x60")
            .fires("2m", ["i/p/e"]),
    ]
}

pub(super) fn throttled() -> Vec<Case> {
    let case = |name| Case::new(AlertName::EndpointThrottled, "warning", name);
    vec![
        case("all the time for five minutes")
            .given("throttle_status", "i/p/e", "1x100")
            .given("throttle_status", "i/p/f", "0x100")
            .given("throttle_status", "i/q/e", "0x100")
            .given("throttle_status", "j/p/e", "0x100")
            .silent("295s")
            .says(
                "5m",
                "i/p/e",
                "Endpoint e of pool p is throttled.",
                "The provider of endpoint e of pool p on i has throttled it 100% of the time (mean over 5m, limit 50 %).",
            ),
        case("half of the time").given("throttle_status", "i/p/e", "0.5x200").silent("12m"),
        case("a little more than half of the time")
            .given("throttle_status", "i/p/e", "0.502x200")
            .fires("5m", ["i/p/e"]),
        // Of 60 or 61 samples within the window more than half must be throttled: the 31st.
        case("it sets in, and ends")
            .given("throttle_status", "i/p/e", "0x99 1x120 0x100")
            .silent("945s")
            .fires("950s", ["i/p/e"])
            .fires("1240s", ["i/p/e"])
            .silent("1260s"),
        case("one failed scrape doesn't restart the five minutes")
            .given("throttle_status", "i/p/e", "1x30 stale 1x60")
            .silent("295s")
            .fires("5m", ["i/p/e"]),
        case("two fifths of the time, under two jobs no more")
            .given("throttle_status", "i/p/e", "0.4x200")
            .silent("12m"),
        case("one of two jobs has not yet seen it")
            .given("throttle_status", "i/p/e/job=a", "1x100")
            .given("throttle_status", "i/p/e/job=b", "0x100")
            .fires("6m", ["i/p/e"]),
    ]
}

pub(super) fn reconfiguration() -> Vec<Case> {
    let case = |name| Case::new(AlertName::ReconfigurationFailed, "warning", name);
    let metric = "reconfigurations_total";
    vec![
        case("one was refused")
            .given(metric, "i/p/result=refused", "0x10 1x300")
            .silent("50s")
            .says(
                "55s",
                "i/p",
                "New settings of pool p were refused.",
                "Pool p on i refused new settings about 1 times within 15m and goes on with the old ones; the relayer's log says why.",
            )
            .fires("945s", ["i/p"])
            .silent("955s"),
        case("others were applied").given(metric, "i/p/result=applied", "0x10 5x100").silent("2m"),
        case("none for long").given(metric, "i/p/result=refused", "3x300").silent("16m"),
        case("after a restart")
            .given(metric, "i/p/result=refused", "7x5 0x2 1x20")
            .silent("40s")
            .fires("45s", ["i/p"]),
        case("one pool of one relayer among several")
            .given(metric, "i/p/result=refused", "0x10 1x40")
            .given(metric, "i/q/result=refused", "0x40")
            .given(metric, "j/p/result=refused", "0x40")
            .fires("2m", ["i/p"]),
        case("only one of two jobs was there when it happened")
            .given(metric, "i/p/result=refused/job=a", "0x5 1x20")
            .given(metric, "i/p/result=refused/job=b", "_x8 1x20")
            .fires("1m", ["i/p"]),
    ]
}
