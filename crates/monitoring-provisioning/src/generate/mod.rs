//! From spec and catalogue to files.

pub use dashboard::{DashboardQuery, dashboard_queries};
pub use panels::Trouble;

mod addresses;
pub(crate) mod alertmanager;
mod compose;
pub(crate) mod dashboard;
mod discovery;
mod docs;
pub(crate) mod kept;
mod metrics_doc;
mod panels;
mod prometheus;
mod provisioning;
mod receivers;
pub(crate) mod rules;
pub(crate) mod runbooks;
mod schema;
pub(crate) mod templates;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    model::to_yaml,
    problem::{Problem, Problems},
    spec::Spec,
};
use addresses::Addresses;
pub use kept::{Kept, generate_keeping};

/// Paths of the generated files, relative to the output root.
pub(crate) mod paths {
    pub(crate) const PROMETHEUS: &str = "monitoring/prometheus/prometheus.yml";
    pub(crate) const RULES: &str = "monitoring/prometheus/alerts/connection-pool.yml";
    pub(crate) const ALERTMANAGER: &str = "monitoring/alertmanager/config.yml";
    pub(crate) const DATASOURCES: &str = "monitoring/grafana/provisioning/datasources/prometheus.yml";
    pub(crate) const DASHBOARDS: &str = "monitoring/grafana/provisioning/dashboards/connection-pool.yml";
    pub(crate) const DASHBOARD: &str = "monitoring/grafana/dashboards/connection-pool.json";
    pub(crate) const ENDPOINT_DASHBOARD: &str = "monitoring/grafana/dashboards/endpoint.json";
    pub(crate) const SLO_DASHBOARD: &str = "monitoring/grafana/dashboards/slo.json";
    pub(crate) const COMPOSE: &str = "docker-compose.monitoring.yml";
    pub(crate) use super::docs::PATH as GUIDE;
    pub(crate) use super::metrics_doc::PATH as METRICS;
    pub(crate) use super::schema::PATH as SCHEMA;
}

/// A file of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Relative to the output root: the repository for [`Runtime::Docker`], any folder for [`Runtime::Native`].
    pub path: PathBuf,
    /// The whole text.
    pub contents: String,
}

/// Where the stack will run; it decides how its parts find each other.
#[derive(Clone, Copy, Debug)]
pub enum Runtime<'a> {
    /// In containers. These are the committed files; the Compose file, the tables of the operator's guide, the
    /// reference of the metrics and the spec's JSON Schema included.
    Docker,
    /// As processes of this host, on loopback.
    Native {
        /// Absolute folder to which the files will be written.
        root: &'a Path,
    },
}

/// Generates all files, sorted by path. The same input gives the same bytes.
///
/// # Errors
/// What makes the spec impossible to turn into files: a native root that isn't absolute, or a guide that has lost the
/// markers of its generated tables.
pub fn generate(spec: &Spec, runtime: Runtime<'_>) -> Result<Vec<GeneratedFile>, Problems> {
    if let Runtime::Native { root } = runtime
        && !root.is_absolute()
    {
        return Err(Problem::new(root, "the folder for a native stack isn't absolute")
            .remedy("Grafana is started elsewhere and needs the whole path")
            .into());
    }
    let addresses = Addresses { spec, runtime };
    let mut files = vec![
        yaml(paths::PROMETHEUS, &prometheus::config(&addresses))?,
        yaml(paths::RULES, &rules::rule_file(spec))?,
        yaml(paths::ALERTMANAGER, &alertmanager::config(&addresses))?,
        templates::file(),
        yaml(paths::DATASOURCES, &provisioning::datasources(&addresses))?,
        yaml(paths::DASHBOARDS, &provisioning::dashboards(&addresses))?,
    ];
    for board in &dashboard::BOARDS {
        files.push(json(board.path, &board.dashboard(spec))?);
    }
    if matches!(runtime, Runtime::Docker) {
        files.push(yaml(paths::COMPOSE, &compose::compose(spec))?);
        files.push(file(paths::GUIDE, docs::guide(spec)?));
        files.push(file(paths::METRICS, metrics_doc::reference()));
        files.push(json(paths::SCHEMA, &schema::schema())?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn file(path: &str, contents: String) -> GeneratedFile {
    GeneratedFile {
        path: PathBuf::from(path),
        contents,
    }
}

fn yaml<T: Serialize>(path: &str, model: &T) -> Result<GeneratedFile, Problem> {
    Ok(file(path, to_yaml(model, path)?))
}

fn json<T: Serialize>(path: &str, model: &T) -> Result<GeneratedFile, Problem> {
    serde_json::to_string_pretty(model)
        .map(|text| file(path, text + "\n"))
        .map_err(|error| Problem::new(Path::new(path), format!("can't be written as JSON: {error}")))
}
