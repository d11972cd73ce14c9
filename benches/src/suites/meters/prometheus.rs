//! prometheus, with handles of each series.

use anyhow::Result;
use pool_metrics::catalogue::Kind;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use super::{
    Meter, Record, milliseconds,
    series::{closed, names, of_endpoints},
};

pub(super) fn meter(endpoints: usize) -> Result<Meter> {
    let registry = Registry::new();
    let (mut requests, mut durations) = (Vec::new(), Vec::new());
    for metric in of_endpoints() {
        let (label, values) = closed(metric);
        let label_names: Vec<_> = ["pool", "endpoint", label]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        let options = Opts::new(metric.name, metric.help);
        let series = names(endpoints).flat_map(|(pool, endpoint)| {
            values
                .iter()
                .map(move |value| [pool.clone(), endpoint.clone(), (*value).to_owned()])
        });
        let given = label_names.len();
        if metric.kind == Kind::Histogram {
            let options = HistogramOpts::from(options).buckets(metric.buckets.to_vec());
            let family = HistogramVec::new(options, &label_names)?;
            registry.register(Box::new(family.clone()))?;
            let handles = series.map(|values| family.with_label_values(&values[..given]));
            let handles: Vec<_> = handles.collect();
            if metric.short_name == "request_duration_ms" {
                durations = handles;
            }
        } else if metric.kind == Kind::Counter {
            let family = IntCounterVec::new(options, &label_names)?;
            registry.register(Box::new(family.clone()))?;
            let handles = series.map(|values| family.with_label_values(&values[..given]));
            let handles: Vec<_> = handles.collect();
            if metric.short_name == "requests_total" {
                requests = handles;
            }
        } else {
            let family = IntGaugeVec::new(options, &label_names)?;
            registry.register(Box::new(family.clone()))?;
            series.for_each(|values| family.with_label_values(&values[..given]).set(0));
        }
    }
    let pairs = requests.into_iter().zip(durations);
    let records = pairs.map(|(requests, durations)| -> Record {
        Box::new(move |elapsed| {
            requests.inc();
            durations.observe(milliseconds(elapsed));
        })
    });
    Ok(Meter {
        records: records.collect(),
        scrape: Box::new(move || Ok(TextEncoder::new().encode_to_string(&registry.gather())?)),
    })
}
