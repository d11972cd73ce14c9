//! Is anything wrong now, and how full are the pools?

use pool_metrics::catalogue::{self as metrics, JOB_POOLS, JOB_RELAYER, Metric};

use super::{
    Draft, ENDPOINT_LEGEND, POOL_LEGEND, Trouble,
    colours::{BAD, GOOD, WATCH},
    limit,
    looks::{count_of_bad, gauge, stat, table},
    queries::{by_endpoint, by_pool, gauge_by, rate},
};
use crate::{
    alert::Subject,
    spec::{AlertName, Spec},
};

/// What fires and has to do with what the variables choose. Alerts about a relayer have no pool, and those about other
/// targets neither a pool nor, perhaps, an instance of ours: they are shown whatever is chosen. The dead man's switch
/// always fires and says nothing here.
pub(crate) const FIRING: &str =
    "ALERTS{alertstate=\"firing\",alertname!=\"DeadMansSwitch\",instance=~\"$instance|\",pool=~\"$pool|\"}";

pub(super) fn panels(spec: &Spec) -> Vec<Draft> {
    let rows = [trouble(), demand(spec), relayers(), fullness(spec)];
    rows.into_iter().flatten().collect()
}

fn trouble() -> Vec<Draft> {
    vec![
        count_of_bad(
            "Firing alerts",
            "Alerts of the chosen relayers and pools that fire now; the table below names them.",
            "none",
        )
        .query(format!("count({FIRING}) or vector(0)"), ""),
        count_of_bad(
            "Unhealthy endpoints",
            "Endpoints that fail their health checks, or have not been checked yet.",
            "none",
        )
        .query(format!("sum({})", by_endpoint(&metrics::HEALTH_STATUS)), "")
        .watched_by(&[AlertName::EndpointUnhealthy, AlertName::NoHealthyEndpoints]),
        count_of_bad(
            "Open breakers",
            "Endpoints that are cut off after repeated failures, or on trial.",
            "none",
        )
        .query(
            format!("sum({})", by_endpoint(&metrics::CIRCUIT_BREAKER_STATUS)),
            "",
        )
        .watched_by(&[AlertName::CircuitBreakerOpen]),
        count_of_bad(
            "Pools without a slot",
            "Pools that have usable slots but none free: callers queue.",
            "none",
        )
        .query(
            format!(
                "count({usable} > 0 and on (instance, pool) {free} == 0) or vector(0)",
                usable = by_pool(&metrics::SLOTS_USABLE),
                free = by_pool(&metrics::SLOTS_FREE),
            ),
            "",
        )
        .watched_by(&[AlertName::ConnectionPoolExhausted]),
    ]
}

fn demand(spec: &Spec) -> Vec<Draft> {
    vec![
        stat(
            "Waiting callers",
            "Callers that wait for a slot now.",
            "none",
            &[
                (1.0, WATCH),
                (limit(spec, AlertName::ConnectionPoolQueueGrowing).max(2.0), BAD),
            ],
        )
        .query(format!("sum({})", by_pool(&metrics::QUEUE_SIZE)), "")
        .watched_by(&[AlertName::ConnectionPoolQueueGrowing]),
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
    ]
}

fn relayers() -> Vec<Draft> {
    vec![
        count_of_bad(
            "Relayers down",
            "Relayers that Prometheus can't scrape. What they would say is missing from every \
other panel.",
            "none",
        )
        .query(
            format!(
                "count(max by (instance) \
(up{{job=~\"{JOB_RELAYER}|{JOB_POOLS}\",instance=~\"$instance\"}}) == 0) or vector(0)"
            ),
            "",
        )
        .watched_by(&[AlertName::RelayerDown, AlertName::NoRelayerScraped])
        .size(6, 4),
        count_of_bad(
            "Metrics with missing series",
            "There are more endpoints than the relayer made room for in its metrics: raise the \
limit and restart it.",
            "none",
        )
        .query(
            format!("sum({})", gauge_by(&metrics::METRICS_OVERFLOW, "instance", "")),
            "",
        )
        .watched_by(&[AlertName::PoolMetricsMissing])
        .size(6, 4),
        stat(
            "Relayers by version",
            "How many relayers run which version.",
            "none",
            &[],
        )
        .query(
            format!(
                "count by (version) ({})",
                gauge_by(&metrics::BUILD_INFO, "instance, version", "")
            ),
            "{{version}}",
        )
        .size(6, 4),
        stat(
            "Usable slots",
            "Share of all slots that may be used now: the endpoint is healthy, its breaker closed, \
and it is not throttled.",
            "percentunit",
            &[],
        )
        .query(
            format!(
                "sum({}) / sum({})",
                by_pool(&metrics::SLOTS_USABLE),
                by_endpoint(&metrics::SLOTS_MAX)
            ),
            "",
        )
        .thresholds(super::looks::steps_from(BAD, &[(0.25, WATCH), (0.6, GOOD)]))
        .size(6, 4),
    ]
}

fn fullness(spec: &Spec) -> Vec<Draft> {
    let full = limit(spec, AlertName::ConnectionPoolHighUtilization);
    let share = |taken: &Metric, of: &Metric| format!("{} / ({} > 0)", by_endpoint(taken), by_endpoint(of));
    vec![
        gauge(
            "Utilisation by pool",
            "Share of the usable slots that are taken. The last colour begins where \
ConnectionPoolHighUtilization looks.",
            full,
        )
        .query(
            format!(
                "1 - {free} / ({usable} > 0)",
                free = by_pool(&metrics::SLOTS_FREE),
                usable = by_pool(&metrics::SLOTS_USABLE),
            ),
            POOL_LEGEND,
        )
        .watched_by(&[AlertName::ConnectionPoolHighUtilization])
        .of_pools(),
        gauge(
            "Utilisation by endpoint",
            "Share of the endpoint's slots that are taken, whether it may be used now or not.",
            full,
        )
        .query(
            share(&metrics::SLOTS_ACTIVE, &metrics::SLOTS_MAX),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        table(
            "What fires",
            "Alerts of the chosen relayers and pools that fire now. A click leads to the runbook.",
            &["alertname", "severity", "pool", "endpoint", "instance"],
            &["Time", "Value", "__name__", "alertstate", "team", "job"],
        )
        .query(FIRING, "")
        .empty_until(Trouble::NodeDown)
        .no_value("nothing fires")
        .of_alerts()
        .size(24, 6),
    ]
}
