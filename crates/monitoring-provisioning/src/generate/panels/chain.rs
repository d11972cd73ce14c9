//! Do the nodes keep up with their chains?

use pool_metrics::catalogue as metrics;

use super::{
    Draft, ENDPOINT_LEGEND, POOL_LEGEND,
    colours::BAD,
    limit,
    looks::timeseries,
    queries::{by_endpoint, by_pool, over},
};
use crate::{
    alert::Subject,
    spec::{AlertName, Spec},
};

pub(super) fn panels(spec: &Spec) -> Vec<Draft> {
    let height = by_endpoint(&metrics::BLOCK_HEIGHT);
    vec![
        lag(spec),
        timeseries(
            "Blocks behind the best endpoint",
            "How far the node is behind the highest block that an endpoint of its pool reported, \
seen from here. Checks happen at different moments: a block or two is nothing.",
            "none",
            &[],
        )
        .query(
            format!("max by (instance, pool) ({height}) - on (instance, pool) group_right {height}"),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
        timeseries(
            "Block height",
            "The newest block that each endpoint reported to its health check.",
            "none",
            &[],
        )
        .query(height.clone(), ENDPOINT_LEGEND)
        .of_endpoints(),
        timeseries(
            "Blocks per minute",
            "How fast the chain grows, as the best endpoint of the pool sees it. 0: the chain \
stands still, or no endpoint shows its new blocks.",
            "suffix: blocks/min",
            &[],
        )
        .query(
            format!(
                "60 * max by (instance, pool) ({})",
                over("deriv", &metrics::BLOCK_HEIGHT, "", &Subject::Endpoint.by(), "")
            ),
            POOL_LEGEND,
        )
        .signed()
        .of_pools(),
        timeseries(
            "Age of the head",
            "How old each endpoint's newest block is. A node that is at the height of the others and \
older than they are serves another branch. 0 where no limit on ages is set.",
            "s",
            &[],
        )
        .query(by_endpoint(&metrics::HEAD_AGE_SECONDS), ENDPOINT_LEGEND)
        .of_endpoints(),
        timeseries(
            "Age of the head that most have",
            "How old the block is that most providers of the pool have reached. If it grows, the \
chain stands still, or all its nodes do.",
            "s",
            &[],
        )
        .query(by_pool(&metrics::REFERENCE_HEAD_AGE_SECONDS), POOL_LEGEND)
        .of_pools(),
    ]
}

pub(super) fn lag(spec: &Spec) -> Draft {
    timeseries(
        "Blocks behind at the last check",
        "How far the endpoint was behind the others of its pool when it was checked; what the \
lag check judges. The line is where EndpointBlockLag looks.",
        "none",
        &[(limit(spec, AlertName::EndpointBlockLag), BAD)],
    )
    .query(by_endpoint(&metrics::BLOCK_LAG), ENDPOINT_LEGEND)
    .watched_by(&[AlertName::EndpointBlockLag])
    .of_endpoints()
}
