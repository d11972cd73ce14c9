//! What of a gathering may be shown.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::catalogue::{self, Kind};

/// The label by which the SDK marks the series that holds all beyond its limit.
const OVERFLOW: &str = "otel_metric_overflow";

/// Cleans what the exporter gathered.
///
/// - Histograms stay in the SDK for ever. Those whose endpoint or pool has no gauges in the same gathering are gone, and
///   are left out.
/// - A series of everything beyond the limit holds the last value written by anybody: it is left out, an error is
///   logged, once, and the metrics that this happened to are counted in one of their own.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    overflow_logged: AtomicBool,
}

impl Filter {
    pub(crate) fn apply(&self, families: &mut Vec<MetricFamily>) {
        let living = living(families);
        let mut overflowed = 0_u32;
        for family in &mut *families {
            let Some(metric) = catalogue::by_name(family.name()) else {
                continue;
            };
            let before = family.get_metric().len();
            family
                .mut_metric()
                .retain(|series| label(series, OVERFLOW).is_none());
            if family.get_metric().len() < before {
                self.log_overflow(metric.name);
                overflowed += 1;
            }
            if metric.kind == Kind::Histogram {
                family
                    .mut_metric()
                    .retain(|series| living.contains(&identity(series)));
            }
        }
        families.retain(|family| !family.get_metric().is_empty());
        families.push(count(&catalogue::METRICS_OVERFLOW, overflowed));
    }

    fn log_overflow(&self, metric: &str) {
        if !self.overflow_logged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                metric,
                "more endpoints than the metrics have room for: series are missing from now on; raise the limit \
                 (Limits::for_endpoints) and restart"
            );
        }
    }
}

/// A gauge without labels.
fn count(metric: &catalogue::Metric, value: u32) -> MetricFamily {
    let mut gauge = Gauge::default();
    gauge.set_value(value.into());
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(vec![Metric::from_gauge(gauge)]);
    family
}

/// Pairs of pool and endpoint that have gauges, and pools, without an endpoint.
fn living(families: &[MetricFamily]) -> HashSet<(String, String)> {
    let gauges = [catalogue::CONNECTIONS_MAX.name, catalogue::QUEUE_SIZE.name];
    let gauges = families.iter().filter(|family| gauges.contains(&family.name()));
    gauges.flat_map(MetricFamily::get_metric).map(identity).collect()
}

fn identity(series: &Metric) -> (String, String) {
    let value = |name| label(series, name).unwrap_or_default().to_owned();
    (value("pool"), value("endpoint"))
}

fn label<'a>(series: &'a Metric, name: &str) -> Option<&'a str> {
    series
        .get_label()
        .iter()
        .find(|label| label.name() == name)
        .map(LabelPair::value)
}
