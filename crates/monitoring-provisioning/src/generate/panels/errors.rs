//! What goes wrong, whose fault is it, and who is cut off?

use pool_metrics::catalogue as metrics;

use super::{
    Draft, ENDPOINT_LEGEND,
    colours::{BAD, GOOD, WATCH},
    endpoint_legend, limit,
    looks::{BREAKER, state_timeline, timeseries},
    queries::{by_endpoint, endpoint_and, gauge_by, increase, increase_by, over, rate, rate_by},
};
use crate::{
    alert::Subject,
    recording::node_faults,
    spec::{AlertName, Spec},
};

pub(super) fn panels(spec: &Spec) -> Vec<Draft> {
    rates(spec).into_iter().chain(breakers()).collect()
}

/// Attempts per second of each endpoint that failed, by class.
fn failed() -> String {
    rate_by(&metrics::ERRORS_TOTAL, &endpoint_and("error_type"))
}

/// The share of the attempts that these are.
fn share(errors: &str) -> String {
    format!(
        "sum by (instance, pool, endpoint) ({errors}) / ({} > 0)",
        rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint)
    )
}

/// Attempts per second of each endpoint that failed through the node, by class.
pub(super) fn through_node() -> String {
    let only = format!("error_type=~\"{}\"", node_faults());
    over(
        "rate",
        &metrics::ERRORS_TOTAL,
        "",
        &endpoint_and("error_type"),
        &only,
    )
}

fn rates(spec: &Spec) -> Vec<Draft> {
    vec![
        timeseries(
            "Errors by type",
            "Failed attempts per second by class of error.",
            "reqps",
            &[],
        )
        .query(
            format!("sum by (instance, pool, error_type) ({})", failed()),
            "{{pool}} · {{error_type}} · {{instance}}",
        )
        .stacked()
        .of_pools(),
        timeseries(
            "Errors by endpoint",
            "Failed attempts per second, for whatever reason: also those that are the caller's own.",
            "reqps",
            &[],
        )
        .query(
            format!("sum by (instance, pool, endpoint) ({})", failed()),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        node_share(spec),
        timeseries(
            "Error ratio by endpoint",
            "Share of the attempts that failed, for whatever reason; a reverted call counts here \
and pages nobody.",
            "percentunit",
            &[],
        )
        .query(share(&failed()), ENDPOINT_LEGEND)
        .share()
        .of_endpoints(),
    ]
}

pub(super) fn by_type() -> Draft {
    timeseries(
        "Errors by type",
        "Failed attempts per second by class of error.",
        "reqps",
        &[],
    )
    .query(failed(), "{{error_type}}")
    .stacked()
}

pub(super) fn node_share(spec: &Spec) -> Draft {
    timeseries(
        "Node errors by endpoint",
        "Share of the attempts that failed through the node, its provider or the network: what \
ConnectionPoolHighErrorRate judges over five minutes. The line is its limit.",
        "percentunit",
        &[(limit(spec, AlertName::ConnectionPoolHighErrorRate), BAD)],
    )
    .query(share(&through_node()), ENDPOINT_LEGEND)
    .share()
    .watched_by(&[AlertName::ConnectionPoolHighErrorRate])
    .of_endpoints()
}

pub(super) fn transitions() -> Draft {
    timeseries(
        "Breaker transitions",
        "How often breakers went into each state. As many to open as to half-open, and none to \
closed: no recovery.",
        "none",
        &[],
    )
    .query(
        increase_by(
            &metrics::CIRCUIT_BREAKER_TRANSITIONS_TOTAL,
            &endpoint_and("state"),
        ),
        &endpoint_legend("to {{state}}"),
    )
    .watched_by(&[AlertName::CircuitBreakerOpen])
    .of_endpoints()
}

fn breakers() -> Vec<Draft> {
    vec![
        state_timeline(
            "Circuit breakers",
            "Open or half-open: no ordinary request goes there.",
            BREAKER,
        )
        .query(by_endpoint(&metrics::CIRCUIT_BREAKER_STATUS), ENDPOINT_LEGEND)
        .watched_by(&[AlertName::CircuitBreakerOpen])
        .of_endpoints(),
        state_timeline(
            "Breakers on trial",
            "A few requests find out whether the endpoint works again.",
            [("no", GOOD), ("half-open", WATCH)],
        )
        .query(
            gauge_by(
                &metrics::CIRCUIT_BREAKER_STATE,
                &Subject::Endpoint.by(),
                "state=\"half_open\"",
            ),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        timeseries(
            "Breaker openings",
            "How often breakers opened, also between two scrapes.",
            "none",
            &[],
        )
        .query(
            increase(&metrics::CIRCUIT_BREAKER_OPENED_TOTAL, Subject::Endpoint),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        transitions(),
    ]
}
