//! `ConnectionPoolHighLatency`: p95 above one second over five minutes, from 0.1 attempts a second.

use super::Case;
use crate::spec::AlertName;

fn case(name: &'static str) -> Case {
    Case::new(AlertName::ConnectionPoolHighLatency, "warning", name)
}

const BUCKET: &str = "request_duration_ms_bucket";
const COUNT: &str = "request_duration_ms_count";

/// One endpoint with attempts up to 500 ms, 1 s, 2.5 s and in all.
struct Endpoint {
    le: [&'static str; 4],
    path: &'static str,
}

const E: Endpoint = Endpoint {
    le: ["i/p/e/le=500", "i/p/e/le=1000", "i/p/e/le=2500", "i/p/e/le=+Inf"],
    path: "i/p/e",
};
const F: Endpoint = Endpoint {
    le: ["i/p/f/le=500", "i/p/f/le=1000", "i/p/f/le=2500", "i/p/f/le=+Inf"],
    path: "i/p/f",
};
const OTHER_POOL: Endpoint = Endpoint {
    le: ["i/q/e/le=500", "i/q/e/le=1000", "i/q/e/le=2500", "i/q/e/le=+Inf"],
    path: "i/q/e",
};
const OTHER_RELAYER: Endpoint = Endpoint {
    le: ["j/p/e/le=500", "j/p/e/le=1000", "j/p/e/le=2500", "j/p/e/le=+Inf"],
    path: "j/p/e",
};

impl Case {
    /// So many up to one second, and so many in all, none of them above 2.5 s.
    fn served(self, endpoint: &Endpoint, within: &'static str, all: &'static str) -> Self {
        self.buckets(endpoint, within, all)
            .given(COUNT, endpoint.path, all)
    }

    fn buckets(self, endpoint: &Endpoint, within: &'static str, all: &'static str) -> Self {
        self.given(BUCKET, endpoint.le[0], "0x200")
            .given(BUCKET, endpoint.le[1], within)
            .given(BUCKET, endpoint.le[2], all)
            .given(BUCKET, endpoint.le[3], all)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = limits();
    all.extend(over_time());
    all.extend(several());
    all
}

fn limits() -> Vec<Case> {
    vec![
        case("one in ten is slower than a second")
            .served(&E, "0+9x100", "0+10x100")
            .says(
                "6m",
                "i/p/e",
                "Endpoint e of pool p is slow.",
                "The slowest 5 % of the attempts on endpoint e of pool p on i took 1750 ms or more within 5m (limit 1000 ms).",
            ),
        case("one in 50 is slower than a second").served(&E, "0+49x100", "0+50x100").silent("6m"),
        case("p95 is one second").served(&E, "0+95x100", "0+100x100").silent("6m"),
        case("p95 is a little above one second")
            .served(&E, "0+94.983x100", "0+100x100")
            .fires("6m", ["i/p/e"]),
        case("at the floor of traffic").served(&E, "0x200", "0x10 30x100").fires("4m", ["i/p/e"]),
        case("a little above the floor").served(&E, "0x200", "0x10 30.15x100").fires("4m", ["i/p/e"]),
        case("a little below the floor").served(&E, "0x200", "0x10 29.85x100").silent("4m"),
        case("far below the floor, under two jobs too").served(&E, "0x200", "0x10 18x100").silent("4m"),
        case("no traffic at all").served(&E, "0x100", "0x100").silent("6m"),
    ]
}

fn over_time() -> Vec<Case> {
    vec![
        // Of 590 or 600 attempts within the window, more than 5 % must be slow: 7 more every 5 s.
        case("a node becomes slow")
            .served(&E, "1000+10x120 2203+3x100", "1000+10x200")
            .silent("620s")
            .fires("625s", ["i/p/e"]),
        case("a slow node gets more to do")
            .buckets(&E, "1000x200", "1000+10x200")
            .given(COUNT, "i/p/e", "1000+0.05x60 1008+5x100")
            .silent("325s")
            .fires("330s", ["i/p/e"]),
        case("a restart of the relayer")
            .served(&E, "100000+9x30 0+9x100", "100000+10x30 0+10x100")
            .fires("200s", ["i/p/e"]),
        case("one failed scrape")
            .served(&E, "0+9x30 stale 288+9x50", "0+10x30 stale 320+10x50")
            .fires("6m", ["i/p/e"]),
    ]
}

fn several() -> Vec<Case> {
    vec![
        case("one endpoint among several")
            .served(&E, "0+9x100", "0+10x100")
            .served(&F, "0+10x100", "0+10x100")
            .served(&OTHER_POOL, "0+10x100", "0+10x100")
            .served(&OTHER_RELAYER, "0+10x100", "0+10x100")
            .fires("6m", ["i/p/e"]),
        case("one endpoint with traffic among several that are slow")
            .served(&E, "0x100", "0+10x100")
            .served(&F, "0x100", "0+0.1x100")
            .served(&OTHER_POOL, "0x100", "0+0.1x100")
            .served(&OTHER_RELAYER, "0x100", "0+0.1x100")
            .fires("6m", ["i/p/e"]),
        case("one of two jobs saw the fast ones")
            .given(BUCKET, "i/p/e/le=1000/job=a", "0+8x100")
            .given(BUCKET, "i/p/e/le=1000/job=b", "0+10x100")
            .given(BUCKET, "i/p/e/le=2500", "0+10x100")
            .given(BUCKET, "i/p/e/le=+Inf", "0+10x100")
            .given(COUNT, "i/p/e", "0+10x100")
            .silent("6m"),
        case("one of two jobs saw little of the traffic")
            .buckets(&E, "0x100", "0+10x100")
            .given(COUNT, "i/p/e/job=a", "0+10x100")
            .given(COUNT, "i/p/e/job=b", "0+0.1x100")
            .fires("6m", ["i/p/e"]),
    ]
}
