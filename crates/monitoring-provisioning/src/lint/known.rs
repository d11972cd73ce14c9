//! Which series exist, and with which labels.

use std::collections::BTreeSet;

use pool_metrics::catalogue::{self, Kind, Metric};

use crate::recording::{self, Recording};

/// Metrics that are not ours but may be used, by name.
const OTHERS: [&str; 3] = ["up", "ALERTS", "ALERTS_FOR_STATE"];
/// Metrics that are not ours but may be used, by prefix: those of the stack's own parts.
const PREFIXES: [&str; 6] = [
    "prometheus_",
    "alertmanager_",
    "node_",
    "process_",
    "go_",
    "scrape_",
];

/// A series family that an expression may name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Series {
    /// One of the catalogue.
    Own { metric: &'static Metric, part: Part },
    /// A recording rule's.
    Recorded,
    /// `up`: whose labels are known.
    Up,
    /// One of another exporter: its labels aren't known.
    Foreign,
}

/// What of a metric a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Bucket,
    Sum,
    Count,
}

/// Finds a series by name.
///
/// # Errors
/// Why there is no such series, and what may be meant.
pub(super) fn series(name: &str) -> Result<Series, (String, String)> {
    for (suffix, part) in [
        ("_bucket", Part::Bucket),
        ("_sum", Part::Sum),
        ("_count", Part::Count),
        ("", Part::Whole),
    ] {
        let Some(metric) = name.strip_suffix(suffix).and_then(catalogue::by_name) else {
            continue;
        };
        match (metric.kind, part) {
            (Kind::Histogram, Part::Whole) => {
                return Err((
                    format!("`{name}` is a histogram and has no series of its own"),
                    format!("use `{name}_bucket`, `{name}_sum` or `{name}_count`"),
                ));
            }
            (Kind::Histogram, _) | (_, Part::Whole) => return Ok(Series::Own { metric, part }),
            _ => {}
        }
    }
    if Recording::by_name(name).is_some() {
        return Ok(Series::Recorded);
    }
    if name == "up" {
        return Ok(Series::Up);
    }
    if OTHERS.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(Series::Foreign);
    }
    let names: Vec<&str> = catalogue::METRICS.iter().map(|metric| metric.name).collect();
    let remedy = crate::yaml::did_you_mean(name, &names)
        .unwrap_or_else(|| "see the table of metrics in monitoring/README.md".to_owned());
    Err((format!("no metric `{name}` in the catalogue"), remedy))
}

impl Series {
    /// The labels of the stored series; `None` when they aren't known.
    pub(super) fn labels(self) -> Option<BTreeSet<String>> {
        let scraped = ["job", "instance"].into_iter();
        match self {
            Self::Own { metric, part } => Some(
                scraped
                    .chain(metric.labels.iter().map(|label| label.name))
                    .chain((part == Part::Bucket).then_some("le"))
                    .map(str::to_owned)
                    .collect(),
            ),
            Self::Recorded => Some(recording::LABELS.map(str::to_owned).into()),
            Self::Up => Some(scraped.map(str::to_owned).collect()),
            Self::Foreign => None,
        }
    }

    /// Whether the value only grows.
    pub(super) fn is_counter(self) -> Option<bool> {
        match self {
            Self::Own { metric, .. } => Some(metric.kind != Kind::Gauge),
            Self::Up | Self::Recorded => Some(false),
            Self::Foreign => None,
        }
    }
}
