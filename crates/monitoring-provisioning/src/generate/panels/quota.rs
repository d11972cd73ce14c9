//! Do we run into a quota, ours or the provider's?

use pool_metrics::catalogue as metrics;

use super::{
    Draft, ENDPOINT_LEGEND,
    colours::{GOOD, WATCH},
    endpoint_legend,
    looks::{Flag, state_timeline, timeseries},
    queries::{by_endpoint, endpoint_and, increase_by, over},
};
use crate::spec::AlertName;

pub(super) const THROTTLED: Flag = [("free", GOOD), ("throttled", WATCH)];

pub(super) fn panels() -> Vec<Draft> {
    vec![
        state_timeline(
            "Throttled",
            "Endpoints that are left alone because they or their provider asked for a pause, or a \
quota is spent.",
            THROTTLED,
        )
        .query(by_endpoint(&metrics::THROTTLE_STATUS), ENDPOINT_LEGEND)
        .watched_by(&[AlertName::EndpointThrottled])
        .of_endpoints(),
        timeseries(
            "Throttles by cause",
            "How often endpoints were throttled.",
            "none",
            &[],
        )
        .query(
            increase_by(&metrics::THROTTLES_TOTAL, &endpoint_and("cause")),
            &endpoint_legend("{{cause}}"),
        )
        .of_endpoints(),
        left(),
        timeseries(
            "Refused by the provider's rate limit",
            "Attempts per second that the provider throttled: the quota here is set too high, or \
somebody else uses the same key.",
            "reqps",
            &[],
        )
        .query(
            over(
                "rate",
                &metrics::ERRORS_TOTAL,
                "",
                &crate::alert::Subject::Endpoint.by(),
                "error_type=\"rate_limited\"",
            ),
            ENDPOINT_LEGEND,
        )
        .of_endpoints(),
    ]
}

pub(super) fn left() -> Draft {
    timeseries(
        "Quota left",
        "Units that can be taken now, and at most, of the endpoint's quota or its provider's, \
whichever has fewer; both 0 where there is none.",
        "none",
        &[],
    )
    .query(by_endpoint(&metrics::QUOTA_LEFT), &endpoint_legend("left"))
    .query(by_endpoint(&metrics::QUOTA_LIMIT), &endpoint_legend("limit"))
    .dashed("limit")
    .of_endpoints()
}
