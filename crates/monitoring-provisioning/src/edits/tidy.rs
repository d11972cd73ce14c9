//! Takes out of Grafana's answer what differs without meaning anything.

use serde_json::{Map, Value};

/// Brings an edited dashboard into the form in which we generate: the order of the panels, the shape of variables'
/// queries, the marker of a threshold's bottom; and without what Grafana keeps for itself.
pub(super) fn tidy(base: &Value, edited: &mut Value) {
    if let Some(panels) = list_mut(edited, "/panels") {
        panels.sort_by_key(place);
        for panel in panels {
            bottom(panel);
            for nested in list_mut(panel, "/panels").into_iter().flatten() {
                bottom(nested);
            }
        }
    }
    let known = |name: &Value| {
        let list = base["templating"]["list"].as_array();
        list.into_iter().flatten().find(|one| one["name"] == *name)
    };
    for variable in list_mut(edited, "/templating/list").into_iter().flatten() {
        self::variable(known(&variable["name"]), variable);
    }
    if let Some(list) = list_mut(edited, "/annotations/list") {
        // Grafana adds its own notes to every dashboard. That somebody switched them off is an edit.
        list.retain(|one| !is_built_in(one) || one["enable"] == false);
    }
}

/// A list that is there. Indexing would put a `null` where there is none.
fn list_mut<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Vec<Value>> {
    value.pointer_mut(pointer).and_then(Value::as_array_mut)
}

fn is_built_in(annotation: &Value) -> bool {
    annotation["builtIn"] == 1 || annotation["builtIn"] == true
}

/// Panels stand in the order of reading; Grafana writes them in the order in which they were last touched.
fn place(panel: &Value) -> (u64, u64) {
    let of = |name: &str| panel["gridPos"][name].as_f64().unwrap_or_default() as u64;
    (of("y"), of("x"))
}

/// The lowest step begins at minus infinity, whatever stands there: `null`, nothing, or 0 since Grafana 12.
fn bottom(panel: &mut Value) {
    let Some(panel) = panel.as_object_mut() else {
        return;
    };
    let step = panel
        .get_mut("fieldConfig")
        .and_then(|config| config.pointer_mut("/defaults/thresholds/steps/0"));
    if let Some(step) = step.and_then(Value::as_object_mut) {
        step.insert("value".to_owned(), Value::Null);
    }
}

fn variable(base: Option<&Value>, variable: &mut Value) {
    let is_datasource = variable["type"] == "datasource";
    let Some(fields) = variable.as_object_mut() else {
        return;
    };
    // The editor of Prometheus' variables wraps the query.
    if let Some(text) = fields.get("query").and_then(|query| query.get("query")).cloned()
        && text.is_string()
    {
        fields.insert("query".to_owned(), text);
    }
    // What somebody looks at is nobody else's business where generation chooses nothing; nor is which of this Grafana's data
    // sources a new variable has chosen.
    if base.map_or(is_datasource, |base| base["current"].is_null()) {
        fields.remove("current");
    }
    if let Some(current) = fields.get_mut("current").and_then(Value::as_object_mut) {
        current.remove("selected");
        for name in ["text", "value"] {
            single(current, name);
        }
        if current.values().all(|value| value == "") {
            fields.remove("current");
        }
    }
}

/// One chosen value is written as itself or as a list of one.
fn single(current: &mut Map<String, Value>, name: &str) {
    let only = match current.get(name).and_then(Value::as_array).map(Vec::as_slice) {
        Some([only]) => only.clone(),
        _ => return,
    };
    current.insert(name.to_owned(), only);
}
