//! metrics with metrics-exporter-prometheus, with handles of each series.

use anyhow::Result;
use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use pool_metrics::catalogue::Kind;

use super::{
    Meter, Record, milliseconds,
    series::{closed, labels, names, of_endpoints},
};

pub(super) fn meter(endpoints: usize) -> Result<Meter> {
    let mut builder = PrometheusBuilder::new();
    for metric in of_endpoints().filter(|metric| metric.kind == Kind::Histogram) {
        let name = Matcher::Full(metric.name.to_owned());
        builder = builder.set_buckets_for_metric(name, metric.buckets)?;
    }
    let recorder = builder.build_recorder();
    let metadata = Metadata::new(module_path!(), Level::INFO, None);
    let (mut requests, mut durations) = (Vec::new(), Vec::new());
    for metric in of_endpoints() {
        let (label, values) = closed(metric);
        let series = names(endpoints).flat_map(|(pool, endpoint)| {
            values
                .iter()
                .map(move |value| labels(&pool, &endpoint, (label, value)))
        });
        for series in series {
            let labels: Vec<_> = series
                .into_iter()
                .map(|(name, value)| Label::new(name, value))
                .collect();
            let key = Key::from_parts(metric.name, labels);
            if metric.kind == Kind::Histogram {
                let handle = recorder.register_histogram(&key, &metadata);
                // shown only once it has a value
                handle.record(1.0);
                if metric.short_name == "request_duration_ms" {
                    durations.push(handle);
                }
            } else if metric.kind == Kind::Counter {
                let handle = recorder.register_counter(&key, &metadata);
                if metric.short_name == "requests_total" {
                    requests.push(handle);
                }
            } else {
                recorder.register_gauge(&key, &metadata).set(0.0);
            }
        }
    }
    let handle = recorder.handle();
    let pairs = requests.into_iter().zip(durations);
    let records = pairs.map(|(requests, durations)| -> Record {
        Box::new(move |elapsed| {
            requests.increment(1);
            durations.record(milliseconds(elapsed));
        })
    });
    Ok(Meter {
        records: records.collect(),
        scrape: Box::new(move || {
            let _alive = &recorder;
            Ok(handle.render())
        }),
    })
}
