//! `CircuitBreakerOpen`: open now or within five minutes, or opened in between.

use super::Case;
use crate::spec::AlertName;

fn case(name: &'static str) -> Case {
    Case::new(AlertName::CircuitBreakerOpen, "critical", name)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("open, by the frozen metric alone")
            .given("circuit_breaker_status", "i/p/e", "0 1x100")
            .silent("0s")
            .says(
                "5s",
                "i/p/e",
                "The circuit breaker of e in pool p is open.",
                "Endpoint e of pool p on i was cut off after repeated failures, now or within the last 5m. The alert ends 5m \
                 after the breaker last closed.",
            ),
        case("flapping is one alert that stays")
            .given("circuit_breaker_status", "i/p/e", "0 1 0x11 1 0x11 1 0x11 1 0x11")
            .fires("30s", ["i/p/e"])
            .fires("2m", ["i/p/e"])
            .fires("3m", ["i/p/e"]),
        case("ends five minutes after it closed")
            .given("circuit_breaker_status", "i/p/e", "1 0x100")
            .given("circuit_breaker_opened_total", "i/p/e", "1x100")
            .fires("295s", ["i/p/e"])
            .silent("305s"),
        case("open only between two scrapes")
            .given("circuit_breaker_status", "i/p/e", "0x100")
            .given("circuit_breaker_opened_total", "i/p/e", "0x10 1x100")
            .silent("50s")
            .fires("55s", ["i/p/e"])
            .fires("345s", ["i/p/e"])
            .silent("355s"),
        case("opened after a restart")
            .given("circuit_breaker_opened_total", "i/p/e", "7x5 0x2 1x20")
            .silent("25s")
            .fires("1m", ["i/p/e"]),
        case("closed throughout")
            .given("circuit_breaker_status", "i/p/e", "0x100")
            .given("circuit_breaker_opened_total", "i/p/e", "3x100")
            .silent("6m"),
        case("one endpoint among several")
            .given("circuit_breaker_status", "i/p/e", "1x20")
            .given("circuit_breaker_status", "i/p/f", "0x20")
            .given("circuit_breaker_status", "i/q/e", "0x20")
            .given("circuit_breaker_status", "j/p/e", "0x20")
            .fires("1m", ["i/p/e"]),
        case("opened at one endpoint among several")
            .given("circuit_breaker_opened_total", "i/p/e", "0x5 1x20")
            .given("circuit_breaker_opened_total", "i/p/f", "0x20")
            .given("circuit_breaker_opened_total", "i/q/e", "0x20")
            .given("circuit_breaker_opened_total", "j/p/e", "0x20")
            .fires("1m", ["i/p/e"]),
        case("only one of two jobs saw it open")
            .given("circuit_breaker_status", "i/p/e/job=a", "0 1x5 _x20")
            .given("circuit_breaker_status", "i/p/e/job=b", "0x20")
            .fires("1m", ["i/p/e"]),
        case("only one of two jobs was there when it opened")
            .given("circuit_breaker_opened_total", "i/p/e/job=a", "0x5 1x20")
            .given("circuit_breaker_opened_total", "i/p/e/job=b", "_x8 1x20")
            .fires("1m", ["i/p/e"]),
    ]
}
