//! Whether the histograms reach as far as the time-outs in force.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use pool_core::{PoolId, Source};

use crate::catalogue::{self, Metric};

/// Tells of each time-out beyond the last bucket of its histogram: what takes longer than that bucket shows as if it took just so
/// long, in every percentile. Durations beyond it are no error, so the pool is followed all the same.
pub(crate) fn check(pool: &PoolId, source: &dyn Source) {
    // one that panics is told of where its numbers are read
    let Ok(Some(timeouts)) = catch_unwind(AssertUnwindSafe(|| source.timeouts())) else {
        return;
    };
    let pairs: [(&str, Duration, &Metric); 3] = [
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
    ];
    for (setting, timeout, metric) in pairs {
        let last = metric.buckets.last().copied().unwrap_or_default();
        if timeout.as_secs_f64() > last {
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
}
