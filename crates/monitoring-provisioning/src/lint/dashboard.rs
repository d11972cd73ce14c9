//! The dashboard: every expression with its variables, every legend, and the layout.

use std::collections::BTreeSet;

use super::{Lint, Read, template::legend_labels};
use crate::{
    alert::LOOK_BACK_SCRAPES,
    model::dashboard::{Dashboard, Panel, Variable},
    yaml::Place,
};

/// Columns of Grafana's grid.
const GRID_WIDTH: u32 = 24;

/// Stands for a variable's value. A regular expression that matches every value in use, in ASCII: the tables of a Unicode
/// `.+` took two thirds of the lint's time, once for each matcher of each query.
const ANYTHING: &str = "[ -~]+";

impl Lint<'_> {
    pub(super) fn dashboard(&mut self, file: &Read<'_, Dashboard>) {
        let variables: Vec<&str> = file
            .model
            .templating
            .list
            .iter()
            .map(|v| v.name.as_str())
            .collect();
        for (index, variable) in file.model.templating.list.iter().enumerate() {
            self.variable(
                file,
                &variables,
                variable,
                &format!("templating/list/{index}/query"),
            );
        }
        for (index, annotation) in file.model.annotations.list.iter().enumerate() {
            let path = format!("annotations/list/{index}/expr");
            self.query(file, &variables, &path, &annotation.expr);
        }
        self.layout(file);
        for (index, panel) in file
            .model
            .panels
            .iter()
            .enumerate()
            .filter(|(_, panel)| panel.kind != "row")
        {
            self.panel(file, &variables, panel, &format!("panels/{index}"));
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
        let mut ids = BTreeSet::new();
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
            let legend = format!("{path}/legendFormat");
            match legend_labels(&target.legend_format) {
                Err(what) => self.report(file.path, file.document.place(&legend), what, "close every brace"),
                Ok(labels) => {
                    for label in labels.iter().filter(|label| !checked.labels.has(label)) {
                        self.report(
                            file.path,
                            file.document.place(&legend),
                            format!("the legend shows `{label}`, which the query doesn't leave"),
                            format!("it leaves {}", checked.labels.list()),
                        );
                    }
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
