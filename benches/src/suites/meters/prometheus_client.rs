//! prometheus-client, with handles of each series.

use pool_metrics::catalogue::Kind;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    Meter, Record, milliseconds,
    series::{closed, labels, names, of_endpoints},
};

type Labels = Vec<(String, String)>;

pub(super) fn meter(endpoints: usize) -> Meter {
    let mut registry = Registry::default();
    let (mut requests, mut durations) = (Vec::new(), Vec::new());
    for metric in of_endpoints() {
        let (label, values) = closed(metric);
        let series = names(endpoints).flat_map(|(pool, endpoint)| {
            values
                .iter()
                .map(move |value| labels(&pool, &endpoint, (label, value)))
        });
        if metric.kind == Kind::Histogram {
            let buckets = metric.buckets;
            let family = Family::<Labels, Histogram, _>::new_with_constructor(move || {
                Histogram::new(buckets.iter().copied())
            });
            let handles: Vec<_> = series
                .map(|series| family.get_or_create(&series).clone())
                .collect();
            if metric.short_name == "request_duration_ms" {
                durations = handles;
            }
            registry.register(metric.name, metric.help, family);
        } else if metric.kind == Kind::Counter {
            let family = Family::<Labels, Counter>::default();
            let handles: Vec<_> = series
                .map(|series| family.get_or_create(&series).clone())
                .collect();
            if metric.short_name == "requests_total" {
                requests = handles;
            }
            // it adds the suffix itself
            registry.register(metric.name.trim_end_matches("_total"), metric.help, family);
        } else {
            let family = Family::<Labels, Gauge>::default();
            series.for_each(|series| {
                family.get_or_create(&series).set(0);
            });
            registry.register(metric.name, metric.help, family);
        }
    }
    let pairs = requests.into_iter().zip(durations);
    let records = pairs.map(|(requests, durations)| -> Record {
        Box::new(move |elapsed| {
            requests.inc();
            durations.observe(milliseconds(elapsed));
        })
    });
    Meter {
        records: records.collect(),
        scrape: Box::new(move || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry)?;
            Ok(text)
        }),
    }
}
