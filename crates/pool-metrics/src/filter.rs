//! What of a gathering may be shown.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use prometheus::proto::{LabelPair, Metric, MetricFamily};

use crate::catalogue::{self, Kind};

/// The label by which the SDK marks the series that holds all beyond its limit.
const OVERFLOW: &str = "otel_metric_overflow";

/// Cleans what the exporter gathered.
///
/// - Histograms stay in the SDK for ever. Those whose endpoint has no gauges in the same gathering belong to pools or
///   endpoints that are gone, and are left out.
/// - A series of everything beyond the limit holds the last value written by anybody: it is left out, and an error is
///   logged, once.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    overflow_logged: AtomicBool,
}

impl Filter {
    pub(crate) fn apply(&self, families: &mut Vec<MetricFamily>) {
        let living = living(families);
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
            }
            if metric.kind == Kind::Histogram {
                family
                    .mut_metric()
                    .retain(|series| living.contains(&identity(series)));
            }
        }
        families.retain(|family| !family.get_metric().is_empty());
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

/// Pairs of pool and endpoint that have gauges.
fn living(families: &[MetricFamily]) -> HashSet<(String, String)> {
    let gauges = families
        .iter()
        .filter(|family| family.name() == catalogue::CONNECTIONS_MAX.name);
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
