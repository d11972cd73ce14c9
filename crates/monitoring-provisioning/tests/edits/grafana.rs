//! What Grafana makes of a dashboard, written from its documented formats (no Grafana was at hand): the defaults that its
//! editor writes out, the envelopes of its API, schema v2.

#![allow(clippy::needless_pass_by_value, reason = "JSON is written where it is passed")]

use serde_json::{Map, Value, json};

/// The dashboard as the editor saves it when nothing was edited: defaults written out, things stamped on.
pub(crate) fn saved(dashboard: &Value) -> Value {
    let mut saved = dashboard.clone();
    merge(
        &mut saved,
        json!({ "id": 7, "version": 4, "editable": true, "fiscalYearStartMonth": 0, "liveNow": false, "preload": false, "weekStart": "" }),
    );
    for (name, empty) in [("links", json!([])), ("timepicker", json!({}))] {
        if saved[name].is_null() {
            saved[name] = empty;
        }
    }
    let built_in = json!({
        "builtIn": 1, "datasource": { "type": "grafana", "uid": "-- Grafana --" }, "enable": true, "hide": true,
        "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
    });
    saved["annotations"]["list"]
        .as_array_mut()
        .unwrap()
        .insert(0, built_in);
    for variable in saved["templating"]["list"].as_array_mut().unwrap() {
        variable["options"] = json!([]);
        variable["regex"] = json!("");
        if variable["type"] == "datasource" {
            variable["current"] = json!({ "text": "Prometheus", "value": "fusion-prometheus" });
        } else {
            variable["current"] = json!({ "text": ["All"], "value": ["$__all"] });
            variable["query"] = json!({ "qryType": 1, "query": variable["definition"], "refId": "PrometheusVariableQueryEditor-VariableQuery" });
        }
    }
    for panel in saved["panels"].as_array_mut().unwrap() {
        let nested = panel["panels"].as_array_mut().map(std::mem::take);
        if let Some(nested) = nested {
            panel["panels"] = nested
                .into_iter()
                .map(|mut panel| {
                    written_out(&mut panel);
                    panel
                })
                .collect();
        } else {
            written_out(panel);
        }
    }
    saved
}

fn written_out(panel: &mut Value) {
    if panel["type"] == "row" || panel["type"] == "text" {
        return;
    }
    panel["pluginVersion"] = json!("12.1.0");
    let kind = panel["type"].clone();
    let defaults = &mut panel["fieldConfig"]["defaults"];
    fill(defaults, json!({ "mappings": [], "links": [] }));
    if let Some(step) = defaults.pointer_mut("/thresholds/steps/0") {
        step["value"] = json!(0);
    }
    let axes = json!({
        "axisBorderShow": false, "axisCenteredZero": false, "axisColorMode": "text", "axisLabel": "", "axisPlacement": "auto",
        "barAlignment": 0, "barWidthFactor": 0.6, "gradientMode": "none", "insertNulls": false, "pointSize": 5,
        "hideFrom": { "legend": false, "tooltip": false, "viz": false }, "scaleDistribution": { "type": "linear" },
        "stacking": { "group": "A", "mode": "none" },
    });
    if kind == "timeseries" {
        fill(&mut defaults["custom"], axes);
    } else if kind == "state-timeline" {
        fill(&mut panel["options"], json!({ "perPage": 20 }));
    }
    if panel["options"]["tooltip"].is_object() {
        fill(&mut panel["options"]["tooltip"], json!({ "hideZeros": false }));
    }
}

/// Adds what isn't there.
fn fill(value: &mut Value, more: Value) {
    if value.is_null() {
        *value = json!({});
    }
    for (name, more) in more.as_object().unwrap() {
        value
            .as_object_mut()
            .unwrap()
            .entry(name.clone())
            .or_insert(more.clone());
    }
}

fn merge(value: &mut Value, more: Value) {
    value
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
}

/// `GET /api/dashboards/uid/<uid>`.
pub(crate) fn legacy(dashboard: Value) -> String {
    json!({ "meta": { "type": "db", "provisioned": true, "version": 4 }, "dashboard": dashboard }).to_string()
}

/// `GET /apis/dashboard.grafana.app/<version>/namespaces/default/dashboards/<uid>`.
pub(crate) fn resource(version: &str, uid: &Value, spec: Value) -> String {
    json!({
        "kind": "Dashboard", "apiVersion": format!("dashboard.grafana.app/{version}"),
        "metadata": { "name": uid, "namespace": "default", "generation": 1 }, "spec": spec, "status": {},
    })
    .to_string()
}

/// A classic dashboard in schema v2.
pub(crate) fn v2(classic: &Value) -> Value {
    let mut spec = Map::new();
    for name in [
        "title",
        "description",
        "tags",
        "editable",
        "liveNow",
        "preload",
        "links",
    ] {
        spec.insert(name.to_owned(), classic[name].clone());
    }
    let tooltip = classic["graphTooltip"].as_u64().unwrap_or_default() as usize;
    spec.insert(
        "cursorSync".to_owned(),
        ["Off", "Crosshair", "Tooltip"][tooltip].into(),
    );
    spec.insert(
        "timeSettings".to_owned(),
        json!({
            "timezone": classic["timezone"], "from": classic["time"]["from"], "to": classic["time"]["to"],
            "autoRefresh": classic["refresh"], "hideTimepicker": false, "fiscalYearStartMonth": 0,
            "autoRefreshIntervals": ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"],
        }),
    );
    let list = |name: &str| classic[name]["list"].as_array().cloned().unwrap_or_default();
    spec.insert(
        "annotations".to_owned(),
        list("annotations").iter().map(annotation).collect(),
    );
    spec.insert(
        "variables".to_owned(),
        list("templating").iter().map(variable).collect(),
    );
    let (elements, layout) = panels(classic["panels"].as_array().unwrap());
    spec.insert("elements".to_owned(), elements);
    spec.insert("layout".to_owned(), layout);
    spec.into()
}

fn query(datasource: &Value, spec: Value) -> Value {
    json!({ "kind": "DataQuery", "group": datasource["type"], "version": "v0", "datasource": { "name": datasource["uid"] }, "spec": spec })
}

fn without(value: &Value, names: &[&str]) -> Value {
    let mut value = value.clone();
    for name in names {
        value.as_object_mut().unwrap().remove(*name);
    }
    value
}

fn annotation(classic: &Value) -> Value {
    let own = [
        "name",
        "datasource",
        "enable",
        "hide",
        "iconColor",
        "builtIn",
        "filter",
    ];
    json!({ "kind": "AnnotationQuery", "spec": {
        "builtIn": classic["builtIn"] == 1, "enable": classic["enable"], "hide": classic["hide"] == true,
        "iconColor": classic["iconColor"], "name": classic["name"], "filter": classic["filter"],
        "query": query(&classic["datasource"], json!({})), "legacyOptions": without(classic, &own),
    } })
}

fn variable(classic: &Value) -> Value {
    let refresh = classic["refresh"].as_u64().unwrap_or_default() as usize;
    let sort = classic["sort"].as_u64().unwrap_or_default() as usize;
    let mut spec = json!({
        "hide": "dontHide", "skipUrlSync": false, "allowCustomValue": true, "options": [],
    });
    spec["refresh"] = ["never", "onDashboardLoad", "onTimeRangeChanged"][refresh].into();
    for name in [
        "name",
        "label",
        "description",
        "multi",
        "includeAll",
        "allValue",
        "regex",
        "current",
    ] {
        spec[name] = classic[name].clone();
    }
    match classic["type"].as_str().unwrap() {
        "datasource" => {
            spec["pluginId"] = classic["query"].clone();
            json!({ "kind": "DatasourceVariable", "spec": spec })
        }
        "query" => {
            spec["definition"] = classic["definition"].clone();
            spec["sort"] = [
                "disabled",
                "alphabeticalAsc",
                "alphabeticalDesc",
                "numericalAsc",
                "numericalDesc",
            ][sort]
                .into();
            spec["query"] = query(
                &classic["datasource"],
                json!({ "__legacyStringValue": classic["definition"] }),
            );
            json!({ "kind": "QueryVariable", "spec": spec })
        }
        other => panic!("teach this test the variables of type {other}"),
    }
}

/// The elements, and the rows that place them. Places count from the row's beginning.
fn panels(classic: &[Value]) -> (Value, Value) {
    let mut elements = Map::new();
    let mut rows: Vec<Value> = Vec::new();
    let mut top = 0;
    for panel in classic {
        if panel["type"] == "row" {
            top = panel["gridPos"]["y"].as_u64().unwrap() + 1;
            let mut items = Vec::new();
            for nested in panel["panels"].as_array().into_iter().flatten() {
                items.push(place(nested, top, &mut elements));
            }
            rows.push(row(
                json!({ "title": panel["title"], "collapse": panel["collapsed"] }),
                items,
            ));
            continue;
        }
        let item = place(panel, top, &mut elements);
        if rows.is_empty() {
            rows.push(row(json!({ "title": "", "hideHeader": true }), Vec::new()));
        }
        let row = rows.last_mut().unwrap();
        row["spec"]["layout"]["spec"]["items"]
            .as_array_mut()
            .unwrap()
            .push(item);
    }
    (
        elements.into(),
        json!({ "kind": "RowsLayout", "spec": { "rows": rows } }),
    )
}

fn row(mut spec: Value, items: Vec<Value>) -> Value {
    spec["layout"] = json!({ "kind": "GridLayout", "spec": { "items": items } });
    json!({ "kind": "RowsLayoutRow", "spec": spec })
}

fn place(panel: &Value, top: u64, elements: &mut Map<String, Value>) -> Value {
    let name = format!("panel-{}", panel["id"]);
    let pos = &panel["gridPos"];
    elements.insert(name.clone(), element(panel));
    json!({ "kind": "GridLayoutItem", "spec": {
        "x": pos["x"], "y": pos["y"].as_u64().unwrap() - top, "width": pos["w"], "height": pos["h"],
        "element": { "kind": "ElementReference", "name": name },
    } })
}

fn element(panel: &Value) -> Value {
    let queries: Vec<Value> = panel["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|target| {
            let asks = without(target, &["refId", "datasource", "hide"]);
            json!({ "kind": "PanelQuery", "spec": {
                "refId": target["refId"], "hidden": target["hide"] == true, "query": query(&target["datasource"], asks),
            } })
        })
        .collect();
    let transformations: Vec<Value> = panel["transformations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| json!({ "kind": "Transformation", "group": one["id"], "spec": without(one, &["id"]) }))
        .collect();
    let mut options = Map::new();
    for name in ["interval", "maxDataPoints", "timeFrom", "timeShift"] {
        if !panel[name].is_null() {
            options.insert(name.to_owned(), panel[name].clone());
        }
    }
    let field_config = match &panel["fieldConfig"] {
        Value::Null => json!({ "defaults": {}, "overrides": [] }),
        config => config.clone(),
    };
    json!({ "kind": "Panel", "spec": {
        "id": panel["id"], "title": panel["title"], "description": panel["description"], "transparent": panel["transparent"],
        "links": panel["links"].as_array().cloned().unwrap_or_default(),
        "data": { "kind": "QueryGroup", "spec": { "queries": queries, "transformations": transformations, "queryOptions": options } },
        "vizConfig": { "kind": "VizConfig", "group": panel["type"], "version": "13.2.3", "spec": {
            "options": panel["options"], "fieldConfig": field_config,
        } },
    } })
}
