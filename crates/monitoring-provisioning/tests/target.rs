//! Versions of the servers: what they lack is refused, at its place and with the version that has it.

use std::path::Path;

use monitoring_provisioning::{Runtime, Spec, Version, generate, validate};

fn problems(text: &str) -> Vec<String> {
    match Spec::parse(text, Path::new("m.yaml")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

/// An alert of the operator's own with this expression, in line 2.
fn own(target: &str, expr: &str) -> String {
    format!(
        "more_alerts: {{ Mine: {{ severity: warning, summary: a, description: b, expr:\n  '{expr}' }} }}\n\
         target: {{ prometheus: {target} }}\n"
    )
}

#[test]
fn bad_versions_are_refused() {
    for (text, message) in [
        (
            "target:\n  prometheus: 2.41",
            "m.yaml:2:15: Prometheus 2.41 is older than 2.42, the oldest that is supported; upgrade Prometheus; allowed: 2.42 to 3.x",
        ),
        (
            "target:\n  alertmanager: 0.24.1",
            "m.yaml:2:17: Alertmanager 0.24 is older than 0.25, the oldest that is supported; upgrade Alertmanager; allowed: 0.25 to 0.x",
        ),
        (
            "target: { prometheus: 35.0 }",
            "m.yaml:1:23: Prometheus 35.0 is not known here; allowed: 2.42 to 3.x",
        ),
        (
            "target: { prometheus: newest }",
            "m.yaml:1:23: `newest` is not a version; write major and minor, for example `3.5`",
        ),
        (
            "target: { promtheus: 3.5 }",
            "m.yaml:1:11: unknown key `promtheus`; did you mean `prometheus`?",
        ),
        (
            "images:\n  prometheus: prom/prometheus:v2.53.1",
            "m.yaml:2:15: image `prom/prometheus:v2.53.1` is older than `target.prometheus` (3.5); set `target.prometheus` to \
             2.53, or choose a newer image",
        ),
        (
            "target:\n  alertmanager: 0.34",
            "m.yaml:2:17: image `prom/alertmanager:v0.33.1` is older than `target.alertmanager` (0.34); set \
             `target.alertmanager` to 0.33, or choose a newer image",
        ),
    ] {
        assert_eq!(problems(text), [message], "{text}");
    }
}

#[test]
fn versions_are_text_and_old_ones_are_taken() {
    for text in [
        "target: { prometheus: 2.42, alertmanager: 0.25 }",
        "target: { prometheus: v3.5.3, alertmanager: '0.30' }",
        "images: { prometheus: 'reg:5000/prometheus@sha256:00' }",
    ] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
    let spec = Spec::parse("target: { alertmanager: 0.30 }", Path::new("m.yaml")).unwrap();
    assert_eq!(spec.target.alertmanager, Version::new(0, 30));
}

#[test]
fn what_prometheus_lacks_is_refused_with_the_version_that_has_it() {
    for (expr, old, new, place, what, since) in [
        (
            "max by (instance) (fusion_connection_pool_queue_size) > 5m",
            "2.53",
            "2.54",
            "2:3",
            "the duration `5m` in place of a number",
            "2.54",
        ),
        (
            "max by (instance, \"pool\") (fusion_connection_pool_queue_size) > 3",
            "2.55",
            "3.0",
            "2:3",
            "a name in quotes",
            "3.0",
        ),
    ] {
        let message = format!(
            "m.yaml:{place}: Prometheus {old} doesn't know {what}; {since} is the first that does: raise `target.prometheus`, or \
             write it another way"
        );
        assert_eq!(problems(&own(old, expr)), [message], "{expr}");
        assert_eq!(problems(&own(new, expr)), Vec::<String>::new(), "{expr}");
    }
}

#[test]
fn an_override_is_judged_too_and_its_words_are_pointed_at() {
    let text = "target: { prometheus: 2.42 }\nalerts:\n  ConnectionPoolQueueGrowing:\n    expr: |\n      max by (instance, pool) (\n        \
                last_over_time(fusion_connection_pool_queue_size[1m])\n      ) > 1m\n";
    let found = problems(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("m.yaml:7:9: Prometheus 2.42 doesn't know the duration `1m`"),
        "{found:?}"
    );
}

#[test]
fn a_webhooks_file_needs_an_alertmanager_that_reads_it() {
    let receivers = "receivers:\n  webhook:\n    chat:\n      url_file: secrets/chat\n";
    assert_eq!(problems(receivers), Vec::<String>::new());
    assert_eq!(
        problems(&format!("{receivers}target: {{ alertmanager: 0.25 }}")),
        [
            "m.yaml:4:17: Alertmanager 0.25 can't read a webhook's address from a file; 0.26 is the first that can: raise \
             `target.alertmanager`, or post to a relay that keeps the secret, with `url` of a webhook"
        ]
    );
    assert_eq!(
        problems("receivers:\n  webhook:\n    chat: {}"),
        [
            "m.yaml:3:11: a webhook has neither `url` nor `url_file`; give the address as `url`, or, where whoever knows it may \
             post, in a file as `url_file`"
        ]
    );
    assert_eq!(
        problems("receivers:\n  webhook:\n    chat: { url: 'https://h/x', url_file: f }"),
        ["m.yaml:3:43: a webhook has both `url` and `url_file`; keep one"]
    );
}

#[test]
fn a_webhooks_file_is_mounted_and_named() {
    let text = "receivers: { webhook: { chat: { url_file: secrets/chat } } }\nnotifications: { warning: { receivers: [chat] } }";
    let spec = Spec::parse(text, Path::new("monitoring/monitoring.yaml")).unwrap();
    let files = generate(&spec, Runtime::Docker).unwrap();
    assert!(validate(&spec, &files).is_empty());
    let contents = |path: &str| {
        let file = files.iter().find(|file| file.path == Path::new(path));
        file.map(|file| file.contents.as_str()).unwrap_or_default()
    };
    assert!(
        contents("monitoring/alertmanager/config.yml")
            .contains("url_file: /run/secrets/fusion/chat-url_file")
    );
    assert!(
        contents("docker-compose.monitoring.yml")
            .contains("./monitoring/secrets/chat:/run/secrets/fusion/chat-url_file")
    );
}

#[test]
fn files_on_disk_are_judged_by_the_target() {
    let spec = Spec::parse("target: { prometheus: 2.42 }", Path::new("m.yaml")).unwrap();
    let mut files = generate(&spec, Runtime::Docker).unwrap();
    assert!(
        validate(&spec, &files).is_empty(),
        "everything generated works with the oldest version"
    );
    let rules = files
        .iter_mut()
        .find(|file| file.path.ends_with("alerts/connection-pool.yml"))
        .unwrap();
    let changed = rules.contents.replace("> 0.8", "> 8s");
    assert_ne!(rules.contents, changed);
    rules.contents = changed;
    let found: Vec<String> = validate(&spec, &files).iter().map(ToString::to_string).collect();
    assert!(
        found
            .iter()
            .any(|line| line.contains("Prometheus 2.42 doesn't know the duration `8s`")),
        "{found:?}"
    );
}
