//! Which endpoints can be used, and how is the traffic spread over them?

use pool_metrics::catalogue as metrics;

use super::{
    Draft, ENDPOINT_LEGEND, POOL_LEGEND,
    colours::{BAD, GOOD, WATCH},
    endpoint_legend,
    looks::{HEALTH, bars, state_timeline, timeseries},
    queries::{by_endpoint, by_pool, increase, quantile, rate},
};
use crate::{alert::Subject, spec::AlertName};

pub(super) fn panels() -> Vec<Draft> {
    let mut drafts = vec![
        state_timeline("Endpoint health", "Result of the active health checks.", HEALTH)
            .query(by_endpoint(&metrics::HEALTH_STATUS), ENDPOINT_LEGEND)
            .watched_by(&[AlertName::EndpointUnhealthy, AlertName::NoHealthyEndpoints])
            .of_endpoints(),
    ];
    drafts.extend(checks());
    drafts.extend(weights());
    drafts.extend(left_out());
    drafts
}

fn checks() -> Vec<Draft> {
    vec![
        timeseries(
            "Failed health checks",
            "Failed active health checks per second.",
            "cps",
            &[],
        )
        .query(
            rate(&metrics::HEALTH_CHECK_FAILURES_TOTAL, Subject::Endpoint),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        timeseries(
            "Health check time p95",
            "One health check in 20 takes longer. It often rises before the checks fail.",
            "s",
            &[],
        )
        .query(
            quantile("0.95", &metrics::HEALTH_CHECK_DURATION_SECONDS, Subject::Endpoint),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
    ]
}

/// Each endpoint's part of a figure of its pool.
fn part(of: &str) -> String {
    format!("{of} / on (instance, pool) group_left () (sum by (instance, pool) ({of}) > 0)")
}

fn weights() -> Vec<Draft> {
    let weight = by_endpoint(&metrics::ENDPOINT_WEIGHT);
    let attempts = rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint);
    vec![
        timeseries(
            "Effective weights",
            "Which share of the traffic each endpoint is meant to get; 0 when it may not be \
picked, between while it starts slowly.",
            "none",
            &[],
        )
        .query(weight.clone(), ENDPOINT_LEGEND)
        .of_endpoints(),
        bars(
            "Weight distribution",
            "How the weights of a pool are spread over its endpoints now. An endpoint without a \
bar gets nothing.",
            &[],
        )
        .query(part(&weight), ENDPOINT_LEGEND)
        .of_endpoints(),
        timeseries(
            "Traffic, meant and real",
            "Each endpoint's share of its pool's weight, dashed, and of the attempts. They part \
where an endpoint is slow or full, or the balancer goes by something else than \
weights.",
            "percentunit",
            &[],
        )
        .query(part(&attempts), &endpoint_legend("real"))
        .query(part(&weight), &endpoint_legend("meant"))
        .dashed("meant")
        .share()
        .of_endpoints(),
    ]
}

fn left_out() -> Vec<Draft> {
    vec![
        state_timeline(
            "Left out as outliers",
            "Endpoints that pass their checks and are worse than the others.",
            [("takes part", GOOD), ("left out", WATCH)],
        )
        .query(by_endpoint(&metrics::EJECTION_STATUS), ENDPOINT_LEGEND)
        .of_endpoints(),
        timeseries(
            "Ejections",
            "How often endpoints were left out as outliers.",
            "none",
            &[],
        )
        .query(
            increase(&metrics::EJECTIONS_TOTAL, Subject::Endpoint),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        state_timeline(
            "Panic threshold",
            "So few endpoints are usable that those with a poor record are used too.",
            [("not reached", GOOD), ("panic", BAD)],
        )
        .query(by_pool(&metrics::PANIC_THRESHOLD_ACTIVE), POOL_LEGEND)
        .of_pools(),
    ]
}
