//! Expressions of the panels: everything is confined to the dashboard's variables, and folds the jobs first.

use pool_metrics::catalogue::Metric;

use crate::alert::Subject;

/// Grouping by endpoint and one label more.
pub(super) fn endpoint_and(label: &str) -> String {
    format!("{}, {label}", Subject::Endpoint.by())
}

/// Grouping by pool and one label more.
pub(super) fn pool_and(label: &str) -> String {
    format!("{}, {label}", Subject::Pool.by())
}

/// Matchers of the dashboard's variables, as far as the metric has the labels, and more of them.
fn matchers(metric: &Metric, more: &str) -> String {
    let mut matchers = "job=~\"$job\",instance=~\"$instance\"".to_owned();
    for label in ["pool", "endpoint"] {
        if metric.has_label(label) {
            matchers.push_str(&format!(",{label}=~\"${label}\""));
        }
    }
    if !more.is_empty() {
        matchers.push(',');
        matchers.push_str(more);
    }
    matchers
}

/// A gauge, jobs folded.
pub(super) fn gauge_by(metric: &Metric, by: &str, more: &str) -> String {
    format!("max by ({by}) ({}{{{}}})", metric.name, matchers(metric, more))
}

/// A gauge per endpoint.
pub(super) fn by_endpoint(metric: &Metric) -> String {
    gauge_by(metric, &Subject::Endpoint.by(), "")
}

/// A gauge per pool.
pub(super) fn by_pool(metric: &Metric) -> String {
    gauge_by(metric, &Subject::Pool.by(), "")
}

/// A gauge of endpoints, added up per pool.
pub(super) fn sum_by_pool(metric: &Metric) -> String {
    format!("sum by ({}) ({})", Subject::Pool.by(), by_endpoint(metric))
}

/// `function` of a counter, or of a histogram's part named by `suffix`, over Grafana's interval; jobs folded.
pub(super) fn over(function: &str, metric: &Metric, suffix: &str, by: &str, more: &str) -> String {
    format!(
        "max by ({by}) ({function}({}{suffix}{{{}}}[$__rate_interval]))",
        metric.name,
        matchers(metric, more)
    )
}

/// A counter's rate per subject.
pub(super) fn rate(metric: &Metric, subject: Subject) -> String {
    rate_by(metric, &subject.by())
}

/// A counter's rate by these labels.
pub(super) fn rate_by(metric: &Metric, by: &str) -> String {
    over("rate", metric, "", by, "")
}

/// A counter's increase per subject.
pub(super) fn increase(metric: &Metric, subject: Subject) -> String {
    increase_by(metric, &subject.by())
}

/// A counter's increase by these labels.
pub(super) fn increase_by(metric: &Metric, by: &str) -> String {
    over("increase", metric, "", by, "")
}

/// A quantile of a histogram, per subject.
pub(super) fn quantile(share: &str, metric: &Metric, subject: Subject) -> String {
    let by = subject.by();
    let buckets = over("rate", metric, "_bucket", &format!("{by}, le"), "");
    format!("histogram_quantile({share}, {buckets})")
}

/// A quantile of a histogram of endpoints, over all of a pool.
pub(super) fn pool_quantile(share: &str, metric: &Metric) -> String {
    let buckets = over("rate", metric, "_bucket", &endpoint_and("le"), "");
    format!(
        "histogram_quantile({share}, sum by ({}) ({buckets}))",
        pool_and("le")
    )
}

/// The mean of a histogram, per subject.
pub(super) fn mean(metric: &Metric, subject: Subject) -> String {
    let rate = |suffix| over("rate", metric, suffix, &subject.by(), "");
    format!("{} / ({} > 0)", rate("_sum"), rate("_count"))
}

/// The same for all endpoints of the pool, whichever is chosen.
pub(super) fn whole_pool(expr: &str) -> String {
    expr.replace(",endpoint=~\"$endpoint\"", "")
}
