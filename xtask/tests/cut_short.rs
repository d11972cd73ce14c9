//! Commands that are cut short: by Ctrl-C, by a reader that leaves, by a configuration that the relayer refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::process::Stdio;

use common::{Place, Run, eventually, executable, kill};

const UP: [&str; 5] = ["monitoring-up", "--runtime", "native", "--without", "grafana"];

#[test]
fn ctrl_c_during_the_build_ends_it_and_says_that_nothing_was_started() {
    let mut place = Place::new();
    place.stand_ins("exec sleep 60");
    place.spec_with_free_ports("");
    let begun = place.path("begun");
    executable(
        &place.path("cargo"),
        &format!("echo $$ > {}; exec sleep 60", begun.display()),
    );
    let up = place
        .command(&[&UP[..], &["--demo"]].concat())
        .env("CARGO", place.path("cargo"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let build: u64 = eventually("the build", || {
        std::fs::read_to_string(&begun).ok()?.trim().parse().ok()
    });
    kill("-INT", u64::from(up.id()));
    let run = Run::of(&up.wait_with_output().unwrap()).expect(130);
    assert_eq!(run.err, "nothing was started or changed: interrupted\n");
    assert!(!common::alive(build), "the build goes on");
    assert!(!place.state().exists());
}

#[test]
fn a_reader_that_leaves_ends_no_command_with_a_panic() {
    let place = Place::new().with_runbooks();
    std::fs::create_dir_all(place.state().join("logs")).unwrap();
    std::fs::write(place.state().join("logs/prometheus.log"), "one\ntwo\n").unwrap();
    for (arguments, code) in [
        (&["generate"][..], 0),
        (&["generate", "--check"], 0),
        (&["validate"], 0),
        (&["monitoring-logs"], 0),
        (&["monitoring-logs", "--follow"], 0),
        (&["monitoring-status", "--json"], 3),
        (&["monitoring-down"], 0),
    ] {
        let mut child = place
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        if arguments.contains(&"--follow") {
            // It notices with the next line that is added.
            let log = place.state().join("logs/prometheus.log");
            eventually("the end of the follow", || {
                std::fs::write(&log, std::fs::read_to_string(&log).unwrap() + "more\n").unwrap();
                child.try_wait().unwrap()
            });
        }
        let run = Run::of(&child.wait_with_output().unwrap());
        assert_eq!((run.code, run.err.as_str()), (code, ""), "{arguments:?}");
    }
    // The work was done all the same.
    assert!(place.path("out/docker-compose.monitoring.yml").is_file());
}

#[test]
fn a_configuration_that_the_relayer_refuses_is_bad_input_and_nothing_starts() {
    let mut place = Place::new();
    place.stand_ins("exec sleep 60");
    place.spec_with_free_ports("");
    let relayer = place.path("relayer");
    executable(
        &relayer,
        "case \"$*\" in *--check*) echo 'error: pools.yaml:1: no pools' >&2; exit 2;; esac; exec sleep 60",
    );
    std::fs::write(place.path("pools.yaml"), "pools: []\n").unwrap();
    let pools = place.path("pools.yaml").display().to_string();
    let relayer = relayer.display().to_string();
    let flags = [
        "--relayer-config",
        &pools,
        "--relayer-bin",
        &relayer,
        "--timeout",
        "1s",
    ];
    let run = place.run(&[&UP[..], &flags].concat()).expect(2);
    assert!(
        run.err
            .starts_with("error: pools.yaml:1: no pools\nnothing was started"),
        "{}",
        run.err
    );
    assert!(!run.out.contains("ready  "), "{}", run.out);
    assert!(!place.state().exists());
}

#[test]
fn a_folder_as_spec_and_a_single_problem_are_called_what_they_are() {
    let place = Place::new().with_runbooks();
    place.run(&["generate"]).expect(0);
    std::fs::remove_file(place.path("out/monitoring/alertmanager/config.yml")).unwrap();
    let run = place.run(&["validate"]).expect(1);
    let count = run.err.lines().last().unwrap_or_default();
    assert!(
        !count.contains(" 1 problems") && count.contains(" problem"),
        "{}",
        run.err
    );
    std::fs::remove_file(place.path("spec.yaml")).unwrap();
    std::fs::create_dir(place.path("spec.yaml")).unwrap();
    let run = place.run(&["validate"]).expect(2);
    assert!(run.err.contains("spec.yaml: is a folder"), "{}", run.err);
}
