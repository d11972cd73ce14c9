//! What the stack would accept in silence and then never fire.
//!
//! Each file is read back strictly through the model it was written from, and then judged: the expressions against the
//! metric catalogue, the texts against the labels that the expressions leave, the routes and inhibitions against the
//! alerts that exist.

mod alertmanager;
mod compose;
mod dashboard;
pub(crate) mod flow;
mod known;
mod memory;
pub(crate) mod promql;
mod rules;
mod runbooks;
mod stack;
mod template;

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{
    edits,
    generate::{GeneratedFile, paths},
    model::{
        alertmanager::AlertmanagerConfig,
        compose::Compose,
        prometheus::PrometheusConfig,
        provisioning::{DashboardProviders, Datasources},
        rules::RuleFile,
    },
    problem::Problem,
    spec::Spec,
    yaml::{Document, Place, typed},
};
use flow::{Finding, Flow, Labels};

pub(crate) use rules::has_condition;
pub(crate) use template::references;

/// Lints the contents of the files, wherever they were read from. Empty when all is well.
///
/// Files are told apart by their paths relative to the output root; ones that this crate doesn't generate are ignored, and
/// ones that are missing are a problem. Sorted by file and place.
pub fn validate(spec: &Spec, files: &[GeneratedFile]) -> Vec<Problem> {
    let mut lint = Lint {
        spec,
        files,
        problems: Vec::new(),
    };
    let rules = lint.read::<RuleFile>(paths::RULES);
    let emitted = rules.as_ref().map(|rules| lint.rules(rules)).unwrap_or_default();
    if let Some(config) = lint.read::<AlertmanagerConfig>(paths::ALERTMANAGER) {
        lint.alertmanager(&config, &emitted);
    }
    if let Some(config) = lint.read::<PrometheusConfig>(paths::PROMETHEUS) {
        lint.prometheus(&config);
        // A native stack has no Compose file.
        if lint.find(paths::COMPOSE).is_some() {
            lint.loopback(&config);
        }
    }
    lint.dashboards();
    if let Some(datasources) = lint.read::<Datasources>(paths::DATASOURCES) {
        lint.datasources(&datasources);
    }
    lint.read::<DashboardProviders>(paths::DASHBOARDS);
    lint.runbooks();
    // A native stack has no Compose file.
    if lint.find(paths::COMPOSE).is_some()
        && let Some(compose) = lint.read::<Compose>(paths::COMPOSE)
    {
        lint.compose(&compose);
    }
    let mut problems = lint.problems;
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    problems.dedup();
    problems
}

/// A file read into its model, with the places of its values.
struct Read<'a, T> {
    path: &'a Path,
    document: Document,
    model: T,
}

struct Lint<'a> {
    spec: &'a Spec,
    files: &'a [GeneratedFile],
    problems: Vec<Problem>,
}

impl<'a> Lint<'a> {
    fn find(&self, path: &str) -> Option<&'a GeneratedFile> {
        self.files.iter().find(|file| file.path == Path::new(path))
    }

    fn read<T: DeserializeOwned>(&mut self, path: &str) -> Option<Read<'a, T>> {
        let Some(file) = self.find(path) else {
            self.problems.push(
                Problem::new(Path::new(path), "the file is missing").remedy("run `cargo xtask generate`"),
            );
            return None;
        };
        let (document, problems) = Document::read(&file.contents, &file.path);
        self.problems.extend(problems);
        let document = document?;
        let (model, problems) = typed::<T>(&document, &file.path);
        let is_dashboard = edits::patch_path(&file.path).is_some();
        self.problems.extend(problems.into_iter().filter(|problem| {
            // Edits made in Grafana bring in fields that we never write.
            let field = problem
                .what
                .strip_prefix("unknown key `")
                .and_then(|rest| rest.strip_suffix('`'));
            !(is_dashboard && field.is_some_and(edits::is_grafanas))
        }));
        Some(Read {
            path: &file.path,
            document,
            model: model?,
        })
    }

    fn report(&mut self, file: &Path, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(
            Problem::new(file, what)
                .at(place.line, place.column)
                .remedy(remedy),
        );
    }

    /// Parses an expression and follows its labels; problems are put at the words of the text at `path`. `expr` is what
    /// stands there, with a dashboard's variables replaced.
    fn expression(
        &mut self,
        file: &Path,
        document: &Document,
        path: &str,
        expr: &str,
        bare_gauges: bool,
    ) -> Option<Checked> {
        let parsed = match promql::parse(expr) {
            Ok(parsed) => parsed,
            Err(what) => {
                self.report(
                    file,
                    document.place(path),
                    what,
                    "correct the expression, or run `cargo xtask generate`",
                );
                return None;
            }
        };
        let version = self.spec.target.prometheus;
        if let Some(need) = promql::needs(expr, &parsed).filter(|need| need.since > version) {
            let place = document
                .find(path)
                .map_or(document.place(path), |node| node.place_of(&need.needle));
            let remedy = format!(
                "{} is the first that does; run `cargo xtask generate`",
                need.since
            );
            self.report(
                file,
                place,
                format!("Prometheus {version} doesn't know {}", need.what),
                remedy,
            );
        }
        let mut flow = Flow::new(self.spec, bare_gauges);
        let labels = flow.labels(&parsed);
        for Finding { needle, what, remedy } in flow.findings {
            let place = document
                .find(path)
                .map_or(document.place(path), |node| node.place_of(&needle));
            self.report(file, place, what, remedy);
        }
        Some(Checked { expr: parsed, labels })
    }
}

/// An expression that parses, with the labels of its result.
struct Checked {
    expr: promql_parser::parser::Expr,
    labels: Labels,
}
