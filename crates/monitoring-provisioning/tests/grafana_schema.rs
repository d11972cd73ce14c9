//! Grafana's own JSON Schemas judge the dashboards. They stand beside the repository; without them nothing is judged,
//! and that is said.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Trial};
use monitoring_provisioning::{Runtime, Spec, generate};
use serde_json::{Value, json};

type Check = fn(&Path);

fn main() {
    let arguments = Arguments::from_args();
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/grafana-jsonschema");
    let folder = std::env::var_os("GRAFANA_JSONSCHEMA_DIR").map_or_else(beside, PathBuf::from);
    let missing = !folder.join("dashboard.jsonschema.json").is_file();
    if missing {
        println!(
            "NOT RUN: Grafana's JSON Schemas aren't at {}; set GRAFANA_JSONSCHEMA_DIR",
            folder.display()
        );
    }
    let tests: [(&str, Check); 3] = [
        (
            "every_dashboard_satisfies_grafanas_schemas",
            every_dashboard_satisfies_grafanas_schemas,
        ),
        ("the_schemas_are_strict", the_schemas_are_strict),
        (
            "what_is_pulled_from_grafana_satisfies_its_schemas",
            what_is_pulled_from_grafana_satisfies_its_schemas,
        ),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let folder = folder.clone();
        let run = move || {
            test(&folder);
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
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

fn dashboards() -> Vec<Value> {
    let files = generate(&Spec::default(), Runtime::Docker).expect("the default spec generates");
    let dashboards = files
        .iter()
        .filter(|file| file.path.starts_with("monitoring/grafana/dashboards"));
    dashboards
        .map(|file| serde_json::from_str(&file.contents).expect("valid JSON and schema"))
        .collect()
}

fn every_dashboard_satisfies_grafanas_schemas(folder: &Path) {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 3);
    let judged: usize = dashboards.iter().map(|dashboard| judge(folder, dashboard)).sum();
    assert!(judged >= 80, "{judged}");
}

/// Judges the document, each panel's options and look, and each target; how many panels there were.
fn judge(folder: &Path, dashboard: &Value) -> usize {
    assert_eq!(
        complaints(&schema(folder, "dashboard"), None, dashboard),
        Vec::<String>::new(),
        "{}",
        dashboard["title"]
    );
    let target_schema = schema(folder, "prometheus");
    let panels = dashboard["panels"].as_array().unwrap();
    let panels = panels.iter().filter(|panel| panel["type"] != "row");
    let mut judged = 0;
    for panel in panels {
        let title = &panel["title"];
        let kind = panel["type"].as_str().unwrap().replace('-', "");
        let schema = schema(folder, &kind);
        let mut found = complaints(&schema, Some("Options"), &panel["options"]);
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        if !custom.is_null() {
            found.extend(complaints(&schema, Some("FieldConfig"), custom));
        }
        for target in panel["targets"].as_array().unwrap() {
            found.extend(complaints(&target_schema, None, target));
        }
        assert_eq!(found, Vec::<String>::new(), "{title}");
        judged += 1;
    }
    judged
}

/// Edits come in schema v2, too; what we write is classic.
fn what_is_pulled_from_grafana_satisfies_its_schemas(folder: &Path) {
    let answers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edits/answers");
    let read = |name: &str| std::fs::read_to_string(answers.join(name)).expect("a readable answer");
    for name in ["classic-edited.json", "v2-edited.json"] {
        let edit =
            monitoring_provisioning::edits::pull(&read("generated.json"), &read(name)).expect("an edit");
        assert!(edit.changes > 0, "{name}");
        let edited = serde_json::from_str(&edit.edited).expect("valid JSON");
        assert_eq!(
            complaints(&schema(folder, "dashboard"), None, &edited),
            Vec::<String>::new(),
            "{name}"
        );
    }
}

fn the_schemas_are_strict(folder: &Path) {
    let mut dashboard = dashboards().remove(0);
    dashboard["panels"][1]["titel"] = json!("x");
    assert!(!complaints(&schema(folder, "dashboard"), None, &dashboard).is_empty());
}
