//! Histograms as Prometheus wants them.

use pool_core::PoolSnapshot;
use prometheus::proto::{self, MetricFamily};

use super::{Row, family, pair, sorted};
use crate::{
    catalogue::Metric,
    histogram::{Histogram, Scale},
    latencies::{Latencies, PER_ENDPOINT, PER_POOL},
};

/// The histograms of all pools and endpoints that are there. A family may be empty.
pub(crate) fn families(pools: &[PoolSnapshot], latencies: &Latencies) -> Vec<MetricFamily> {
    // found under the lock, read without it: who joins does not wait for a scrape
    let (of_pools, of_endpoints) = {
        let kept = latencies.kept();
        let of_pools = pools.iter().map(|pool| kept.pool(&pool.id));
        let of_endpoints = pools.iter().flat_map(|pool| {
            let of = |endpoint| kept.endpoint(&pool.id, endpoint);
            pool.endpoints.iter().map(move |endpoint| of(&endpoint.id))
        });
        (of_pools.collect::<Vec<_>>(), of_endpoints.collect::<Vec<_>>())
    };
    let pool_rows = pools.iter().zip(&of_pools).filter_map(|(pool, of)| {
        let labels = vec![pair("pool", pool.id.as_str())];
        Some(Row {
            of: &**of.as_ref()?,
            labels,
        })
    });
    let pool_rows = sorted(pool_rows.collect());
    let endpoints = pools
        .iter()
        .flat_map(|pool| pool.endpoints.iter().map(move |endpoint| (pool, endpoint)));
    let endpoint_rows = endpoints.zip(&of_endpoints).filter_map(|((pool, endpoint), of)| {
        let labels = vec![
            pair("endpoint", endpoint.id.as_str()),
            pair("pool", pool.id.as_str()),
        ];
        Some(Row {
            of: &**of.as_ref()?,
            labels,
        })
    });
    let endpoint_rows = sorted(endpoint_rows.collect());

    let (metric, scale) = &PER_POOL;
    let of_pools = each(metric, scale, &pool_rows, |histogram| histogram);
    let of_endpoints = PER_ENDPOINT
        .iter()
        .map(|(metric, which, scale)| each(metric, scale, &endpoint_rows, *which));
    std::iter::once(of_pools).chain(of_endpoints).collect()
}

fn each<T>(metric: &Metric, scale: &Scale, rows: &[Row<'_, T>], of: fn(&T) -> &Histogram) -> MetricFamily {
    let series = rows.iter().map(|row| {
        let mut series = proto::Metric::from_label(row.labels.clone());
        series.set_histogram(shown(metric, scale, of(row.of)));
        series
    });
    family(metric, series.collect())
}

/// Count, sum and buckets, all of the same records.
fn shown(metric: &Metric, scale: &Scale, histogram: &Histogram) -> proto::Histogram {
    let now = histogram.read();
    let mut below = 0;
    let buckets = metric.buckets.iter().zip(now.counts).map(|(bound, count)| {
        below += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let buckets = buckets.collect();
    let mut shown = proto::Histogram::default();
    shown.set_bucket(buckets);
    shown.set_sample_count(below + now.beyond);
    shown.set_sample_sum(scale.in_unit(now.nanos));
    shown
}
