//! The configurations of Prometheus, Grafana's datasources and Compose.

use pool_metrics::catalogue::{JOB_POOLS, JOB_RELAYER, PREFIX};

use super::{Lint, Read};
use crate::model::{
    compose::Compose,
    prometheus::{PrometheusConfig, RelabelAction},
    provisioning::Datasources,
};

impl Lint<'_> {
    pub(super) fn prometheus(&mut self, file: &Read<'_, PrometheusConfig>) {
        let config = &file.model;
        let at = |path: &str| file.document.place(path);
        if config.global.scrape_timeout > config.global.scrape_interval {
            self.report(
                file.path,
                at("global/scrape_timeout"),
                "`scrape_timeout` is longer than `scrape_interval`",
                "a scrape must end before the next one begins",
            );
        }
        if !config
            .rule_files
            .iter()
            .any(|glob| glob == "alerts/*.yml" || glob == "alerts/connection-pool.yml")
        {
            self.report(
                file.path,
                at("rule_files"),
                "no pattern matches alerts/connection-pool.yml: the rules would never be loaded, without any error",
                "add `alerts/*.yml`",
            );
        }
        if !config
            .alerting
            .alertmanagers
            .iter()
            .any(|am| am.static_configs.iter().any(|sc| !sc.targets.is_empty()))
        {
            self.report(
                file.path,
                at("alerting"),
                "no Alertmanager: alerts would reach nobody",
                "name one",
            );
        }
        self.job(file, JOB_RELAYER, RelabelAction::Drop);
        self.job(file, JOB_POOLS, RelabelAction::Keep);
    }

    /// Both jobs scrape the same pages: one must drop the pool's series and the other keep nothing else, or every series
    /// is stored twice.
    fn job(&mut self, file: &Read<'_, PrometheusConfig>, name: &str, action: RelabelAction) {
        let jobs = &file.model.scrape_configs;
        let Some(index) = jobs.iter().position(|job| job.job_name == name) else {
            let place = file.document.place("scrape_configs");
            return self.report(
                file.path,
                place,
                format!("the job `{name}` is missing"),
                "run `cargo xtask generate`",
            );
        };
        let wanted = format!("{PREFIX}.*");
        let is_right = jobs[index].metric_relabel_configs.iter().any(|relabel| {
            relabel.action == action && relabel.regex == wanted && relabel.source_labels == ["__name__"]
        });
        if !is_right {
            let verb = if action == RelabelAction::Keep {
                "keep only"
            } else {
                "drop"
            };
            self.report(
                file.path,
                file.document.place(&format!("scrape_configs/{index}")),
                format!("the job `{name}` doesn't {verb} the pool's series"),
                format!("relabel `__name__` with `{wanted}`, or every series is stored twice"),
            );
        }
    }

    pub(super) fn datasources(&mut self, file: &Read<'_, Datasources>) {
        let defaults = file
            .model
            .datasources
            .iter()
            .filter(|datasource| datasource.is_default)
            .count();
        if defaults != 1 {
            self.report(
                file.path,
                file.document.place("datasources"),
                format!("{defaults} default datasources"),
                "exactly one must be `isDefault: true`",
            );
        }
    }

    pub(super) fn compose(&mut self, file: &Read<'_, Compose>) {
        for name in ["prometheus", "alertmanager", "grafana", "node-exporter"] {
            let Some(service) = file.model.services.get(name) else {
                let place = file.document.place("services");
                self.report(
                    file.path,
                    place,
                    format!("the service `{name}` is missing"),
                    "run `cargo xtask generate`",
                );
                continue;
            };
            let wanted = format!("fusion-{name}");
            if service.container_name != wanted {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/container_name")),
                    format!("the container is called `{}`", service.container_name),
                    format!("it is `{wanted}`; the name is fixed"),
                );
            }
            let tag = service
                .image
                .rsplit('/')
                .next()
                .and_then(|last| last.split_once(':'))
                .map(|(_, tag)| tag);
            if tag.is_none_or(|tag| tag == "latest") {
                self.report(
                    file.path,
                    file.document.place(&format!("services/{name}/image")),
                    format!("image `{}` has no version", service.image),
                    "pin one in monitoring/monitoring.yaml",
                );
            }
        }
    }
}
