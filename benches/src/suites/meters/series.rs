//! Which series there are: as many, of the same kinds and with the same labels, as the catalogue has for an endpoint.

use pool_metrics::catalogue::{METRICS, Metric};

/// Endpoints of one pool.
const IN_A_POOL: usize = 20;

/// The pool of each endpoint, and the endpoint.
pub(super) fn names(endpoints: usize) -> impl Iterator<Item = (String, String)> {
    (0..endpoints).map(|number| {
        (
            format!("pool-{}", number / IN_A_POOL),
            format!("endpoint-{number}"),
        )
    })
}

/// The metrics that an endpoint has.
pub(super) fn of_endpoints() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.has_label("endpoint"))
}

/// The name and the values of a closed label; one value, without a name, where there is none.
pub(super) fn closed(metric: &Metric) -> (&'static str, &'static [&'static str]) {
    let label = metric.labels.iter().find(|label| !label.values.is_empty());
    label.map_or(("", &[""]), |label| (label.name, label.values))
}

/// The labels of one series.
pub(super) fn labels(pool: &str, endpoint: &str, (name, value): (&str, &str)) -> Vec<(String, String)> {
    let mut labels = vec![
        ("pool".to_owned(), pool.to_owned()),
        ("endpoint".to_owned(), endpoint.to_owned()),
    ];
    if !name.is_empty() {
        labels.push((name.to_owned(), value.to_owned()));
    }
    labels
}
