//! `prometheus.yml`.

use pool_metrics::catalogue::{JOB_POOLS, JOB_RELAYER, PREFIX};

use super::addresses::Addresses;
use crate::model::prometheus::{
    Alerting, AlertmanagerTarget, Global, PrometheusConfig, RelabelAction, RelabelConfig, ScrapeConfig,
    StaticConfig,
};

/// Prometheus' configuration.
pub(super) fn config(addresses: &Addresses<'_>) -> PrometheusConfig {
    let spec = addresses.spec;
    // Both jobs scrape the same pages: the one drops the pool's series, the other keeps only them.
    let relayer = |name: &str, action| ScrapeConfig {
        job_name: name.to_owned(),
        static_configs: targets(addresses.relayers()),
        metric_relabel_configs: vec![RelabelConfig {
            source_labels: vec!["__name__".to_owned()],
            regex: format!("{PREFIX}.*"),
            action,
        }],
    };
    let own = |name: &str, target| ScrapeConfig {
        job_name: name.to_owned(),
        static_configs: targets(vec![target]),
        metric_relabel_configs: Vec::new(),
    };
    PrometheusConfig {
        global: Global {
            scrape_interval: spec.scaled(spec.prometheus.scrape_interval),
            scrape_timeout: spec.scaled(spec.prometheus.scrape_timeout),
            evaluation_interval: spec.scaled(spec.prometheus.evaluation_interval),
            external_labels: spec.prometheus.external_labels.clone(),
        },
        rule_files: vec!["alerts/*.yml".to_owned()],
        alerting: Alerting {
            alertmanagers: vec![AlertmanagerTarget {
                static_configs: targets(vec![addresses.alertmanager()]),
            }],
        },
        scrape_configs: vec![
            relayer(JOB_RELAYER, RelabelAction::Drop),
            relayer(JOB_POOLS, RelabelAction::Keep),
            own("prometheus", addresses.prometheus_self()),
            own("alertmanager", addresses.alertmanager()),
            own("node", addresses.node_exporter()),
        ],
    }
}

fn targets(targets: Vec<String>) -> Vec<StaticConfig> {
    vec![StaticConfig { targets }]
}
