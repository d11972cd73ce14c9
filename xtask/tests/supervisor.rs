//! The supervisor and its two partners, `monitoring-up` and `monitoring-down`, with small programs in place of servers.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Place, alive, eventually, json, kill};
use serde_json::{Value, json as value};

/// A plan of one shell script.
fn plan(place: &Place, services: &[(&str, &str, &str)]) {
    let services: Vec<Value> = services
        .iter()
        .map(|(name, script, config)| {
            value!({
                "name": name, "argv": ["/bin/sh", "-c", script], "env": {}, "cwd": place.path(""), "version": null,
                "config": config, "reload": "hangup", "wait_for": []
            })
        })
        .collect();
    std::fs::create_dir_all(place.state()).unwrap();
    std::fs::write(
        place.state().join("plan.json"),
        value!({ "services": services }).to_string(),
    )
    .unwrap();
}

fn supervise(place: &Place) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("supervise")
        .arg(place.state())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn state(place: &Place) -> Option<Value> {
    json(&place.state().join("state.json"))
}

fn pid_of(place: &Place, name: &str) -> Option<u64> {
    let state = state(place)?;
    let service = state["services"]
        .as_array()?
        .iter()
        .find(|one| one["name"] == name)?
        .clone();
    service["process"]["pid"].as_u64()
}

fn log(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.state().join(format!("logs/{name}.log"))).unwrap_or_default()
}

const FOREVER: &str = "echo begun; while :; do sleep 0.05; done";

#[test]
fn a_crash_is_restarted_and_counted_and_term_stops_everything() {
    let place = Place::new();
    plan(
        &place,
        &[("steady", FOREVER, ""), ("shaky", "echo attempt; exit 7", "")],
    );
    let mut supervisor = supervise(&place);
    let restarted = eventually("two restarts", || {
        let state = state(&place)?;
        let shaky = state["services"]
            .as_array()?
            .iter()
            .find(|one| one["name"] == "shaky")?
            .clone();
        (shaky["restarts"].as_u64()? >= 2).then_some(shaky)
    });
    assert!(
        restarted["last_exit"].as_str().unwrap().contains('7'),
        "{restarted}"
    );
    assert!(log(&place, "shaky").lines().count() >= 2);
    let steady = pid_of(&place, "steady").unwrap();
    assert!(alive(steady));
    assert_eq!(
        log(&place, "steady"),
        "begun\n",
        "the steady one was restarted, too"
    );

    kill("-TERM", u64::from(supervisor.id()));
    assert!(supervisor.wait().unwrap().success());
    assert!(!alive(steady));
    assert!(state(&place).is_none(), "the state is left behind");
}

#[test]
fn a_new_plan_touches_only_what_differs() {
    let place = Place::new();
    // The shell takes a hangup as a message.
    let listening = "trap 'echo reloaded' HUP; echo begun; while :; do sleep 0.05; done";
    plan(
        &place,
        &[
            ("same", FOREVER, "1"),
            ("reloads", listening, "1"),
            ("goes", FOREVER, "1"),
            ("changes", FOREVER, "1"),
        ],
    );
    let mut supervisor = supervise(&place);
    let pid = |name: &str| eventually(name, || pid_of(&place, name));
    let (same, reloads, goes, changes) = (pid("same"), pid("reloads"), pid("goes"), pid("changes"));
    eventually("the trap is set", || {
        log(&place, "reloads").contains("begun").then_some(())
    });

    plan(
        &place,
        &[
            ("same", FOREVER, "1"),
            ("reloads", listening, "2"),
            ("changes", "echo other; sleep 60", "1"),
            ("comes", FOREVER, "1"),
        ],
    );
    kill("-HUP", u64::from(supervisor.id()));
    let comes = eventually("the new one", || pid_of(&place, "comes"));
    eventually("the reload", || {
        log(&place, "reloads").contains("reloaded").then_some(())
    });
    let changed = eventually("the changed one", || {
        pid_of(&place, "changes").filter(|pid| *pid != changes)
    });
    assert_eq!(
        (pid("same"), pid("reloads")),
        (same, reloads),
        "restarted without need"
    );
    assert!(!alive(goes) && !alive(changes) && alive(changed) && alive(comes));

    kill("-TERM", u64::from(supervisor.id()));
    supervisor.wait().unwrap();
    assert!([same, reloads, changed, comes].into_iter().all(|pid| !alive(pid)));
}

#[test]
fn down_finds_the_services_of_a_killed_supervisor() {
    let place = Place::new();
    plan(&place, &[("steady", FOREVER, "")]);
    let mut supervisor = supervise(&place);
    let steady = eventually("a start", || pid_of(&place, "steady"));
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    assert!(
        alive(steady),
        "the service died with its supervisor: there is nothing to test"
    );
    let down = place.run(&["monitoring-down"]).expect(0);
    assert!(down.out.contains("stopped steady"), "{}", down.out);
    assert!(!alive(steady));
    place.run(&["monitoring-down"]).expect(0);
}

#[test]
fn a_process_that_only_shares_the_pid_is_left_alone() {
    let place = Place::new();
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::create_dir_all(place.state()).unwrap();
    let identity = value!({ "pid": stranger.id(), "started": "before the last boot:1" });
    let state = value!({
        "supervisor": identity, "plan_id": "", "services": [{ "name": "x", "process": identity, "restarts": 0, "last_exit": null }]
    });
    std::fs::write(place.state().join("state.json"), state.to_string()).unwrap();
    let down = place.run(&["monitoring-down"]).expect(0);
    assert!(down.out.contains("nothing was running"), "{}", down.out);
    assert!(alive(u64::from(stranger.id())));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_second_supervisor_refuses_to_start() {
    let place = Place::new();
    plan(&place, &[("steady", FOREVER, "")]);
    let mut first = supervise(&place);
    eventually("a start", || pid_of(&place, "steady"));
    assert_eq!(supervise(&place).wait().unwrap().code(), Some(1));
    kill("-TERM", u64::from(first.id()));
    first.wait().unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_holder_before_anything_starts() {
    let mut place = Place::new();
    place.stand_ins(FOREVER);
    let port = place.spec_with_free_ports("");
    let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let run = place
        .run(&["monitoring-up", "--runtime", "native", "--without", "grafana"])
        .expect(1);
    let me = std::process::id();
    assert!(
        run.err
            .contains(&format!("prometheus needs 127.0.0.1:{port}, which is taken by ")),
        "{}",
        run.err
    );
    assert!(run.err.contains(&format!("(pid {me})")), "{}", run.err);
    assert!(run.err.contains("nothing was started"), "{}", run.err);
    assert!(state(&place).is_none() && !Path::new(&place.state().join("stack.json")).exists());
    assert!(!place.state().exists(), "data or a lock are left behind");
    drop(holder);
}

#[test]
fn what_does_not_get_ready_is_named_with_its_last_lines_and_stopped() {
    let mut place = Place::new();
    place.stand_ins("echo 'I can not find my glasses'; while :; do sleep 0.05; done");
    place.spec_with_free_ports("");
    let mut command = place.command(&[
        "monitoring-up",
        "--runtime",
        "native",
        "--without",
        "grafana",
        "--timeout",
        "1500ms",
    ]);
    let run = common::Run::of(&command.output().unwrap()).expect(1);
    assert!(
        run.err.contains("not everything was ready within 1.5s"),
        "{}",
        run.err
    );
    assert!(
        run.err
            .contains("last lines of alertmanager:\n    I can not find my glasses"),
        "{}",
        run.err
    );
    // The one that did get ready was stopped with the others.
    assert!(run.out.contains("ready     notification-log"), "{}", run.out);
    assert!(
        run.out.contains("stopped everything that was started"),
        "{}",
        run.out
    );
    assert!(state(&place).is_none());
    place.run(&["monitoring-status"]).expect(3);
}

#[test]
fn ctrl_c_amid_the_start_stops_what_was_started() {
    let mut place = Place::new();
    place.stand_ins(FOREVER);
    place.spec_with_free_ports("");
    let up = place
        .command(&["monitoring-up", "--runtime", "native", "--without", "grafana"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = eventually("a start", || pid_of(&place, "alertmanager"));
    kill("-INT", u64::from(up.id()));
    let run = common::Run::of(&up.wait_with_output().unwrap()).expect(130);
    assert_eq!(run.err, "interrupted\n");
    assert!(
        run.out.contains("stopped everything that was started: "),
        "{}",
        run.out
    );
    assert!(!alive(pid) && state(&place).is_none());
}

#[test]
fn a_service_that_keeps_crashing_ends_the_wait_early() {
    let mut place = Place::new();
    place.stand_ins("echo 'bad flag'; exit 2");
    place.spec_with_free_ports("");
    let begun = std::time::Instant::now();
    let run = place
        .run(&[
            "monitoring-up",
            "--runtime",
            "native",
            "--without",
            "grafana",
            "--timeout",
            "60s",
        ])
        .expect(1);
    assert!(
        run.err.contains("ends again and again") && run.err.contains("bad flag"),
        "{}",
        run.err
    );
    assert!(begun.elapsed().as_secs() < 30, "it waited for the time-out");
}
