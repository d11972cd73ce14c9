//! Limits of single pools: every pool is judged by exactly one.

use std::path::Path;

use monitoring_provisioning::{Runtime, Spec, alert_list, generate, validate};

fn problems(text: &str) -> Vec<String> {
    match Spec::parse(text, Path::new("m.yaml")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn rule(spec: &Spec, alert: &str) -> serde_yaml::Value {
    let files = generate(spec, Runtime::Docker).expect("a valid spec");
    let found: Vec<String> = validate(spec, &files).iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
    let file = files
        .iter()
        .find(|file| file.path.ends_with("alerts/connection-pool.yml"))
        .expect("the rules");
    let rules: serde_yaml::Value = serde_yaml::from_str(&file.contents).expect("YAML");
    let rules = rules["groups"][0]["rules"].as_sequence().expect("a list").clone();
    let mut found = rules.into_iter().filter(|rule| rule["alert"] == alert);
    let rule = found.next().expect("the rule");
    assert!(found.next().is_none(), "`{alert}` stands once");
    rule
}

fn expr(text: &str, alert: &str) -> String {
    let spec = Spec::parse(text, Path::new("m.yaml")).expect("a valid spec");
    rule(&spec, alert)["expr"].as_str().expect("a text").to_owned()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All alerts that can have limits of single pools, with one for all others and two more.
const LIMITS: [(&str, [&str; 3]); 8] = [
    ("ConnectionPoolHighUtilization", ["0.7", "0.9", "0.6"]),
    ("ConnectionPoolHighErrorRate", ["0.04", "0.2", "0.01"]),
    ("ConnectionPoolHighLatency", ["1500", "4000", "500"]),
    ("ConnectionPoolQueueGrowing", ["11", "40", "5"]),
    ("ConnectionPoolHighChurn", ["100", "60", "300"]),
    ("RetryBudgetExhausted", ["11", "40", "5"]),
    ("EndpointBlockLag", ["11", "40", "5"]),
    ("EndpointThrottled", ["0.4", "0.9", "0.1"]),
];

#[test]
fn each_part_is_the_proven_expression_with_its_own_pools_and_limit() {
    for (alert, [others, a, b]) in LIMITS {
        let all = |limit: &str| {
            words(&expr(
                &format!("alerts: {{ {alert}: {{ threshold: {limit} }} }}"),
                alert,
            ))
        };
        let text = format!(
            "alerts: {{ {alert}: {{ threshold: {others}, pools: {{ eth-main.1: {{ threshold: {a} }}, b: {{ threshold: {b} }} }} }} }}"
        );
        let whole = words(&expr(&text, alert));
        let parts: Vec<&str> = whole
            .strip_prefix("( ")
            .and_then(|rest| rest.strip_suffix(" )"))
            .map(|inner| inner.split(" ) or ( ").collect())
            .unwrap_or_default();
        assert_eq!(parts.len(), 3, "{whole}");
        for (part, (matchers, limit)) in parts.iter().zip([
            ("pool!=\"eth-main.1\",pool!=\"b\"", others),
            ("pool=\"eth-main.1\"", a),
            ("pool=\"b\"", b),
        ]) {
            assert_eq!(
                part.matches("pool").count() - all(limit).matches("pool").count(),
                matchers.matches("pool").count()
            );
            let bare = part
                .replace(&format!("{{{matchers}}}"), "")
                .replace(&format!(",{matchers}}}"), "}");
            assert_eq!(bare, all(limit), "{alert}");
        }
    }
}

#[test]
fn texts_and_tables_name_the_limits() {
    let text = "alerts: { ConnectionPoolHighUtilization: { pools: { eth-main: { threshold: 0.9 }, b: { threshold: 0.6 } } } }";
    let spec = Spec::parse(text, Path::new("m.yaml")).unwrap();
    let rule = rule(&spec, "ConnectionPoolHighUtilization");
    let description = rule["annotations"]["description"].as_str().unwrap();
    assert!(
        description.ends_with(
            "limit {{ if eq $labels.pool \"eth-main\" }}90 %{{ else if eq $labels.pool \"b\" }}60 %{{ else }}80 %{{ end }})."
        ),
        "{description}"
    );
    let listed = alert_list(&spec);
    let listed = listed
        .iter()
        .find(|alert| alert.name == "ConnectionPoolHighUtilization")
        .unwrap();
    assert!(
        listed
            .condition
            .starts_with("more than 80 % (pool eth-main: 90 %, pool b: 60 %) of the usable slots"),
        "{}",
        listed.condition
    );
}

#[test]
fn without_limits_of_single_pools_nothing_changes() {
    let plain = generate(&Spec::parse("", Path::new("m.yaml")).unwrap(), Runtime::Docker).unwrap();
    let empty = Spec::parse(
        "alerts: { ConnectionPoolQueueGrowing: { pools: {} } }",
        Path::new("m.yaml"),
    )
    .unwrap();
    assert_eq!(plain, generate(&empty, Runtime::Docker).unwrap());
}

#[test]
fn bad_limits_are_refused_with_their_place() {
    for (text, message) in [
        (
            "alerts:\n  ConnectionPoolHighErrorRate:\n    pools:\n      a: { threshold: 5 }",
            "m.yaml:4:23: a threshold of 5; allowed: share of the attempts, above 0 and below 1",
        ),
        (
            "alerts:\n  ConnectionPoolHighLatency:\n    pools:\n      a: {}",
            "m.yaml:4:10: `threshold` is missing",
        ),
        (
            "alerts:\n  ConnectionPoolHighLatency:\n    pools:\n      a: 5",
            "m.yaml:4:10: expected a mapping, found integer `5`",
        ),
        (
            "alerts:\n  ConnectionPoolHighLatency:\n    pools:\n      a: { treshold: 5 }",
            "m.yaml:4:12: unknown key `treshold`; did you mean `threshold`?",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    pools: { a: { threshold: 5 } }",
            "m.yaml:3:12: `EndpointUnhealthy` has no `pools`; it can have `enabled`, `severity`, `silenced`, `for`, `expr`, `labels`, `annotations`",
        ),
        (
            "alerts:\n  ConnectionPoolQueueGrowing:\n    pools: { a: { threshold: 5 } }\n    expr: max by (instance, pool) \
             (last_over_time(fusion_connection_pool_queue_size[1m])) > 3",
            "m.yaml:3:12: `pools` has no effect beside `expr`; write it into the expression",
        ),
        (
            "alerts:\n  ConnectionPoolQueueGrowing:\n    pools: { 'a\"}': { threshold: 5 } }",
            "m.yaml:3:12: `a\\\"}` can't name a pool here; the pool's name as its metrics show it, without quotes, braces, slashes \
             and line breaks",
        ),
        (
            "alerts:\n  ConnectionPoolQueueGrowing:\n    pools:\n      a: { threshold: 5 }\n      a: { threshold: 6 }",
            "m.yaml:5:7: the key `a` is given twice; it already stands in line 4; keep one",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.iter().any(|line| line.starts_with(message)),
            "{text}\n{found:#?}"
        );
    }
}
