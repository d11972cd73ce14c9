//! The schema that editors use: fresh, and of one mind with the reader.
//!
//! `BLESS=1 cargo test -p relayer --features schema --test schema` writes it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use serde_json::Value;

const EXAMPLE: &str = include_str!("../pools.example.yaml");

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn the_committed_schema_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pools.schema.json");
    let fresh = serde_json::to_string_pretty(&relayer::config::schema()).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == fresh,
        "pools.schema.json is stale; BLESS=1 cargo test -p relayer --features schema --test schema writes it"
    );
}

#[test]
fn the_example_is_valid_and_spoilt_ones_are_not() {
    let validator = jsonschema::validator_for(&relayer::config::schema()).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&yaml(EXAMPLE))
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    for (good, bad) in [
        ("weight: 2 ", "weigth: 2 "),
        ("weight: 2 ", "weight: much "),
        ("dialect: evm ", "dialect: solana "),
        (
            "balancer: shortest_delay\n    endpoints",
            "balancer: fastest\n    endpoints",
        ),
        ("acquire_timeout: 5s", "acquire_timeout: 5"),
        ("open_max: 1m", "open_max: a minute"),
        ("slow_call: null", "slow_call: 1"),
        ("response: 10s", "answer: 10s"),
        ("poll_interval: 2s", "poll_interval: 2 s"),
        ("    chain_id: 1 ", "    chain: 1 "),
        ("id: own-node", "id: https://node"),
        ("provider: provider-b", "provider: https://node"),
        ("per_second: 300", "per_second: many"),
        ("shared_cool_down: true", "shared_cooldown: true"),
        ("eth_getLogs: 60", "eth_getLogs: -1"),
        ("http: auto", "http: h3"),
        ("gzip: true", "gzip: often"),
        ("ping_interval: 15s", "ping_interval: 15"),
        ("max_streams: 100", "max_streams: 0"),
    ] {
        assert!(EXAMPLE.contains(good), "{good}");
        assert!(!validator.is_valid(&yaml(&EXAMPLE.replace(good, bad))), "{bad}");
    }
}

/// What the pool's settings write of themselves is what the schema describes: the same keys, texts where durations are.
#[test]
fn no_setting_is_missing_or_of_another_type() {
    fn compare(schema: &Value, root: &Value, value: &Value, path: &str) {
        if let Some(any) = schema["anyOf"].as_array().filter(|_| value.is_object()) {
            return compare(&any[0], root, value, path);
        }
        let resolved = match schema["$ref"].as_str() {
            Some(reference) => &root["definitions"][reference.rsplit('/').next().unwrap()],
            None => match schema["allOf"].as_array() {
                Some(all) => return compare(&all[0], root, value, path),
                None => schema,
            },
        };
        let Some(mapping) = value.as_object() else {
            let of = jsonschema::validator_for(&serde_json::json!({
                "definitions": root["definitions"], "allOf": [schema],
            }))
            .unwrap();
            assert!(of.is_valid(value), "{path}: {value} is not {resolved}");
            assert!(
                schema["description"].is_string() || resolved["description"].is_string(),
                "{path} says nothing"
            );
            return;
        };
        let keys = |object: &Value| {
            object
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(keys(&resolved["properties"]), keys(value), "{path}");
        for (key, value) in mapping {
            compare(
                &resolved["properties"][key],
                root,
                value,
                &format!("{path}.{key}"),
            );
        }
    }
    let schema = relayer::config::schema();
    let settings = &schema["properties"]["pools"]["items"]["properties"]["settings"];
    let mut config = pool_core::PoolConfig::default();
    config.hedge = Some(pool_core::HedgeConfig::default());
    compare(
        settings,
        &schema,
        &serde_json::to_value(config).unwrap(),
        "settings",
    );
}
