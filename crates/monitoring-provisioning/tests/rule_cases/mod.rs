//! When each alert fires and when it keeps silent. One sample every 5 s; names are without the common prefix, and without `job`:
//! each case is run once with one job and once with two.

/// One situation.
pub(crate) struct Case {
    pub(crate) alert: &'static str,
    pub(crate) name: &'static str,
    /// Series without prefix, and promtool's notation of its values.
    pub(crate) series: &'static [(&'static str, &'static str)],
    /// When to look.
    pub(crate) at: &'static str,
    /// Labels of the alerts that fire then.
    pub(crate) fires: &'static [&'static str],
}

const fn case(
    alert: &'static str,
    name: &'static str,
    series: &'static [(&'static str, &'static str)],
    at: &'static str,
    fires: &'static [&'static str],
) -> Case {
    Case {
        alert,
        name,
        series,
        at,
        fires,
    }
}

const CRITICAL_POOL: &[&str] = &[r#"instance="i", pool="p", severity="critical""#];
const CRITICAL_ENDPOINT: &[&str] = &[r#"instance="i", pool="p", endpoint="e", severity="critical""#];
const WARNING_POOL: &[&str] = &[r#"instance="i", pool="p", severity="warning""#];
const WARNING_ENDPOINT: &[&str] = &[r#"instance="i", pool="p", endpoint="e", severity="warning""#];

const EXHAUSTED: &str = "ConnectionPoolExhausted";
const BREAKER: &str = "CircuitBreakerOpen";
const NO_HEALTHY: &str = "NoHealthyEndpoints";
const TIMEOUTS: &str = "ConnectionPoolQueueTimeouts";
const UTILIZATION: &str = "ConnectionPoolHighUtilization";
const UNHEALTHY: &str = "EndpointUnhealthy";
const ERRORS: &str = "ConnectionPoolHighErrorRate";
const LATENCY: &str = "ConnectionPoolHighLatency";
const QUEUE: &str = "ConnectionPoolQueueGrowing";
const CHURN: &str = "ConnectionPoolHighChurn";

pub(crate) const CASES: &[Case] = &[
    case(
        EXHAUSTED,
        "no slot free for a minute",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "8x30"),
            (r#"slots_free{instance="i",pool="p"}"#, "0x30"),
        ],
        "70s",
        CRITICAL_POOL,
    ),
    case(
        EXHAUSTED,
        "not before the minute is over",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "8x30"),
            (r#"slots_free{instance="i",pool="p"}"#, "0x30"),
        ],
        "50s",
        &[],
    ),
    case(
        EXHAUSTED,
        "an empty pool (0 of 0) is no exhausted one",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "0x30"),
            (r#"slots_free{instance="i",pool="p"}"#, "0x30"),
        ],
        "2m",
        &[],
    ),
    case(
        EXHAUSTED,
        "all sockets busy but streams left",
        &[
            (
                r#"connections_active{instance="i",pool="p",endpoint="e"}"#,
                "1x30",
            ),
            (r#"connections_total{instance="i",pool="p",endpoint="e"}"#, "1x30"),
            (r#"slots_usable{instance="i",pool="p"}"#, "100x30"),
            (r#"slots_free{instance="i",pool="p"}"#, "99x30"),
        ],
        "2m",
        &[],
    ),
    case(
        EXHAUSTED,
        "one failed scrape doesn't restart the minute",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "8x6 stale 8x20"),
            (r#"slots_free{instance="i",pool="p"}"#, "0x6 stale 0x20"),
        ],
        "65s",
        CRITICAL_POOL,
    ),
    case(
        BREAKER,
        "open",
        &[(
            r#"circuit_breaker_status{instance="i",pool="p",endpoint="e"}"#,
            "0 1x10",
        )],
        "10s",
        CRITICAL_ENDPOINT,
    ),
    case(
        BREAKER,
        "flapping is one alert that stays",
        &[(
            r#"circuit_breaker_status{instance="i",pool="p",endpoint="e"}"#,
            "0 1 0x11 1 0x11 1 0x11 1 0x11",
        )],
        "3m",
        CRITICAL_ENDPOINT,
    ),
    case(
        BREAKER,
        "open only between two scrapes",
        &[
            (
                r#"circuit_breaker_status{instance="i",pool="p",endpoint="e"}"#,
                "0x60",
            ),
            (
                r#"circuit_breaker_opened_total{instance="i",pool="p",endpoint="e"}"#,
                "0x10 1x50",
            ),
        ],
        "2m",
        CRITICAL_ENDPOINT,
    ),
    case(
        BREAKER,
        "the frozen metric alone is enough",
        &[(
            r#"circuit_breaker_status{instance="i",pool="p",endpoint="e"}"#,
            "1x10",
        )],
        "20s",
        CRITICAL_ENDPOINT,
    ),
    case(
        BREAKER,
        "ends five minutes after it closed",
        &[
            (
                r#"circuit_breaker_status{instance="i",pool="p",endpoint="e"}"#,
                "1 0x100",
            ),
            (
                r#"circuit_breaker_opened_total{instance="i",pool="p",endpoint="e"}"#,
                "1x100",
            ),
        ],
        "5m30s",
        &[],
    ),
    case(
        NO_HEALTHY,
        "none is healthy",
        &[
            (r#"health_status{instance="i",pool="p",endpoint="e"}"#, "1x30"),
            (r#"health_status{instance="i",pool="p",endpoint="f"}"#, "1x30"),
        ],
        "70s",
        CRITICAL_POOL,
    ),
    case(
        NO_HEALTHY,
        "one of two is healthy",
        &[
            (r#"health_status{instance="i",pool="p",endpoint="e"}"#, "1x30"),
            (r#"health_status{instance="i",pool="p",endpoint="f"}"#, "0x30"),
        ],
        "2m",
        &[],
    ),
    case(
        NO_HEALTHY,
        "a well relayer doesn't hide a sick one",
        &[
            (r#"health_status{instance="i",pool="p",endpoint="e"}"#, "1x30"),
            (r#"health_status{instance="j",pool="p",endpoint="e"}"#, "0x30"),
        ],
        "70s",
        CRITICAL_POOL,
    ),
    case(
        NO_HEALTHY,
        "one failed scrape doesn't restart the minute",
        &[
            (
                r#"health_status{instance="i",pool="p",endpoint="e"}"#,
                "1x6 stale 1x20",
            ),
            (
                r#"health_status{instance="i",pool="p",endpoint="f"}"#,
                "1x6 stale 1x20",
            ),
        ],
        "65s",
        CRITICAL_POOL,
    ),
    case(
        NO_HEALTHY,
        "a failed scrape of all makes no alert",
        &[
            (
                r#"health_status{instance="i",pool="p",endpoint="e"}"#,
                "1x6 stale 1x20",
            ),
            (
                r#"health_status{instance="i",pool="p",endpoint="f"}"#,
                "0x6 stale 0x20",
            ),
        ],
        "2m",
        &[],
    ),
    case(
        TIMEOUTS,
        "one timed out",
        &[(r#"queue_timeouts_total{instance="i",pool="p"}"#, "0x5 1x20")],
        "1m",
        CRITICAL_POOL,
    ),
    case(
        TIMEOUTS,
        "survives a restart",
        &[(r#"queue_timeouts_total{instance="i",pool="p"}"#, "7x5 0x2 2x20")],
        "1m",
        CRITICAL_POOL,
    ),
    case(
        TIMEOUTS,
        "none for long",
        &[(r#"queue_timeouts_total{instance="i",pool="p"}"#, "0 7x100")],
        "6m",
        &[],
    ),
    case(
        UTILIZATION,
        "nine of ten taken",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "10x100"),
            (r#"slots_free{instance="i",pool="p"}"#, "1x100"),
        ],
        "5m10s",
        WARNING_POOL,
    ),
    case(
        UTILIZATION,
        "at the limit",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "10x100"),
            (r#"slots_free{instance="i",pool="p"}"#, "2x100"),
        ],
        "8m",
        &[],
    ),
    case(
        UTILIZATION,
        "no usable slot is not full",
        &[
            (r#"slots_usable{instance="i",pool="p"}"#, "0x100"),
            (r#"slots_free{instance="i",pool="p"}"#, "0x100"),
        ],
        "8m",
        &[],
    ),
    case(
        UNHEALTHY,
        "for five minutes",
        &[
            (r#"health_status{instance="i",pool="p",endpoint="e"}"#, "1x100"),
            (r#"health_status{instance="i",pool="p",endpoint="f"}"#, "0x100"),
        ],
        "5m10s",
        WARNING_ENDPOINT,
    ),
    case(
        UNHEALTHY,
        "a short fit",
        &[(
            r#"health_status{instance="i",pool="p",endpoint="e"}"#,
            "0x10 1x20 0x80",
        )],
        "5m10s",
        &[],
    ),
    case(
        UNHEALTHY,
        "one failed scrape doesn't restart the five minutes",
        &[(
            r#"health_status{instance="i",pool="p",endpoint="e"}"#,
            "1x30 stale 1x60",
        )],
        "5m10s",
        WARNING_ENDPOINT,
    ),
    case(
        ERRORS,
        "one in ten fails through the node",
        &[
            (
                r#"requests_total{instance="i",pool="p",endpoint="e"}"#,
                "0+10x100",
            ),
            (
                r#"errors_total{instance="i",pool="p",endpoint="e",error_type="timeout"}"#,
                "0+1x100",
            ),
        ],
        "6m",
        WARNING_ENDPOINT,
    ),
    case(
        ERRORS,
        "classes add up",
        &[
            (
                r#"requests_total{instance="i",pool="p",endpoint="e"}"#,
                "0+100x100",
            ),
            (
                r#"errors_total{instance="i",pool="p",endpoint="e",error_type="timeout"}"#,
                "0+3x100",
            ),
            (
                r#"errors_total{instance="i",pool="p",endpoint="e",error_type="connect"}"#,
                "0+3x100",
            ),
        ],
        "6m",
        WARNING_ENDPOINT,
    ),
    case(
        ERRORS,
        "every call reverts",
        &[
            (
                r#"requests_total{instance="i",pool="p",endpoint="e"}"#,
                "0+10x100",
            ),
            (
                r#"errors_total{instance="i",pool="p",endpoint="e",error_type="reverted"}"#,
                "0+10x100",
            ),
        ],
        "6m",
        &[],
    ),
    case(
        ERRORS,
        "below the floor of traffic",
        &[
            (
                r#"requests_total{instance="i",pool="p",endpoint="e"}"#,
                "0x30 1x70",
            ),
            (
                r#"errors_total{instance="i",pool="p",endpoint="e",error_type="timeout"}"#,
                "0x30 1x70",
            ),
        ],
        "4m",
        &[],
    ),
    case(
        ERRORS,
        "no traffic at all",
        &[
            (r#"requests_total{instance="i",pool="p",endpoint="e"}"#, "0x100"),
            (
                r#"errors_total{instance="i",pool="p",endpoint="e",error_type="timeout"}"#,
                "0x100",
            ),
        ],
        "6m",
        &[],
    ),
    case(
        LATENCY,
        "one in ten is slower than a second",
        &[
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="500"}"#,
                "0+9x100",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="1000"}"#,
                "0+9x100",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="2500"}"#,
                "0+10x100",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="+Inf"}"#,
                "0+10x100",
            ),
            (
                r#"request_duration_ms_count{instance="i",pool="p",endpoint="e"}"#,
                "0+10x100",
            ),
        ],
        "6m",
        WARNING_ENDPOINT,
    ),
    case(
        LATENCY,
        "one in 50 is slower than a second",
        &[
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="1000"}"#,
                "0+49x100",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="2500"}"#,
                "0+50x100",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="+Inf"}"#,
                "0+50x100",
            ),
            (
                r#"request_duration_ms_count{instance="i",pool="p",endpoint="e"}"#,
                "0+50x100",
            ),
        ],
        "6m",
        &[],
    ),
    case(
        LATENCY,
        "slow, but below the floor of traffic",
        &[
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="1000"}"#,
                "0x100",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="2500"}"#,
                "0x30 5x70",
            ),
            (
                r#"request_duration_ms_bucket{instance="i",pool="p",endpoint="e",le="+Inf"}"#,
                "0x30 5x70",
            ),
            (
                r#"request_duration_ms_count{instance="i",pool="p",endpoint="e"}"#,
                "0x30 5x70",
            ),
        ],
        "4m",
        &[],
    ),
    case(
        QUEUE,
        "twenty wait",
        &[(r#"queue_size{instance="i",pool="p"}"#, "20x60")],
        "130s",
        WARNING_POOL,
    ),
    case(
        QUEUE,
        "ten wait",
        &[(r#"queue_size{instance="i",pool="p"}"#, "10x60")],
        "4m",
        &[],
    ),
    case(
        QUEUE,
        "a peak that the mean levels",
        &[(r#"queue_size{instance="i",pool="p"}"#, "0x20 60 0x60")],
        "4m",
        &[],
    ),
    case(
        CHURN,
        "ten connections that live half a minute",
        &[
            (
                r#"connections_total{instance="i",pool="p",endpoint="e"}"#,
                "10x200",
            ),
            (
                r#"connections_created_total{instance="i",pool="p",endpoint="e"}"#,
                "0+2x200",
            ),
            (
                r#"connections_destroyed_total{instance="i",pool="p",endpoint="e"}"#,
                "0+2x200",
            ),
        ],
        "11m",
        WARNING_ENDPOINT,
    ),
    case(
        CHURN,
        "warm-up: many opened, none closed",
        &[
            (
                r#"connections_total{instance="i",pool="p",endpoint="e"}"#,
                "0+5x20 100x180",
            ),
            (
                r#"connections_created_total{instance="i",pool="p",endpoint="e"}"#,
                "0+5x20 100x180",
            ),
            (
                r#"connections_destroyed_total{instance="i",pool="p",endpoint="e"}"#,
                "0x200",
            ),
        ],
        "11m",
        &[],
    ),
    case(
        CHURN,
        "one shrink: many closed, none opened",
        &[
            (
                r#"connections_total{instance="i",pool="p",endpoint="e"}"#,
                "50x70 1x130",
            ),
            (
                r#"connections_created_total{instance="i",pool="p",endpoint="e"}"#,
                "50x200",
            ),
            (
                r#"connections_destroyed_total{instance="i",pool="p",endpoint="e"}"#,
                "0x70 49x130",
            ),
        ],
        "11m",
        &[],
    ),
    case(
        CHURN,
        "recycling 100 connections every half hour",
        &[
            (
                r#"connections_total{instance="i",pool="p",endpoint="e"}"#,
                "100x200",
            ),
            (
                r#"connections_created_total{instance="i",pool="p",endpoint="e"}"#,
                "100+0.28x200",
            ),
            (
                r#"connections_destroyed_total{instance="i",pool="p",endpoint="e"}"#,
                "0+0.28x200",
            ),
        ],
        "11m",
        &[],
    ),
    case(
        CHURN,
        "short lives, but few",
        &[
            (
                r#"connections_total{instance="i",pool="p",endpoint="e"}"#,
                "1x200",
            ),
            (
                r#"connections_created_total{instance="i",pool="p",endpoint="e"}"#,
                "0+0.1x200",
            ),
            (
                r#"connections_destroyed_total{instance="i",pool="p",endpoint="e"}"#,
                "0+0.1x200",
            ),
        ],
        "11m",
        &[],
    ),
];
