//! What is scraped at all: `RelayerDown`, `PoolMetricsMissing`, `NoRelayerScraped`, `ScrapeTargetDown`; and the dead man's switch.

use super::Case;
use crate::spec::AlertName;

const OWN: &str = "i/job=fusion-relayer";
const POOLS: &str = "i/job=connection-pools";
const NODE: &str = "n/job=node";

pub(super) fn cases() -> Vec<Case> {
    [
        down(),
        metrics_missing(),
        none_scraped(),
        target_down(),
        heartbeat(),
    ]
    .concat()
}

fn down() -> Vec<Case> {
    let case = |name| Case::new(AlertName::RelayerDown, "critical", name);
    vec![
        case("both jobs fail for a minute")
            .given("up", OWN, "0x40")
            .given("up", POOLS, "0x40")
            .given("up", "j/job=fusion-relayer", "1x40")
            .given("up", "j/job=connection-pools", "1x40")
            .silent("55s")
            .says(
                "60s",
                "i",
                "Relayer i is down.",
                "No scrape of i has succeeded for 1m: the process is gone or can't be reached, and what its pools do is not known.",
            ),
        case("one of the jobs succeeds")
            .given("up", OWN, "0x40")
            .given("up", POOLS, "1x40")
            .silent("2m"),
        case("only the one job, and it fails").given("up", OWN, "0x40").fires("60s", ["i"]),
        case("only the other job, and it fails").given("up", POOLS, "0x40").fires("60s", ["i"]),
        case("goes and comes back")
            .given("up", POOLS, "1x5 0x12 1x20")
            .silent("85s")
            .fires("90s", ["i"])
            .silent("95s"),
        case("one failed scrape").given("up", POOLS, "1x6 0 1x40").silent("2m"),
        case("is known for 20 s")
            .given("up", POOLS, "0x12 _x20")
            .fires("75s", ["i"])
            .silent("85s"),
        case("another target is down").given("up", NODE, "0x40").silent("2m"),
    ]
}

fn metrics_missing() -> Vec<Case> {
    let case = |name| Case::new(AlertName::PoolMetricsMissing, "critical", name);
    vec![
        case("one of two relayers shows no pool")
            .given("up", POOLS, "1x40")
            .given("up", "j/job=connection-pools", "1x40")
            .given("slots_usable", "j/p", "8x40")
            .silent("55s")
            .says(
                "60s",
                POOLS,
                "Relayer i exposes no connection pool.",
                "i is scraped, but has shown no pool's metrics for 1m: every other alert is blind to it.",
            ),
        case("shows its pools, without a usable slot")
            .given("up", POOLS, "1x40")
            .given("slots_usable", "i/p", "0x40")
            .silent("2m"),
        case("is down: that is another alert")
            .given("up", POOLS, "0x40")
            .silent("2m"),
        case("other targets show no pools")
            .given("up", OWN, "1x40")
            .given("up", NODE, "1x40")
            .silent("2m"),
        case("its pools vanish")
            .given("up", POOLS, "1x40")
            .given("slots_usable", "i/p", "8x5 _x40")
            .silent("100s")
            .fires("110s", [POOLS]),
        case("comes up without pools, and goes")
            .given("up", POOLS, "0x5 1x20 0x20")
            .silent("85s")
            .fires("90s", [POOLS])
            .fires("130s", [POOLS])
            .silent("135s"),
        case("is known for 20 s")
            .given("up", POOLS, "1x12 _x20")
            .fires("75s", [POOLS])
            .silent("85s"),
        case("one failed scrape")
            .given("up", POOLS, "1x6 0 1x40")
            .given("slots_usable", "i/p", "8x6 stale 8x40")
            .silent("2m"),
    ]
}

fn none_scraped() -> Vec<Case> {
    let case = |name| Case::new(AlertName::NoRelayerScraped, "critical", name);
    vec![
        case("only other targets")
            .given("up", NODE, "1x40")
            .silent("55s")
            .says(
                "60s",
                "job=connection-pools",
                "No relayer is scraped.",
                "Prometheus has had no relayer among its targets for 1m: every other alert is blind.",
            ),
        case("a relayer that is down is scraped all the same")
            .given("up", NODE, "1x40")
            .given("up", POOLS, "0x40")
            .silent("2m"),
        case("it is taken out of the targets")
            .given("up", POOLS, "1x5 _x40")
            .silent("100s")
            .fires("110s", ["job=connection-pools"]),
    ]
}

fn target_down() -> Vec<Case> {
    let case = |name| Case::new(AlertName::ScrapeTargetDown, "warning", name);
    vec![
        case("one target for five minutes")
            .given("up", NODE, "0x100")
            .given("up", "p/job=prometheus", "1x100")
            .silent("295s")
            .says(
                "5m",
                NODE,
                "node at n is down.",
                "No scrape of node at n has succeeded for 5m; a part of the monitoring is blind.",
            ),
        case("a relayer is another alert")
            .given("up", OWN, "0x100")
            .given("up", POOLS, "0x100")
            .silent("6m"),
        case("goes and comes back")
            .given("up", NODE, "1x5 0x60 1x20")
            .silent("325s")
            .fires("330s", [NODE])
            .silent("335s"),
        case("is known for 20 s")
            .given("up", NODE, "0x60 _x20")
            .fires("315s", [NODE])
            .silent("325s"),
    ]
}

fn heartbeat() -> Vec<Case> {
    vec![
        Case::new(AlertName::DeadMansSwitch, "heartbeat", "always")
            .says(
                "0s",
                "",
                "The monitoring works.",
                "This alert always fires. Whoever receives it outside of this stack must raise the alarm when it stays away: then \
                 Prometheus, Alertmanager or the way to its receivers has failed.",
            )
            .fires("5m", [""]),
    ]
}
