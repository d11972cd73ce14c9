//! The ten frozen alerts.

use pool_metrics::catalogue;

use super::{Definition, Subject, Threshold};
use crate::{duration::PromDuration, spec::AlertName};

pub(super) const fn definition(
    name: AlertName,
    severity: &'static str,
    subject: Subject,
    for_seconds: u64,
    condition: &'static str,
    summary: &'static str,
    description: &'static str,
) -> Definition {
    Definition {
        name,
        severity,
        subject,
        for_: PromDuration::from_secs(for_seconds),
        window: None,
        windows: None,
        averages: false,
        remembers: false,
        threshold: None,
        min_rate: None,
        min_count: None,
        condition,
        summary,
        description,
        value: "",
    }
}

pub(super) const fn window(seconds: u64) -> Option<PromDuration> {
    Some(PromDuration::from_secs(seconds))
}

pub(super) const fn threshold(default: f64, above: f64, below: f64, unit: &'static str) -> Option<Threshold> {
    Some(Threshold {
        default,
        above,
        below,
        unit,
    })
}

/// What a pool takes as its limit of waiting callers at most.
const MOST_WAITERS: f64 = 10_000_000.0;
const BUCKETS: &[f64] = catalogue::REQUEST_DURATION_MS.buckets;

/// The ten whose names, severities and meanings are frozen, the critical ones first.
///
/// `{threshold}`, `{window}`, `{for}` in a description stand for the value in force; what is in double braces is
/// Prometheus' template language.
pub(crate) static FROZEN: [Definition; 10] = [
    Definition {
        value: "0 of {{ $value | humanize }} slots free",
        ..definition(
            AlertName::ConnectionPoolExhausted,
            "critical",
            Subject::Pool,
            60,
            "some slots are usable and none of them is free",
            "Connection pool {{ $labels.pool }} has no slot left to give.",
            "All {{ $value | humanize }} usable slots of pool {{ $labels.pool }} on {{ $labels.instance }} have been taken for \
             {for}; callers queue.",
        )
    },
    Definition {
        window: window(300),
        remembers: true,
        ..definition(
            AlertName::CircuitBreakerOpen,
            "critical",
            Subject::Endpoint,
            0,
            "the breaker is open, or was within {window}",
            "The circuit breaker of {{ $labels.endpoint }} in pool {{ $labels.pool }} is open.",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} was cut off after repeated \
             failures, now or within the last {window}. The alert ends {window} after the breaker last closed.",
        )
    },
    definition(
        AlertName::NoHealthyEndpoints,
        "critical",
        Subject::Pool,
        60,
        "every endpoint of the pool is unhealthy",
        "Pool {{ $labels.pool }} has no healthy endpoint.",
        "Every endpoint of pool {{ $labels.pool }} on {{ $labels.instance }} has been unhealthy for {for}: nothing on this \
         chain can be read or sent.",
    ),
    Definition {
        window: window(300),
        remembers: true,
        value: "{{ $value | humanize }} timed out",
        ..definition(
            AlertName::ConnectionPoolQueueTimeouts,
            "critical",
            Subject::Pool,
            0,
            "a caller ran out of time in the queue within {window}",
            "Requests time out in the queue of pool {{ $labels.pool }}.",
            "About {{ $value | humanize }} callers of pool {{ $labels.pool }} on {{ $labels.instance }} ran out of time in the \
             queue within {window}.",
        )
    },
    Definition {
        window: window(120),
        averages: true,
        threshold: threshold(0.8, 0.0, 1.0, "share of the usable slots, above 0 and below 1"),
        value: "{{ $value | humanizePercentage }} in use",
        ..definition(
            AlertName::ConnectionPoolHighUtilization,
            "warning",
            Subject::Pool,
            300,
            "more than {threshold} of the usable slots are in use (mean over {window})",
            "Pool {{ $labels.pool }} is nearly full.",
            "{{ $value | humanizePercentage }} of the usable slots of pool {{ $labels.pool }} on {{ $labels.instance }} are in \
             use (mean over {window}, limit {threshold}).",
        )
    },
    definition(
        AlertName::EndpointUnhealthy,
        "warning",
        Subject::Endpoint,
        300,
        "the endpoint is unhealthy",
        "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} is unhealthy.",
        "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} has failed its health checks for \
         {for}.",
    ),
    Definition {
        window: window(300),
        averages: true,
        threshold: threshold(0.05, 0.0, 1.0, "share of the attempts, above 0 and below 1"),
        min_rate: Some(0.1),
        value: "{{ $value | humanizePercentage }} failed",
        ..definition(
            AlertName::ConnectionPoolHighErrorRate,
            "warning",
            Subject::Endpoint,
            0,
            "more than {threshold} of the attempts fail through the node over {window}, from {min_rate} attempts/s",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} fails too often.",
            "{{ $value | humanizePercentage }} of the attempts on endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} \
             on {{ $labels.instance }} failed through the node's fault within {window} (limit {threshold}).",
        )
    },
    Definition {
        window: window(300),
        averages: true,
        threshold: threshold(
            1000.0,
            BUCKETS[0],
            BUCKETS[BUCKETS.len() - 1],
            "milliseconds, between the first and the last bucket (1 and 120000, both excluded)",
        ),
        min_rate: Some(0.1),
        value: "p95 {{ $value | printf \"%.0f\" }} ms",
        ..definition(
            AlertName::ConnectionPoolHighLatency,
            "warning",
            Subject::Endpoint,
            0,
            "p95 is above {threshold} over {window}, from {min_rate} attempts/s",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} is slow.",
            "The slowest 5 % of the attempts on endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on \
             {{ $labels.instance }} took {{ $value | printf \"%.0f\" }} ms or more within {window} (limit {threshold}).",
        )
    },
    Definition {
        window: window(60),
        averages: true,
        threshold: threshold(
            10.0,
            -1.0,
            MOST_WAITERS,
            "waiting callers, 0 or more, and fewer than a pool can hold (10000000)",
        ),
        value: "{{ $value | humanize }} waiting",
        ..definition(
            AlertName::ConnectionPoolQueueGrowing,
            "warning",
            Subject::Pool,
            120,
            "more than {threshold} callers wait (mean over {window})",
            "Callers queue for pool {{ $labels.pool }}.",
            "{{ $value | humanize }} callers wait for a slot of pool {{ $labels.pool }} on {{ $labels.instance }} (mean over \
             {window}, limit {threshold}).",
        )
    },
    Definition {
        window: window(600),
        averages: true,
        threshold: threshold(120.0, 0.0, 1e9, "seconds of mean connection life, above 0"),
        min_count: Some(20.0),
        value: "{{ $value | humanizeDuration }} mean life",
        ..definition(
            AlertName::ConnectionPoolHighChurn,
            "warning",
            Subject::Endpoint,
            0,
            "connections live less than {threshold} on average over {window}, from {min_count} opened and closed",
            "Connections to {{ $labels.endpoint }} of pool {{ $labels.pool }} don't last.",
            "Connections to endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} lived \
             {{ $value | humanizeDuration }} on average over {window} (limit {threshold}).",
        )
    },
];
