//! How much goes through, and how fast?

use pool_metrics::catalogue as metrics;

use super::{
    Draft, ENDPOINT_LEGEND, POOL_LEGEND,
    colours::BAD,
    endpoint_legend, limit,
    looks::timeseries,
    pool_legend,
    queries::{by_endpoint, by_pool, mean, pool_quantile, quantile, rate},
};
use crate::{
    alert::Subject,
    spec::{AlertName, Spec},
};

pub(super) fn panels(spec: &Spec) -> Vec<Draft> {
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
        )
        .of_pools(),
        timeseries(
            "Attempts by endpoint",
            "How the traffic is spread over the endpoints.",
            "reqps",
            &[],
        )
        .query(rate(&metrics::REQUESTS_TOTAL, Subject::Endpoint), ENDPOINT_LEGEND)
        .of_endpoints(),
    ];
    drafts.extend(latencies(spec));
    drafts.extend(slots());
    drafts
}

fn latencies(spec: &Spec) -> Vec<Draft> {
    let slow = limit(spec, AlertName::ConnectionPoolHighLatency);
    let duration = &metrics::REQUEST_DURATION_MS;
    let mut drafts = Vec::new();
    for (share, title, description) in [
        (
            "0.5",
            "Latency p50",
            "Half of the attempts are faster. Failed and timed out ones count, queueing doesn't.",
        ),
        (
            "0.95",
            "Latency p95",
            "One attempt in 20 is slower. The line is where ConnectionPoolHighLatency looks.",
        ),
        ("0.99", "Latency p99", "One attempt in 100 is slower."),
    ] {
        let watched = share == "0.95";
        let limits: &[(f64, &str)] = if watched { &[(slow, BAD)] } else { &[] };
        let draft = timeseries(title, description, "ms", limits)
            .query(quantile(share, duration, Subject::Endpoint), ENDPOINT_LEGEND)
            .of_endpoints()
            .size(8, 8);
        drafts.push(if watched {
            draft.watched_by(&[AlertName::ConnectionPoolHighLatency])
        } else {
            draft
        });
    }
    drafts.push(
        timeseries(
            "Latency by pool",
            "What a caller of the pool meets, whichever endpoint it is given: half, 19 of 20, 99 \
of 100 attempts are faster.",
            "ms",
            &[],
        )
        .query(pool_quantile("0.5", duration), &pool_legend("p50"))
        .query(pool_quantile("0.95", duration), &pool_legend("p95"))
        .query(pool_quantile("0.99", duration), &pool_legend("p99"))
        .of_pools(),
    );
    drafts.push(
        timeseries("Mean latency", "Time of all attempts by their number.", "ms", &[])
            .query(mean(duration, Subject::Endpoint), ENDPOINT_LEGEND)
            .of_endpoints(),
    );
    drafts.push(
        timeseries(
            "Time-outs beyond the histograms",
            "Time-outs of the pool that are longer than the last bucket: what takes longer than that \
reads too low in every percentile.",
            "none",
            &[],
        )
        .query(by_pool(&metrics::TIMEOUTS_BEYOND_BUCKETS), POOL_LEGEND)
        .of_pools(),
    );
    drafts
}

fn slots() -> Vec<Draft> {
    vec![
        timeseries(
            "Slots by pool",
            "Slots of the endpoints that may be picked now, and how many of them are free.",
            "none",
            &[],
        )
        .query(by_pool(&metrics::SLOTS_FREE), &pool_legend("free"))
        .query(by_pool(&metrics::SLOTS_USABLE), &pool_legend("usable"))
        .dashed("usable")
        .watched_by(&[AlertName::ConnectionPoolExhausted])
        .of_pools(),
        timeseries(
            "Slots by endpoint",
            "Requests admitted now, how many the endpoint probably bears at once, and at most.",
            "none",
            &[],
        )
        .query(by_endpoint(&metrics::SLOTS_ACTIVE), &endpoint_legend("active"))
        .query(
            by_endpoint(&metrics::CONCURRENCY_LIMIT),
            &endpoint_legend("bears"),
        )
        .query(by_endpoint(&metrics::SLOTS_MAX), &endpoint_legend("limit"))
        .dashed("limit")
        .of_endpoints(),
    ]
}
