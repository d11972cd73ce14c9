//! A machine without Prometheus: what is said, and what the package manager is told. The package manager is a script.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::path::PathBuf;

use common::{Place, Run, executable};

/// A PATH of its own with an `apt-get` that "installs" programs which never get ready.
fn bare_machine(place: &Place) -> PathBuf {
    let bin = place.path("path");
    std::fs::create_dir_all(&bin).unwrap();
    let log = place.path("apt.log");
    let script = format!(
        "echo \"$@\" >> {log}\nif [ \"$1\" = install ]; then\n  for name in prometheus prometheus-alertmanager prometheus-node-exporter; do\n    \
         printf '#!/bin/sh\\nexec /bin/sleep 60\\n' > {bin}/$name\n    /bin/chmod 755 {bin}/$name\n  done\nfi",
        log = log.display(),
        bin = bin.display()
    );
    executable(&bin.join("apt-get"), &script);
    executable(&bin.join("sudo"), "exec \"$@\"");
    bin
}

fn up(place: &Place, path: &PathBuf, more: &[&str]) -> Run {
    let arguments = [
        "monitoring-up",
        "--runtime",
        "native",
        "--without",
        "grafana",
        "--timeout",
        "1s",
    ];
    Run::of(
        &place
            .command(&[&arguments, more].concat())
            .env("PATH", path)
            .env_remove("MONITORING_BIN_DIR")
            .output()
            .unwrap(),
    )
}

#[test]
fn without_a_terminal_the_exact_command_is_printed_and_nothing_runs() {
    let place = Place::new();
    place.spec_with_free_ports("");
    let path = bare_machine(&place);
    let run = up(&place, &path, &[]).expect(1);
    assert!(
        run.err
            .contains("missing: prometheus, prometheus-alertmanager, prometheus-node-exporter"),
        "{}",
        run.err
    );
    assert!(
        run.err.contains(
            "apt-get install -y --no-install-recommends prometheus prometheus-alertmanager prometheus-node-exporter"
        ),
        "{}",
        run.err
    );
    assert!(
        run.err.contains("--yes") && run.err.contains("MONITORING_BIN_DIR"),
        "{}",
        run.err
    );
    assert!(!place.path("apt.log").exists(), "the package manager was called");
}

#[test]
fn with_yes_they_are_installed_and_then_started() {
    let place = Place::new();
    place.spec_with_free_ports("");
    let path = bare_machine(&place);
    // The stand-ins never get ready: exit 1, but by the wait, after a start.
    let run = up(&place, &path, &["--yes"]).expect(1);
    assert!(run.err.contains("not everything was ready"), "{}", run.err);
    let calls = std::fs::read_to_string(place.path("apt.log")).unwrap();
    let expected = "update\ninstall -y --no-install-recommends prometheus prometheus-alertmanager prometheus-node-exporter\n";
    assert_eq!(calls, expected);
}

#[test]
fn what_could_not_be_checked_is_said_and_counts_when_asked_for() {
    let place = Place::new().with_runbooks();
    place.run(&["generate"]).expect(0);
    let path = bare_machine(&place);
    let validate = |arguments: &[&str]| {
        Run::of(
            &place
                .command(arguments)
                .env("PATH", &path)
                .env_remove("MONITORING_BIN_DIR")
                .output()
                .unwrap(),
        )
    };
    let run = validate(&["validate"]).expect(0);
    assert!(
        run.out.contains("promtool was not found") && run.out.contains("amtool was not found"),
        "{}",
        run.out
    );
    validate(&["validate", "--require-tools"]).expect(1);

    executable(&path.join("promtool"), "echo 'promtool does not like it'; exit 1");
    let run = validate(&["validate"]).expect(1);
    assert!(
        run.err.contains("promtool does not like it") && run.err.contains("prometheus.yml"),
        "{}",
        run.err
    );
}
