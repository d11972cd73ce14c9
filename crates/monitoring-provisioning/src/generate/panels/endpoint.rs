//! One endpoint in depth: what its provider would be asked about.

use pool_metrics::catalogue::{self as metrics, Metric};

use super::{
    Draft, Section, Trouble, chain,
    colours::{BAD, GOOD, WATCH},
    errors, lifecycle, limit,
    looks::{BREAKER, HEALTH, flag_now, gauge, heatmap, stat, state_timeline, steps_from, timeseries},
    queries::{by_endpoint, over, quantile, rate, whole_pool},
    quota,
};
use crate::{
    alert::Subject,
    spec::{AlertName, Spec},
};

pub(crate) fn sections(spec: &Spec) -> Vec<Section> {
    let sections = vec![
        ("Now", now(spec)),
        ("State over time", states()),
        ("Latency", latency(spec)),
        ("Errors and circuit breaker", failures(spec)),
        ("Connections", connections(spec)),
        ("Health checks and chain", checks(spec)),
        ("Quota and throttling", quota::panels()),
    ];
    // every series is of this endpoint: a link to it would lead nowhere
    let here = |mut draft: Draft| {
        draft.leads = super::Leads::Nowhere;
        draft
    };
    sections
        .into_iter()
        .map(|(title, drafts)| (title, drafts.into_iter().map(here).collect()))
        .collect()
}

fn now(spec: &Spec) -> Vec<Draft> {
    flags().into_iter().chain(figures(spec)).collect()
}

fn flags() -> Vec<Draft> {
    vec![
        flag_now("Health", "Result of the active health checks.", HEALTH)
            .query(by_endpoint(&metrics::HEALTH_STATUS), "")
            .watched_by(&[AlertName::EndpointUnhealthy]),
        flag_now(
            "Circuit breaker",
            "Open or half-open: no ordinary request goes there.",
            BREAKER,
        )
        .query(by_endpoint(&metrics::CIRCUIT_BREAKER_STATUS), "")
        .watched_by(&[AlertName::CircuitBreakerOpen]),
        flag_now(
            "Throttle",
            "Whether the endpoint is left alone for its quota or its provider's sake.",
            quota::THROTTLED,
        )
        .query(by_endpoint(&metrics::THROTTLE_STATUS), "")
        .watched_by(&[AlertName::EndpointThrottled]),
        flag_now(
            "Outlier",
            "Whether it is left out because it is worse than the others of its pool.",
            [("takes part", GOOD), ("left out", WATCH)],
        )
        .query(by_endpoint(&metrics::EJECTION_STATUS), ""),
    ]
}

fn figures(spec: &Spec) -> Vec<Draft> {
    let slow = limit(spec, AlertName::ConnectionPoolHighLatency);
    let behind = limit(spec, AlertName::EndpointBlockLag);
    let taken = format!(
        "{} / ({} > 0)",
        by_endpoint(&metrics::SLOTS_ACTIVE),
        by_endpoint(&metrics::SLOTS_MAX)
    );
    vec![
        stat(
            "Effective weight",
            "Its weight in balancing; 0 when it may not be picked, less than was set while it \
starts slowly.",
            "none",
            &[],
        )
        .query(by_endpoint(&metrics::ENDPOINT_WEIGHT), "")
        .thresholds(steps_from(BAD, &[(0.000_001, GOOD)])),
        stat(
            "Attempts per second",
            "Attempts that ended, successful or not.",
            "reqps",
            &[],
        )
        .query(rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint), ""),
        stat(
            "Latency p95",
            "One attempt in 20 is slower. The last colour begins where ConnectionPoolHighLatency \
looks.",
            "ms",
            &[(slow / 2.0, WATCH), (slow, BAD)],
        )
        .query(
            quantile("0.95", &metrics::REQUEST_DURATION_MS, Subject::Endpoint),
            "",
        )
        .watched_by(&[AlertName::ConnectionPoolHighLatency])
        .size(6, 4),
        stat(
            "Blocks behind",
            "How far it was behind the others of its pool at its newest health check.",
            "none",
            &[(1.0, WATCH), (behind.max(2.0), BAD)],
        )
        .query(by_endpoint(&metrics::BLOCK_LAG), "")
        .watched_by(&[AlertName::EndpointBlockLag])
        .size(6, 4),
        gauge(
            "Slots taken",
            "Share of the endpoint's slots that are taken.",
            limit(spec, AlertName::ConnectionPoolHighUtilization),
        )
        .query(taken, "")
        .size(6, 4),
        stat(
            "Share of the pool's traffic",
            "How many of its pool's attempts go here.",
            "percentunit",
            &[],
        )
        .query(
            of_the_pool(&rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint)),
            "",
        )
        .size(6, 4),
    ]
}

fn of_the_pool(figure: &str) -> String {
    format!(
        "{figure} / on (instance, pool) group_left () (sum by (instance, pool) ({}) > 0)",
        whole_pool(figure)
    )
}

fn states() -> Vec<Draft> {
    let all = state_timeline(
        "What keeps it from being used",
        "Each line is a reason for which the endpoint may not be picked: failed checks, an \
open breaker, a spent quota or a pause that was asked for, a record worse than the \
others'.",
        [("well", GOOD), ("in the way", BAD)],
    );
    let all = [
        (&metrics::HEALTH_STATUS, "health"),
        (&metrics::CIRCUIT_BREAKER_STATUS, "breaker"),
        (&metrics::THROTTLE_STATUS, "throttle"),
        (&metrics::EJECTION_STATUS, "outlier"),
    ]
    .into_iter()
    .fold(all, |draft, (metric, word): (&Metric, &str)| {
        draft.query(by_endpoint(metric), word)
    });
    vec![
        all,
        timeseries(
            "Weight and slots",
            "What it may carry, and what it does: slots taken, how many requests it probably bears at \
once, slots at most, and its effective weight.",
            "none",
            &[],
        )
        .query(by_endpoint(&metrics::SLOTS_ACTIVE), "slots taken")
        .query(by_endpoint(&metrics::CONCURRENCY_LIMIT), "bears")
        .query(by_endpoint(&metrics::SLOTS_MAX), "slots, limit")
        .query(by_endpoint(&metrics::ENDPOINT_WEIGHT), "weight")
        .dashed("limit"),
    ]
}

fn latency(spec: &Spec) -> Vec<Draft> {
    let duration = &metrics::REQUEST_DURATION_MS;
    let quantiles = [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")];
    let slow = limit(spec, AlertName::ConnectionPoolHighLatency);
    let lines = timeseries(
        "Latency",
        "Half, 19 of 20, 99 of 100 attempts are faster. Failed and timed out ones count, \
queueing and connecting don't. The line is where ConnectionPoolHighLatency looks.",
        "ms",
        &[(slow, BAD)],
    )
    .watched_by(&[AlertName::ConnectionPoolHighLatency]);
    let beside = whole_pool(&quantile("0.95", duration, Subject::Endpoint));
    vec![
        heatmap(
            "Latency, all of it",
            "How many attempts per second took how long: two bands are two kinds of requests, or a \
cache.",
            "ms",
        )
        .query(
            format!(
                "sum by (le) ({})",
                over("rate", duration, "_bucket", "instance, pool, endpoint, le", "")
            ),
            "{{le}}",
        ),
        quantiles.into_iter().fold(lines, |draft, (share, word)| {
            draft.query(quantile(share, duration, Subject::Endpoint), word)
        }),
        timeseries(
            "Latency p95 beside the others",
            "The same for all endpoints of the pool: is it this provider, or the chain?",
            "ms",
            &[],
        )
        .query(beside, "{{endpoint}}"),
        timeseries(
            "Traffic beside the others",
            "Attempts per second of all endpoints of the pool.",
            "reqps",
            &[],
        )
        .query(
            whole_pool(&rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint)),
            "{{endpoint}}",
        ),
    ]
}

fn failures(spec: &Spec) -> Vec<Draft> {
    vec![errors::by_type(), errors::node_share(spec), errors::transitions()]
}

fn connections(spec: &Spec) -> Vec<Draft> {
    let sockets = timeseries(
        "Sockets",
        "Sockets, not requests: one connection may carry many requests.",
        "none",
        &[],
    );
    vec![
        lifecycle::SOCKETS
            .into_iter()
            .fold(sockets, |draft, (metric, word)| {
                draft.query(by_endpoint(metric), word)
            })
            .dashed("limit"),
        lifecycle::opened_and_closed(),
        lifecycle::by_reason(),
        lifecycle::life(spec),
        timeseries(
            "Time to connect",
            "Half and 19 of 20 connects are faster, with DNS, TCP and TLS. No line where none is \
opened.",
            "s",
            &[],
        )
        .query(
            quantile("0.5", &metrics::CONNECT_DURATION_SECONDS, Subject::Endpoint),
            "p50",
        )
        .empty_until(Trouble::ConnectionsLost)
        .query(
            quantile("0.95", &metrics::CONNECT_DURATION_SECONDS, Subject::Endpoint),
            "p95",
        )
        .empty_until(Trouble::ConnectionsLost),
    ]
}

fn checks(spec: &Spec) -> Vec<Draft> {
    let height = by_endpoint(&metrics::BLOCK_HEIGHT);
    vec![
        timeseries(
            "Failed health checks",
            "Failed active health checks per second.",
            "cps",
            &[],
        )
        .query(
            rate(&metrics::HEALTH_CHECK_FAILURES_TOTAL, Subject::Endpoint),
            "failed",
        ),
        timeseries(
            "Health check time",
            "Half and 19 of 20 health checks are faster.",
            "s",
            &[],
        )
        .query(
            quantile("0.5", &metrics::HEALTH_CHECK_DURATION_SECONDS, Subject::Endpoint),
            "p50",
        )
        .query(
            quantile("0.95", &metrics::HEALTH_CHECK_DURATION_SECONDS, Subject::Endpoint),
            "p95",
        ),
        chain::lag(spec),
        timeseries(
            "Block height beside the others",
            "The newest block that each endpoint of the pool reported to its health check.",
            "none",
            &[],
        )
        .query(whole_pool(&height), "{{endpoint}}"),
    ]
}
