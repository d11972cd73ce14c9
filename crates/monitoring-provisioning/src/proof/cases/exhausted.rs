//! `ConnectionPoolExhausted`: some slots usable, none free, for a minute.

use super::Case;
use crate::spec::AlertName;

fn case(name: &'static str) -> Case {
    Case::new(AlertName::ConnectionPoolExhausted, "critical", name)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("no slot free for a minute")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p", "0x40")
            .silent("55s")
            .says(
                "60s",
                "i/p",
                "Connection pool p has no slot left to give.",
                "All 8 usable slots of pool p on i have been taken for 1m; callers queue.",
            ),
        case("a pool of one slot")
            .given("slots_usable", "i/p", "1x40")
            .given("slots_free", "i/p", "0x40")
            .fires("60s", ["i/p"]),
        case("an empty pool (0 of 0) is no exhausted one")
            .given("slots_usable", "i/p", "0x40")
            .given("slots_free", "i/p", "0x40")
            .silent("2m"),
        case("one slot is left")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p", "1x40")
            .silent("2m"),
        case("the last slot goes, and one comes back")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p", "1x5 0x12 1x20")
            .silent("85s")
            .fires("90s", ["i/p"])
            .silent("95s"),
        case("endpoints come back full, and go again")
            .given("slots_usable", "i/p", "0x5 8x12 0x20")
            .given("slots_free", "i/p", "0x40")
            .silent("85s")
            .fires("90s", ["i/p"])
            .silent("95s"),
        case("half of the endpoints down and the rest full")
            .given("slots_max", "i/p/e", "8x40")
            .given("slots_max", "i/p/f", "8x40")
            .given("health_status", "i/p/e", "1x40")
            .given("health_status", "i/p/f", "0x40")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p", "0x40")
            .fires("60s", ["i/p"]),
        case("all sockets busy, but streams left")
            .given("connections_active", "i/p/e", "1x40")
            .given("connections_total", "i/p/e", "1x40")
            .given("slots_usable", "i/p", "100x40")
            .given("slots_free", "i/p", "99x40")
            .silent("2m"),
        case("one failed scrape doesn't restart the minute")
            .given("slots_usable", "i/p", "8x6 stale 8x20")
            .given("slots_free", "i/p", "0x6 stale 0x20")
            .silent("55s")
            .fires("60s", ["i/p"]),
        case("what is usable is known for 20 s")
            .given("slots_usable", "i/p", "8x12 _x20")
            .given("slots_free", "i/p", "0x40")
            .fires("75s", ["i/p"])
            .silent("85s"),
        case("what is free is known for 20 s")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p", "0x12 _x20")
            .fires("75s", ["i/p"])
            .silent("85s"),
        case("one pool of one relayer among several")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p", "0x40")
            .given("slots_usable", "i/q", "8x40")
            .given("slots_free", "i/q", "8x40")
            .given("slots_usable", "j/p", "8x40")
            .given("slots_free", "j/p", "8x40")
            .fires("2m", ["i/p"]),
        case("one of two jobs scraped before the endpoints were up")
            .given("slots_usable", "i/p/job=a", "8x40")
            .given("slots_usable", "i/p/job=b", "0x40")
            .given("slots_free", "i/p/job=a", "0x40")
            .given("slots_free", "i/p/job=b", "0x40")
            .fires("60s", ["i/p"]),
        case("one of two jobs still saw a free slot")
            .given("slots_usable", "i/p", "8x40")
            .given("slots_free", "i/p/job=a", "0x40")
            .given("slots_free", "i/p/job=b", "1x40")
            .silent("2m"),
    ]
}
