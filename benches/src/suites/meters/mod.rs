//! The crates that keep metrics, behind one small face: ours, and the usual ones, each as its documentation recommends.

mod metrics_exporter;
mod opentelemetry;
mod ours;
mod prometheus;
mod prometheus_client;
mod series;

use std::time::Duration;

use anyhow::{Context, Result};

/// All recording for one request of one endpoint, which took so long.
pub(super) type Record = Box<dyn Fn(Duration) + Send + Sync>;

/// Series of so many endpoints.
pub(super) struct Meter {
    /// The recording of each endpoint.
    pub(super) records: Vec<Record>,
    scrape: Box<dyn Fn() -> Result<String>>,
}

impl Meter {
    /// What a scrape shows.
    ///
    /// # Errors
    /// When it can't be encoded.
    pub(super) fn scrape(&self) -> Result<String> {
        (self.scrape)()
    }
}

/// Who keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    OpenTelemetry,
    OpenTelemetryBound,
    Prometheus,
    PrometheusClient,
    MetricsExporter,
}

impl Side {
    pub(super) const ALL: [Self; 6] = [
        Self::OpenTelemetry,
        Self::OpenTelemetryBound,
        Self::Prometheus,
        Self::PrometheusClient,
        Self::MetricsExporter,
        Self::Ours,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "**pool-metrics**",
            Self::OpenTelemetry => "opentelemetry, labels at each record",
            Self::OpenTelemetryBound => "opentelemetry, bound",
            Self::Prometheus => "prometheus",
            Self::PrometheusClient => "prometheus-client",
            Self::MetricsExporter => "metrics-exporter-prometheus",
        }
    }

    /// In the fewest words, for a command line.
    pub(super) const fn case(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OpenTelemetry => "opentelemetry",
            Self::OpenTelemetryBound => "opentelemetry-bound",
            Self::Prometheus => "prometheus",
            Self::PrometheusClient => "prometheus-client",
            Self::MetricsExporter => "metrics-exporter",
        }
    }

    /// The one of this [`case`](Self::case).
    pub(super) fn of(case: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|side| side.case() == case);
        found.with_context(|| format!("nobody is called {case}"))
    }

    /// Whether it is a peer whose labels were resolved before anything is recorded.
    pub(super) const fn is_resolved_peer(self) -> bool {
        !matches!(self, Self::Ours | Self::OpenTelemetry)
    }

    /// So many endpoints, each with a value in every series.
    pub(super) fn meter(self, endpoints: usize) -> Result<Meter> {
        match self {
            Self::Ours => ours::meter(endpoints),
            Self::OpenTelemetry => opentelemetry::meter(endpoints, false),
            Self::OpenTelemetryBound => opentelemetry::meter(endpoints, true),
            Self::Prometheus => prometheus::meter(endpoints),
            Self::PrometheusClient => Ok(prometheus_client::meter(endpoints)),
            Self::MetricsExporter => metrics_exporter::meter(endpoints),
        }
    }
}

/// Does nothing: what the measuring itself costs.
pub(super) fn nothing() -> Record {
    Box::new(|_| {})
}

/// As those who use the other crates write it.
fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

/// The crates that are compared.
pub(super) const PEERS: &[&str] = &[
    "opentelemetry",
    "opentelemetry-prometheus",
    "prometheus",
    "prometheus-client",
    "metrics-exporter-prometheus",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of values, without labels and values: what there is of each name.
    fn names(side: Side, endpoints: usize) -> std::collections::BTreeMap<String, usize> {
        let meter = side.meter(endpoints).unwrap();
        assert_eq!(meter.records.len(), endpoints);
        meter
            .records
            .iter()
            .for_each(|record| record(Duration::from_millis(7)));
        let mut names = std::collections::BTreeMap::new();
        for line in meter.scrape().unwrap().lines() {
            if line.contains("endpoint=") {
                let name = line.split('{').next().unwrap().to_owned();
                *names.entry(name).or_default() += 1;
            }
        }
        names
    }

    /// Else the scrapes would not be of the same.
    #[test]
    fn all_have_the_same_series() {
        let ours = names(Side::Ours, 3);
        assert!(ours.len() > 30, "{ours:?}");
        for side in Side::ALL {
            // prometheus-client adds the suffix itself, also where there is none
            let of = |(name, lines): (String, usize)| (name.trim_end_matches("_total").to_owned(), lines);
            let (ours, theirs): (Vec<_>, Vec<_>) = (
                ours.clone().into_iter().map(of).collect(),
                names(side, 3).into_iter().map(of).collect(),
            );
            assert_eq!(theirs, ours, "{}", side.name());
        }
    }

    #[test]
    fn what_is_recorded_shows() {
        for side in Side::ALL {
            let meter = side.meter(2).unwrap();
            let count = || {
                let text = meter.scrape().unwrap();
                let mut lines = text.lines();
                let found = lines.find(|line| {
                    line.starts_with("fusion_connection_pool_request_duration_ms_count")
                        && line.contains("\"endpoint-1\"")
                });
                found.unwrap().rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
            };
            let before = count();
            (meter.records[1])(Duration::from_millis(3));
            assert_eq!(count(), before + 1.0, "{}", side.name());
        }
    }
}
