//! Is demand above capacity, and who is turned away?

use pool_metrics::catalogue as metrics;

use super::{
    Draft, POOL_LEGEND, Trouble,
    colours::BAD,
    limit,
    looks::timeseries,
    pool_legend,
    queries::{by_pool, pool_and, quantile, rate, rate_by},
};
use crate::{
    alert::Subject,
    spec::{AlertName, Spec},
};

pub(super) fn panels(spec: &Spec) -> Vec<Draft> {
    waiting(spec).into_iter().chain(second_attempts(spec)).collect()
}

fn waiting(spec: &Spec) -> Vec<Draft> {
    let long = limit(spec, AlertName::ConnectionPoolQueueGrowing);
    vec![
        timeseries(
            "Queue",
            "Callers that wait for a slot. The line is where ConnectionPoolQueueGrowing looks.",
            "none",
            &[(long, BAD)],
        )
        .query(by_pool(&metrics::QUEUE_SIZE), POOL_LEGEND)
        .watched_by(&[AlertName::ConnectionPoolQueueGrowing])
        .of_pools(),
        timeseries(
            "Queue, of what it may hold",
            "Callers that wait, as a share of those that may; at 100 % one more is rejected at \
once.",
            "percentunit",
            &[],
        )
        .query(
            format!(
                "{} / ({} > 0)",
                by_pool(&metrics::QUEUE_SIZE),
                by_pool(&metrics::QUEUE_LIMIT)
            ),
            POOL_LEGEND,
        )
        .share()
        .of_pools(),
        timeseries(
            "Time-outs in the queue",
            "Callers per second that ran out of time in the queue.",
            "reqps",
            &[],
        )
        .query(rate(&metrics::QUEUE_TIMEOUTS_TOTAL, Subject::Pool), POOL_LEGEND)
        .watched_by(&[AlertName::ConnectionPoolQueueTimeouts])
        .of_pools(),
        timeseries(
            "Queue wait p95",
            "One waiting caller in 20 waits longer. Who is served at once does not count: where \
nobody waits there is no line.",
            "s",
            &[],
        )
        .query(
            quantile("0.95", &metrics::QUEUE_WAIT_SECONDS, Subject::Pool),
            POOL_LEGEND,
        )
        .empty_until(Trouble::Saturation)
        .of_pools(),
        timeseries(
            "Turned away",
            "Callers per second that got no connection, by reason.",
            "reqps",
            &[],
        )
        .query(
            rate_by(&metrics::REJECTIONS_TOTAL, &pool_and("reason")),
            &pool_legend("{{reason}}"),
        )
        .stacked()
        .of_pools(),
    ]
}

fn second_attempts(spec: &Spec) -> Vec<Draft> {
    let refused = crate::alert::number(limit(spec, AlertName::RetryBudgetExhausted));
    vec![
        timeseries(
            "Second attempts",
            "Retries and hedges per second, and hedges that answered first.",
            "reqps",
            &[],
        )
        .query(
            rate(&metrics::RETRIES_TOTAL, Subject::Pool),
            &pool_legend("retries"),
        )
        .query(
            rate(&metrics::HEDGES_TOTAL, Subject::Pool),
            &pool_legend("hedges"),
        )
        .query(
            rate(&metrics::HEDGES_WON_TOTAL, Subject::Pool),
            &pool_legend("hedges won"),
        )
        .of_pools(),
        timeseries(
            "Second attempts refused",
            format!(
                "Retries and hedges per second that were wanted while their budget was spent. \
RetryBudgetExhausted fires when more than {refused} are refused within its window."
            ),
            "reqps",
            &[],
        )
        .query(
            rate(&metrics::RETRY_BUDGET_EXHAUSTED_TOTAL, Subject::Pool),
            &pool_legend("retries and hedges"),
        )
        .query(
            rate(&metrics::HEDGE_BUDGET_EXHAUSTED_TOTAL, Subject::Pool),
            &pool_legend("hedges alone"),
        )
        .watched_by(&[AlertName::RetryBudgetExhausted])
        .of_pools(),
        timeseries(
            "Hedges for nothing",
            "Hedges per second that lost: the price of the others.",
            "reqps",
            &[],
        )
        .query(rate(&metrics::HEDGES_LOST_TOTAL, Subject::Pool), POOL_LEGEND)
        .of_pools(),
    ]
}
