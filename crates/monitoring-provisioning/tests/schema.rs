//! The JSON Schema of `monitoring.yaml`: it takes what the spec takes, and marks what an editor can know to be wrong.

use std::path::Path;

use monitoring_provisioning::{AlertName, Runtime, Spec, generate};
use serde_json::Value;

fn schema() -> Value {
    let files = generate(&Spec::default(), Runtime::Docker).expect("the default spec");
    let file = files
        .iter()
        .find(|file| file.path == Path::new("monitoring/monitoring.schema.json"))
        .expect("the schema");
    serde_json::from_str(&file.contents).expect("JSON")
}

/// What is wrong with a text, as an editor sees it.
fn marks(schema: &Value, text: &str) -> Vec<String> {
    let value: Value = serde_yaml::from_str(text).expect("YAML");
    jsonschema::validator_for(schema)
        .expect("a valid schema")
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn what_the_spec_takes_is_not_marked() {
    let schema = schema();
    let committed = include_str!("../../../monitoring/monitoring.yaml");
    // Every example in the comments of the committed file as well.
    let (_, settings) = committed.split_once("\nprofile:").unwrap();
    let examples: String = settings
        .lines()
        .filter(|line| !line.contains("expr: ..."))
        .map(|line| {
            let nested = line.strip_prefix("  #").filter(|rest| rest.starts_with("  "));
            match (line.strip_prefix('#'), nested) {
                (Some(rest), _) if rest.starts_with("  ") => format!("{rest}\n"),
                (_, Some(rest)) => format!("  {rest}\n"),
                _ => format!("{}\n", line.trim_end_matches(" {}").trim_end_matches(" []")),
            }
        })
        .collect();
    let examples = format!("profile:{examples}");
    for text in [
        committed,
        &examples,
        "target: { prometheus: 2.42, alertmanager: '0.30' }",
        "ports:\nalerts:\nreceivers:\nrelayers:\n",
        "alerts: { ConnectionPoolQueueGrowing: { for: 0, silenced: false, window: 1m30s, pools: { a: { threshold: 5 } } } }",
        "bind_address: '::1'\nprofile: local\ntime_scale: 60\nnotification_log: false\n",
    ] {
        let spec = Spec::parse(text, Path::new("m.yaml"));
        assert!(spec.is_ok(), "{text}\n{}", spec.unwrap_err());
        assert_eq!(marks(&schema, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_is_wrong_by_its_shape_is_marked() {
    let schema = schema();
    for text in [
        "prots: {}",
        "ports: { relayer: http }",
        "ports: { relayer: 70000 }",
        "ports: [1]",
        "profile: staging",
        "time_scale: fast",
        "relayers: a:1",
        "prometheus: { scrape_interval: 1.5h }",
        "prometheus: { scrape_interval: 30m1h }",
        "prometheus: { scrape_interval: '' }",
        "prometheus: { scrape_interval: 5 }",
        "target: { prometheus: newest }",
        "alerts: { EndpointUnhealty: {} }",
        "alerts: { EndpointUnhealthy: { fro: 1m } }",
        "alerts: { ConnectionPoolQueueGrowing: { pools: { a: {} } } }",
        "more_alerts: { Mine: { expr: up } }",
        "receivers: { slack: { a: { channel: x } } }",
        "receivers: { telegram: { a: { bot_token_file: t } } }",
        "receivers: { opsgenie: { a: { api_key_file: k, region: asia } } }",
        "notifications: { teams: { ops: { info: {} } } }",
        "mute_times: { nights: { weekdays: [sunday] } }",
        "discovery: { dns: [{ names: [h], type: MX }] }",
        "discovery: { docker: [{}] }",
        "resources: { grafana: { memory: 1 } }",
        "prometheus: { remote_write: [{ credentials_file: c }] }",
        "notifications: { critical: { receivers: x } }",
    ] {
        assert!(!marks(&schema, text).is_empty(), "{text}");
        assert!(Spec::parse(text, Path::new("m.yaml")).is_err(), "{text}");
    }
}

#[test]
fn every_alert_and_every_setting_is_explained() {
    let schema = schema();
    let alerts = schema["properties"]["alerts"]["properties"].as_object().unwrap();
    assert_eq!(alerts.len(), AlertName::ALL.len());
    let definitions = schema["definitions"].as_object().unwrap();
    for (name, definition) in definitions.iter().chain([(&"Spec".to_owned(), &schema)]) {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(
                property["description"].is_string(),
                "{name}.{key} has no description: {property}"
            );
        }
    }
}

#[test]
fn the_spec_names_its_schema() {
    let first = include_str!("../../../monitoring/monitoring.yaml").lines().next();
    assert_eq!(
        first,
        Some("# yaml-language-server: $schema=monitoring.schema.json")
    );
}
