//! The command line as a user meets it: exit codes, messages, files.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::process::Command;

use common::Place;

#[test]
fn unknown_flags_commands_and_values_exit_with_2() {
    let place = Place::new();
    let cases: &[&[&str]] = &[
        &["monitoring-up", "--demmo"],
        &["monitoring-up", "--runtime", "podman"],
        &["monitoring-up", "--without", "prometheus"],
        &["monitoring-up", "--timeout", "soon"],
        &["monitoring-up", "--demo", "--relayer-config", "x"],
        &["monitoring-down", "now"],
        &["generat"],
        &[],
    ];
    for case in cases {
        let run = place.run(case).expect(2);
        assert!(!run.err.is_empty(), "{case:?} says nothing");
    }
    assert!(!place.state().exists(), "something was written");
}

#[test]
fn a_secret_file_that_is_missing_is_refused_in_its_line_and_can_be_left_out() {
    let place = Place::new();
    place.spec(
        "receivers:\n  telegram:\n    group: { bot_token_file: secrets/token, chat_id: -1 }\nnotifications:\n  \
         warning: { receivers: [group] }\nmute_times:\n  past: [{ years: ['2020'] }]\n",
    );
    for command in [["generate"].as_slice(), &["validate"], &["monitoring-up"]] {
        let run = place.run(command).expect(2);
        for said in [
            "spec.yaml:3:30: the secret file ",
            "secrets/token can't be read",
            "spec.yaml:7:19: the schedule can never match again: its years have passed",
        ] {
            assert!(run.err.contains(said), "no {said:?} in {}", run.err);
        }
    }
    assert!(!place.path("out/monitoring").exists(), "something was written");

    place.spec("receivers: { telegram: { group: { bot_token_file: secrets/token, chat_id: -1 } } }\n");
    place.run(&["generate"]).expect(2);
    place.run(&["generate", "--without-secrets"]).expect(0);
    let config = std::fs::read_to_string(place.path("out/monitoring/alertmanager/config.yml")).unwrap();
    assert!(config.contains("templates/*.tmpl"), "{config}");
    // The alerts are the same with or without secrets.
    place.run(&["alerts", "list"]).expect(0);
    std::fs::create_dir(place.path("secrets")).unwrap();
    std::fs::write(place.path("secrets/token"), "1:x\n").unwrap();
    place.run(&["generate"]).expect(0);
}

#[test]
fn alerts_are_listed_and_explained_without_a_running_stack() {
    let place = Place::new();
    place.spec("ports: { prometheus: 1 }\nalerts: { ConnectionPoolHighLatency: { threshold: 2500 }, EndpointUnhealthy: { enabled: false } }\n");
    let list = place.run(&["alerts", "list"]).expect(0).out;
    for name in monitoring_provisioning::AlertName::ALL {
        assert!(list.contains(name.as_str()), "{name} is missing in {list}");
    }
    assert!(
        list.contains("p95 is above 2500 ms") && list.contains("EndpointUnhealthy (off)"),
        "{list}"
    );

    let told = place
        .run(&["alerts", "explain", "ConnectionPoolHighLatency"])
        .expect(0)
        .out;
    for said in [
        "the 95th percentile of",
        "must be above 2500",
        "must be at least 0.1",
        "no values: Prometheus at http://127.0.0.1:1",
    ] {
        assert!(told.contains(said), "no {said:?} in {told}");
    }
    let unless = place
        .run(&["alerts", "explain", "PoolMetricsMissing"])
        .expect(0)
        .out;
    assert!(unless.contains("must not be there"), "{unless}");
    for (alert, says) in [
        (
            "Nope",
            "there is no alert `Nope`; there are ConnectionPoolExhausted,",
        ),
        ("EndpointUnhealthy", "is switched off"),
    ] {
        let run = place.run(&["alerts", "explain", alert]).expect(2);
        assert!(run.err.contains(says), "{}", run.err);
    }
    place.run(&["alerts", "test", "Nope"]).expect(2);
    for (arguments, says) in [
        (
            &["Nope"][..],
            "there is no alert `Nope`; there are ConnectionPoolExhausted,",
        ),
        (&["--time-scale", "0.5"], "allowed are 1 to 40"),
        (&["--time-scale", "fast"], "allowed are 1 to 40"),
        (&["--mutants", "--healthy-only"], "cannot be used with"),
        (&["--write-readme", "EndpointUnhealthy"], "cannot be used with"),
        // the readme of this place has no markers, and none is to be found out after minutes
        (&["--write-readme"], "README.md"),
    ] {
        let run = place.run(&[&["alerts", "prove"], arguments].concat()).expect(2);
        assert!(run.err.contains(says), "{}", run.err);
    }
}

#[test]
fn a_missing_spec_says_how_to_get_one() {
    let place = Place::new();
    std::fs::remove_file(place.path("spec.yaml")).unwrap();
    for command in ["generate", "validate", "monitoring-up"] {
        let run = place.run(&[command]).expect(2);
        assert!(run.err.contains("spec.yaml: no such file"), "{}", run.err);
    }
}

#[test]
fn every_problem_of_a_bad_spec_is_reported_with_its_place_and_nothing_is_written() {
    let place = Place::new();
    place.spec("time_scale: 1\nno_such_key: 1\nports:\n  prometheus: many\n");
    for command in [
        &["generate"][..],
        &["generate", "--check"],
        &["validate"],
        &["monitoring-up"],
    ] {
        let run = place.run(command).expect(2);
        assert!(run.err.contains("spec.yaml:2:"), "{}", run.err);
        assert!(run.err.contains("spec.yaml:4:"), "{}", run.err);
    }
    assert_eq!(std::fs::read_dir(place.path("out")).unwrap().count(), 0);
    assert!(!place.state().exists());
}

#[test]
fn a_profile_lays_its_overlay_over_the_spec() {
    let place = Place::new();
    place.spec("time_scale: 1\n");
    for command in ["generate", "validate", "monitoring-up"] {
        let run = place.run(&[command, "--profile", "production"]).expect(2);
        assert!(
            run.err.contains("spec.production.yaml: can't be read"),
            "{}",
            run.err
        );
        let run = place.run(&[command, "--profile", "../x"]).expect(2);
        assert!(run.err.contains("can't name a profile"), "{}", run.err);
    }
    let overlay = place.path("spec.production.yaml");
    std::fs::write(&overlay, "prometheus:\n  scrape_timeout: 9s\n").unwrap();
    for command in ["generate", "validate", "monitoring-up"] {
        let run = place.run(&[command, "--profile", "production"]).expect(2);
        for said in [
            "spec.production.yaml:1:1: profile `production`",
            "spec.production.yaml:2:19: ",
        ] {
            assert!(run.err.contains(said), "no {said:?} in {}", run.err);
        }
    }
    assert_eq!(std::fs::read_dir(place.path("out")).unwrap().count(), 0);

    std::fs::write(
        place.path("spec.site.yaml"),
        "alerts: { EndpointUnhealthy: { for: 7m } }\n",
    )
    .unwrap();
    place.run(&["generate", "--profile", "site"]).expect(0);
    place.run(&["generate", "--check", "--profile", "site"]).expect(0);
    let plain = place.run(&["generate", "--check"]).expect(1);
    assert!(plain.out.contains("for: 7m"), "{}", plain.out);
}

#[test]
fn generate_writes_what_is_stale_and_check_shows_it() {
    let place = Place::new();
    let check = place.run(&["generate", "--check"]).expect(1);
    assert!(
        check.out.contains("+++ b/monitoring/prometheus/prometheus.yml"),
        "{}",
        check.out
    );
    assert_eq!(
        std::fs::read_dir(place.path("out")).unwrap().count(),
        0,
        "--check wrote something"
    );

    place.run(&["generate"]).expect(0);
    place.run(&["generate", "--check"]).expect(0);
    let again = place.run(&["generate"]).expect(0);
    assert!(again.out.contains(" 0 changed"), "{}", again.out);

    let rules = place.path("out/monitoring/prometheus/alerts/connection-pool.yml");
    let good = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, good.replacen("severity: critical", "severity: none", 1)).unwrap();
    let stale = place.run(&["generate", "--check"]).expect(1);
    assert!(
        stale.out.contains("severity: none") && stale.out.contains("severity: critical"),
        "{}",
        stale.out
    );
    assert!(stale.err.contains("1 of "), "{}", stale.err);
    let written = place.run(&["generate"]).expect(0);
    assert!(written.out.contains("connection-pool.yml"), "{}", written.out);
    assert_eq!(std::fs::read_to_string(&rules).unwrap(), good);
}

#[test]
fn validate_accepts_what_generate_writes_and_names_what_is_missing() {
    let place = Place::new().with_runbooks();
    place.run(&["generate"]).expect(0);
    place.run(&["validate"]).expect(0);
    std::fs::remove_file(place.path("out/monitoring/alertmanager/config.yml")).unwrap();
    let run = place.run(&["validate"]).expect(1);
    assert!(
        run.err.contains("monitoring/alertmanager/config.yml"),
        "{}",
        run.err
    );
    assert!(run.err.contains("cargo xtask generate"), "{}", run.err);
}

#[test]
fn a_metric_broken_in_a_rule_is_found_with_file_and_line() {
    let place = Place::new();
    place.run(&["generate"]).expect(0);
    let rules = place.path("out/monitoring/prometheus/alerts/connection-pool.yml");
    let good = std::fs::read_to_string(&rules).unwrap();
    let broken = good.replacen(
        "fusion_connection_pool_queue_timeouts_total",
        "fusion_connection_pool_queue_timeoutz_total",
        1,
    );
    assert_ne!(good, broken, "the rule doesn't use the metric any more");
    std::fs::write(&rules, broken).unwrap();
    let run = place.run(&["validate"]).expect(1);
    let line = run
        .err
        .lines()
        .find(|line| line.contains("timeoutz"))
        .unwrap_or_else(|| panic!("{}", run.err));
    assert!(
        line.contains("monitoring/prometheus/alerts/connection-pool.yml:"),
        "{line}"
    );
}

#[test]
fn with_nothing_running_status_is_3_and_down_is_0() {
    let place = Place::new();
    place.run(&["monitoring-status"]).expect(3);
    let json = place.run(&["monitoring-status", "--json"]).expect(3);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(report["runtime"].is_null() && report["services"].as_array().unwrap().is_empty());
    let down = place.run(&["monitoring-down"]).expect(0);
    assert!(down.out.contains("nothing was running"), "{}", down.out);
    let logs = place.run(&["monitoring-logs"]).expect(2);
    assert!(logs.err.contains("monitoring-up"), "{}", logs.err);
}

#[test]
fn a_log_is_named_not_reached_by_a_path() {
    let place = Place::new();
    std::fs::create_dir_all(place.state().join("logs")).unwrap();
    std::fs::write(place.state().join("logs/prometheus.log"), "one\ntwo\n").unwrap();
    std::fs::write(place.state().join("secret.log"), "hidden\n").unwrap();
    let run = place
        .run(&["monitoring-logs", "prometheus", "--lines", "1"])
        .expect(0);
    assert_eq!(run.out, "two\n");
    let run = place.run(&["monitoring-logs", "../secret"]).expect(2);
    assert!(
        run.err.contains("there are: prometheus") && !run.out.contains("hidden"),
        "{run:?}"
    );
}

/// `cargo xtask` is built before anything else on a newcomer's machine; it must stay light.
#[test]
fn the_dependency_tree_holds_no_runtime() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            "xtask",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && tree.starts_with("xtask "),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let heavy: Vec<&str> = tree
        .lines()
        .filter(|line| {
            let name = line.split(' ').next().unwrap_or_default();
            matches!(name, "tokio" | "hyper" | "rustls" | "prometheus" | "pool-core")
                || name.starts_with("opentelemetry")
        })
        .collect();
    assert!(heavy.is_empty(), "{heavy:?}");
}
