//! Alert rules.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use promql_parser::parser::{BinaryExpr, Expr};

use super::{
    Checked, Lint, Read,
    flow::{Labels, first_metric},
    known::Series,
    template::references,
};
use crate::{
    alert::{alerts, definitions},
    duration::PromDuration,
    model::rules::{Rule, RuleFile},
    recording::{LABELS, Recording},
    spec::AlertName,
};

/// An alert as Alertmanager will see it.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) name: String,
    pub(super) severity: String,
    pub(super) for_: PromDuration,
    /// How long it stays firing after a single event, at least; `None` when it doesn't rest on single events.
    pub(super) outlasts: Option<PromDuration>,
    /// All labels; `None` when they aren't known.
    pub(super) labels: Option<BTreeSet<String>>,
    /// The values of those that the rule itself gives.
    pub(super) given: IndexMap<String, String>,
}

impl Emitted {
    pub(super) fn has(&self, label: &str) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.contains(label))
    }
}

/// The annotations that every alert has.
const ANNOTATIONS: [&str; 4] = ["summary", "description", "runbook_url", "dashboard_url"];

impl Lint<'_> {
    /// Checks all rules and returns what they emit.
    pub(super) fn rules(&mut self, file: &Read<'_, RuleFile>) -> Vec<Emitted> {
        let mut emitted: Vec<Emitted> = Vec::new();
        for (group_index, group) in file.model.groups.iter().enumerate() {
            for (rule_index, rule) in group.rules.iter().enumerate() {
                let path = format!("groups/{group_index}/rules/{rule_index}");
                if !rule.record.is_empty() {
                    self.recording(file, &path, rule);
                    continue;
                }
                if emitted.iter().any(|known| known.name == rule.alert) {
                    self.at(
                        file,
                        &format!("{path}/alert"),
                        format!("the alert `{}` stands twice", rule.alert),
                        "keep one",
                    );
                }
                emitted.push(self.rule(file, &path, rule));
            }
        }
        self.frozen(file, &emitted);
        emitted
    }

    pub(super) fn at<T>(
        &mut self,
        file: &Read<'_, T>,
        path: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.report(file.path, file.document.place(path), what, remedy);
    }

    /// Nothing that the spec wants may be missing: a rule that isn't there is no error anywhere else.
    fn frozen(&mut self, file: &Read<'_, RuleFile>, emitted: &[Emitted]) {
        for alert in alerts(self.spec).filter(|alert| alert.enabled) {
            let definition = alert.definition;
            match emitted
                .iter()
                .find(|known| known.name == definition.name.as_str())
            {
                None => self.at(
                    file,
                    "groups",
                    format!("the alert `{}` is missing", definition.name),
                    "run `cargo xtask generate`",
                ),
                Some(known) if known.severity != alert.severity => {
                    let index = emitted
                        .iter()
                        .position(|other| other.name == known.name)
                        .unwrap_or_default();
                    self.at(
                        file,
                        &format!("groups/0/rules/{index}/labels/severity"),
                        format!("the severity of `{}` is `{}`", known.name, known.severity),
                        format!(
                            "it is `{}`; change it in monitoring/monitoring.yaml, if at all",
                            alert.severity
                        ),
                    );
                }
                Some(_) => {}
            }
        }
    }

    fn rule(&mut self, file: &Read<'_, RuleFile>, path: &str, rule: &Rule) -> Emitted {
        let expr_path = format!("{path}/expr");
        let bare_gauges = rule.for_ == PromDuration::ZERO;
        let checked = self.expression(file.path, &file.document, &expr_path, &rule.expr, bare_gauges);
        if let Some(checked) = &checked {
            if !AlertName::ALL
                .iter()
                .any(|name| name.always_fires() && name.as_str() == rule.alert)
            {
                self.condition(file, &expr_path, checked);
            }
            self.subject(file, &expr_path, rule, checked);
            self.once(file, &expr_path, rule, checked);
            self.texts(file, path, rule, &checked.labels);
        }
        let outlasts = checked
            .as_ref()
            .and_then(|checked| self.memory(file, path, rule, checked));
        let own = checked.and_then(|checked| match checked.labels {
            Labels::Set(labels) => Some(labels),
            Labels::Any | Labels::None => None,
        });
        let more = rule
            .labels
            .keys()
            .chain(self.spec.prometheus.external_labels.keys())
            .cloned();
        Emitted {
            name: rule.alert.clone(),
            severity: rule.labels.get("severity").cloned().unwrap_or_default(),
            for_: rule.for_,
            outlasts,
            given: rule.labels.clone(),
            labels: own.map(|own| {
                own.into_iter()
                    .chain(more)
                    .chain(["alertname".to_owned()])
                    .collect()
            }),
        }
    }

    /// A recorded series must be the one that the catalogue of recordings promises, with its labels.
    fn recording(&mut self, file: &Read<'_, RuleFile>, path: &str, rule: &Rule) {
        let expr_path = format!("{path}/expr");
        let checked = self.expression(file.path, &file.document, &expr_path, &rule.expr, true);
        if Recording::by_name(&rule.record).is_none() || !rule.alert.is_empty() {
            self.at(
                file,
                path,
                format!("`{}` is no recording of ours", rule.record),
                "run `cargo xtask generate`",
            );
        }
        if let Some(Labels::Set(labels)) = checked.map(|checked| checked.labels)
            && !labels.iter().map(String::as_str).eq(LABELS)
        {
            self.at(
                file,
                &expr_path,
                format!("`{}` has other labels than promised", rule.record),
                format!("aggregate by {}", LABELS.join(", ")),
            );
        }
    }

    fn condition(&mut self, file: &Read<'_, RuleFile>, path: &str, checked: &Checked) {
        if !has_condition(&checked.expr) {
            self.at(
                file,
                path,
                "the alert fires for every series: its expression has no condition",
                "compare with a limit, without `bool`",
            );
        }
    }

    /// The alert keeps the labels of what it is about; above all `instance`, since a pool lives in one process.
    fn subject(&mut self, file: &Read<'_, RuleFile>, path: &str, rule: &Rule, checked: &Checked) {
        let known = definitions().find(|definition| definition.name.as_str() == rule.alert);
        let wanted = known.map_or(["instance"].as_slice(), |definition| definition.subject.labels());
        for label in wanted.iter().filter(|label| !checked.labels.has(label)) {
            self.at(
                file,
                path,
                format!("the result of `{}` has lost the label `{label}`", rule.alert),
                format!(
                    "it has {}; keep {} in every aggregation",
                    checked.labels.list(),
                    wanted.join(", ")
                ),
            );
        }
    }

    /// An alert that keeps `job` fires once per job that scrapes the relayer.
    fn once(&mut self, file: &Read<'_, RuleFile>, path: &str, rule: &Rule, checked: &Checked) {
        if let Labels::Set(labels) = &checked.labels
            && labels.contains("job")
            && matches!(first_metric(&checked.expr), Some(Series::Own { .. }))
        {
            self.at(
                file,
                path,
                format!("`{}` fires once per job that scrapes the relayer", rule.alert),
                "fold the jobs with `max by (instance, pool, ...)`",
            );
        }
    }

    fn texts(&mut self, file: &Read<'_, RuleFile>, path: &str, rule: &Rule, labels: &Labels) {
        for name in ANNOTATIONS
            .iter()
            .filter(|name| !rule.annotations.contains_key(**name))
        {
            self.at(
                file,
                &format!("{path}/annotations"),
                format!("`{}` has no annotation `{name}`", rule.alert),
                "whoever is woken needs it",
            );
        }
        let texts = rule
            .annotations
            .iter()
            .map(|(name, text)| (format!("{path}/annotations/{name}"), text, false));
        let label_texts = rule
            .labels
            .iter()
            .map(|(name, text)| (format!("{path}/labels/{name}"), text, true));
        for (path, text, is_label) in texts.chain(label_texts) {
            match references(text) {
                Err(what) => self.at(file, &path, what, "see Prometheus' template reference"),
                Ok(references) => {
                    if is_label && references.value {
                        self.at(
                            file,
                            &path,
                            "a label holds `$value`",
                            "each change of the value would be a new alert; put it into an annotation",
                        );
                    }
                    for label in references.labels.iter().filter(|label| !labels.has(label)) {
                        let place = file
                            .document
                            .find(&path)
                            .map_or(file.document.place(&path), |node| node.place_of(label));
                        self.report(
                            file.path,
                            place,
                            format!("`$labels.{label}` is always empty"),
                            format!("the expression leaves {}", labels.list()),
                        );
                    }
                }
            }
        }
    }
}

/// Whether an expression can be without a result: it compares (and filters), or asks for absence.
pub(crate) fn has_condition(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(paren) => has_condition(&paren.expr),
        Expr::Aggregate(aggregate) => has_condition(&aggregate.expr),
        Expr::Call(call) => {
            matches!(call.func.name, "absent" | "absent_over_time")
                || call.args.args.iter().any(|argument| has_condition(argument))
        }
        Expr::Binary(binary) => condition_of(binary),
        _ => false,
    }
}

fn condition_of(binary: &BinaryExpr) -> bool {
    use promql_parser::parser::token::{T_LAND, T_LOR, T_LUNLESS};
    match binary.op.id() {
        T_LOR => has_condition(&binary.lhs) && has_condition(&binary.rhs),
        T_LAND => has_condition(&binary.lhs) || has_condition(&binary.rhs),
        T_LUNLESS => true,
        _ if binary.op.is_comparison_operator() => !binary
            .modifier
            .as_ref()
            .is_some_and(|modifier| modifier.return_bool),
        _ => has_condition(&binary.lhs) || has_condition(&binary.rhs),
    }
}
