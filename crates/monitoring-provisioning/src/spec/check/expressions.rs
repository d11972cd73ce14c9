//! Expressions and texts of the operator's own: judged here, with their line, as ours are when they are generated.

use promql_parser::parser::Expr;

use super::Checker;
use crate::{
    alert::{Subject, definitions},
    duration::PromDuration,
    lint::{flow::Flow, has_condition, promql, references},
    spec::AlertName,
};

/// What one has to be, to be routed.
pub(super) const SEVERITIES: [&str; 2] = ["critical", "warning"];
/// Annotations that every alert has; those of the spec's own keys can't be given twice.
const TAKEN: [&str; 4] = ["summary", "description", "runbook_url", "dashboard_url"];

impl Checker<'_> {
    pub(super) fn expressions(&mut self) {
        let spec = self.spec;
        for definition in definitions() {
            let Some(given) = spec.alerts.get(&definition.name) else {
                continue;
            };
            let path = format!("alerts/{}", definition.name);
            let for_ = given.for_.unwrap_or(definition.for_);
            let labels = match &given.expr {
                Some(expr) => {
                    self.expression(&format!("{path}/expr"), expr, for_, definition.subject.labels())
                }
                None => definition
                    .subject
                    .labels()
                    .iter()
                    .map(|label| (*label).to_owned())
                    .collect(),
            };
            for (name, text) in &given.annotations {
                let path = format!("{path}/annotations/{name}");
                self.annotation_name(&path, name);
                self.text(&path, text, &labels);
            }
        }
        self.more_alerts();
    }

    fn more_alerts(&mut self) {
        let spec = self.spec;
        for (name, alert) in &spec.more_alerts {
            let path = format!("more_alerts/{name}");
            let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain {
                self.report(
                    &path,
                    format!("`{name}` can't name an alert"),
                    "letters, digits and `_`, a letter first",
                );
            } else if AlertName::ALL.iter().any(|known| known.as_str() == name) {
                self.report(
                    &path,
                    format!("`{name}` is one of ours"),
                    "change it under `alerts`, or choose another name",
                );
            }
            if !SEVERITIES.contains(&alert.severity.as_str()) {
                self.report(
                    &format!("{path}/severity"),
                    format!("no route takes the severity `{}`", alert.severity),
                    format!("allowed: {}", SEVERITIES.join(", ")),
                );
            }
            let labels = self.expression(
                &format!("{path}/expr"),
                &alert.expr,
                alert.for_,
                Subject::Relayer.labels(),
            );
            for (key, text) in [("summary", &alert.summary), ("description", &alert.description)] {
                if text.trim().is_empty() {
                    self.report(
                        &format!("{path}/{key}"),
                        format!("`{key}` is empty"),
                        "whoever is woken needs it",
                    );
                }
                self.text(&format!("{path}/{key}"), text, &labels);
            }
            for name in alert.labels.keys() {
                self.label_name(&format!("{path}/labels/{name}"), name, &["severity"]);
            }
            for (name, text) in &alert.annotations {
                self.annotation_name(&format!("{path}/annotations/{name}"), name);
                self.text(&format!("{path}/annotations/{name}"), text, &labels);
            }
        }
    }

    /// The labels that the expression leaves.
    fn expression(&mut self, path: &str, expr: &str, for_: PromDuration, wanted: &[&str]) -> Vec<String> {
        let parsed = match promql::parse(expr) {
            Ok(parsed) => parsed,
            Err(what) => {
                self.report(path, what, "correct the expression");
                return Vec::new();
            }
        };
        self.needs(path, expr, &parsed);
        let mut flow = Flow::new(self.spec, for_ == PromDuration::ZERO);
        let labels = flow.labels(&parsed);
        for finding in flow.findings {
            let place = self
                .document
                .find(path)
                .map_or(self.document.place(path), |node| node.place_of(&finding.needle));
            self.report_at(place, finding.what, finding.remedy);
        }
        if !has_condition(&parsed) {
            self.report(
                path,
                "the alert would fire for every series: its expression has no condition",
                "compare with a limit, without `bool`",
            );
        }
        for label in wanted.iter().filter(|label| !labels.has(label)) {
            self.report(
                path,
                format!("the result has lost the label `{label}`"),
                format!(
                    "it has {}; keep {} in every aggregation",
                    labels.list(),
                    wanted.join(", ")
                ),
            );
        }
        labels.known()
    }

    /// What the target's Prometheus doesn't have yet.
    fn needs(&mut self, path: &str, expr: &str, parsed: &Expr) {
        let version = self.spec.target.prometheus;
        if let Some(need) = promql::needs(expr, parsed).filter(|need| need.since > version) {
            let place = self
                .document
                .find(path)
                .map_or(self.document.place(path), |node| node.place_of(&need.needle));
            self.report_at(
                place,
                format!("Prometheus {version} doesn't know {}", need.what),
                format!(
                    "{} is the first that does: raise `target.prometheus`, or write it another way",
                    need.since
                ),
            );
        }
    }

    fn annotation_name(&mut self, path: &str, name: &str) {
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid || TAKEN.contains(&name) {
            self.report(
                path,
                format!("`{name}` can't name a further annotation"),
                format!("letters, digits and `_`, and none of {}", TAKEN.join(", ")),
            );
        }
    }

    /// A template that Prometheus can fill.
    fn text(&mut self, path: &str, text: &str, labels: &[String]) {
        match references(text) {
            Err(what) => self.report(path, what, "see Prometheus' template reference"),
            Ok(references) => {
                for label in references.labels.iter().filter(|label| !labels.contains(label)) {
                    self.report(
                        path,
                        format!("`$labels.{label}` is always empty"),
                        format!("the expression leaves {}", labels.join(", ")),
                    );
                }
            }
        }
    }
}
