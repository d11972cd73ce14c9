//! What of a gathering may be shown.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use pool_core::PoolSnapshot;
use prometheus::proto::{LabelPair, Metric, MetricFamily};

use crate::{
    catalogue::{self, Kind},
    exposition,
};

/// The label by which the SDK marks the series that holds all beyond its limit.
const OVERFLOW: &str = "otel_metric_overflow";

/// Cleans what the exporter gathered.
///
/// - Histograms stay in the SDK for ever. Those whose endpoint or pool is not in the snapshots of the same gathering are
///   gone, and are left out.
/// - What is read from snapshots does not come from the exporter, whoever else may feed its provider.
/// - A series of everything beyond the limit holds the last value written by anybody: it is left out, an error is
///   logged, once, and the metrics that this happened to are counted in one of their own.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    overflow_logged: AtomicBool,
}

impl Filter {
    pub(crate) fn apply(&self, families: &mut Vec<MetricFamily>, pools: &[PoolSnapshot]) {
        let living = living(pools);
        let mut overflowed = 0_u32;
        for family in &mut *families {
            let Some(metric) = catalogue::by_name(family.name()) else {
                continue;
            };
            if metric.kind != Kind::Histogram {
                family.mut_metric().clear();
                continue;
            }
            let before = family.get_metric().len();
            family
                .mut_metric()
                .retain(|series| label(series, OVERFLOW).is_none());
            if family.get_metric().len() < before {
                self.log_overflow(metric.name);
                overflowed += 1;
            }
            family
                .mut_metric()
                .retain(|series| living.contains(&identity(series)));
        }
        families.retain(|family| !family.get_metric().is_empty());
        let overflow = &catalogue::METRICS_OVERFLOW;
        let count = exposition::series(overflow.kind, Vec::new(), overflowed.into());
        families.push(exposition::family(overflow, vec![count]));
    }

    fn log_overflow(&self, metric: &str) {
        if !self.overflow_logged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                metric,
                "more endpoints than the histograms have room for: series are missing from now on; raise the limit \
                 (Limits::for_endpoints) and restart"
            );
        }
    }
}

/// Pairs of pool and endpoint, and pools, without an endpoint.
fn living(pools: &[PoolSnapshot]) -> HashSet<(&str, &str)> {
    let pools = pools.iter().map(|pool| (pool.id.as_str(), &pool.endpoints));
    pools
        .flat_map(|(pool, endpoints)| {
            let endpoints = endpoints.iter().map(|endpoint| endpoint.id.as_str());
            endpoints.chain([""]).map(move |endpoint| (pool, endpoint))
        })
        .collect()
}

fn identity(series: &Metric) -> (&str, &str) {
    let value = |name| label(series, name).unwrap_or_default();
    (value("pool"), value("endpoint"))
}

fn label<'a>(series: &'a Metric, name: &str) -> Option<&'a str> {
    series
        .get_label()
        .iter()
        .find(|label| label.name() == name)
        .map(LabelPair::value)
}
