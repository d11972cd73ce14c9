//! `dashboard pull` and `dashboard diff` against a server that answers as Grafana's API is documented to. No Grafana was
//! at hand; how the answers themselves are read is tested in monitoring-provisioning.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Place, Run};
use serde_json::{Value, json};

const UID: &str = "fusion-connection-pool";
const NAME: &str = "connection-pool";
const TOKEN: &str = "glsa_SECRETTOKEN";
const PATCH: &str = "out/monitoring/grafana/patches/connection-pool.json";
const DASHBOARD: &str = "out/monitoring/grafana/dashboards/connection-pool.json";

/// Answers by path, and the requests that came: path and `Authorization`.
#[derive(Clone, Default)]
struct Answers {
    by_path: Arc<Mutex<HashMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Answers {
    /// Serves until the test's process ends. The address.
    fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let own = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap())
                    .lines()
                    .map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let login = lines
                    .by_ref()
                    .take_while(|line| !line.is_empty())
                    .find_map(|line| {
                        line.to_lowercase()
                            .starts_with("authorization:")
                            .then(|| line[14..].trim().to_owned())
                    });
                own.asked
                    .lock()
                    .unwrap()
                    .push((path.clone(), login.unwrap_or_default()));
                let not_found = (404, r#"{"message":"Dashboard not found"}"#.to_owned());
                let (status, body) = own
                    .by_path
                    .lock()
                    .unwrap()
                    .get(&path)
                    .cloned()
                    .unwrap_or(not_found);
                let location = if status == 302 {
                    "Location: http://127.0.0.1:1/login\r\n"
                } else {
                    ""
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        address
    }

    fn put(&self, path: &str, status: u16, body: &Value) {
        self.by_path
            .lock()
            .unwrap()
            .insert(path.to_owned(), (status, body.to_string()));
    }

    fn paths(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .drain(..)
            .map(|(path, _)| path)
            .collect()
    }
}

fn old_api() -> String {
    format!("/api/dashboards/uid/{UID}")
}

/// A place with everything generated, a server, and the options that lead to it.
struct Scene {
    place: Place,
    answers: Answers,
    url: String,
    token: String,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        place.run(&["generate"]).expect(0);
        std::fs::write(place.path("token"), format!("{TOKEN}\n")).unwrap();
        let answers = Answers::default();
        let url = answers.serve();
        let token = place.path("token").display().to_string();
        Self {
            place,
            answers,
            url,
            token,
        }
    }

    /// Runs a command of `dashboard`; the token appears nowhere.
    fn dashboard(&self, words: &[&str]) -> Run {
        let login = ["--url", &self.url, "--token-file", &self.token];
        let run = self.place.run(&[&["dashboard"][..], words, &login].concat());
        assert!(!format!("{run:?}").contains("SECRET"), "{run:?}");
        run
    }

    fn generated(&self) -> Value {
        read(&self.place.path(DASHBOARD))
    }

    /// What Grafana has: the generated dashboard with an edit.
    fn edited(&self) -> Value {
        let mut dashboard = self.generated();
        let panels = dashboard["panels"].as_array_mut().unwrap();
        let panel = panels
            .iter_mut()
            .find(|panel| panel["type"] == "timeseries")
            .unwrap();
        panel["fieldConfig"]["defaults"]["custom"]["lineWidth"] = json!(3);
        dashboard["id"] = json!(12);
        dashboard["version"] = json!(5);
        dashboard
    }

    fn answer(&self, dashboard: &Value) {
        self.answers
            .put(&old_api(), 200, &json!({ "meta": {}, "dashboard": dashboard }));
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_edit_is_pulled_shown_and_generated_again_and_goes_when_it_is_undone() {
    let scene = Scene::new();
    let untouched = scene.generated();
    scene.answer(&scene.edited());
    let live = scene.dashboard(&["diff", NAME, "--live"]).expect(0);
    assert!(
        live.out.contains("+              \"lineWidth\": 3") || live.out.contains("\"lineWidth\": 3"),
        "{}",
        live.out
    );
    assert!(
        live.out
            .contains("`cargo xtask dashboard pull connection-pool` stores it"),
        "{}",
        live.out
    );
    assert!(!scene.place.path(PATCH).exists(), "`diff` stored something");

    let pulled = scene.dashboard(&["pull", NAME]).expect(0);
    assert!(
        pulled
            .out
            .contains("connection-pool: 1 change stored in monitoring/grafana/patches/connection-pool.json"),
        "{}",
        pulled.out
    );
    assert_eq!(
        read(&scene.place.path(PATCH)).as_array().unwrap().len(),
        3,
        "a change and its two tests"
    );
    scene.place.run(&["generate", "--check"]).expect(0);
    let again = scene.place.run(&["generate"]).expect(0);
    assert!(again.out.contains(" 0 changed"), "{}", again.out);
    let stored = scene.place.run(&["dashboard", "diff"]).expect(0);
    assert!(stored.out.contains("\"lineWidth\": 3"), "{}", stored.out);
    assert!(
        stored
            .out
            .starts_with("--- a/monitoring/grafana/dashboards/connection-pool.json"),
        "{}",
        stored.out
    );
    let live = scene.dashboard(&["diff", NAME, "--live"]).expect(0);
    assert_eq!(live.out, "connection-pool: Grafana has what is generated\n");

    // Pulling the same again changes nothing; undone in Grafana, it goes.
    let patch = std::fs::read(scene.place.path(PATCH)).unwrap();
    scene.dashboard(&["pull", NAME]).expect(0);
    assert_eq!(std::fs::read(scene.place.path(PATCH)).unwrap(), patch);
    scene.answer(&untouched);
    let undone = scene.dashboard(&["pull", NAME]).expect(0);
    assert!(
        undone
            .out
            .contains("not edited; monitoring/grafana/patches/connection-pool.json removed"),
        "{}",
        undone.out
    );
    assert!(!scene.place.path(PATCH).exists());
    assert_eq!(scene.generated(), untouched);
    let none = scene.place.run(&["dashboard", "diff"]).expect(0);
    assert!(none.out.starts_with("no edits are stored"), "{}", none.out);
}

#[test]
fn a_stale_patch_stops_generation_with_file_operation_and_remedy() {
    let scene = Scene::new();
    scene.answer(&scene.edited());
    scene.dashboard(&["pull", NAME]).expect(0);
    let patch = std::fs::read_to_string(scene.place.path(PATCH)).unwrap();
    std::fs::write(
        scene.place.path(PATCH),
        patch.replacen("\"value\": 1", "\"value\": 9", 1),
    )
    .unwrap();
    let before = scene.generated();
    for command in [
        &["generate"][..],
        &["generate", "--check"],
        &["validate"],
        &["dashboard", "diff"],
    ] {
        let run = scene.place.run(command).expect(2);
        assert!(
            run.err
                .contains("monitoring/grafana/patches/connection-pool.json:7:3: operation 2 (`test`"),
            "{}",
            run.err
        );
        assert!(
            run.err.contains("cargo xtask dashboard pull connection-pool"),
            "{}",
            run.err
        );
    }
    assert_eq!(scene.generated(), before);
    // The remedy works: `pull` doesn't need the old patch.
    scene.dashboard(&["pull", NAME]).expect(0);
    scene.place.run(&["generate", "--check"]).expect(0);
}

#[test]
fn the_form_in_which_a_dashboard_is_stored_is_asked_for() {
    let scene = Scene::new();
    let new_api =
        |version: &str| format!("/apis/dashboard.grafana.app/{version}/namespaces/default/dashboards/{UID}");
    let resource = |version: &str, spec: &Value, status: Value| json!({ "apiVersion": format!("dashboard.grafana.app/{version}"), "kind": "Dashboard", "metadata": { "name": UID }, "spec": spec, "status": status });
    // 13: the old API refuses and names the new one. Tabs, which classic can't express.
    let tabs =
        json!({ "title": "T", "elements": {}, "layout": { "kind": "TabsLayout", "spec": { "tabs": [] } } });
    let refusal =
        json!({ "message": format!("dashboard api version not supported, use {} instead", new_api("v2")) });
    scene.answers.put(&old_api(), 406, &refusal);
    scene
        .answers
        .put(&new_api("v2"), 200, &resource("v2", &tabs, json!({})));
    let run = scene.dashboard(&["pull", NAME]).expect(2);
    assert!(run.err.contains("a classic dashboard has no tabs"), "{}", run.err);
    assert_eq!(scene.answers.paths(), [old_api(), new_api("v2")]);

    // The old API is gone; the new one converts, and says so: the stored form is asked for.
    scene
        .answers
        .put(&old_api(), 404, &json!({ "message": "Not found" }));
    let converted = json!({ "conversion": { "failed": false, "storedVersion": "v2" } });
    scene
        .answers
        .put(&new_api("v1"), 200, &resource("v1", &scene.edited(), converted));
    let run = scene.dashboard(&["pull", NAME]).expect(2);
    assert!(run.err.contains("a classic dashboard has no tabs"), "{}", run.err);
    assert_eq!(scene.answers.paths(), [old_api(), new_api("v1"), new_api("v2")]);

    // Stored as v1.
    scene
        .answers
        .put(&new_api("v1"), 200, &resource("v1", &scene.edited(), json!({})));
    let run = scene.dashboard(&["pull", NAME]).expect(0);
    assert!(run.out.contains("1 change stored"), "{}", run.out);
}

#[test]
fn refusals_say_what_to_do_and_nothing_is_written() {
    let scene = Scene::new();
    for (status, code, says) in [
        (401, 1, "doesn't take the login; give another"),
        (403, 1, "the login may not read the dashboard"),
        (302, 1, "redirects elsewhere"),
        (500, 1, "answers 500"),
        (404, 1, "has no dashboard with uid `fusion-connection-pool`"),
    ] {
        scene.answers.put(&old_api(), status, &json!({ "message": "no" }));
        let run = scene.dashboard(&["pull", NAME]).expect(code);
        assert!(
            run.err.contains(says) && run.err.lines().count() == 1,
            "{status}: {}",
            run.err
        );
    }
    scene.answers.put(
        &old_api(),
        200,
        &json!({ "meta": {}, "dashboard": { "uid": "copy" } }),
    );
    let run = scene.dashboard(&["pull", NAME]).expect(2);
    assert!(
        run.err.contains("uid `copy`, not `fusion-connection-pool`"),
        "{}",
        run.err
    );
    assert!(!scene.place.path("out/monitoring/grafana/patches").exists());

    for (words, says) in [
        (&["pull", "nope"][..], "there is no dashboard `nope`; there are "),
        (&["pull", "--url", "http://127.0.0.1:1"], "--url needs a login"),
        (
            &[
                "pull",
                "--url",
                "https://127.0.0.1:1",
                "--token-file",
                &scene.token,
            ],
            "only http:// can be asked",
        ),
        (&["pull", "--token-file", "/no/such"], "/no/such: can't be read"),
        (
            &["pull", NAME, "--answer", "/no/such"],
            "--answer: /no/such: can't be read",
        ),
        (&["pull", "--user", "admin"], "--password-file"),
    ] {
        let run = scene.place.run(&[&["dashboard"][..], words].concat()).expect(2);
        assert!(run.err.contains(says), "{words:?}: {}", run.err);
    }
}

#[test]
fn the_login_is_sent_and_an_answer_may_come_from_a_file() {
    let scene = Scene::new();
    scene.answer(&scene.edited());
    scene.dashboard(&["pull", NAME]).expect(0);
    assert_eq!(
        scene.answers.asked.lock().unwrap().pop().unwrap().1,
        format!("Bearer {TOKEN}")
    );
    std::fs::write(scene.place.path("password"), "SECRET\n").unwrap();
    let password = scene.place.path("password").display().to_string();
    let login = ["--url", &scene.url, "--user", "ops", "--password-file", &password];
    scene
        .place
        .run(&[&["dashboard", "pull", NAME][..], &login].concat())
        .expect(0);
    // ops:SECRET
    assert_eq!(
        scene.answers.asked.lock().unwrap().pop().unwrap().1,
        "Basic b3BzOlNFQ1JFVA=="
    );

    std::fs::remove_file(scene.place.path(PATCH)).unwrap();
    let answer = scene.place.path("answer.json");
    std::fs::write(&answer, json!({ "dashboard": scene.edited() }).to_string()).unwrap();
    let answer = answer.display().to_string();
    let run = scene
        .place
        .run(&["dashboard", "pull", NAME, "--answer", &answer])
        .expect(0);
    assert!(run.out.contains("1 change stored"), "{}", run.out);
}
