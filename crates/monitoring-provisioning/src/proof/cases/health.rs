//! `NoHealthyEndpoints` and `EndpointUnhealthy`.

use super::Case;
use crate::spec::AlertName;

pub(super) fn none_healthy() -> Vec<Case> {
    let case = |name| Case::new(AlertName::NoHealthyEndpoints, "critical", name);
    vec![
        case("none is healthy for a minute")
            .given("health_status", "i/p/e", "1x40")
            .given("health_status", "i/p/f", "1x40")
            .silent("55s")
            .says(
                "60s",
                "i/p",
                "Pool p has no healthy endpoint.",
                "Every endpoint of pool p on i has been unhealthy for 1m: nothing on this chain can be read or sent.",
            ),
        case("one of two is healthy")
            .given("health_status", "i/p/e", "1x40")
            .given("health_status", "i/p/f", "0x40")
            .silent("2m"),
        case("both are healthy")
            .given("health_status", "i/p/e", "0x40")
            .given("health_status", "i/p/f", "0x40")
            .silent("2m"),
        case("the last one falls ill, and recovers")
            .given("health_status", "i/p/e", "0x5 1x12 0x20")
            .given("health_status", "i/p/f", "1x40")
            .silent("85s")
            .fires("90s", ["i/p"])
            .silent("95s"),
        case("one failed scrape doesn't restart the minute")
            .given("health_status", "i/p/e", "1x6 stale 1x20")
            .given("health_status", "i/p/f", "1x6 stale 1x20")
            .silent("55s")
            .fires("60s", ["i/p"]),
        case("a failed scrape of a well pool makes no alert")
            .given("health_status", "i/p/e", "1x6 stale 1x20")
            .given("health_status", "i/p/f", "0x6 stale 0x20")
            .silent("2m"),
        case("what was scraped is known for 20 s")
            .given("health_status", "i/p/e", "1x12 _x20")
            .fires("75s", ["i/p"])
            .silent("85s"),
        case("a well relayer doesn't hide a sick one, nor a well pool")
            .given("health_status", "i/p/e", "1x40")
            .given("health_status", "i/q/e", "0x40")
            .given("health_status", "j/p/e", "0x40")
            .fires("2m", ["i/p"]),
        case("one of two jobs has not yet seen the last one fall ill")
            .given("health_status", "i/p/e/job=a", "1x40")
            .given("health_status", "i/p/e/job=b", "0x40")
            .fires("2m", ["i/p"]),
        case("no endpoint at all").given("slots_usable", "i/p", "0x40").silent("2m"),
    ]
}

pub(super) fn unhealthy() -> Vec<Case> {
    let case = |name| Case::new(AlertName::EndpointUnhealthy, "warning", name);
    vec![
        case("for five minutes")
            .given("health_status", "i/p/e", "1x100")
            .given("health_status", "i/p/f", "0x100")
            .given("health_status", "i/q/e", "0x100")
            .given("health_status", "j/p/e", "0x100")
            .silent("295s")
            .says(
                "5m",
                "i/p/e",
                "Endpoint e of pool p is unhealthy.",
                "Endpoint e of pool p on i has failed its health checks for 5m.",
            ),
        case("falls ill, and recovers")
            .given("health_status", "i/p/e", "0x5 1x60 0x20")
            .silent("325s")
            .fires("330s", ["i/p/e"])
            .silent("335s"),
        case("a short fit")
            .given("health_status", "i/p/e", "0x10 1x20 0x80")
            .silent("5m10s"),
        case("one failed scrape doesn't restart the five minutes")
            .given("health_status", "i/p/e", "1x30 stale 1x60")
            .silent("295s")
            .fires("5m", ["i/p/e"]),
        case("what was scraped is known for 20 s")
            .given("health_status", "i/p/e", "1x60 _x20")
            .fires("315s", ["i/p/e"])
            .silent("325s"),
        case("one of two jobs has not yet seen it fall ill")
            .given("health_status", "i/p/e/job=a", "1x100")
            .given("health_status", "i/p/e/job=b", "0x100")
            .fires("6m", ["i/p/e"]),
    ]
}
