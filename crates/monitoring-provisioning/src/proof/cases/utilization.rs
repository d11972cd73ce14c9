//! `ConnectionPoolHighUtilization`: over 80 % of the usable slots, mean of two minutes, for five.

use super::Case;
use crate::spec::AlertName;

fn case(name: &'static str) -> Case {
    Case::new(AlertName::ConnectionPoolHighUtilization, "warning", name)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("nine of ten taken")
            .given("slots_usable", "i/p", "10x100")
            .given("slots_free", "i/p", "1x100")
            .given("slots_usable", "i/q", "10x100")
            .given("slots_free", "i/q", "9x100")
            .given("slots_usable", "j/p", "10x100")
            .given("slots_free", "j/p", "9x100")
            .silent("295s")
            .says(
                "5m",
                "i/p",
                "Pool p is nearly full.",
                "90% of the usable slots of pool p on i are in use (mean over 2m, limit 80 %).",
            ),
        case("at the limit")
            .given("slots_usable", "i/p", "10x100")
            .given("slots_free", "i/p", "2x100")
            .silent("8m"),
        case("half a percent above the limit")
            .given("slots_usable", "i/p", "1000x100")
            .given("slots_free", "i/p", "195x100")
            .fires("5m", ["i/p"]),
        case("a pool of one slot, in use")
            .given("slots_usable", "i/p", "1x100")
            .given("slots_free", "i/p", "0x100")
            .fires("5m", ["i/p"]),
        case("no usable slot is not full")
            .given("slots_usable", "i/p", "0x100")
            .given("slots_free", "i/p", "0x100")
            .silent("8m"),
        case("half of the endpoints down and the rest full")
            .given("slots_max", "i/p/e", "8x100")
            .given("slots_max", "i/p/f", "8x100")
            .given("slots_usable", "i/p", "8x100")
            .given("slots_free", "i/p", "0x100")
            .fires("5m", ["i/p"]),
        case("the mean of what is free counts")
            .given("slots_usable", "i/p", "10x200")
            .given("slots_free", "i/p", "5x19 0x200")
            .silent("465s")
            .fires("475s", ["i/p"]),
        case("the mean of what is usable counts")
            .given("slots_usable", "i/p", "100x19 200x200")
            .given("slots_free", "i/p", "30x200")
            .silent("455s")
            .fires("460s", ["i/p"]),
        case("one failed scrape doesn't restart the five minutes")
            .given("slots_usable", "i/p", "10x30 stale 10x70")
            .given("slots_free", "i/p", "1x30 stale 1x70")
            .silent("295s")
            .fires("5m", ["i/p"]),
        case("one of two jobs saw more of it free")
            .given("slots_usable", "i/p", "10x100")
            .given("slots_free", "i/p/job=a", "1x100")
            .given("slots_free", "i/p/job=b", "5x100")
            .silent("8m"),
        case("one of two jobs saw less of it usable")
            .given("slots_usable", "i/p/job=a", "20x100")
            .given("slots_usable", "i/p/job=b", "10x100")
            .given("slots_free", "i/p", "3x100")
            .fires("5m", ["i/p"]),
    ]
}
