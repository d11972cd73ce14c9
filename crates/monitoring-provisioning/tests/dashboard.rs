//! What the dashboard shows, and that it says so.

use monitoring_provisioning::{Runtime, Spec, generate};
use pool_metrics::catalogue::METRICS;
use serde_json::Value;

fn dashboard() -> Value {
    let files = generate(&Spec::default(), Runtime::Docker).expect("valid JSON and schema");
    let file = files
        .iter()
        .find(|file| file.path.extension().is_some_and(|e| e == "json"))
        .expect("valid JSON and schema");
    serde_json::from_str(&file.contents).expect("valid JSON and schema")
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
            let of_process = METRICS.iter().filter(|metric| !metric.has_label("pool"));
            let of_process: usize = of_process.map(|metric| expr.matches(metric.name).count()).sum();
            assert_eq!(
                expr.matches('{').count() - of_process,
                expr.matches("pool=~\"$pool\"").count(),
                "{}: {expr}",
                panel["title"]
            );
        }
    }
}
