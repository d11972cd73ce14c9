//! Whether the histograms reach as far as the time-outs in force.
//!
//! Their buckets are fixed when a provider makes them; time-outs may be changed while the pool runs. What takes longer than the
//! last bucket shows as if it took just so long, in every percentile. Durations beyond it are no error, so the pool is followed
//! all the same: a gauge tells of it as long as it is so, and the log when it begins.

use std::time::Duration;

use pool_core::{PoolId, TimeoutsInForce};

use crate::catalogue::{self, Metric, Unit};

/// The time-outs that lie beyond the last bucket of their histogram: the setting, its value, the metric.
pub(crate) fn beyond(
    timeouts: Option<&TimeoutsInForce>,
) -> impl Iterator<Item = (&'static str, Duration, &'static Metric)> {
    let known = |timeouts: &TimeoutsInForce| {
        let of_requests = timeouts.request.unwrap_or_default();
        [
            ("request_timeout", of_requests, &catalogue::REQUEST_DURATION_MS),
            (
                "acquire_timeout",
                timeouts.acquire,
                &catalogue::QUEUE_WAIT_SECONDS,
            ),
            (
                "connect_timeout",
                timeouts.connect,
                &catalogue::CONNECT_DURATION_SECONDS,
            ),
            (
                "health.timeout",
                timeouts.check,
                &catalogue::HEALTH_CHECK_DURATION_SECONDS,
            ),
        ]
    };
    let all = timeouts.into_iter().flat_map(known);
    all.filter(|(_, timeout, metric)| timeout.as_secs_f64() > last(metric))
}

/// The log's part.
pub(crate) fn tell(pool: &PoolId, timeouts: Option<&TimeoutsInForce>) {
    for (setting, timeout, metric) in beyond(timeouts) {
        let last = last(metric);
        tracing::warn!(
            %pool,
            setting,
            ?timeout,
            metric = metric.name,
            "this time-out lies beyond the last bucket of the histogram, {last} s: percentiles of what takes longer \
             will read {last} s; make it at most {last} s to see them"
        );
    }
}

/// Up to how many seconds a histogram tells durations apart.
fn last(metric: &Metric) -> f64 {
    let last = metric.buckets.last().copied().unwrap_or_default();
    if metric.unit == Unit::Milliseconds {
        last / 1e3
    } else {
        last
    }
}
