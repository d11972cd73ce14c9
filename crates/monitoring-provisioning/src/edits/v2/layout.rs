//! Rows and places.
//!
//! In v2 a row holds a grid of its own; in classic form rows are panels among the others, and places count from the top of
//! the dashboard. Tabs, automatic grids, rows within rows and conditions have no classic form.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    panel,
    reader::{Problems, Reader},
};

/// All panels, rows among them.
pub(super) fn panels(
    base: &Value,
    elements: &Value,
    mut layout: Reader<'_>,
    problems: &Problems,
) -> Vec<Value> {
    let mut place = Placing {
        elements,
        problems,
        placed: BTreeSet::new(),
        panels: Vec::new(),
        y: 0,
    };
    match layout.kind().as_str() {
        "GridLayout" => {
            if let Some(spec) = layout.reader("spec") {
                let items = place.grid(spec, 0);
                place.panels.extend(items.panels);
            }
            layout.finish();
        }
        "RowsLayout" => {
            let mut ids = RowIds::new(base, elements);
            if let Some(mut spec) = layout.reader("spec") {
                let rows = spec.kinds("rows");
                ids.expect(&rows);
                for (index, row) in rows.into_iter().enumerate() {
                    place.row(index, row, &mut ids);
                }
                spec.finish();
            }
            layout.finish();
        }
        other => problems.report(&layout.path, unplaced(other)),
    }
    // A layout that can't be read places nothing; that has been said.
    if problems.is_empty() {
        for (name, _) in elements.as_object().into_iter().flatten() {
            if !place.placed.contains(name) {
                problems.report(
                    &format!("spec/elements/{name}"),
                    "a panel that the layout doesn't place",
                );
            }
        }
    }
    place.panels
}

fn unplaced(kind: &str) -> String {
    match kind {
        "TabsLayout" => "a classic dashboard has no tabs; group by rows".to_owned(),
        "AutoGridLayout" => {
            "a classic dashboard has no automatic grid; choose the layout `Custom`".to_owned()
        }
        other => format!("a classic dashboard has no {other} here"),
    }
}

struct Placing<'a> {
    elements: &'a Value,
    problems: &'a Problems,
    placed: BTreeSet<String>,
    panels: Vec<Value>,
    /// Where the next row begins.
    y: u64,
}

/// The panels of one grid, and the line below them.
struct Grid {
    panels: Vec<Value>,
    end: u64,
}

impl Placing<'_> {
    fn row(&mut self, index: usize, row: Reader<'_>, ids: &mut RowIds) {
        let path = row.path.clone();
        let Some(mut spec) = row.spec("RowsLayoutRow") else {
            return;
        };
        let title = spec.text("title");
        let is_collapsed = spec.take("collapse") == Some(Value::Bool(true));
        let has_header = spec.take("hideHeader") != Some(Value::Bool(true));
        let repeat = spec.reader("repeat").map(|mut repeat| {
            repeat.drop("mode");
            let value = repeat.text("value");
            repeat.finish();
            value
        });
        let layout = spec.reader("layout");
        // `conditionalRendering`, `fillScreen`, variables of a section.
        spec.finish();
        if !has_header && index > 0 {
            self.problems.report(
                &format!("{path}/spec/hideHeader"),
                "in a classic dashboard panels after a row belong to it; give the row a header",
            );
        }
        let top = self.y + u64::from(has_header);
        let grid = self.inner(layout, top);
        if has_header {
            let mut panel = json!({
                "id": ids.of(&title),
                "type": "row",
                "title": title,
                "gridPos": { "h": 1, "w": 24, "x": 0, "y": self.y },
                "collapsed": is_collapsed,
                "panels": [],
            });
            if let Some(repeat) = repeat {
                panel["repeat"] = repeat.into();
            }
            if is_collapsed {
                panel["panels"] = grid.panels.into();
                self.panels.push(panel);
                self.y = top;
                return;
            }
            self.panels.push(panel);
        }
        self.panels.extend(grid.panels);
        self.y = grid.end;
    }

    fn inner(&mut self, layout: Option<Reader<'_>>, top: u64) -> Grid {
        let nothing = Grid {
            panels: Vec::new(),
            end: top,
        };
        let Some(mut layout) = layout else {
            return nothing;
        };
        match layout.kind().as_str() {
            "GridLayout" => {
                let spec = layout.reader("spec");
                layout.finish();
                spec.map_or(nothing, |spec| self.grid(spec, top))
            }
            "RowsLayout" => {
                self.problems
                    .report(&layout.path, "a classic dashboard has no rows within rows");
                nothing
            }
            other => {
                self.problems.report(&layout.path, unplaced(other));
                nothing
            }
        }
    }

    /// The grid's first line is put at `top`, wherever it begins: Grafana has counted a row's places from 0 and from 1.
    fn grid(&mut self, mut spec: Reader<'_>, top: u64) -> Grid {
        let mut items = Vec::new();
        for item in spec.kinds("items") {
            items.extend(item.spec("GridLayoutItem").and_then(|item| self.item(item)));
        }
        spec.finish();
        let first = items.iter().map(|(y, ..)| *y).min().unwrap_or_default();
        let mut grid = Grid {
            panels: Vec::new(),
            end: top,
        };
        for (y, height, mut panel) in items {
            let y = y - first + top;
            panel["gridPos"]["y"] = y.into();
            grid.end = grid.end.max(y + height);
            grid.panels.push(panel);
        }
        grid
    }

    fn item(&mut self, mut item: Reader<'_>) -> Option<(u64, u64, Value)> {
        let mut element = item.reader("element")?;
        element.drop("kind");
        let name = element.text("name");
        element.finish();
        let (x, y, w, h) = (
            item.number("x"),
            item.number("y"),
            item.number("width"),
            item.number("height"),
        );
        let found = &self.elements[&name];
        if found.is_null() {
            self.problems
                .report(&item.path, format!("there is no element `{name}`"));
            return None;
        }
        let mut panel = panel::classic(&format!("spec/elements/{name}"), found.clone(), self.problems)?;
        panel.insert("gridPos".to_owned(), json!({ "h": h, "w": w, "x": x, "y": y }));
        if let Some(mut repeat) = item.reader("repeat") {
            repeat.drop("mode");
            for (name, classic) in [
                ("value", "repeat"),
                ("direction", "repeatDirection"),
                ("maxPerRow", "maxPerRow"),
            ] {
                repeat.keep(name, classic, &mut panel);
            }
            repeat.finish();
        }
        item.finish();
        self.placed.insert(name);
        Some((y, h, panel.into()))
    }
}

/// Ids for rows, which have none in v2: those that the generated dashboard gave them, by title; where as many rows have
/// other titles as are missing, they were renamed and are taken in order; others get new ids.
struct RowIds {
    known: Map<String, Value>,
    renamed: Vec<Value>,
    next: u64,
}

impl RowIds {
    fn new(base: &Value, elements: &Value) -> Self {
        let base = || base["panels"].as_array().into_iter().flatten();
        let known = base()
            .filter(|panel| panel["type"] == "row")
            .filter_map(|row| Some((row["title"].as_str()?.to_owned(), row["id"].clone())))
            .collect();
        let in_elements = elements.as_object().into_iter().flatten();
        let highest = base()
            .map(|panel| &panel["id"])
            .chain(in_elements.map(|(_, element)| &element["spec"]["id"]))
            .filter_map(Value::as_f64)
            .fold(0.0, f64::max);
        Self {
            known,
            renamed: Vec::new(),
            next: highest as u64 + 1,
        }
    }

    /// Looks at the titles that will come.
    fn expect(&mut self, rows: &[Reader<'_>]) {
        let titles: Vec<&str> = rows.iter().filter_map(|row| row.peek_title()).collect();
        let gone: Vec<Value> = self
            .known
            .iter()
            .filter(|(title, _)| !titles.contains(&title.as_str()))
            .map(|(_, id)| id.clone())
            .collect();
        let new = titles
            .iter()
            .filter(|title| !self.known.contains_key(**title))
            .count();
        if gone.len() == new {
            self.renamed = gone;
            self.renamed.reverse();
        }
    }

    fn of(&mut self, title: &str) -> Value {
        if let Some(id) = self.known.remove(title).or_else(|| self.renamed.pop()) {
            return id;
        }
        self.next += 1;
        (self.next - 1).into()
    }
}
