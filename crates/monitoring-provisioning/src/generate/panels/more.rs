//! The panels that look deeper: what an operator opens when one of the others has turned red.

use pool_metrics::catalogue::{self as metrics, Metric};

use super::draft::{Draft, by_endpoint, by_pool, increase, rate, rate_of, stat, state_timeline, timeseries};
use super::{ENDPOINT_LEGEND, POOL_LEGEND};
use crate::alert::Subject;

pub(super) fn status() -> Vec<Draft> {
    let of_process = |metric: &Metric, by: &str| {
        let name = metric.name;
        format!("max by ({by}) ({name}{{instance=~\"$instance\"}})")
    };
    vec![
        stat(
            "Metrics with missing series",
            "There are more endpoints than the relayer made room for in its metrics: raise the limit and restart it.",
            "none",
            &[(1.0, "red")],
        )
        .query(
            format!("sum({})", of_process(&metrics::METRICS_OVERFLOW, "instance")),
            "",
        ),
        stat("Relayers by version", "How many relayers run which version.", "none", &[]).query(
            format!(
                "count by (version) ({})",
                of_process(&metrics::BUILD_INFO, "instance, version")
            ),
            "{{version}}",
        ),
    ]
}

/// A quantile of a histogram in seconds.
fn quantile(share: &str, metric: &Metric, by: &str) -> String {
    let buckets = rate_of("_bucket", metric, &format!("{by}, le"));
    format!("histogram_quantile({share}, {buckets})")
}

pub(super) fn performance() -> Vec<Draft> {
    let endpoint = "instance, pool, endpoint";
    vec![
        timeseries(
            "Time to connect p95",
            "One connect in 20 takes longer, with DNS, TCP and TLS. High here and low in the latency: the network, not the node.",
            "s",
            &[],
        )
        .query(
            quantile("0.95", &metrics::CONNECT_DURATION_SECONDS, endpoint),
            ENDPOINT_LEGEND,
        ),
        timeseries(
            "Health check time p95",
            "One health check in 20 takes longer. It often rises before the checks fail.",
            "s",
            &[],
        )
        .query(
            quantile("0.95", &metrics::HEALTH_CHECK_DURATION_SECONDS, endpoint),
            ENDPOINT_LEGEND,
        ),
    ]
}

pub(super) fn errors() -> Vec<Draft> {
    let state = format!(
        "max by (instance, pool, endpoint, state) ({}{{instance=~\"$instance\",pool=~\"$pool\",endpoint=~\"$endpoint\",state=\"half_open\"}})",
        metrics::CIRCUIT_BREAKER_STATE.name
    );
    vec![
        state_timeline(
            "Breakers on trial",
            "A few requests find out whether the endpoint works again.",
            [("no", "green"), ("half-open", "orange")],
        )
        .query(state, ENDPOINT_LEGEND),
        timeseries(
            "Breaker transitions",
            "How often breakers went into each state. As many to open as to half-open, and none to closed: no recovery.",
            "none",
            &[],
        )
        .query(
            format!(
                "max by (instance, pool, endpoint, state) (increase({}{{instance=~\"$instance\",pool=~\"$pool\",endpoint=~\"$endpoint\"}}[$__rate_interval]))",
                metrics::CIRCUIT_BREAKER_TRANSITIONS_TOTAL.name
            ),
            "{{pool}} · {{endpoint}} · {{instance}} to {{state}}",
        ),
    ]
}

pub(super) fn health() -> Vec<Draft> {
    vec![
        state_timeline(
            "Left out as outliers",
            "Endpoints that pass their checks and are worse than the others.",
            [("takes part", "green"), ("left out", "orange")],
        )
        .query(by_endpoint(&metrics::EJECTION_STATUS), ENDPOINT_LEGEND),
        timeseries("Ejections", "How often endpoints were left out as outliers.", "none", &[]).query(
            increase(&metrics::EJECTIONS_TOTAL, Subject::Endpoint),
            ENDPOINT_LEGEND,
        ),
        state_timeline(
            "Throttled",
            "Endpoints that are left alone because their provider asked for a pause.",
            [("free", "green"), ("throttled", "orange")],
        )
        .query(by_endpoint(&metrics::THROTTLE_STATUS), ENDPOINT_LEGEND),
        timeseries("Throttles by cause", "How often endpoints were throttled.", "none", &[]).query(
            format!(
                "max by (instance, pool, endpoint, cause) (increase({}{{instance=~\"$instance\",pool=~\"$pool\",endpoint=~\"$endpoint\"}}[$__rate_interval]))",
                metrics::THROTTLES_TOTAL.name
            ),
            "{{pool}} · {{endpoint}} · {{instance}} {{cause}}",
        ),
        timeseries(
            "Quota left",
            "Units that can be taken now, and at most; both 0 where there is no quota.",
            "none",
            &[],
        )
        .query(by_endpoint(&metrics::QUOTA_LEFT), "{{pool}} · {{endpoint}} · {{instance}} left")
        .query(by_endpoint(&metrics::QUOTA_LIMIT), "{{pool}} · {{endpoint}} · {{instance}} limit"),
        timeseries(
            "Blocks behind at the last check",
            "How far the endpoint was behind the others of its pool when it was checked; what the lag check judges.",
            "none",
            &[],
        )
        .query(by_endpoint(&metrics::BLOCK_LAG), ENDPOINT_LEGEND),
        timeseries(
            "Age of the head",
            "How old each endpoint's newest block is, and the one that most have: a node that is at the height of the others \
             and older than they are serves another branch; if all grow older, the chain stands still. 0 where no limit on \
             ages is set.",
            "s",
            &[],
        )
        .query(by_endpoint(&metrics::HEAD_AGE_SECONDS), ENDPOINT_LEGEND)
        .query(
            by_pool(&metrics::REFERENCE_HEAD_AGE_SECONDS),
            "{{pool}} · {{instance}} most",
        ),
        timeseries("Connections closed by reason", "Sockets per second.", "cps", &[]).query(
            rate_of(
                "",
                &metrics::CONNECTIONS_CLOSED_TOTAL,
                "instance, pool, endpoint, reason",
            ),
            "{{pool}} · {{endpoint}} · {{instance}} {{reason}}",
        ),
    ]
}

pub(super) fn queue() -> Vec<Draft> {
    vec![
        timeseries(
            "Queue wait p95",
            "One waiting caller in 20 waits longer. Who is served at once does not count.",
            "s",
            &[],
        )
        .query(
            quantile("0.95", &metrics::QUEUE_WAIT_SECONDS, "instance, pool"),
            POOL_LEGEND,
        ),
        timeseries(
            "Hedges for nothing",
            "Hedges per second that lost, and those that the budget refused.",
            "reqps",
            &[],
        )
        .query(
            rate(&metrics::HEDGES_LOST_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} lost",
        )
        .query(
            rate(&metrics::HEDGE_BUDGET_EXHAUSTED_TOTAL, Subject::Pool),
            "{{pool}} · {{instance}} refused",
        ),
        state_timeline(
            "Panic threshold",
            "So few endpoints are usable that those with a poor record are used too.",
            [("not reached", "green"), ("panic", "red")],
        )
        .query(by_pool(&metrics::PANIC_THRESHOLD_ACTIVE), POOL_LEGEND),
        timeseries("Reconfigurations", "New settings, by what became of them.", "none", &[]).query(
            format!(
                "max by (instance, pool, result) (increase({}{{instance=~\"$instance\",pool=~\"$pool\"}}[$__rate_interval]))",
                metrics::RECONFIGURATIONS_TOTAL.name
            ),
            "{{pool}} · {{instance}} {{result}}",
        ),
        timeseries(
            "Time-outs beyond the histograms",
            "Time-outs longer than the last bucket: what takes longer than that reads too low in every percentile.",
            "none",
            &[],
        )
        .query(by_pool(&metrics::TIMEOUTS_BEYOND_BUCKETS), POOL_LEGEND),
    ]
}
