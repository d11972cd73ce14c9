//! What the dashboards show, and that they say so.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::collections::{BTreeMap, BTreeSet};

use monitoring_provisioning::{AlertName, Runtime, Spec, dashboard_queries, generate};
use pool_metrics::catalogue::METRICS;
use serde_json::Value;

const POOLS: &str = "monitoring/grafana/dashboards/connection-pool.json";
const ENDPOINT: &str = "monitoring/grafana/dashboards/endpoint.json";
const SLO: &str = "monitoring/grafana/dashboards/slo.json";

fn dashboards(spec: &Spec) -> BTreeMap<String, Value> {
    generate(spec, Runtime::Docker)
        .unwrap()
        .into_iter()
        .filter(|file| file.path.starts_with("monitoring/grafana/dashboards"))
        .map(|file| {
            let path = file.path.to_str().unwrap().to_owned();
            (path, serde_json::from_str(&file.contents).unwrap())
        })
        .collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn rows(dashboard: &Value) -> Vec<&str> {
    let rows = list(dashboard, "panels")
        .iter()
        .filter(|panel| panel["type"] == "row");
    rows.map(|row| row["title"].as_str().unwrap()).collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels")
        .iter()
        .filter(|panel| panel["type"] != "row")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Every value under such a key, at any depth.
fn under<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| under(value, keys, found)),
        Value::Object(map) => {
            for (key, value) in map {
                if keys.contains(&key.as_str()) {
                    found.push(value);
                }
                under(value, keys, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_three_dashboards_have_their_sections_and_variables() {
    let found = dashboards(&Spec::default());
    let table: [(&str, &str, &[&str], &[&str]); 3] = [
        (
            POOLS,
            "fusion-connection-pool",
            &[
                "Status overview",
                "Performance",
                "Errors and circuit breakers",
                "Endpoint health and weights",
                "Queue",
                "Connection lifecycle",
                "Quota and throttling",
                "Chain lag",
                "Node (system)",
            ],
            &["datasource", "job", "instance", "pool", "endpoint"],
        ),
        (
            ENDPOINT,
            "fusion-endpoint",
            &[
                "Now",
                "State over time",
                "Latency",
                "Errors and circuit breaker",
                "Connections",
                "Health checks and chain",
                "Quota and throttling",
            ],
            &["datasource", "job", "instance", "pool", "endpoint"],
        ),
        (
            SLO,
            "fusion-slo",
            &[
                "Budgets now",
                "How fast the availability budget burns",
                "How fast the latency budget burns",
                "Who spends them",
            ],
            &["datasource", "job", "instance", "pool"],
        ),
    ];
    assert_eq!(found.len(), table.len());
    for (path, uid, sections, variables) in table {
        let dashboard = &found[path];
        assert_eq!(text(dashboard, "uid"), uid);
        assert_eq!(rows(dashboard), sections, "{path}");
        let names: Vec<&str> = list(&dashboard["templating"], "list")
            .iter()
            .map(|v| text(v, "name"))
            .collect();
        assert_eq!(names, variables, "{path}");
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_leads_on() {
    for (path, dashboard) in dashboards(&Spec::default()) {
        for panel in panels(&dashboard) {
            let title = text(panel, "title");
            assert!(
                text(panel, "description").ends_with(['.', '?']),
                "{path}: {title}"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(defaults, "unit").is_empty(), "{path}: {title}");
            assert!(
                !list(&defaults["thresholds"], "steps").is_empty(),
                "{path}: {title}"
            );
            let last = list(panel, "links").last().unwrap();
            assert!(
                text(last, "url").starts_with("http://localhost:9091/graph?g0.expr="),
                "{path}: {title}"
            );
        }
    }
}

#[test]
fn every_expression_stays_within_the_choice_of_relayer_and_pool() {
    for (path, dashboard) in dashboards(&Spec::default()) {
        for target in panels(&dashboard).flat_map(|panel| list(panel, "targets")) {
            let expr = text(target, "expr");
            for metric in METRICS {
                for part in ["{", "_bucket{", "_sum{", "_count{"] {
                    for rest in expr.split(&format!("{}{part}", metric.name)).skip(1) {
                        let matchers = rest.split('}').next().unwrap();
                        let wanted = ["job", "instance", "pool"].into_iter();
                        for label in wanted.filter(|label| *label != "pool" || metric.has_label("pool")) {
                            assert!(
                                matchers.contains(&format!("{label}=~\"${label}\"")),
                                "{path}: {label} in {expr}"
                            );
                        }
                    }
                }
                assert!(
                    !expr.contains(&format!("({})", metric.name)),
                    "{path}: {} of everybody in {expr}",
                    metric.name
                );
            }
        }
    }
}

#[test]
fn no_colour_tells_good_from_bad_by_red_and_green() {
    let mut colours = BTreeSet::new();
    for dashboard in dashboards(&Spec::default()).values() {
        let mut found = Vec::new();
        under(
            dashboard,
            &["color", "fixedColor", "iconColor", "fill"],
            &mut found,
        );
        let texts = found.into_iter().filter_map(Value::as_str).map(str::to_owned);
        colours.extend(texts.filter(|text| text != "dash"));
    }
    // those whose contrast and distance the unit tests reckon
    assert_eq!(
        colours.iter().map(String::as_str).collect::<Vec<_>>(),
        ["#1F78C8", "#7F8790", "#B83C28", "#C08600"]
    );
}

#[test]
fn states_are_written_in_words() {
    let mut timelines = 0;
    for (path, dashboard) in dashboards(&Spec::default()) {
        for panel in panels(&dashboard).filter(|panel| panel["type"] == "state-timeline") {
            let words = &panel["fieldConfig"]["defaults"]["mappings"][0]["options"];
            for value in ["0", "1"] {
                assert!(
                    !text(&words[value], "text").is_empty(),
                    "{path}: {}",
                    text(panel, "title")
                );
            }
            assert_ne!(text(&words["0"], "color"), text(&words["1"], "color"));
            timelines += 1;
        }
    }
    assert!(timelines >= 8, "{timelines}");
}

#[test]
fn alerts_deployments_and_restarts_are_marked_everywhere() {
    for (path, dashboard) in dashboards(&Spec::default()) {
        let marks = list(&dashboard["annotations"], "list");
        let names: Vec<&str> = marks.iter().map(|mark| text(mark, "name")).collect();
        assert_eq!(names, ["Firing alerts", "Deployments", "Restarts"], "{path}");
        assert!(text(&marks[0], "expr").starts_with("ALERTS{alertstate=\"firing\""));
        assert!(text(&marks[1], "expr").contains("fusion_connection_pool_build_info"));
    }
}

#[test]
fn links_between_dashboards_lead_to_dashboards() {
    let found = dashboards(&Spec::default());
    let uids: BTreeSet<&str> = found.values().map(|dashboard| text(dashboard, "uid")).collect();
    for (path, dashboard) in &found {
        let mut urls = Vec::new();
        under(dashboard, &["url"], &mut urls);
        let inside: BTreeSet<&str> = urls
            .iter()
            .filter_map(|url| url.as_str().unwrap().strip_prefix("/d/"))
            .map(|rest| rest.split('/').next().unwrap())
            .collect();
        assert!(!inside.is_empty(), "{path}");
        assert!(inside.is_subset(&uids), "{path}: {inside:?}");
    }
}

/// Grafana's panels, the runbooks, Prometheus and Alertmanager know of each other.
#[test]
fn every_alert_about_relayers_has_a_panel_that_leads_to_its_runbook_and_to_where_it_fires() {
    let found = dashboards(&Spec::default());
    let mut urls = Vec::new();
    found
        .values()
        .for_each(|dashboard| under(dashboard, &["url"], &mut urls));
    let urls: BTreeSet<&str> = urls.into_iter().filter_map(Value::as_str).collect();
    for name in AlertName::ALL.into_iter().filter(|name| !name.always_fires()) {
        for wanted in [
            format!(
                "https://github.com/fusion-relayers/connection-pool/blob/main/monitoring/runbooks/{name}.md"
            ),
            format!(
                "http://localhost:9091/graph?g0.expr=ALERTS%7Balertname%3D%22{name}%22%7D&g0.tab=1&g0.range_input=1h"
            ),
            format!("http://localhost:9093/#/alerts?filter=%7Balertname%3D%22{name}%22%7D"),
        ] {
            assert!(urls.contains(wanted.as_str()), "{wanted}");
        }
    }
}

#[test]
fn the_list_of_queries_is_what_stands_in_the_files() {
    let spec = Spec::default();
    let mut written: Vec<[String; 4]> = Vec::new();
    for (path, dashboard) in dashboards(&spec) {
        for mark in list(&dashboard["annotations"], "list") {
            let texts = [
                path.as_str(),
                text(mark, "name"),
                "annotation",
                text(mark, "expr"),
            ];
            written.push(texts.map(str::to_owned));
        }
        for panel in panels(&dashboard) {
            for target in list(panel, "targets") {
                let texts = [
                    &path,
                    text(panel, "title"),
                    text(target, "refId"),
                    text(target, "expr"),
                ];
                written.push(texts.map(str::to_owned));
            }
        }
    }
    let mut listed: Vec<[String; 4]> = dashboard_queries(&spec)
        .into_iter()
        .map(|query| [query.path.to_owned(), query.panel, query.ref_id, query.expr])
        .collect();
    written.sort();
    listed.sort();
    assert_eq!(listed, written);
    let quiet = dashboard_queries(&spec)
        .iter()
        .filter(|query| query.ref_id != "annotation" && query.empty_until.is_some())
        .count();
    assert!(
        quiet * 10 < listed.len(),
        "{quiet} of {} may be empty",
        listed.len()
    );
}

#[test]
fn addresses_objectives_and_scale_reach_the_dashboards() {
    let spec = Spec::parse(
        "time_scale: 60\nslo: { availability: 0.995 }\nlinks:\n  prometheus_base_url: https://prometheus.example.org/\n  \
         alertmanager_base_url: https://alerts.example.org\n",
        std::path::Path::new("monitoring/monitoring.yaml"),
    )
    .unwrap();
    let found = dashboards(&spec);
    let slo = found[SLO].to_string();
    for wanted in [
        "https://prometheus.example.org/graph?g0.expr=ALERTS&",
        "https://alerts.example.org/#/alerts",
        "99.5 % of the attempts",
        "/ 0.005",
        // 30 days, sixty times faster
        "[12h]",
    ] {
        assert!(slo.contains(wanted), "{wanted}");
    }
    assert!(!slo.contains("localhost:9091"));
}
