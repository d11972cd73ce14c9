//! `prometheus.yml`.

use pool_metrics::catalogue::{JOB_POOLS, JOB_RELAYER, PREFIX};

use super::{addresses::Addresses, discovery};
use crate::{
    model::prometheus::{
        Alerting, AlertmanagerTarget, Authorization, BasicAuth, Global, PrometheusConfig, RelabelAction,
        RelabelConfig, RemoteWrite, ScrapeConfig, StaticConfig,
    },
    spec::SecretOwner,
};

/// Prometheus' configuration.
pub(super) fn config(addresses: &Addresses<'_>) -> PrometheusConfig {
    let spec = addresses.spec;
    // Both jobs scrape the same pages: the one drops the pool's series, the other keeps only them.
    let relayer = |name: &str, action| {
        let mut job = ScrapeConfig {
            job_name: name.to_owned(),
            static_configs: targets(addresses.relayers()),
            metric_relabel_configs: vec![RelabelConfig {
                source_labels: vec!["__name__".to_owned()],
                regex: format!("{PREFIX}.*"),
                action,
                ..RelabelConfig::default()
            }],
            ..ScrapeConfig::default()
        };
        discovery::look(addresses, &mut job);
        job
    };
    let own = |name: &str, target| ScrapeConfig {
        job_name: name.to_owned(),
        static_configs: targets(vec![target]),
        ..ScrapeConfig::default()
    };
    PrometheusConfig {
        global: Global {
            scrape_interval: spec.scaled(spec.prometheus.scrape_interval),
            scrape_timeout: spec.scaled(spec.prometheus.scrape_timeout),
            evaluation_interval: spec.scaled(spec.prometheus.evaluation_interval),
            scrape_protocols: spec.prometheus.scrape_protocols.clone(),
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
        remote_write: remote_write(addresses),
    }
}

fn remote_write(addresses: &Addresses<'_>) -> Vec<RemoteWrite> {
    let remotes = addresses.spec.prometheus.remote_write.iter().enumerate();
    remotes
        .map(|(index, remote)| {
            let name = format!("remote-write-{index}");
            let secret = |key| addresses.secret(SecretOwner::Prometheus, &name, key);
            RemoteWrite {
                url: remote.url.clone(),
                authorization: secret("credentials_file")
                    .map(|credentials_file| Authorization { credentials_file }),
                basic_auth: remote.username.clone().zip(secret("password_file")).map(
                    |(username, password_file)| BasicAuth {
                        username,
                        password_file,
                    },
                ),
            }
        })
        .collect()
}

fn targets(targets: Vec<String>) -> Vec<StaticConfig> {
    if targets.is_empty() {
        return Vec::new();
    }
    vec![StaticConfig { targets }]
}
