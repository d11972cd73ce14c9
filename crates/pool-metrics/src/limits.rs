//! How many series the SDK keeps per instrument.

use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use crate::catalogue::{self, Kind, Metric};

/// How much the metrics must be able to tell apart.
///
/// The SDK folds label sets beyond a limit, 2000 per instrument unless told otherwise, into one series without
/// labels: the gauges of endpoint 2001 vanish. The limits here follow from the number of endpoints and from the label
/// values in the catalogue instead. In the [bridge](crate::PrometheusBridge) they concern histograms only: it shows gauges
/// and counters of all endpoints, however many, and no histogram of those for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Distinct pairs of pool and endpoint that this process will ever have, removed ones included: their
    /// histograms are kept, in the SDK for ever and in the bridge so that an endpoint that comes back goes on from where it
    /// was. Default 10,000, twice the largest installation that the tests build. In the SDK the empty tables for it take
    /// less than 1 MiB; the bridge takes memory only for those that joined.
    pub endpoints: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { endpoints: 10_000 }
    }
}

impl Limits {
    /// Limits for so many pairs of pool and endpoint. 0 is taken as 1.
    pub const fn for_endpoints(endpoints: usize) -> Self {
        Self {
            endpoints: if endpoints == 0 { 1 } else { endpoints },
        }
    }

    /// How many series of the metric can be told apart: one per endpoint and value of its closed labels. A pool has
    /// at least one endpoint, so there are never more pools than that.
    pub fn series(&self, metric: &Metric) -> usize {
        let closed = metric.labels.iter().map(|label| label.values.len().max(1));
        let each = if metric.has_label("pool") {
            self.endpoints
        } else {
            1
        };
        closed.fold(each, usize::saturating_mul)
    }
}

/// The view that gives a provider the limits, and its histograms the catalogue's buckets.
///
/// For providers of your own: `SdkMeterProvider::builder().with_view(views(Limits::default()))`.
/// [`PrometheusBridge`](crate::PrometheusBridge) needs none.
pub fn views(limits: Limits) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static {
    move |instrument| {
        let metric = catalogue::by_name(instrument.name())?;
        let mut stream = Stream::builder().with_cardinality_limit(limits.series(metric));
        if metric.kind == Kind::Histogram {
            stream = stream.with_aggregation(Aggregation::ExplicitBucketHistogram {
                boundaries: metric.buckets.to_vec(),
                record_min_max: false,
            });
        }
        match stream.build() {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::error!(metric = metric.name, %error, "the limits of a metric are invalid; the SDK's defaults apply");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_labels_multiply() {
        let limits = Limits::for_endpoints(100);
        assert_eq!(limits.series(&catalogue::QUEUE_SIZE), 100);
        assert_eq!(limits.series(&catalogue::HEALTH_STATUS), 100);
        assert_eq!(
            limits.series(&catalogue::ERRORS_TOTAL),
            100 * catalogue::ERROR_TYPES.len()
        );
    }

    #[test]
    fn every_metric_has_a_valid_view() {
        for metric in catalogue::METRICS {
            assert!(Limits::for_endpoints(0).series(metric) > 0, "{}", metric.name);
            assert!(metric.buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
            assert_eq!(
                metric.buckets.is_empty(),
                metric.kind != Kind::Histogram,
                "{}",
                metric.name
            );
        }
    }
}
