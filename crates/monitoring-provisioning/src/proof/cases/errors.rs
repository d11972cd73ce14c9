//! `ConnectionPoolHighErrorRate`: node faults above 5 % of the attempts over five minutes, from 0.1 attempts a second.

use super::Case;
use crate::spec::AlertName;

fn case(name: &'static str) -> Case {
    Case::new(AlertName::ConnectionPoolHighErrorRate, "warning", name)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = shares();
    all.extend(over_time());
    all.extend(several());
    all
}

fn shares() -> Vec<Case> {
    vec![
        case("one in ten fails through the node")
            .given("requests_total", "i/p/e", "0+10x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0+1x100")
            .says(
                "6m",
                "i/p/e",
                "Endpoint e of pool p fails too often.",
                "10% of the attempts on endpoint e of pool p on i failed through the node's fault within 5m (limit 5 %).",
            ),
        case("at the limit")
            .given("requests_total", "i/p/e", "0x10 600x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0x10 30x100")
            .silent("4m"),
        case("a little above the limit")
            .given("requests_total", "i/p/e", "0+1000x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0+50.2x100")
            .fires("6m", ["i/p/e"]),
        case("four percent, under two jobs no more")
            .given("requests_total", "i/p/e", "0+100x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0+4x100")
            .silent("6m"),
        case("classes add up")
            .given("requests_total", "i/p/e", "0+100x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0+3x100")
            .given("errors_total", "i/p/e/error_type=connect", "0+3x100")
            .fires("6m", ["i/p/e"]),
        case("the caller's faults and ours page nobody")
            .given("requests_total", "i/p/e", "0+10x100")
            .given("errors_total", "i/p/e/error_type=invalid_request", "0+2x100")
            .given("errors_total", "i/p/e/error_type=reverted", "0+2x100")
            .given("errors_total", "i/p/e/error_type=tx_rejected", "0+2x100")
            .given("errors_total", "i/p/e/error_type=deadline", "0+2x100")
            .given("errors_total", "i/p/e/error_type=local", "0+2x100")
            .silent("6m"),
    ]
}

fn over_time() -> Vec<Case> {
    vec![
        case("errors set in")
            .given("requests_total", "i/p/e", "1000+20x200")
            .given("errors_total", "i/p/e/error_type=timeout", "1000x60 1007+7x100")
            .silent("340s")
            .fires("345s", ["i/p/e"]),
        case("traffic dries up, errors stay")
            .given("requests_total", "i/p/e", "1000+20x60 2202+2x100")
            .given("errors_total", "i/p/e/error_type=timeout", "1000+0.5x200")
            .silent("455s")
            .fires("475s", ["i/p/e"]),
        case("a restart of the relayer")
            .given("requests_total", "i/p/e", "100000+10x30 0+10x100")
            .given("errors_total", "i/p/e/error_type=timeout", "10000+1x30 0+1x100")
            .fires("200s", ["i/p/e"]),
        case("at the floor of traffic, every attempt fails")
            .given("requests_total", "i/p/e", "0x10 30x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0x10 30x100")
            .fires("4m", ["i/p/e"]),
        case("a little above the floor")
            .given("requests_total", "i/p/e", "0x10 30.15x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0x10 30.15x100")
            .fires("4m", ["i/p/e"]),
        case("a little below the floor")
            .given("requests_total", "i/p/e", "0x10 29.85x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0x10 29.85x100")
            .silent("4m"),
        case("no traffic at all")
            .given("requests_total", "i/p/e", "0x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0x100")
            .silent("6m"),
        case("one failed scrape")
            .given("requests_total", "i/p/e", "0+10x30 stale 320+10x50")
            .given("errors_total", "i/p/e/error_type=timeout", "0+1x30 stale 32+1x50")
            .fires("6m", ["i/p/e"]),
    ]
}

fn several() -> Vec<Case> {
    // An endpoint for each class of node fault, named after it.
    let classes = [
        "i/p/connect/error_type=connect",
        "i/p/timeout/error_type=timeout",
        "i/p/transport/error_type=transport",
        "i/p/http_status/error_type=http_status",
        "i/p/malformed/error_type=malformed",
        "i/p/rate_limited/error_type=rate_limited",
        "i/p/unauthorized/error_type=unauthorized",
        "i/p/unavailable/error_type=unavailable",
        "i/p/unsupported/error_type=unsupported",
        "i/p/node_internal/error_type=node_internal",
    ];
    let endpoints = [
        "i/p/connect",
        "i/p/timeout",
        "i/p/transport",
        "i/p/http_status",
        "i/p/malformed",
        "i/p/rate_limited",
        "i/p/unauthorized",
        "i/p/unavailable",
        "i/p/unsupported",
        "i/p/node_internal",
    ];
    let every_class = classes.iter().zip(endpoints).fold(
        case("every class of node fault counts").fires("6m", endpoints),
        |case, (class, endpoint)| {
            case.given("errors_total", class, "0+1x100")
                .given("requests_total", endpoint, "0+10x100")
        },
    );
    vec![
        every_class,
        case("one endpoint among several")
            .given("requests_total", "i/p/e", "0+10x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0+1x100")
            .given("requests_total", "i/p/f", "0+10x100")
            .given("errors_total", "i/p/f/error_type=timeout", "0x100")
            .given("requests_total", "i/q/e", "0+10x100")
            .given("errors_total", "i/q/e/error_type=timeout", "0x100")
            .given("requests_total", "j/p/e", "0+10x100")
            .given("errors_total", "j/p/e/error_type=timeout", "0x100")
            .fires("6m", ["i/p/e"]),
        case("only one of two jobs was there for the errors")
            .given("requests_total", "i/p/e", "0+10x100")
            .given("errors_total", "i/p/e/error_type=timeout/job=a", "0+1x100")
            .given("errors_total", "i/p/e/error_type=timeout/job=b", "100x100")
            .fires("6m", ["i/p/e"]),
        case("only one of two jobs was there for the traffic")
            .given("requests_total", "i/p/e/job=a", "0+100x100")
            .given("requests_total", "i/p/e/job=b", "0+10x100")
            .given("errors_total", "i/p/e/error_type=timeout", "0+1x100")
            .silent("6m"),
    ]
}
