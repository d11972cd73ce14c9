//! The panels of the dashboard, in the five sections of the operator's guide.

mod draft;
mod more;

use pool_metrics::catalogue::{self as metrics, Metric};

pub(super) use draft::Draft;
use draft::{FLAG_BREAKER, FLAG_HEALTH, by_endpoint, by_pool, gauge, rate, stat, state_timeline, timeseries};

use crate::{
    alert::{Subject, alerts},
    spec::{AlertName, Spec},
};

const POOL_LEGEND: &str = "{{pool}} · {{instance}}";
const ENDPOINT_LEGEND: &str = "{{pool}} · {{endpoint}} · {{instance}}";

/// The sections, each with its panels.
pub(super) fn sections(spec: &Spec) -> Vec<(&'static str, Vec<Draft>)> {
    let with = |first: Vec<Draft>, more: Vec<Draft>| first.into_iter().chain(more).collect();
    vec![
        ("Status overview", with(status(spec), more::status())),
        ("Performance", with(performance(spec), more::performance())),
        ("Errors and circuit breakers", with(errors(spec), more::errors())),
        ("Endpoint health and weights", with(health(), more::health())),
        ("Queue", with(queue(spec), more::queue())),
    ]
}

/// The limit of an alert, so that a panel turns red where the alert fires.
fn limit(spec: &Spec, name: AlertName) -> f64 {
    alerts(spec)
        .find(|alert| alert.definition.name == name)
        .map(|alert| alert.threshold)
        .unwrap_or_default()
}

fn status(spec: &Spec) -> Vec<Draft> {
    let full = limit(spec, AlertName::ConnectionPoolHighUtilization);
    let health = by_endpoint(&metrics::HEALTH_STATUS);
    let breaker = by_endpoint(&metrics::CIRCUIT_BREAKER_STATUS);
    let utilization = format!(
        "1 - {free} / ({usable} > 0)",
        free = by_pool(&metrics::SLOTS_FREE),
        usable = by_pool(&metrics::SLOTS_USABLE),
    );
    vec![
        stat(
            "Unhealthy endpoints",
            "Endpoints that fail their health checks, or have not been checked yet.",
            "none",
            &[(1.0, "red")],
        )
        .query(format!("sum({health})"), ""),
        stat(
            "Open breakers",
            "Endpoints that are cut off after repeated failures.",
            "none",
            &[(1.0, "red")],
        )
        .query(format!("sum({breaker})"), ""),
        stat(
            "Pools without a slot",
            "Pools that have usable slots but none free: callers queue.",
            "none",
            &[(1.0, "red")],
        )
        .query(
            format!(
                "count({usable} > 0 and on (instance, pool) {free} == 0) or vector(0)",
                usable = by_pool(&metrics::SLOTS_USABLE),
                free = by_pool(&metrics::SLOTS_FREE),
            ),
            "",
        ),
        stat(
            "Waiting callers",
            "Callers that wait for a slot now.",
            "none",
            &[
                (1.0, "orange"),
                (limit(spec, AlertName::ConnectionPoolQueueGrowing), "red"),
            ],
        )
        .query(format!("sum({})", by_pool(&metrics::QUEUE_SIZE)), ""),
        stat(
            "Attempts per second",
            "Attempts that ended, successful or not.",
            "reqps",
            &[],
        )
        .query(
            format!("sum({})", rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint)),
            "",
        ),
        stat(
            "Firing alerts",
            "Alerts of the connection pools that fire now.",
            "none",
            &[(1.0, "red")],
        )
        .query(
            "count(ALERTS{alertstate=\"firing\",instance=~\"$instance\",pool=~\"$pool\"}) or vector(0)",
            "",
        ),
        gauge(
            "Utilisation by pool",
            "Share of the usable slots that are taken. Red where ConnectionPoolHighUtilization looks.",
            full,
        )
        .query(utilization, POOL_LEGEND),
    ]
}

fn performance(spec: &Spec) -> Vec<Draft> {
    let slow = limit(spec, AlertName::ConnectionPoolHighLatency);
    let mut drafts = vec![
        timeseries(
            "Attempts by pool",
            "Attempts that ended per second, successful or not.",
            "reqps",
            &[],
        )
        .query(
            format!(
                "sum by (instance, pool) ({})",
                rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint)
            ),
            POOL_LEGEND,
        ),
        timeseries(
            "Attempts by endpoint",
            "How the traffic is spread over the endpoints.",
            "reqps",
            &[],
        )
        .query(rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint), ENDPOINT_LEGEND),
    ];
    for (share, title, description) in [
        (
            "0.5",
            "Latency p50",
            "Half of the attempts are faster. Failed and timed out ones count, queueing doesn't.",
        ),
        (
            "0.95",
            "Latency p95",
            "One attempt in 20 is slower. Red where ConnectionPoolHighLatency looks.",
        ),
        ("0.99", "Latency p99", "One attempt in 100 is slower."),
    ] {
        let limits: &[(f64, &str)] = if share == "0.95" { &[(slow, "red")] } else { &[] };
        drafts.push(
            timeseries(title, description, "ms", limits)
                .query(quantile(share), ENDPOINT_LEGEND)
                .narrow(),
        );
    }
    drafts.push(
        timeseries("Mean latency", "Time of all attempts by their number.", "ms", &[])
            .query(mean_latency(), ENDPOINT_LEGEND),
    );
    drafts.push(
        timeseries(
            "Slots by endpoint",
            "Requests admitted now, and at most.",
            "none",
            &[],
        )
        .query(
            by_endpoint(&metrics::SLOTS_ACTIVE),
            "{{pool}} · {{endpoint}} · {{instance}} active",
        )
        .query(
            by_endpoint(&metrics::SLOTS_MAX),
            "{{pool}} · {{endpoint}} · {{instance}} limit",
        ),
    );
    drafts.push(connections());
    drafts.push(
        timeseries(
            "Slots by pool",
            "Slots of the endpoints that may be picked now, and how many of them are free.",
            "none",
            &[],
        )
        .query(by_pool(&metrics::SLOTS_USABLE), "{{pool}} · {{instance}} usable")
        .query(by_pool(&metrics::SLOTS_FREE), "{{pool}} · {{instance}} free"),
    );
    drafts
}

fn quantile(share: &str) -> String {
    format!(
        "histogram_quantile({share}, {})",
        draft::rate_of(
            "_bucket",
            &metrics::REQUEST_DURATION_MS,
            "instance, pool, endpoint, le"
        )
    )
}

fn mean_latency() -> String {
    let rate = |suffix| draft::rate_of(suffix, &metrics::REQUEST_DURATION_MS, "instance, pool, endpoint");
    format!("{} / ({} > 0)", rate("_sum"), rate("_count"))
}

fn connections() -> Draft {
    let by_pool = |metric: &Metric| format!("sum by (instance, pool) ({})", by_endpoint(metric));
    timeseries(
        "Connections by pool",
        "Sockets, not requests: one connection may carry many requests.",
        "none",
        &[],
    )
    .query(
        by_pool(&metrics::CONNECTIONS_TOTAL),
        "{{pool}} · {{instance}} open",
    )
    .query(
        by_pool(&metrics::CONNECTIONS_ACTIVE),
        "{{pool}} · {{instance}} active",
    )
    .query(
        by_pool(&metrics::CONNECTIONS_IDLE),
        "{{pool}} · {{instance}} idle",
    )
    .query(
        by_pool(&metrics::CONNECTIONS_MAX),
        "{{pool}} · {{instance}} limit",
    )
}

fn errors(spec: &Spec) -> Vec<Draft> {
    let errors = draft::rate_of("", &metrics::ERRORS_TOTAL, "instance, pool, endpoint, error_type");
    let failing = limit(spec, AlertName::ConnectionPoolHighErrorRate);
    vec![
        timeseries("Errors by type", "Failed attempts per second by class of error.", "reqps", &[])
            .query(format!("sum by (instance, pool, error_type) ({errors})"), "{{pool}} · {{error_type}} · {{instance}}"),
        timeseries(
            "Error ratio by endpoint",
            "Share of the attempts that failed, for whatever reason; the alert counts the node's faults only.",
            "percentunit",
            &[(failing, "red")],
        )
        .query(
            format!(
                "sum by (instance, pool, endpoint) ({errors}) / ({} > 0)",
                rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint)
            ),
            ENDPOINT_LEGEND,
        ),
        state_timeline("Circuit breakers", "Open or half-open: no ordinary request goes there.", FLAG_BREAKER)
            .query(by_endpoint(&metrics::CIRCUIT_BREAKER_STATUS), ENDPOINT_LEGEND),
        timeseries("Breaker openings", "How often breakers opened, also between two scrapes.", "none", &[]).query(
            draft::increase(&metrics::CIRCUIT_BREAKER_OPENED_TOTAL, Subject::Endpoint),
            ENDPOINT_LEGEND,
        ),
    ]
}

fn health() -> Vec<Draft> {
    let height = by_endpoint(&metrics::BLOCK_HEIGHT);
    vec![
        state_timeline(
            "Endpoint health",
            "Result of the active health checks.",
            FLAG_HEALTH,
        )
        .query(by_endpoint(&metrics::HEALTH_STATUS), ENDPOINT_LEGEND),
        timeseries(
            "Effective weights",
            "Which share of the traffic each endpoint is meant to get; 0 when it may not be picked.",
            "none",
            &[],
        )
        .query(by_endpoint(&metrics::ENDPOINT_WEIGHT), ENDPOINT_LEGEND),
        timeseries(
            "Failed health checks",
            "Failed active health checks per second.",
            "cps",
            &[],
        )
        .query(
            rate(&metrics::HEALTH_CHECK_FAILURES_TOTAL, Subject::Endpoint),
            ENDPOINT_LEGEND,
        ),
        timeseries(
            "Blocks behind the best endpoint",
            "How far the node is behind the highest block that an endpoint of its pool reported.",
            "none",
            &[],
        )
        .query(
            format!("max by (instance, pool) ({height}) - on (instance, pool) group_right {height}"),
            ENDPOINT_LEGEND,
        ),
        timeseries(
            "Connections opened and closed",
            "Sockets per second. Many of both, at an even number of connections, is churn.",
            "cps",
            &[],
        )
        .query(
            rate(&metrics::CONNECTIONS_CREATED_TOTAL, Subject::Endpoint),
            "{{pool}} · {{endpoint}} · {{instance}} opened",
        )
        .query(
            rate(&metrics::CONNECTIONS_DESTROYED_TOTAL, Subject::Endpoint),
            "{{pool}} · {{endpoint}} · {{instance}} closed",
        ),
    ]
}

fn queue(spec: &Spec) -> Vec<Draft> {
    let long = limit(spec, AlertName::ConnectionPoolQueueGrowing);
    vec![
        timeseries(
            "Queue",
            "Callers that wait for a slot, and how many may. Red where ConnectionPoolQueueGrowing looks.",
            "none",
            &[(long, "red")],
        )
        .query(by_pool(&metrics::QUEUE_SIZE), "{{pool}} · {{instance}} waiting")
        .query(by_pool(&metrics::QUEUE_LIMIT), "{{pool}} · {{instance}} limit"),
        timeseries(
            "Turned away",
            "Callers per second that ran out of time in the queue, and those that got no connection, by reason.",
            "reqps",
            &[],
        )
        .query(
            rate(&metrics::QUEUE_TIMEOUTS_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} timed out",
        )
        .query(
            draft::rate_of("", &metrics::REJECTIONS_TOTAL, "instance, pool, reason"),
            "{{pool}} · {{instance}} {{reason}}",
        ),
        timeseries(
            "Second attempts",
            "Retries and hedges per second, hedges that won, and those that the budget refused.",
            "reqps",
            &[],
        )
        .query(
            rate(&metrics::RETRIES_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} retries",
        )
        .query(
            rate(&metrics::HEDGES_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} hedges",
        )
        .query(
            rate(&metrics::HEDGES_WON_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} hedges won",
        )
        .query(
            rate(&metrics::RETRY_BUDGET_EXHAUSTED_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} refused",
        ),
        timeseries(
            "Leaked leases",
            "Leases per second that were held for longer than leak_after; the relayer's log names the place.",
            "ops",
            &[],
        )
        .query(
            rate(&metrics::LEASE_LEAKS_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} leaked",
        ),
    ]
}
