//! Whose containers and volumes `monitoring-up` and `monitoring-down` touch. The engine is a script that writes down what
//! it is told.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::process::{Command, Stdio};

use common::{Place, Run, eventually, executable, kill};

/// An engine with the containers and volumes that the files below `engine` name; `more` answers further calls.
fn engine(place: &Place, more: &str) {
    let folder = place.path("engine");
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!(
        "cd {}\n{more}\necho \"$@\" >> calls\ncase \"$1 $2\" in\n  'ps -aq') cat ids 2>/dev/null;;\n  'inspect --format') cat \
         inspect;;\n  'volume ls') cat volumes 2>/dev/null;;\n  'network inspect') echo 127.0.0.2;;\nesac\nexit 0",
        folder.display()
    );
    executable(&folder.join("docker"), &script);
}

fn has(place: &Place, file: &str, text: &str) {
    std::fs::write(place.path("engine").join(file), text).unwrap();
}

fn calls(place: &Place) -> String {
    std::fs::read_to_string(place.path("engine/calls")).unwrap_or_default()
}

/// A Prometheus that runs for a state folder.
fn container(place: &Place, state_dir: &str) {
    has(place, "ids", "c0ffee\n");
    let line = format!(
        "c0ffee\tprometheus\trunning\t0\t0\tprom/prometheus:v3\t{state_dir}\t/their/clone\t/their/clone\n"
    );
    has(place, "inspect", &line);
    has(place, "volumes", "fusion-monitoring_prometheus-data\n");
}

fn command(place: &Place, arguments: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = place.command(arguments);
    command.env("PATH", format!("{}:{path}", place.path("engine").display()));
    command
}

fn run(place: &Place, arguments: &[&str]) -> Run {
    Run::of(&command(place, arguments).output().unwrap())
}

const UP: [&str; 5] = ["monitoring-up", "--runtime", "docker", "--without", "grafana"];

#[test]
fn down_leaves_the_stack_of_another_state_folder_alone_and_says_whose_it_is() {
    let place = Place::new();
    engine(&place, "");
    for (owner, remedy) in [
        (
            "/their/state",
            "cd /their/clone && cargo xtask --state-dir /their/state monitoring-down",
        ),
        ("", "docker compose -p fusion-monitoring down"),
    ] {
        container(&place, owner);
        let down = run(&place, &["monitoring-down", "--purge"]).expect(0);
        assert!(
            down.out.contains("nothing was running") && down.out.contains(remedy),
            "{}",
            down.out
        );
        let changes = ["stop", "rm", "network rm", "volume rm", "compose"];
        let calls = calls(&place);
        assert!(
            !calls
                .lines()
                .any(|call| changes.iter().any(|verb| call.starts_with(verb))),
            "{calls}"
        );
    }
}

#[test]
fn up_refuses_beside_the_stack_of_another_state_folder_and_starts_nothing() {
    let place = Place::new();
    place.spec_with_free_ports("");
    engine(&place, "");
    container(&place, "/their/state");
    let up = run(&place, &UP).expect(1);
    assert!(
        up.err.contains("nothing was started")
            && up
                .err
                .contains("was started from /their/clone with the state folder /their/state"),
        "{}",
        up.err
    );
    assert!(!calls(&place).contains(" up "), "{}", calls(&place));
    assert!(!place.state().exists());
}

#[test]
fn down_removes_what_is_ours_without_compose() {
    let place = Place::new();
    engine(&place, "[ \"$1\" = compose ] && exit 1");
    let state = std::fs::canonicalize(place.path("")).unwrap().join("state");
    container(&place, state.to_str().unwrap());
    let down = run(&place, &["monitoring-down", "--purge"]).expect(0);
    assert!(
        down.out.contains("stopped prometheus")
            && down
                .out
                .contains("removed the Docker volumes fusion-monitoring_prometheus-data"),
        "{}",
        down.out
    );
    let calls = calls(&place);
    for call in [
        "stop -t 2 c0ffee",
        "rm --force --volumes c0ffee",
        "volume rm fusion-monitoring_prometheus-data",
    ] {
        assert!(calls.contains(call), "`{call}` is missing in:\n{calls}");
    }
}

#[test]
fn volumes_of_an_earlier_run_are_purged_by_its_own_state_folder_only() {
    let place = Place::new();
    engine(&place, "");
    has(&place, "volumes", "fusion-monitoring_prometheus-data\n");
    let foreign = run(&place, &["monitoring-down", "--purge"]).expect(0);
    assert!(foreign.out.contains("left alone"), "{}", foreign.out);
    assert!(!calls(&place).contains("volume rm"), "{}", calls(&place));

    // What `monitoring-up` leaves there when it has brought up containers.
    let remember = || {
        std::fs::create_dir_all(place.state()).unwrap();
        std::fs::write(place.state().join("compose.owner.yml"), "{}").unwrap();
    };
    remember();
    let own = run(&place, &["monitoring-down", "--purge"]).expect(0);
    assert!(own.out.contains("removed the Docker volumes"), "{}", own.out);
    assert!(calls(&place).contains("volume rm fusion-monitoring_prometheus-data"));
    assert!(!place.state().exists());

    // Without an engine they can't go, and that is said instead of forgotten.
    remember();
    engine(&place, "exit 1");
    let failed = run(&place, &["monitoring-down", "--purge"]).expect(1);
    assert!(failed.err.contains("no Docker engine answers"), "{}", failed.err);
    assert!(place.state().join("compose.owner.yml").is_file());
}

#[test]
fn ctrl_c_amid_compose_takes_back_what_was_started() {
    let place = Place::new();
    place.spec_with_free_ports("");
    engine(
        &place,
        "case \"$*\" in *' up --detach '*) echo begun > up; exec sleep 60;; esac",
    );
    let up = command(&place, &UP)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("compose", || place.path("engine/up").is_file().then_some(()));
    let owner = std::fs::read_to_string(place.state().join("compose.owner.yml")).unwrap();
    assert!(owner.contains("fusion-monitoring.state-dir"), "{owner}");
    let begun = std::time::Instant::now();
    kill("-INT", u64::from(up.id()));
    let run = Run::of(&up.wait_with_output().unwrap()).expect(130);
    assert!(begun.elapsed().as_secs() < 30, "it waited for compose to end");
    assert_eq!(run.err, "interrupted\n");
    assert!(
        run.out
            .contains("stopped everything that was started: notification-log"),
        "{}",
        run.out
    );
}
