//! The configurations of Prometheus and of Grafana's datasources.

use pool_metrics::catalogue::{JOB_POOLS, JOB_RELAYER, PREFIX};

use super::{Lint, Read};
use crate::model::{
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
        let wanted = &self.spec.prometheus;
        for (key, is, wanted) in [
            (
                "evaluation_interval",
                config.global.evaluation_interval,
                self.spec.scaled(wanted.evaluation_interval),
            ),
            (
                "scrape_interval",
                config.global.scrape_interval,
                self.spec.scaled(wanted.scrape_interval),
            ),
        ] {
            if is != wanted {
                self.report(
                    file.path,
                    at(&format!("global/{key}")),
                    format!("`{key}` is {is}, but the windows and `for` of the rules are made for {wanted}"),
                    "change it in monitoring/monitoring.yaml and run `cargo xtask generate`",
                );
            }
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
}
