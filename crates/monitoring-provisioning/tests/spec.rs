//! Bad input of `monitoring.yaml`: each problem with its place, and all of them at once.

use std::path::Path;

use monitoring_provisioning::{PromDuration, Spec};

fn problems(text: &str) -> Vec<String> {
    match Spec::parse(text, Path::new("m.yaml")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn an_empty_file_is_a_valid_spec() {
    for text in ["", "# nothing but comments\n", "ports:\nalerts:\nreceivers:\n"] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text:?}");
    }
}

#[test]
fn the_committed_spec_says_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring/monitoring.yaml");
    let committed = Spec::load(&path).unwrap();
    let mut default = Spec::parse("", &path).unwrap();
    // Defaults that depend on the severity are written out in the committed file.
    default.notifications = committed.notifications.clone();
    assert_eq!(format!("{committed:#?}"), format!("{default:#?}"));
    for (written, built_in) in committed.routes().iter().zip(Spec::default().routes()) {
        assert_eq!(format!("{written:?}"), format!("{built_in:?}"));
    }
}

#[test]
fn every_bad_input_gives_its_message() {
    let table: &[(&str, &str)] = &[
        ("time_scale: fast", "m.yaml:1:13: expected a number, found a text"),
        (
            "time_scale: 0.5",
            "m.yaml:1:13: `time_scale` is 0.5; allowed: 1 to 120",
        ),
        (
            "prots: {}",
            "m.yaml:1:1: unknown key `prots`; did you mean `ports`?",
        ),
        (
            "ports:\n  relayer: http",
            "m.yaml:2:12: expected a whole number from 0 to 65535, found a text",
        ),
        (
            "ports:\n  relayer: 0",
            "m.yaml:2:12: port 0 for `relayer`; allowed: 1 to 65535",
        ),
        (
            "ports:\n  grafana: 9090",
            "m.yaml:2:12: port 9090 is given to both `relayer` and `grafana`; give each its own",
        ),
        (
            "images:\n  grafana: grafana/grafana:latest",
            "m.yaml:2:12: image `grafana/grafana:latest`: `latest` is not a version; pin one, for example `name:v1.2.3`",
        ),
        (
            "images:\n  grafana: reg:5000/grafana",
            "m.yaml:2:12: image `reg:5000/grafana` has no version; pin one, for example `name:v1.2.3` or `name@sha256:...`",
        ),
        (
            "prometheus:\n  scrape_interval: 1.5h",
            "m.yaml:2:20: `1.5h` is not a duration; write whole numbers with units, largest unit first: `90s`, `1m30s`, \
             `500ms` (units y w d h m s ms)",
        ),
        (
            "prometheus:\n  scrape_timeout: 9s",
            "m.yaml:2:19: `scrape_timeout` (9s) is longer than `scrape_interval` (5s); a scrape must end before the next one \
             begins",
        ),
        (
            "prometheus:\n  external_labels:\n    pool: x",
            "m.yaml:3:11: the label `pool` is taken; alerts already carry it; choose another name",
        ),
        (
            "relayers:\n  - http://a:1/metrics",
            "m.yaml:2:5: a relayer is given as `host:port`; without scheme and path, for example `10.0.0.5:9090`; `/metrics` \
             is implied",
        ),
        (
            "relayers:\n  - a:1\n  - b:1\n  - A:1",
            "m.yaml:4:5: a relayer is listed twice; it already stands in line 2; keep one",
        ),
        (
            "bind_address: 0.0.0.0",
            "m.yaml:1:15: Grafana would listen on 0.0.0.0 with the well-known password; set `grafana.admin_password_file`, or keep \
             a loopback address and put a proxy with a login before it",
        ),
        (
            "alerts:\n  EndpointUnhealty: {}",
            "m.yaml:2:3: unknown name `EndpointUnhealty`; did you mean `EndpointUnhealthy`?",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    threshold: 1",
            "m.yaml:3:16: `EndpointUnhealthy` has no `threshold`; it can have `enabled`, `severity`, `silenced`, `for`, `expr`, `labels`, `annotations`",
        ),
        (
            "alerts:\n  ConnectionPoolHighLatency:\n    threshold: 200000",
            "m.yaml:3:16: a threshold of 200000; allowed: milliseconds, between the first and the last bucket (1 and 120000, \
             both excluded)",
        ),
        (
            "alerts:\n  ConnectionPoolHighErrorRate:\n    threshold: 5",
            "m.yaml:3:16: a threshold of 5; allowed: share of the attempts, above 0 and below 1",
        ),
        (
            "alerts:\n  ConnectionPoolHighErrorRate:\n    window: 10s",
            "m.yaml:3:13: the window holds fewer than four scrapes; allowed: 20s or more, or a shorter \
             `prometheus.scrape_interval`",
        ),
        (
            "prometheus: { scrape_interval: 30s }",
            "m.yaml:1:32: four scrapes take 2m, longer than the window of `ConnectionPoolQueueGrowing` (1m); scrape more \
             often, or set `alerts.ConnectionPoolQueueGrowing.window`",
        ),
        (
            "notifications:\n  critical:\n    receivers: [ops]",
            "m.yaml:3:17: there is no receiver `ops`; define it under `receivers`; there is none yet",
        ),
        (
            "notifications:\n  critical:\n    repeat_interval: 10s",
            "m.yaml:3:5: `repeat_interval` is shorter than `group_interval`; a group is only looked at every \
             `group_interval`: repeat at least as slowly",
        ),
        (
            "ports:\n  relayer: 1\n  relayer: 2",
            "m.yaml:3:3: the key `relayer` is given twice; it already stands in line 2; keep one",
        ),
        (
            "time_scale: 1\n---\ntime_scale: 2",
            "m.yaml:3:1: a second YAML document in the file; keep one; what comes after `---` would be ignored",
        ),
    ];
    for (text, message) in table {
        assert_eq!(problems(text), [*message], "{text}");
    }
}

/// Settings that are each allowed but together silence an alert.
#[test]
fn alerts_that_could_never_fire_are_refused() {
    let table: &[(&str, &str)] = &[
        (
            "alerts:\n  CircuitBreakerOpen:\n    for: 6m",
            "m.yaml:3:10: `CircuitBreakerOpen` would never be told: its window (5m) forgets an event before `for` (6m), two \
             evaluations, a scrape and `group_wait` (10s) have passed; allowed: a `for` of 4m35s or less, or a `window` of \
             6m25s or more",
        ),
        (
            "alerts:\n  ConnectionPoolQueueTimeouts:\n    for: 10m",
            "m.yaml:3:10: `ConnectionPoolQueueTimeouts` would never be told",
        ),
        (
            "alerts:\n  ConnectionPoolQueueTimeouts:\n    window: 20s",
            "m.yaml:3:13: `ConnectionPoolQueueTimeouts` would never be told: its window (20s) forgets an event before `for` \
             (0s), two evaluations, a scrape and `group_wait` (10s) have passed; allowed: a `window` of 25s or more",
        ),
        (
            "notifications:\n  critical:\n    group_wait: 5m",
            "m.yaml:3:17: `CircuitBreakerOpen` would never be told",
        ),
        (
            "prometheus:\n  evaluation_interval: 3m\nalerts:\n  ConnectionPoolExhausted: { enabled: false }",
            "m.yaml:2:24: `CircuitBreakerOpen` would never be told",
        ),
        (
            "prometheus:\n  evaluation_interval: 90s",
            "m.yaml:2:24: the rules would be evaluated every 1m30s, less often than the `for` of `ConnectionPoolExhausted` \
             (1m) lasts; allowed: an `evaluation_interval` of 1m or less, or a longer `alerts.ConnectionPoolExhausted.for`",
        ),
        (
            "alerts:\n  ConnectionPoolExhausted: { enabled: false }\n  NoHealthyEndpoints: { enabled: false }\n\
             prometheus:\n  evaluation_interval: 90s",
            "m.yaml:5:24: the rules would be evaluated every 1m30s, less often than the `window` of \
             `ConnectionPoolQueueGrowing` (1m) lasts",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    for: 2s",
            "m.yaml:3:10: the rules would be evaluated every 5s, less often than the `for` of `EndpointUnhealthy` (2s) lasts",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    for: 3w",
            "m.yaml:3:10: the `for` of `EndpointUnhealthy` is longer than samples are kept (15d)",
        ),
        (
            "prometheus:\n  retention: 8m",
            "m.yaml:2:14: the `window` of `ConnectionPoolHighChurn` is longer than samples are kept (8m)",
        ),
        (
            "prometheus:\n  retention: 2d",
            "m.yaml:2:14: samples are kept for 2d, but the burn-rate alerts look back 3d; allowed: 3d or more",
        ),
        (
            "slo:\n  availability: 0.9",
            "m.yaml:2:17: an objective of 0.9; allowed: 0.95 to 0.99999",
        ),
        (
            "slo:\n  latency_ms: 1500",
            "m.yaml:2:15: no bucket of the histogram ends at 1500 ms; allowed: 1, 2.5,",
        ),
        (
            "slo:\n  min_rate: 0",
            "m.yaml:2:13: `min_rate` must be above 0 and at most 100000",
        ),
        (
            "profile: production",
            "m.yaml:1:10: profile `production` without a receiver for the dead man's switch; name one outside of this stack",
        ),
        (
            "receivers: { webhook: { h: { url: 'https://h/x' } } }\ngrafana: { admin_password: x }\nprofile: production\n\
             notifications:\n  heartbeat: { receivers: [h] }",
            "m.yaml:5:3: profile `production` without a receiver for critical alerts",
        ),
        (
            "receivers: { webhook: { h: { url: 'https://h/x' } } }\nprofile: production\n\
             notifications: { heartbeat: { receivers: [h] }, critical: { receivers: [h] } }",
            "m.yaml:2:10: profile `production` with Grafana's well-known password; put another one into a file and name it as `grafana.admin_password_file`",
        ),
        (
            "receivers: { webhook: { h: { url: 'https://h/x' } } }\nprofile: production\ngrafana: { admin_password: x }\n\
             notifications: { heartbeat: { receivers: [h] }, critical: { receivers: [h] } }\n\
             alerts:\n  DeadMansSwitch:\n    enabled: false",
            "m.yaml:7:14: profile `production` without the dead man's switch",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    expr: max by (instance, pool, endpoint) (last_over_time(fusion_connection_pool_helth_status[20s])) == 1",
            "m.yaml:3:11: no metric `fusion_connection_pool_helth_status` in the catalogue",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    expr: max by (instance, pool) (last_over_time(fusion_connection_pool_health_status[20s])) == 1",
            "m.yaml:3:11: the result has lost the label `endpoint`; it has instance, pool; keep instance, pool, endpoint",
        ),
        (
            "alerts:\n  EndpointUnhealthy:\n    annotations:\n      chat: 'see {{ $labels.chain }}'",
            "m.yaml:4:13: `$labels.chain` is always empty; the expression leaves instance, pool, endpoint",
        ),
        (
            "alerts:\n  ConnectionPoolQueueGrowing:\n    threshold: 3\n    expr: max by (instance, pool) (last_over_time(fusion_connection_pool_queue_size[1m])) > 3",
            "m.yaml:3:16: `threshold` has no effect beside `expr`; write it into the expression",
        ),
        (
            "more_alerts:\n  Mine: { expr: 'sum(', severity: warning, summary: a, description: b }",
            "m.yaml:2:17: not valid PromQL",
        ),
        (
            "more_alerts:\n  Mine: { expr: 'max by (instance) (fusion_connection_pool_queue_size)', severity: page, summary: a, description: b }",
            "m.yaml:2:17: the alert would fire for every series",
        ),
        (
            "more_alerts:\n  Mine: { expr: 'max by (instance) (fusion_connection_pool_queue_size) > 3', severity: page, summary: a, description: b }",
            "m.yaml:2:88: no route takes the severity `page`; allowed: critical, warning",
        ),
        (
            "more_alerts:\n  DeadMansSwitch: { expr: 'max by (instance) (fusion_connection_pool_queue_size) > 3', severity: warning, summary: a, description: b }",
            "m.yaml:2:19: `DeadMansSwitch` is one of ours; change it under `alerts`",
        ),
        (
            "time_scale: 120\nprometheus: { scrape_timeout: 1s }",
            "m.yaml:2:31: a scrape would have to end within 8ms: every target would be down",
        ),
        (
            "alerts:\n  ConnectionPoolHighUtilization:\n    threshold: 0.9999999",
            "m.yaml:3:16: a threshold of 1; allowed: share of the usable slots",
        ),
        (
            "time_scale: 60\nalerts:\n  ConnectionPoolHighChurn:\n    threshold: 0.00001",
            "m.yaml:4:16: a threshold of 0.00001; allowed: seconds of mean connection life, above 0",
        ),
        (
            "alerts:\n  ConnectionPoolQueueGrowing:\n    threshold: 10000000",
            "m.yaml:3:16: a threshold of 10000000; allowed: waiting callers, 0 or more, and fewer than a pool can hold",
        ),
        (
            "alerts:\n  ConnectionPoolHighLatency:\n    min_rate: 1e9",
            "m.yaml:3:15: `min_rate` must be above 0 and at most 100000",
        ),
        (
            "alerts:\n  ConnectionPoolHighErrorRate:\n    min_rate: 0.0000001",
            "m.yaml:3:15: `min_rate` must be above 0 and at most 100000",
        ),
        (
            "alerts:\n  ConnectionPoolHighChurn:\n    min_count: 1e9",
            "m.yaml:3:16: `min_count` must be from 1 to 1000000",
        ),
    ];
    for (text, message) in table {
        let found = problems(text);
        assert!(
            found.first().is_some_and(|first| first.starts_with(message)),
            "{text}: {found:#?}"
        );
    }
    for text in [
        "alerts: { CircuitBreakerOpen: { for: 4m35s }, ConnectionPoolHighErrorRate: { silenced: false } }",
        "alerts: { CircuitBreakerOpen: { for: 6m, window: 7m }, ConnectionPoolHighErrorRate: { for: 6m }, EndpointUnhealthy: { for: 6m } }",
        "alerts: { CircuitBreakerOpen: { for: 6m, enabled: false } }",
        "alerts: { ConnectionPoolHighErrorRate: { for: 10m } }",
        "prometheus: { evaluation_interval: 1m, scrape_interval: 15s }",
        "time_scale: 120",
    ] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_file_that_is_not_text_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.yaml");
    std::fs::write(&path, b"time_scale: 1\nlinks: { team: \xc3\xa9quipe \xe9 }\n").unwrap();
    let found = Spec::load(&path).unwrap_err().to_string();
    assert_eq!(
        found,
        format!(
            "{}:2:23: not UTF-8 text; save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`",
            path.display()
        )
    );
}

#[test]
fn addresses_are_no_secrets_by_their_length_alone() {
    for url in [
        "http://127.0.0.1:8080/alertmanager-notifications",
        "https://h/AlertmanagerWebhookReceiver/v2",
        "https://h/api/v1/relayer-operations-channel2",
    ] {
        let text = format!("receivers: {{ webhook: {{ a: {{ url: '{url}' }} }} }}");
        assert_eq!(problems(&text), Vec::<String>::new(), "{url}");
    }
}

#[test]
fn inline_secrets_are_refused_and_never_repeated() {
    let secret = "T0PSECRET";
    let token = |token: &str| {
        format!("receivers:\n  webhook:\n    a:\n      url: https://h.example.org/hooks/{token}/{secret}")
    };
    for (text, place) in [
        (token("aGk2dDhXzq81LmNpQ4"), "m.yaml:4:12:"),
        (token("550e8400-e29b-41d4-a716-446655440000"), "m.yaml:4:12:"),
        (token("9f86d081884c7d659a2feaa0c55ad015"), "m.yaml:4:12:"),
        (
            format!("receivers:\n  webhook:\n    a:\n      url: https://h/x#{secret}"),
            "m.yaml:4:12:",
        ),
        (
            format!(
                "receivers:\n  slack:\n    a: {{ channel: x, api_url: 'https://hooks.slack.com/services/{secret}' }}"
            ),
            "m.yaml:3:22:",
        ),
        (
            format!("receivers:\n  webhook:\n    a:\n      url: https://hooks.slack.com/services/{secret}"),
            "m.yaml:4:12:",
        ),
        (
            format!("receivers:\n  webhook:\n    a:\n      url: https://u:{secret}@h/"),
            "m.yaml:4:12:",
        ),
        (
            format!("receivers:\n  webhook:\n    a:\n      url: https://h/?key={secret}"),
            "m.yaml:4:12:",
        ),
        (
            format!("receivers:\n  pagerduty:\n    a: {{ routing_key: {secret} }}"),
            "m.yaml:3:10:",
        ),
        (
            format!("receivers:\n  email:\n    a:\n      password: {secret}"),
            "m.yaml:4:7:",
        ),
    ] {
        let found = problems(&text).join("\n");
        let line = found
            .lines()
            .find(|line| line.contains("a secret in the spec"))
            .unwrap_or_else(|| panic!("{text}\n{found}"));
        assert!(line.starts_with(place), "{line}");
        assert!(line.contains("_file"), "no remedy: {line}");
        assert!(!found.contains(secret), "{found}");
    }
}

#[test]
fn all_problems_come_out_at_once_in_order() {
    let found = problems(
        "time_scale: x\nprots: 1\nports:\n  grafana: y\n  relayer: 0\nprometheus: { retention: 5 }\n",
    );
    let places: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "m.yaml:1:13",
            "m.yaml:2:1",
            "m.yaml:4:12",
            "m.yaml:5:12",
            "m.yaml:6:26"
        ]
    );
}

#[test]
fn broken_text_never_panics() {
    let good = include_str!("../../../monitoring/monitoring.yaml");
    for end in (0..good.len())
        .filter(|end| good.is_char_boundary(*end))
        .step_by(7)
    {
        let _ = problems(&good[..end]);
    }
    for text in [
        "{",
        "[",
        "a: [",
        "\t",
        "&a *a",
        "a: &x {b: *x}",
        "!!binary x",
        "\u{feff}",
        "- 1",
        "5",
        "? [a]\n: b",
    ] {
        let _ = problems(text);
    }
    let deep = "[".repeat(10_000);
    assert!(!problems(&deep).is_empty());
}

#[test]
fn durations_are_scaled_but_retention_is_not() {
    let spec = Spec::parse("time_scale: 60", Path::new("m.yaml")).unwrap();
    assert_eq!(spec.scrape_interval().as_millis(), 83);
    assert_eq!(spec.evaluation_interval().as_millis(), 83);
    assert_eq!(spec.retention(), PromDuration::from_secs(15 * 86_400));
    assert_eq!(spec.routes()[0].group_wait.as_millis(), 167);
}

#[test]
fn secret_files_stand_beside_the_spec() {
    let text = "receivers: { slack: { ops: { channel: x, api_url_file: secrets/u } } }";
    let spec = Spec::parse(text, Path::new("here/m.yaml")).unwrap();
    let files = spec.secret_files();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].resolved, Path::new("here/secrets/u"));
    assert_eq!(
        (files[0].receiver.as_str(), files[0].key),
        ("ops", "api_url_file")
    );
}

#[test]
fn the_password_is_not_in_debug_output() {
    let spec = Spec::parse("grafana: { admin_password: hunter2 }", Path::new("m.yaml")).unwrap();
    assert!(!format!("{spec:?}").contains("hunter2"));
}

#[test]
fn production_with_all_it_needs_is_taken() {
    let text = "profile: production\nreceivers: { webhook: { outside: { url: 'https://h/x' }, people: { url: 'https://p/x' } } }\n\
        grafana: { admin_password: x }\n\
        notifications: { heartbeat: { receivers: [outside] }, critical: { receivers: [people] } }\n";
    assert_eq!(problems(text), Vec::<String>::new());
}
