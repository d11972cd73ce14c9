//! Alertmanager's routes, inhibitions and receivers against the alerts that exist.

use std::{collections::BTreeSet, path::Path};

use super::{Lint, Read, rules::Emitted};
use crate::{
    duration::PromDuration,
    generate::templates,
    model::alertmanager::{AlertmanagerConfig, InhibitRule, Route},
    problem::Problem,
    yaml::{Kind, Node},
};

/// `label="value"` or `label=~"a|b"`: the two forms that we write.
struct Matcher {
    label: String,
    values: Vec<String>,
}

impl Matcher {
    fn parse(text: &str) -> Option<Self> {
        let (label, value) = text.split_once('=')?;
        let (value, is_regex) = match value.strip_prefix('~') {
            Some(value) => (value, true),
            None => (value, false),
        };
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let values = if is_regex {
            value.split('|').map(str::to_owned).collect()
        } else {
            vec![value.to_owned()]
        };
        (!label.ends_with('!')).then(|| Self {
            label: label.to_owned(),
            values,
        })
    }

    fn takes(&self, alert: &Emitted) -> bool {
        match self.label.as_str() {
            "alertname" => self.values.contains(&alert.name),
            "severity" => self.values.contains(&alert.severity),
            label => match alert.given.get(label) {
                // What a template makes of it is known only when the alert fires.
                Some(value) if !value.contains("{{") => self.values.contains(value),
                _ => alert.has(label),
            },
        }
    }
}

impl Lint<'_> {
    pub(super) fn alertmanager(&mut self, file: &Read<'_, AlertmanagerConfig>, alerts: &[Emitted]) {
        self.receivers(file);
        self.templates(file);
        self.route(file, alerts, &file.model.route, "route");
        self.every_alert_is_routed(file, alerts);
        for (index, rule) in file.model.inhibit_rules.iter().enumerate() {
            self.inhibition(file, alerts, rule, &format!("inhibit_rules/{index}"));
        }
    }

    fn alertmanager_at(
        &mut self,
        file: &Read<'_, AlertmanagerConfig>,
        path: &str,
        what: String,
        remedy: &str,
    ) {
        self.report(file.path, file.document.place(path), what, remedy);
    }

    /// A template that isn't found is an error only when somebody should be told.
    fn templates(&mut self, file: &Read<'_, AlertmanagerConfig>) {
        if !file.model.templates.iter().any(|glob| glob == templates::GLOB) {
            let what =
                "no pattern matches the templates of the notifications: they would not be found".to_owned();
            let remedy = "add `templates/*.tmpl`";
            self.alertmanager_at(file, "templates", what, remedy);
        }
        match self.find(templates::PATH) {
            None => self.problems.push(
                Problem::new(Path::new(templates::PATH), "the file is missing")
                    .remedy("run `cargo xtask generate`"),
            ),
            Some(found) => {
                let named = template_names(&file.document.root);
                for name in named {
                    if !found.contents.contains(&format!("{{{{ define \"{name}\"")) {
                        let what = format!("no template `{name}` in {}", templates::PATH);
                        self.alertmanager_at(file, "receivers", what, "run `cargo xtask generate`");
                    }
                }
            }
        }
    }

    fn receivers(&mut self, file: &Read<'_, AlertmanagerConfig>) {
        let receivers = &file.model.receivers;
        for (index, receiver) in receivers.iter().enumerate() {
            let path = format!("receivers/{index}/name");
            if receivers[..index].iter().any(|other| other.name == receiver.name) {
                let what = format!("the receiver `{}` is defined twice", receiver.name);
                self.alertmanager_at(file, &path, what, "keep one");
            }
            if !is_used(&file.model.route, &receiver.name) {
                let what = format!("no route leads to the receiver `{}`", receiver.name);
                self.alertmanager_at(file, &path, what, "route to it or drop it");
            }
        }
    }

    fn route(&mut self, file: &Read<'_, AlertmanagerConfig>, alerts: &[Emitted], route: &Route, path: &str) {
        if !file
            .model
            .receivers
            .iter()
            .any(|receiver| receiver.name == route.receiver)
        {
            let what = format!("there is no receiver `{}`", route.receiver);
            self.alertmanager_at(
                file,
                &format!("{path}/receiver"),
                what,
                "define it under `receivers`",
            );
        }
        let matchers = self.matchers(file, alerts, &route.matchers, &format!("{path}/matchers"));
        let taken: Vec<&Emitted> = alerts
            .iter()
            .filter(|alert| matchers.iter().all(|matcher| matcher.takes(alert)))
            .collect();
        self.patience(file, path, route, &taken);
        for (index, label) in route.group_by.iter().enumerate() {
            if label != "..." && !alerts.iter().any(|alert| alert.has(label)) {
                let what = format!("grouped by `{label}`, which no alert has");
                self.alertmanager_at(
                    file,
                    &format!("{path}/group_by/{index}"),
                    what,
                    "group by labels of the alerts",
                );
            }
        }
        for (index, name) in route.mute_time_intervals.iter().enumerate() {
            if !file.model.time_intervals.iter().any(|known| known.name == *name) {
                let what = format!("there is no time interval `{name}`");
                let path = format!("{path}/mute_time_intervals/{index}");
                self.alertmanager_at(file, &path, what, "define it under `time_intervals`");
            }
        }
        for (index, inner) in route.routes.iter().enumerate() {
            self.route(file, alerts, inner, &format!("{path}/routes/{index}"));
        }
    }

    /// Parses matchers and reports those that match nothing.
    fn matchers(
        &mut self,
        file: &Read<'_, AlertmanagerConfig>,
        alerts: &[Emitted],
        texts: &[String],
        path: &str,
    ) -> Vec<Matcher> {
        let mut matchers = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let path = format!("{path}/{index}");
            let Some(matcher) = Matcher::parse(text) else {
                let what = format!("`{text}` can't be read");
                self.alertmanager_at(file, &path, what, "write `label=\"value\"` or `label=~\"a|b\"`");
                continue;
            };
            for value in &matcher.values {
                let one = Matcher {
                    label: matcher.label.clone(),
                    values: vec![value.clone()],
                };
                if !alerts.iter().any(|alert| one.takes(alert)) {
                    let what = format!("no alert has `{}` = `{value}`", matcher.label);
                    self.alertmanager_at(file, &path, what, "correct the matcher, or the rules");
                }
            }
            matchers.push(matcher);
        }
        matchers
    }

    fn every_alert_is_routed(&mut self, file: &Read<'_, AlertmanagerConfig>, alerts: &[Emitted]) {
        for alert in alerts {
            let taken = file.model.route.routes.iter().any(|route| {
                !route.continue_
                    && route
                        .matchers
                        .iter()
                        .all(|text| Matcher::parse(text).is_some_and(|matcher| matcher.takes(alert)))
            });
            if !taken {
                let what = format!("no route takes `{}` (severity `{}`)", alert.name, alert.severity);
                self.alertmanager_at(file, "route/routes", what, "add a route for that severity");
            }
        }
    }

    fn inhibition(
        &mut self,
        file: &Read<'_, AlertmanagerConfig>,
        alerts: &[Emitted],
        rule: &InhibitRule,
        path: &str,
    ) {
        let sources = self.matchers(
            file,
            alerts,
            &rule.source_matchers,
            &format!("{path}/source_matchers"),
        );
        let targets = self.matchers(
            file,
            alerts,
            &rule.target_matchers,
            &format!("{path}/target_matchers"),
        );
        if rule.equal.is_empty() || sources.is_empty() || targets.is_empty() {
            let what = "the inhibition knows no bounds".to_owned();
            return self.alertmanager_at(
                file,
                path,
                what,
                "give source, target and `equal`, or one pool silences all others",
            );
        }
        let wait = least_wait(&file.model.route);
        let taken =
            |matchers: &[Matcher], alert: &Emitted| matchers.iter().all(|matcher| matcher.takes(alert));
        for source in alerts.iter().filter(|alert| taken(&sources, alert)) {
            for target in alerts.iter().filter(|alert| taken(&targets, alert)) {
                if source.name == target.name {
                    let what = format!("`{}` inhibits itself", source.name);
                    self.alertmanager_at(file, path, what, "exclude it from the targets");
                }
                for (index, label) in rule.equal.iter().enumerate() {
                    for alert in [source, target].into_iter().filter(|alert| !alert.has(label)) {
                        let what = format!("`{}` has no label `{label}`, so this never matches", alert.name);
                        self.alertmanager_at(
                            file,
                            &format!("{path}/equal/{index}"),
                            what,
                            "name labels that both sides carry",
                        );
                    }
                }
                if source.for_.as_millis() > target.for_.as_millis() + wait.as_millis() {
                    let what = format!("`{}` fires after `{}` has notified", source.name, target.name);
                    self.alertmanager_at(
                        file,
                        &format!("{path}/target_matchers"),
                        what,
                        "the source's `for` must not exceed the target's `for` plus `group_wait`",
                    );
                }
            }
        }
    }
}

/// The templates that any text below a node calls.
fn template_names(node: &Node) -> BTreeSet<String> {
    match &node.kind {
        Kind::Scalar { text, .. } => text
            .split("{{ template \"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect(),
        Kind::Sequence(items) => items.iter().flat_map(template_names).collect(),
        Kind::Mapping(entries) => entries
            .iter()
            .flat_map(|entry| template_names(&entry.value))
            .collect(),
    }
}

fn is_used(route: &Route, receiver: &str) -> bool {
    route.receiver == receiver || route.routes.iter().any(|inner| is_used(inner, receiver))
}

fn least_wait(route: &Route) -> PromDuration {
    let own = route.group_wait.unwrap_or(PromDuration::from_secs(30));
    route
        .routes
        .iter()
        .filter_map(|inner| inner.group_wait)
        .fold(own, PromDuration::min)
}

#[cfg(test)]
mod tests {
    use super::Matcher;

    #[test]
    fn reads_the_forms_that_are_written() {
        let one = Matcher::parse("severity=\"critical\"").unwrap();
        assert_eq!((one.label.as_str(), one.values.len()), ("severity", 1));
        assert_eq!(Matcher::parse("alertname=~\"A|B\"").unwrap().values, ["A", "B"]);
        for text in ["severity", "severity=critical", "severity!=\"critical\"", "=~"] {
            assert!(Matcher::parse(text).is_none(), "{text}");
        }
    }
}
