//! How do connections come and go, and what changed the pools?

use pool_metrics::catalogue::{self as metrics, Metric};

use super::{
    Draft, ENDPOINT_LEGEND, POOL_LEGEND, Trouble,
    colours::{BAD, GOOD},
    endpoint_legend, limit,
    looks::{steps_from, timeseries},
    pool_legend,
    queries::{
        by_endpoint, endpoint_and, increase, increase_by, pool_and, quantile, rate, rate_by, sum_by_pool,
    },
};
use crate::{
    alert::Subject,
    spec::{AlertName, Spec},
};

pub(super) fn panels(spec: &Spec) -> Vec<Draft> {
    connections(spec).into_iter().chain(pools()).collect()
}

fn connections(spec: &Spec) -> Vec<Draft> {
    let [open, active, idle, most] = SOCKETS.map(|(metric, _)| sum_by_pool(metric));
    vec![
        timeseries(
            "Connections by pool",
            "Sockets, not requests: one connection may carry many requests.",
            "none",
            &[],
        )
        .query(open, &pool_legend("open"))
        .query(active, &pool_legend("active"))
        .query(idle, &pool_legend("idle"))
        .query(most, &pool_legend("limit"))
        .dashed("limit")
        .of_pools(),
        opened_and_closed(),
        by_reason(),
        life(spec),
        time_to_connect(),
    ]
}

/// What there is to say about an endpoint's sockets, and the word for it.
pub(super) const SOCKETS: [(&Metric, &str); 4] = [
    (&metrics::CONNECTIONS_TOTAL, "open"),
    (&metrics::CONNECTIONS_ACTIVE, "active"),
    (&metrics::CONNECTIONS_IDLE, "idle"),
    (&metrics::CONNECTIONS_MAX, "limit"),
];

pub(super) fn opened_and_closed() -> Draft {
    timeseries(
        "Connections opened and closed",
        "Sockets per second. Many of both, at an even number of connections, is churn.",
        "cps",
        &[],
    )
    .query(
        rate(&metrics::CONNECTIONS_CREATED_TOTAL, Subject::Endpoint),
        &endpoint_legend("opened"),
    )
    .query(
        rate(&metrics::CONNECTIONS_DESTROYED_TOTAL, Subject::Endpoint),
        &endpoint_legend("closed"),
    )
    .dashed("closed")
    .of_endpoints()
}

pub(super) fn by_reason() -> Draft {
    timeseries(
        "Connections closed by reason",
        "Sockets per second. Expired and idle are normal.",
        "cps",
        &[],
    )
    .query(
        rate_by(&metrics::CONNECTIONS_CLOSED_TOTAL, &endpoint_and("reason")),
        &endpoint_legend("{{reason}}"),
    )
    .stacked()
    .of_endpoints()
}

/// By Little's law: how many are open, by how many close per second.
pub(super) fn life(spec: &Spec) -> Draft {
    let short = limit(spec, AlertName::ConnectionPoolHighChurn);
    timeseries(
        "Mean life of a connection",
        "How long connections live at the present pace of closing; no line where none closes. \
Below the line lies what ConnectionPoolHighChurn calls churn, if enough are opened \
and closed.",
        "s",
        &[(short, BAD)],
    )
    .query(
        format!(
            "{} / ({} > 0)",
            by_endpoint(&metrics::CONNECTIONS_TOTAL),
            rate(&metrics::CONNECTIONS_DESTROYED_TOTAL, Subject::Endpoint)
        ),
        ENDPOINT_LEGEND,
    )
    .empty_until(Trouble::ConnectionsLost)
    .thresholds(steps_from(BAD, &[(short, GOOD)]))
    .watched_by(&[AlertName::ConnectionPoolHighChurn])
    .of_endpoints()
}

pub(super) fn time_to_connect() -> Draft {
    timeseries(
        "Time to connect p95",
        "One connect in 20 takes longer, with DNS, TCP and TLS. High here and low in the \
latency: the network, not the node. No line where none is opened.",
        "s",
        &[],
    )
    .query(
        quantile("0.95", &metrics::CONNECT_DURATION_SECONDS, Subject::Endpoint),
        ENDPOINT_LEGEND,
    )
    .empty_until(Trouble::ConnectionsLost)
    .of_endpoints()
}

fn pools() -> Vec<Draft> {
    vec![
        timeseries(
            "Leaked leases",
            "Leases that were held for longer than leak_after; the relayer's log names the place.",
            "none",
            &[],
        )
        .query(increase(&metrics::LEASE_LEAKS_TOTAL, Subject::Pool), POOL_LEGEND)
        .watched_by(&[AlertName::ConnectionLeak])
        .of_pools(),
        timeseries(
            "Reconfigurations",
            "New settings, by what became of them.",
            "none",
            &[],
        )
        .query(
            increase_by(&metrics::RECONFIGURATIONS_TOTAL, &pool_and("result")),
            &pool_legend("{{result}}"),
        )
        .watched_by(&[AlertName::ReconfigurationFailed])
        .of_pools(),
    ]
}
