//! Hand-broken files: each is found, with file and line.

use std::{path::Path, time::Duration};

use monitoring_provisioning::{GeneratedFile, Runtime, Spec, generate, validate};

const RULES: &str = "monitoring/prometheus/alerts/connection-pool.yml";
const PROMETHEUS: &str = "monitoring/prometheus/prometheus.yml";
const ALERTMANAGER: &str = "monitoring/alertmanager/config.yml";
const DASHBOARD: &str = "monitoring/grafana/dashboards/connection-pool.json";
const DATASOURCES: &str = "monitoring/grafana/provisioning/datasources/prometheus.yml";
const COMPOSE: &str = "docker-compose.monitoring.yml";

fn files(spec: &Spec) -> Vec<GeneratedFile> {
    generate(spec, Runtime::Docker).expect("the default spec generates")
}

/// Replaces the first `from` in a file by `to`; returns the lint's findings and the line of the change.
fn broken(path: &str, from: &str, to: &str) -> (Vec<String>, usize) {
    let spec = Spec::default();
    let mut files = files(&spec);
    let file = files
        .iter_mut()
        .find(|file| file.path == Path::new(path))
        .expect("a generated file");
    let at = file
        .contents
        .find(from)
        .unwrap_or_else(|| panic!("{path} has no {from:?}"));
    let line = file.contents[..at].matches('\n').count() + 1;
    file.contents = file.contents.replacen(from, to, 1);
    (
        validate(&spec, &files).iter().map(ToString::to_string).collect(),
        line,
    )
}

#[test]
fn what_is_generated_is_clean_at_every_scale_and_runtime() {
    for scale in [1.0, 7.0, 9.0, 13.0, 60.0, 120.0] {
        let spec = Spec {
            time_scale: scale,
            ..Spec::default()
        };
        for runtime in [
            Runtime::Docker,
            Runtime::Native {
                root: Path::new("/x y"),
            },
        ] {
            let problems = validate(&spec, &generate(&spec, runtime).unwrap());
            assert!(problems.is_empty(), "{scale} {runtime:?}: {problems:#?}");
        }
    }
}

#[test]
fn a_metric_that_nobody_exposes_is_found_in_the_line_of_the_expression() {
    let (found, line) = broken(
        RULES,
        "fusion_connection_pool_slots_free",
        "fusion_connection_pool_slots_fre",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!(
            "{RULES}:{line}:47: no metric `fusion_connection_pool_slots_fre` in the catalogue; did you mean"
        )),
        "{found:?}"
    );
}

#[test]
fn every_break_is_found_in_its_line() {
    // file, what stands there, what is put there, what the message must say
    let table: &[(&str, &str, &str, &str)] = &[
        (
            RULES,
            "max by (instance, pool) (last_over_time(fusion_connection_pool_slots_usable",
            "max by (pool) (last_over_time(fusion_connection_pool_slots_usable",
            "which the left side doesn't have",
        ),
        (
            RULES,
            "sum by (instance, pool, endpoint) (",
            "sum by (instance, pool) (",
            "the two sides never match",
        ),
        (
            RULES,
            "pool, endpoint, le) (rate",
            "pool, endpoint) (rate",
            "without the label `le`",
        ),
        (
            RULES,
            "error_type=~\"connect|",
            "error_type=~\"conect|",
            "never is `conect`",
        ),
        (RULES, "error_type=~", "kind=~", "has no label `kind`"),
        (
            RULES,
            "(increase(fusion_connection_pool_queue_timeouts_total[5m])) > 0",
            "(increase(fusion_connection_pool_queue_size[5m])) > 0",
            "which is a gauge",
        ),
        (
            RULES,
            "max_over_time(fusion_connection_pool_circuit_breaker_status[5m])",
            "max_over_time(fusion_connection_pool_errors_total[5m])",
            "which is a counter",
        ),
        (
            RULES,
            "(last_over_time(fusion_connection_pool_health_status[20s])) == 1",
            "(fusion_connection_pool_health_status) == 1",
            "read as it stands under a `for`",
        ),
        (
            RULES,
            "slots_usable[20s]",
            "slots_usable[10s]",
            "fewer than four scrapes",
        ),
        (
            RULES,
            "slots_usable[20s]",
            "slots_usable[1e30]",
            "is not a duration",
        ),
        (RULES, "0.95,", "95,", "a quantile of 95"),
        (RULES, ") > 1000", ") > 200000", "outside the finite buckets"),
        (
            RULES,
            "expr: max by (instance, pool) (increase(fusion_connection_pool_queue_timeouts_total[5m])) > 0",
            "expr: max by (instance, pool) (increase(fusion_connection_pool_queue_timeouts_total[5m])) > bool 0",
            "no condition",
        ),
        (
            RULES,
            "[5m])) > 0\n    labels",
            "[5m]) > 0\n    labels",
            "not valid PromQL",
        ),
        (
            RULES,
            "severity: critical",
            "severity: cirtical",
            "the severity of",
        ),
        (
            RULES,
            "summary: Connection pool {{ $labels.pool }}",
            "summary: Connection pool {{ $labels.endpoint }}",
            "`$labels.endpoint` is always empty",
        ),
        (
            RULES,
            "{{ $value | humanize }} usable",
            "{{ $value | humanise }} usable",
            "`humanise`",
        ),
        (
            RULES,
            "{{ $labels.pool }} has no slot",
            "{{ $labels.pool has no slot",
            "never closed",
        ),
        (
            RULES,
            "team: relayer",
            "team: '{{ $value }}'",
            "a label holds `$value`",
        ),
        (RULES, "    for: 1m", "    for: 1.5m", "is not a duration"),
        (RULES, "    for: 1m", "    fro: 1m", "unknown key `fro`"),
        (
            RULES,
            "- alert: ConnectionPoolExhausted",
            "- alert: PoolExhausted",
            "is missing",
        ),
        (
            PROMETHEUS,
            "action: drop",
            "action: keep",
            "doesn't drop the pool's series",
        ),
        (PROMETHEUS, "alerts/*.yml", "rules/*.yml", "would never be loaded"),
        (
            PROMETHEUS,
            "job_name: connection-pools",
            "job_name: pools",
            "is missing",
        ),
        (
            PROMETHEUS,
            "scrape_timeout: 4s",
            "scrape_timeout: 6s",
            "longer than",
        ),
        (
            ALERTMANAGER,
            "severity=\"critical\"",
            "severity=\"cirtical\"",
            "no alert has",
        ),
        (
            ALERTMANAGER,
            "  - pool\n  group_wait",
            "  - chain\n  group_wait",
            "which no alert has",
        ),
        (
            ALERTMANAGER,
            "receiver: critical",
            "receiver: crit",
            "there is no receiver `crit`",
        ),
        (
            ALERTMANAGER,
            "  - instance\n  - pool\n- source",
            "  - instance\n  - endpoint\n- source",
            "has no label `endpoint`",
        ),
        (
            ALERTMANAGER,
            "alertname=~\"EndpointUnhealthy|ConnectionPoolHighUtil",
            "alertname=~\"CircuitBreakerOpen|ConnectionPoolHighUtil",
            "fires after `CircuitBreakerOpen` has notified",
        ),
        (
            DASHBOARD,
            "· {{endpoint}}",
            "· {{node}}",
            "the legend shows `node`",
        ),
        (
            DASHBOARD,
            "pool=~\\\"$pool\\\"",
            "pool=~\\\"$pol\\\"",
            "there is no variable `$pol`",
        ),
        (DASHBOARD, "\"id\": 2,", "\"id\": 1,", "two panels have the id 1"),
        (
            DASHBOARD,
            "\"graphTooltip\"",
            "\"graphTooltp\"",
            "unknown key `graphTooltp`",
        ),
        (
            DATASOURCES,
            "isDefault: true",
            "isDefault: false",
            "0 default datasources",
        ),
        (
            COMPOSE,
            "prom/prometheus:v3.5.3",
            "prom/prometheus:latest",
            "has no version",
        ),
        (
            COMPOSE,
            "container_name: fusion-grafana",
            "container_name: grafana",
            "the name is fixed",
        ),
        (
            COMPOSE,
            "driver: bridge",
            "external: true",
            "unknown key `external`",
        ),
    ];
    for (path, from, to, says) in table {
        let (found, line) = broken(path, from, to);
        let hit = found.iter().find(|found| found.contains(says));
        let hit = hit.unwrap_or_else(|| panic!("{path}: {to:?} gives {found:#?}"));
        assert!(hit.starts_with(&format!("{path}:")), "{hit}");
        let reported: usize = hit[path.len() + 1..].split(':').next().unwrap().parse().unwrap();
        assert!(reported.abs_diff(line) <= 12, "{hit} is far from line {line}");
    }
}

#[test]
fn a_missing_file_is_found() {
    let spec = Spec::default();
    let mut files = files(&spec);
    files.retain(|file| file.path != Path::new(RULES));
    let found: Vec<String> = validate(&spec, &files).iter().map(ToString::to_string).collect();
    assert!(
        found
            .iter()
            .any(|found| found == &format!("{RULES}: the file is missing; run `cargo xtask generate`")),
        "{found:?}"
    );
}

#[test]
fn broken_files_never_panic() {
    let spec = Spec::default();
    let good = files(&spec);
    for index in 0..good.len() {
        for part in 1..12 {
            let mut files = good.clone();
            let text = &mut files[index].contents;
            let mut end = text.len() * part / 12;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            let _ = validate(&spec, &files);
        }
    }
}

/// 100 ms is the promise for a developer's build on a quiet machine; the bound here only catches a blow-up on a busy one.
#[test]
fn validating_is_fast() {
    let spec = Spec::default();
    let files = files(&spec);
    #[allow(clippy::disallowed_methods, clippy::disallowed_types)] // measures real work, not simulated time
    let best = (0..5)
        .map(|_| {
            let start = std::time::Instant::now();
            assert!(validate(&spec, &files).is_empty());
            start.elapsed()
        })
        .min()
        .unwrap();
    println!("validate: {best:?}");
    assert!(best < Duration::from_secs(1), "{best:?}");
}
