//! What Prometheus is shown of the pools, straight from their snapshots and histograms.
//!
//! On their way through the SDK and its exporter, each series would be hashed, copied and put into a family of its own, to be
//! merged again. None of that is needed for numbers that somebody already holds, and it made most of a scrape's
//! cost. What comes out is the same: labels by name, series by the values of their labels, so that the registry finds them
//! sorted.

mod histograms;

use pool_core::{EndpointSnapshot, PoolSnapshot};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use crate::{
    catalogue::{Kind, Label, Metric},
    instruments::{OBSERVED, Read},
};

pub(crate) use histograms::families as histograms;

/// All that is read from snapshots, as Prometheus wants it. A family may be empty.
pub(crate) fn families(pools: &[PoolSnapshot]) -> Vec<MetricFamily> {
    let rows = Rows::new(pools);
    let family = |(metric, read): &(Metric, Read)| family(metric, rows.series(metric, *read));
    OBSERVED.iter().map(family).collect()
}

/// A family of series.
pub(crate) fn family(metric: &Metric, series: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(series);
    family
}

/// One series of a gauge or counter.
pub(crate) fn series(kind: Kind, labels: Vec<LabelPair>, value: f64) -> proto::Metric {
    let mut series = proto::Metric::from_label(labels);
    if kind == Kind::Counter {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        series.set_counter(counter);
    } else {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        series.set_gauge(gauge);
    }
    series
}

/// A pool or an endpoint, with the labels that all its series have, by name.
struct Row<'a, T> {
    of: &'a T,
    labels: Vec<LabelPair>,
}

/// Pools and endpoints in the order of their labels' values, none twice.
struct Rows<'a> {
    pools: Vec<Row<'a, PoolSnapshot>>,
    endpoints: Vec<Row<'a, EndpointSnapshot>>,
}

impl<'a> Rows<'a> {
    fn new(pools: &'a [PoolSnapshot]) -> Self {
        let of_pool = |of: &'a PoolSnapshot| Row {
            of,
            labels: vec![pair("pool", of.id.as_str())],
        };
        let of_endpoints = |pool: &'a PoolSnapshot| {
            pool.endpoints.iter().map(|of| Row {
                of,
                labels: vec![pair("endpoint", of.id.as_str()), pair("pool", pool.id.as_str())],
            })
        };
        Self {
            pools: sorted(pools.iter().map(of_pool).collect()),
            endpoints: sorted(pools.iter().flat_map(of_endpoints).collect()),
        }
    }

    fn series(&self, metric: &Metric, read: Read) -> Vec<proto::Metric> {
        let kind = metric.kind;
        match read {
            Read::Process(value) => {
                let mut labels: Vec<_> = metric.labels.iter().flat_map(pairs).collect();
                labels.sort_by(|a, b| a.name().cmp(b.name()));
                vec![series(kind, labels, value as f64)]
            }
            Read::Pool(value) => each(kind, &self.pools, |pool| value(pool) as f64),
            Read::PoolBy(value) => crossed(metric, &self.pools, value),
            Read::Endpoint(value) => each(kind, &self.endpoints, |endpoint| value(endpoint) as f64),
            Read::PoolReal(value) => each(kind, &self.pools, value),
            Read::EndpointReal(value) => each(kind, &self.endpoints, value),
            Read::EndpointBy(value) => crossed(metric, &self.endpoints, value),
        }
    }
}

/// By the values of their labels. A series must not come twice, since Prometheus would refuse the whole scrape: of rows with
/// the same labels the last stays, as in the SDK.
fn sorted<T>(mut rows: Vec<Row<'_, T>>) -> Vec<Row<'_, T>> {
    fn key<'r, T>(row: &'r Row<'_, T>) -> impl Iterator<Item = &'r str> {
        row.labels.iter().map(LabelPair::value)
    }
    rows.sort_by(|a, b| key(a).cmp(key(b)));
    rows.dedup_by(|later, earlier| {
        let same = key(later).eq(key(earlier));
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    rows
}

fn each<T>(kind: Kind, rows: &[Row<'_, T>], value: impl Fn(&T) -> f64) -> Vec<proto::Metric> {
    rows.iter()
        .map(|row| series(kind, row.labels.clone(), value(row.of)))
        .collect()
}

/// One series for each row and value of the metric's closed label, the last one.
fn crossed<T>(metric: &Metric, rows: &[Row<'_, T>], value: fn(&T, usize) -> u64) -> Vec<proto::Metric> {
    let closed = metric.labels.last().into_iter().flat_map(pairs);
    let mut classes: Vec<(usize, LabelPair)> = closed.enumerate().collect();
    classes.sort_by(|(_, a), (_, b)| a.value().cmp(b.value()));
    let (Some((_, class)), Some(row)) = (classes.first(), rows.first()) else {
        return Vec::new();
    };
    let before = row.labels.iter().filter(|label| label.name() < class.name());
    let at = before.count();
    let one = |row: &Row<'_, T>, (place, class): &(usize, LabelPair)| {
        let mut labels = Vec::with_capacity(row.labels.len() + 1);
        labels.extend_from_slice(&row.labels[..at]);
        labels.push(class.clone());
        labels.extend_from_slice(&row.labels[at..]);
        series(metric.kind, labels, value(row.of, *place) as f64)
    };
    // the first label is what they are sorted by
    if at == 0 {
        let all = classes
            .iter()
            .flat_map(|class| rows.iter().map(move |row| (row, class)));
        all.map(|(row, class)| one(row, class)).collect()
    } else {
        let all = rows
            .iter()
            .flat_map(|row| classes.iter().map(move |class| (row, class)));
        all.map(|(row, class)| one(row, class)).collect()
    }
}

/// The values of a closed label, in the order of the catalogue.
fn pairs(label: &Label) -> impl Iterator<Item = LabelPair> {
    label.values.iter().map(|value| pair(label.name, value))
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

#[cfg(test)]
mod tests;
