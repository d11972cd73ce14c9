//! Dashboards of schema v2 (`dashboard.grafana.app/v2` and `v2beta1`, what Grafana 13 stores) in classic form.
//!
//! Every object is read field by field, and a field that is left over is reported: what classic has no place for must not
//! get lost without a word.

mod layout;
mod panel;
mod reader;
mod variable;

use serde_json::{Map, Value, json};

use reader::{Problems, Reader};

/// Something that a classic dashboard has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inexpressible {
    /// Where it stands in the answer, as a path.
    pub path: String,
    /// What it is.
    pub what: String,
}

impl std::fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// The dashboard in classic form. `base` is the generated one: rows have no ids in v2 and get those they had.
pub(super) fn classic(base: &Value, spec: Value) -> Result<Value, Vec<Inexpressible>> {
    let problems = Problems::default();
    let mut out = Map::new();
    let mut spec = Reader::new("spec", spec, &problems);
    for name in [
        "title",
        "description",
        "tags",
        "editable",
        "links",
        "liveNow",
        "preload",
    ] {
        spec.keep(name, name, &mut out);
    }
    // Templates for panels to come, and the version of a plugin's own dashboard: nothing of this dashboard's.
    for name in ["preferences", "revision"] {
        spec.drop(name);
    }
    out.insert("uid".to_owned(), base["uid"].clone());
    out.insert("schemaVersion".to_owned(), base["schemaVersion"].clone());
    if let Some(sync) = spec.choice("cursorSync", &["Off", "Crosshair", "Tooltip"]) {
        out.insert("graphTooltip".to_owned(), sync.into());
    }
    if let Some(time) = spec.reader("timeSettings") {
        time_settings(time, &mut out);
    }
    let annotations: Vec<Value> = spec
        .kinds("annotations")
        .into_iter()
        .filter_map(annotation)
        .collect();
    out.insert("annotations".to_owned(), json!({ "list": annotations }));
    let variables: Vec<Value> = spec
        .kinds("variables")
        .into_iter()
        .filter_map(variable::classic)
        .collect();
    out.insert("templating".to_owned(), json!({ "list": variables }));
    let elements = spec.take("elements").unwrap_or_default();
    if let Some(layout) = spec.reader("layout") {
        let panels = layout::panels(base, &elements, layout, &problems);
        out.insert("panels".to_owned(), panels.into());
    }
    spec.finish();
    let problems = problems.into_inner();
    if problems.is_empty() {
        Ok(Value::Object(out))
    } else {
        Err(problems)
    }
}

fn time_settings(mut time: Reader<'_>, out: &mut Map<String, Value>) {
    let mut range = Map::new();
    time.keep("from", "from", &mut range);
    time.keep("to", "to", &mut range);
    out.insert("time".to_owned(), range.into());
    time.keep("timezone", "timezone", out);
    time.keep("autoRefresh", "refresh", out);
    time.keep("fiscalYearStartMonth", "fiscalYearStartMonth", out);
    time.keep("weekStart", "weekStart", out);
    let mut picker = Map::new();
    time.keep("autoRefreshIntervals", "refresh_intervals", &mut picker);
    time.keep("quickRanges", "quick_ranges", &mut picker);
    time.keep("hideTimepicker", "hidden", &mut picker);
    time.keep("nowDelay", "nowDelay", &mut picker);
    out.insert("timepicker".to_owned(), picker.into());
    time.finish();
}

fn annotation(kind: Reader<'_>) -> Option<Value> {
    let mut spec = kind.spec("AnnotationQuery")?;
    let mut out = Map::new();
    for name in [
        "name",
        "enable",
        "hide",
        "iconColor",
        "filter",
        "placement",
        "mappings",
    ] {
        spec.keep(name, name, &mut out);
    }
    if spec.take("builtIn") == Some(Value::Bool(true)) {
        out.insert("builtIn".to_owned(), 1.into());
    }
    // What the data source's own annotations had in classic form, unchanged.
    if let Some(Value::Object(legacy)) = spec.take("legacyOptions") {
        out.extend(legacy);
    }
    if let Some(query) = spec.reader("query") {
        let (datasource, query) = panel::query(query)?;
        out.insert("datasource".to_owned(), datasource);
        if !query.is_empty() {
            out.entry("target").or_insert(query.into());
        }
    }
    spec.finish();
    Some(out.into())
}
