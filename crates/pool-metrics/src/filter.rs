//! What of a gathering may be shown.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::proto::MetricFamily;

use crate::{
    catalogue::{self, Metric},
    exposition,
};

/// Keeps apart what comes from the exporter and what the bridge shows itself, and tells of what it can't show.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    overflow_logged: AtomicBool,
}

impl Filter {
    /// What is of the catalogue does not come from the exporter, whoever else may feed its provider.
    pub(crate) fn apply(families: &mut Vec<MetricFamily>) {
        families.retain(|family| catalogue::by_name(family.name()).is_none());
    }

    /// Counts the metrics that lack series because there was no room for them. An error is logged, once.
    pub(crate) fn overflow<'m>(&self, refused: impl Iterator<Item = &'m Metric>) -> MetricFamily {
        let mut overflowed = 0_u32;
        for metric in refused {
            self.log_overflow(metric.name);
            overflowed += 1;
        }
        let overflow = &catalogue::METRICS_OVERFLOW;
        let count = exposition::series(overflow.kind, Vec::new(), overflowed.into());
        exposition::family(overflow, vec![count])
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
