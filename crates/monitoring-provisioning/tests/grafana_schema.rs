//! Grafana's own JSON Schemas judge the dashboard. They stand beside the repository; without them nothing is judged,
//! and that is said.

use std::path::{Path, PathBuf};

use monitoring_provisioning::{Runtime, Spec, generate};
use serde_json::{Value, json};

fn schemas() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/grafana-jsonschema");
    let folder = std::env::var_os("GRAFANA_JSONSCHEMA_DIR").map_or_else(beside, PathBuf::from);
    if folder.join("dashboard.jsonschema.json").is_file() {
        return Some(folder);
    }
    eprintln!(
        "NOT RUN: Grafana's JSON Schemas aren't at {}; set GRAFANA_JSONSCHEMA_DIR to where they are",
        folder.display()
    );
    None
}

fn schema(folder: &Path, name: &str) -> Value {
    let path = folder.join(format!("{name}.jsonschema.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("valid JSON and schema")
}

/// What a schema, or one of its definitions, has against a value.
fn complaints(schema: &Value, definition: Option<&str>, value: &Value) -> Vec<String> {
    let mut schema = schema.clone();
    if let Some(definition) = definition {
        schema["$ref"] = json!(format!("#/definitions/{definition}"));
    }
    let validator = jsonschema::validator_for(&schema).expect("valid JSON and schema");
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn dashboard() -> Value {
    let files = generate(&Spec::default(), Runtime::Docker).expect("valid JSON and schema");
    let file = files
        .iter()
        .find(|file| file.path.extension().is_some_and(|e| e == "json"))
        .expect("valid JSON and schema");
    serde_json::from_str(&file.contents).expect("valid JSON and schema")
}

#[test]
fn the_dashboard_satisfies_grafanas_schemas() {
    let Some(folder) = schemas() else { return };
    let dashboard = dashboard();
    assert_eq!(
        complaints(&schema(&folder, "dashboard"), None, &dashboard),
        Vec::<String>::new()
    );
    let target_schema = schema(&folder, "prometheus");
    let mut judged = 0;
    for panel in dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|panel| panel["type"] != "row")
    {
        let title = &panel["title"];
        let kind = panel["type"].as_str().unwrap().replace('-', "");
        let schema = schema(&folder, &kind);
        assert_eq!(
            complaints(&schema, Some("Options"), &panel["options"]),
            Vec::<String>::new(),
            "{title}"
        );
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        if !custom.is_null() {
            assert_eq!(
                complaints(&schema, Some("FieldConfig"), custom),
                Vec::<String>::new(),
                "{title}"
            );
        }
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(
                complaints(&target_schema, None, target),
                Vec::<String>::new(),
                "{title}"
            );
        }
        judged += 1;
    }
    assert!(judged >= 20, "{judged}");
}

#[test]
fn the_schemas_are_strict() {
    let Some(folder) = schemas() else { return };
    let mut dashboard = dashboard();
    dashboard["panels"][1]["titel"] = json!("x");
    assert!(!complaints(&schema(&folder, "dashboard"), None, &dashboard).is_empty());
}

#[test]
fn the_dashboard_has_the_five_sections_and_every_panel_says_what_it_shows() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<&str> = panels
        .iter()
        .filter(|p| p["type"] == "row")
        .map(|p| p["title"].as_str().unwrap())
        .collect();
    assert_eq!(
        rows,
        [
            "Status overview",
            "Performance",
            "Errors and circuit breakers",
            "Endpoint health and weights",
            "Queue"
        ]
    );
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(
            panel["description"]
                .as_str()
                .is_some_and(|text| text.ends_with('.')),
            "{}",
            panel["title"]
        );
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{}",
            panel["title"]
        );
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            assert_eq!(
                expr.matches('{').count(),
                expr.matches("pool=~\"$pool\"").count(),
                "{}: {expr}",
                panel["title"]
            );
        }
    }
}
