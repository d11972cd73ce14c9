//! `ConnectionPoolHighChurn`: mean life under two minutes over ten, with at least 20 opened and 20 closed.

use super::Case;
use crate::spec::AlertName;

fn case(name: &'static str) -> Case {
    Case::new(AlertName::ConnectionPoolHighChurn, "warning", name)
}

impl Case {
    fn connections(
        self,
        path: &'static str,
        open: &'static str,
        created: &'static str,
        destroyed: &'static str,
    ) -> Self {
        self.given("connections_total", path, open)
            .given("connections_created_total", path, created)
            .given("connections_destroyed_total", path, destroyed)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = lives();
    all.extend(over_time());
    all.extend(several());
    all
}

fn lives() -> Vec<Case> {
    vec![
        case("ten connections that live half a minute")
            .connections("i/p/e", "10x200", "0+2x200", "0+2x200")
            .says(
                "11m",
                "i/p/e",
                "Connections to e of pool p don't last.",
                "Connections to endpoint e of pool p on i lived 25s on average over 10m (limit 2m).",
            ),
        case("warm-up: many opened, none closed")
            .connections("i/p/e", "0+5x20 100x180", "0+5x20 100x180", "0x200")
            .silent("11m"),
        case("one shrink: many closed, none opened")
            .connections("i/p/e", "50x70 1x130", "50x200", "0x70 49x130")
            .silent("11m"),
        case("recycling 100 connections every half hour")
            .connections("i/p/e", "100x200", "100+0.28x200", "0+0.28x200")
            .silent("11m"),
        case("short lives, but few")
            .connections("i/p/e", "1x200", "0+0.1x200", "0+0.1x200")
            .silent("11m"),
        case("twenty opened and twenty closed")
            .connections("i/p/e", "1x200", "0x10 20x200", "0x10 20x200")
            .silent("50s")
            .fires("55s", ["i/p/e"])
            .fires("10m", ["i/p/e"]),
        case("only nineteen closed")
            .connections("i/p/e", "1x200", "0x10 20x200", "0x10 19x200")
            .silent("10m"),
        case("only nineteen opened")
            .connections("i/p/e", "1x200", "0x10 19x200", "0x10 20x200")
            .silent("10m"),
        case("a life of two minutes")
            .connections("i/p/e", "4x200", "0x10 20x200", "0x10 20x200")
            .silent("10m"),
        case("a life of a little less than two minutes")
            .connections("i/p/e", "3.98x200", "0x10 20x200", "0x10 20x200")
            .fires("10m", ["i/p/e"]),
    ]
}

fn over_time() -> Vec<Case> {
    vec![
        case("the mean number of connections counts, not the most")
            .connections("i/p/e", "10x60 2x140", "0x10 35x200", "0x10 35x200")
            .fires("10m", ["i/p/e"]),
        case("the mean number of connections counts, not the least")
            .connections("i/p/e", "10x60 2x140", "0x10 25x200", "0x10 25x200")
            .silent("10m"),
        case("connections of more than ten minutes ago don't count")
            .connections("i/p/e", "1000x10 1x200", "0x20 20x200", "0x20 20x200")
            .fires("690s", ["i/p/e"]),
        case("what was closed more than ten minutes ago doesn't count")
            .connections("i/p/e", "1x300", "0x10 20x300", "0x10 20x100 21x200")
            .fires("645s", ["i/p/e"])
            .silent("655s"),
        case("what was opened more than ten minutes ago doesn't count")
            .connections("i/p/e", "1x300", "0x10 20x300", "0+1x300")
            .fires("645s", ["i/p/e"])
            .silent("655s"),
        case("what was closed long ago, while others open")
            .connections("i/p/e", "1x300", "0+1x300", "0x10 20x300")
            .fires("645s", ["i/p/e"])
            .silent("655s"),
        case("a restart of the relayer")
            .connections("i/p/e", "10x200", "1000+2x60 0+2x140", "1000+2x60 0+2x140")
            .fires("11m", ["i/p/e"]),
    ]
}

fn several() -> Vec<Case> {
    vec![
        case("one endpoint among several")
            .connections("i/p/e", "10x200", "0+2x200", "0+2x200")
            .connections("i/p/f", "10x200", "10x200", "0x200")
            .connections("i/q/e", "10x200", "10x200", "0x200")
            .connections("j/p/e", "10x200", "10x200", "0x200")
            .fires("11m", ["i/p/e"]),
        case("one endpoint that opens among several that close")
            .connections("i/p/e", "10x200", "0+2x200", "0+2x200")
            .connections("i/p/f", "10x200", "10x200", "0+2x200")
            .connections("i/q/e", "10x200", "10x200", "0+2x200")
            .connections("j/p/e", "10x200", "10x200", "0+2x200")
            .fires("11m", ["i/p/e"]),
        case("twelve closed, under two jobs no more")
            .connections("i/p/e", "1x200", "0x10 30x200", "0x10 12x200")
            .silent("10m"),
        case("twelve opened, under two jobs no more")
            .connections("i/p/e", "1x200", "0x10 12x200", "0x10 30x200")
            .silent("10m"),
        case("only one of two jobs was there when they closed")
            .given("connections_total", "i/p/e", "1x200")
            .given("connections_created_total", "i/p/e", "0x10 20x200")
            .given("connections_destroyed_total", "i/p/e/job=a", "0x10 20x200")
            .given("connections_destroyed_total", "i/p/e/job=b", "_x20 20x200")
            .fires("10m", ["i/p/e"]),
        case("only one of two jobs was there when they opened")
            .given("connections_total", "i/p/e", "1x200")
            .given("connections_destroyed_total", "i/p/e", "0x10 20x200")
            .given("connections_created_total", "i/p/e/job=a", "0x10 20x200")
            .given("connections_created_total", "i/p/e/job=b", "_x20 20x200")
            .fires("10m", ["i/p/e"]),
        case("one of two jobs saw more connections")
            .given("connections_total", "i/p/e/job=a", "1x200")
            .given("connections_total", "i/p/e/job=b", "100x200")
            .given("connections_created_total", "i/p/e", "0x10 20x200")
            .given("connections_destroyed_total", "i/p/e", "0x10 20x200")
            .silent("10m"),
    ]
}
