//! The dashboards: every expression with its variables, every legend and link, and the layout.

use std::collections::BTreeSet;

use super::{Lint, Read, template::legend_labels};
use crate::{
    alert::LOOK_BACK_SCRAPES,
    generate::dashboard::BOARDS,
    model::dashboard::{Annotation, Dashboard, Panel, Variable},
    yaml::Place,
};

mod links;

/// Columns of Grafana's grid.
const GRID_WIDTH: u32 = 24;

/// Stands for a variable's value. A regular expression that matches every value in use, in ASCII: the tables of a Unicode
/// `.+` took two thirds of the lint's time, once for each matcher of each query.
const ANYTHING: &str = "[ -~]+";

impl Lint<'_> {
    /// All of them: each must be there, and be found under a name of its own.
    pub(super) fn dashboards(&mut self) {
        let mut uids = BTreeSet::new();
        for board in &BOARDS {
            let Some(file) = self.read::<Dashboard>(board.path) else {
                continue;
            };
            if !uids.insert(file.model.uid.clone()) {
                let place = file.document.place("uid");
                let what = format!("two dashboards have the uid `{}`", file.model.uid);
                self.report(file.path, place, what, "Grafana would show one of them only");
            }
            self.dashboard(&file);
        }
    }

    fn dashboard(&mut self, file: &Read<'_, Dashboard>) {
        let variables: Vec<&str> = file
            .model
            .templating
            .list
            .iter()
            .map(|v| v.name.as_str())
            .collect();
        for (index, variable) in file.model.templating.list.iter().enumerate() {
            // what comes after a variable doesn't exist yet when its query runs
            let before = &variables[..index];
            self.variable(file, before, variable, &format!("templating/list/{index}/query"));
        }
        for (index, annotation) in file.model.annotations.list.iter().enumerate() {
            self.annotation(file, &variables, annotation, &format!("annotations/list/{index}"));
        }
        for (index, link) in file.model.links.iter().enumerate() {
            self.link(file, &variables, None, link, &format!("links/{index}"));
        }
        self.layout(file);
        let mut titles = BTreeSet::new();
        for (path, panel) in panels(&file.model) {
            if !titles.insert(panel.title.as_str()) {
                let place = file.document.place(&format!("{path}/title"));
                let what = format!("two panels are called `{}`", panel.title);
                self.report(file.path, place, what, "say what tells them apart");
            }
            self.panel(file, &variables, panel, &path);
        }
    }

    fn annotation(
        &mut self,
        file: &Read<'_, Dashboard>,
        variables: &[&str],
        annotation: &Annotation,
        path: &str,
    ) {
        let Some(checked) = self.query(file, variables, &format!("{path}/expr"), &annotation.expr) else {
            return;
        };
        for (field, text) in [
            ("titleFormat", &annotation.title_format),
            ("textFormat", &annotation.text_format),
        ] {
            self.legend(file, &format!("{path}/{field}"), text, &checked);
        }
        for tag in annotation
            .tag_keys
            .split(',')
            .filter(|tag| !checked.labels.has(tag))
        {
            let what = format!("tagged by `{tag}`, which the query doesn't leave");
            let place = file.document.place(&format!("{path}/tagKeys"));
            self.report(
                file.path,
                place,
                what,
                format!("it leaves {}", checked.labels.list()),
            );
        }
    }

    fn panel(&mut self, file: &Read<'_, Dashboard>, variables: &[&str], panel: &Panel, path: &str) {
        let place = file.document.place(path);
        if panel.description.as_ref().is_none_or(String::is_empty) {
            self.report(
                file.path,
                place,
                format!("the panel `{}` has no description", panel.title),
                "say what it shows",
            );
        }
        if panel.targets.is_empty() {
            self.report(
                file.path,
                place,
                format!("the panel `{}` has no query", panel.title),
                "give it one or drop it",
            );
        }
        self.look(file, panel, path);
        let mut ids = BTreeSet::new();
        let mut queries = Vec::new();
        for (index, target) in panel.targets.iter().enumerate() {
            let path = format!("{path}/targets/{index}");
            if !ids.insert(&target.ref_id) {
                let place = file.document.place(&format!("{path}/refId"));
                self.report(
                    file.path,
                    place,
                    format!("two queries are called `{}`", target.ref_id),
                    "one would be lost",
                );
            }
            let Some(checked) = self.query(file, variables, &format!("{path}/expr"), &target.expr) else {
                continue;
            };
            self.legend(
                file,
                &format!("{path}/legendFormat"),
                &target.legend_format,
                &checked,
            );
            queries.push(checked);
        }
        self.panel_links(file, variables, panel, &queries, path);
    }

    /// A number without a unit, or colours without a limit, leave the reader to guess.
    fn look(&mut self, file: &Read<'_, Dashboard>, panel: &Panel, path: &str) {
        let defaults = panel.field_config.as_ref().map(|config| &config.defaults);
        let place = file.document.place(&format!("{path}/fieldConfig/defaults"));
        if defaults.is_none_or(|defaults| defaults.unit.is_empty()) {
            let what = format!("the panel `{}` has no unit", panel.title);
            self.report(file.path, place, what, "`none` where there is none");
        }
        let steps = defaults.and_then(|defaults| defaults.thresholds.as_ref());
        if steps.is_none_or(|thresholds| thresholds.steps.is_empty()) {
            let what = format!("the panel `{}` has no thresholds", panel.title);
            self.report(
                file.path,
                place,
                what,
                "give it at least the colour of what is well",
            );
        }
    }

    /// A text in which Grafana puts labels.
    fn legend(&mut self, file: &Read<'_, Dashboard>, path: &str, text: &str, checked: &super::Checked) {
        let place = file.document.place(path);
        match legend_labels(text) {
            Err(what) => self.report(file.path, place, what, "close every brace"),
            Ok(labels) => {
                for label in labels.iter().filter(|label| !checked.labels.has(label)) {
                    self.report(
                        file.path,
                        place,
                        format!("the legend shows `{label}`, which the query doesn't leave"),
                        format!("it leaves {}", checked.labels.list()),
                    );
                }
            }
        }
    }

    fn query(
        &mut self,
        file: &Read<'_, Dashboard>,
        variables: &[&str],
        path: &str,
        expr: &str,
    ) -> Option<super::Checked> {
        let place = file.document.place(path);
        let expanded = self.expand(file, variables, place, expr)?;
        self.expression(file.path, &file.document, path, &expanded, true)
    }

    /// `label_values(selector, label)`, the only form of variable query that we write.
    fn variable(&mut self, file: &Read<'_, Dashboard>, variables: &[&str], variable: &Variable, path: &str) {
        if variable.kind != "query" {
            return;
        }
        let place = file.document.place(path);
        let inside = variable
            .query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let Some((selector, label)) = inside.and_then(|inside| inside.rsplit_once(", ")) else {
            let what = format!("the query of `{}` can't be read", variable.name);
            return self.report(file.path, place, what, "write `label_values(selector, label)`");
        };
        let Some(checked) = self.query(file, variables, path, selector) else {
            return;
        };
        if !checked.labels.has(label) {
            self.report(
                file.path,
                place,
                format!(
                    "`{}` lists the values of `{label}`, which isn't there",
                    variable.name
                ),
                format!("the series has {}", checked.labels.list()),
            );
        }
    }

    /// Puts something for every variable. An unknown one is a problem.
    fn expand(
        &mut self,
        file: &Read<'_, Dashboard>,
        variables: &[&str],
        place: Place,
        expr: &str,
    ) -> Option<String> {
        let interval = self
            .spec
            .scaled(self.spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES))
            .to_string();
        let mut expanded = String::with_capacity(expr.len());
        let mut rest = expr;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let after = after.strip_prefix('{').unwrap_or(after);
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            let name = &after[..end];
            rest = after[end..].strip_prefix('}').unwrap_or(&after[end..]);
            match name {
                "__rate_interval" | "__interval" | "__range" => expanded.push_str(&interval),
                name if variables.contains(&name) => expanded.push_str(ANYTHING),
                name => {
                    self.report(
                        file.path,
                        place,
                        format!("there is no variable `${name}`"),
                        format!("the dashboard has {}", variables.join(", ")),
                    );
                    return None;
                }
            }
        }
        expanded.push_str(rest);
        Some(expanded)
    }

    /// Ids are unique, and no panel covers another or leaves the grid.
    fn layout(&mut self, file: &Read<'_, Dashboard>) {
        let panels = &file.model.panels;
        for (index, panel) in panels.iter().enumerate() {
            let place = file.document.place(&format!("panels/{index}/gridPos"));
            let pos = panel.grid_pos;
            if pos.x + pos.w > GRID_WIDTH {
                self.report(
                    file.path,
                    place,
                    format!("the panel `{}` leaves the grid", panel.title),
                    "24 columns",
                );
            }
            for other in &panels[..index] {
                if other.id == panel.id {
                    self.report(
                        file.path,
                        place,
                        format!("two panels have the id {}", panel.id),
                        "ids are unique",
                    );
                }
                let o = other.grid_pos;
                if pos.x < o.x + o.w && o.x < pos.x + pos.w && pos.y < o.y + o.h && o.y < pos.y + pos.h {
                    self.report(
                        file.path,
                        place,
                        format!("the panel `{}` covers `{}`", panel.title, other.title),
                        "move one of them",
                    );
                }
            }
        }
    }
}

/// Every panel but the rows, also those within a row that is folded, with its path.
fn panels(dashboard: &Dashboard) -> impl Iterator<Item = (String, &Panel)> {
    dashboard.panels.iter().enumerate().flat_map(|(index, panel)| {
        let inner = panel.panels.iter().flatten().enumerate();
        let inner = inner.map(move |(inside, panel)| (format!("panels/{index}/panels/{inside}"), panel));
        std::iter::once((format!("panels/{index}"), panel))
            .chain(inner)
            .filter(|(_, panel)| panel.kind != "row")
    })
}
