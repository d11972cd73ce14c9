//! opentelemetry with its own exporter for Prometheus; labels given at each record, or bound ahead (an experimental feature).

use anyhow::Result;
use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use pool_metrics::{Limits, catalogue::Kind, views};
use prometheus::{Registry, TextEncoder};

use super::{
    Meter, Record, milliseconds,
    series::{closed, labels, names, of_endpoints},
};

pub(super) fn meter(endpoints: usize, bound: bool) -> Result<Meter> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_units()
        .without_counter_suffixes()
        .without_target_info()
        .scope_info_enabled(false)
        .build()?;
    // room for all, and the buckets of the catalogue
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(views(Limits::for_endpoints(endpoints)))
        .build();
    let meter = provider.meter("bench");
    let (mut requests, mut durations) = (None, None);
    for metric in of_endpoints() {
        let (label, values) = closed(metric);
        let series = names(endpoints).flat_map(|(pool, endpoint)| {
            values
                .iter()
                .map(move |value| attributes(&pool, &endpoint, (label, value)))
        });
        if metric.kind == Kind::Histogram {
            let histogram = meter
                .f64_histogram(metric.name)
                .with_description(metric.help)
                .build();
            series.for_each(|series| histogram.record(1.0, &series));
            if metric.short_name == "request_duration_ms" {
                durations = Some(histogram);
            }
        } else if metric.kind == Kind::Counter {
            let counter = meter
                .u64_counter(metric.name)
                .with_description(metric.help)
                .build();
            series.for_each(|series| counter.add(0, &series));
            if metric.short_name == "requests_total" {
                requests = Some(counter);
            }
        } else {
            let gauge = meter.u64_gauge(metric.name).with_description(metric.help).build();
            series.for_each(|series| gauge.record(0, &series));
        }
    }
    let mut records: Vec<Record> = Vec::new();
    for (pool, endpoint) in names(endpoints) {
        let series = attributes(&pool, &endpoint, ("", ""));
        let (Some(requests), Some(durations)) = (requests.clone(), durations.clone()) else {
            anyhow::bail!("the catalogue has no requests");
        };
        records.push(if bound {
            let (requests, durations) = (requests.bind(&series), durations.bind(&series));
            Box::new(move |elapsed| {
                requests.add(1);
                durations.record(milliseconds(elapsed));
            })
        } else {
            Box::new(move |elapsed| {
                requests.add(1, &series);
                durations.record(milliseconds(elapsed), &series);
            })
        });
    }
    Ok(Meter {
        records,
        scrape: Box::new(move || {
            let _alive = &provider;
            Ok(TextEncoder::new().encode_to_string(&registry.gather())?)
        }),
    })
}

/// By name, as the SDK wants them.
fn attributes(pool: &str, endpoint: &str, closed: (&str, &str)) -> Vec<KeyValue> {
    let mut labels = labels(pool, endpoint, closed);
    labels.sort();
    let pairs = labels.into_iter().map(|(name, value)| KeyValue::new(name, value));
    pairs.collect()
}
