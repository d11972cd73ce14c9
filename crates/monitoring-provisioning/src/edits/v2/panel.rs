//! Panels and their queries.

use serde_json::{Map, Value, json};

use super::reader::{Problems, Reader};

/// Where Grafana keeps a query that is a bare text in classic form.
pub(super) const LEGACY_TEXT: &str = "__legacyStringValue";

/// An element of the dashboard as a panel without a place.
pub(super) fn classic(path: &str, element: Value, problems: &Problems) -> Option<Map<String, Value>> {
    let is_library = element["kind"] == "LibraryPanel";
    let element = Reader::new(path, element, problems);
    if is_library {
        return library(element);
    }
    let mut spec = element.spec("Panel")?;
    let mut out = Map::new();
    for name in ["id", "title", "description", "links", "transparent"] {
        spec.keep(name, name, &mut out);
    }
    if let Some(viz) = spec.reader("vizConfig") {
        look(viz, &mut out);
    }
    if let Some(data) = spec.reader("data").and_then(|data| data.spec("QueryGroup")) {
        queries(data, &mut out);
    }
    spec.finish();
    Some(out)
}

fn library(element: Reader<'_>) -> Option<Map<String, Value>> {
    let mut spec = element.spec("LibraryPanel")?;
    let mut out = Map::new();
    out.insert("type".to_owned(), "library-panel-ref".into());
    for name in ["id", "title", "libraryPanel"] {
        spec.keep(name, name, &mut out);
    }
    spec.finish();
    Some(out)
}

fn look(mut viz: Reader<'_>, out: &mut Map<String, Value>) {
    viz.drop("version");
    viz.keep("group", "type", out);
    let Some(mut spec) = viz.spec("VizConfig") else {
        return;
    };
    spec.keep("options", "options", out);
    if let Some(mut config) = spec.reader("fieldConfig") {
        if let Some(defaults) = config.take("defaults") {
            let path = format!("{}/defaults", config.path);
            later(&defaults, &path, config.problems);
            let config = out.entry("fieldConfig").or_insert_with(|| json!({}));
            config["defaults"] = defaults;
        }
        if let Some(overrides) = config.take("overrides") {
            let config = out.entry("fieldConfig").or_insert_with(|| json!({}));
            config["overrides"] = overrides;
        }
        config.finish();
    }
    spec.finish();
}

/// What schema v2 has added to the looks of a field.
fn later(defaults: &Value, path: &str, problems: &Problems) {
    for (index, step) in defaults["thresholds"]["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if step["valueExpr"].is_string() {
            problems.report(
                &format!("{path}/thresholds/steps/{index}/valueExpr"),
                "a classic threshold is a number, not an expression",
            );
        }
    }
    if defaults["color"]["mode"] == "gradient" || defaults["color"]["gradientColorTo"].is_string() {
        problems.report(
            &format!("{path}/color"),
            "a classic dashboard has no gradient of two colours",
        );
    }
}

fn queries(mut data: Reader<'_>, out: &mut Map<String, Value>) {
    let mut targets = Vec::new();
    for kind in data.kinds("queries") {
        let Some(mut spec) = kind.spec("PanelQuery") else {
            continue;
        };
        let mut target = Map::new();
        spec.keep("refId", "refId", &mut target);
        if let Some((datasource, rest)) = spec.reader("query").and_then(query) {
            target.insert("datasource".to_owned(), datasource);
            target.extend(rest);
        }
        if spec.take("hidden") == Some(Value::Bool(true)) {
            target.insert("hide".to_owned(), true.into());
        }
        spec.finish();
        targets.push(Value::Object(target));
    }
    if let Some(datasource) = common_datasource(&targets) {
        out.insert("datasource".to_owned(), datasource);
    }
    out.insert("targets".to_owned(), targets.into());
    let transformations: Vec<Value> = data
        .kinds("transformations")
        .into_iter()
        .filter_map(transformation)
        .collect();
    if !transformations.is_empty() {
        out.insert("transformations".to_owned(), transformations.into());
    }
    if let Some(mut options) = data.reader("queryOptions") {
        for name in [
            "timeFrom",
            "timeShift",
            "timeCompare",
            "maxDataPoints",
            "interval",
            "cacheTimeout",
            "queryCachingTTL",
            "hideTimeOverride",
        ] {
            options.keep(name, name, out);
        }
        options.finish();
    }
    data.finish();
}

fn transformation(mut kind: Reader<'_>) -> Option<Value> {
    let mut out = Map::new();
    kind.keep("group", "id", &mut out);
    let mut spec = kind.spec("Transformation")?;
    for name in ["disabled", "filter", "topic", "options"] {
        spec.keep(name, name, &mut out);
    }
    spec.finish();
    Some(out.into())
}

/// A query: its data source, and what the data source makes of it.
pub(super) fn query(mut kind: Reader<'_>) -> Option<(Value, Map<String, Value>)> {
    let mut datasource = Map::new();
    kind.drop("version");
    kind.keep("group", "type", &mut datasource);
    if let Some(mut reference) = kind.reader("datasource") {
        reference.keep("name", "uid", &mut datasource);
        reference.finish();
    }
    let mut spec = kind.take("spec");
    kind.drop("spec");
    let found = kind.kind();
    if found != "DataQuery" {
        kind.problems
            .report(&kind.path, format!("a classic dashboard has no {found} here"));
        return None;
    }
    kind.finish();
    let fields = spec.as_mut().and_then(Value::as_object_mut).map(std::mem::take);
    Some((datasource.into(), fields.unwrap_or_default()))
}

/// What all queries of a panel ask; classic has it at the panel, too.
fn common_datasource(targets: &[Value]) -> Option<Value> {
    let first = &targets.first()?["datasource"];
    let is_common = targets.iter().all(|target| target["datasource"] == *first);
    Some(if is_common {
        first.clone()
    } else {
        json!({ "type": "datasource", "uid": "-- Mixed --" })
    })
}
