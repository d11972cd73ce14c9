//! `monitoring-up --runtime native` with real Prometheus, Alertmanager and Node Exporter.
//!
//! Runs with MONITORING_E2E=1 (as `cargo xtask test` sets it), for each set of programs on this machine; is reported
//! as ignored, with the reason, otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(clippy::disallowed_macros, reason = "a test prints for its own runner")]

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use common::{Place, alive, eventually, json, kill};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let wanted = std::env::var_os("MONITORING_E2E").is_some_and(|value| value == "1");
    let mut trials = Vec::new();
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"];
    let bin_dir = named.into_iter().find_map(std::env::var_os).map(PathBuf::from);
    for (name, bin_dir) in [("path", None), ("bin_dir", bin_dir)] {
        let reason = match (wanted, name) {
            (false, _) => Some("MONITORING_E2E=1 is not set"),
            (true, "path") if !in_path("prometheus") => Some("prometheus is not in PATH"),
            (true, "bin_dir") if bin_dir.is_none() => {
                Some("neither MONITORING_BIN_DIR nor MONITORING_NEWEST_BIN_DIR is set")
            }
            (true, _) => None,
        };
        let tests: [(&str, Test); 2] = [
            ("up_again_status_down", up_again_status_down),
            ("a_killed_server_comes_back", a_killed_server_comes_back),
        ];
        for (test, run) in tests {
            let bin_dir = bin_dir.clone();
            let title = format!("{test}::{name}");
            if let Some(reason) = reason {
                println!("not run: {title}: {reason}");
            }
            trials.push(Trial::test(title, move || run(bin_dir)).with_ignored_flag(reason.is_some()));
        }
    }
    // One after another: each starts a whole stack.
    let arguments = Arguments {
        test_threads: Some(1),
        ..arguments
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Test = fn(Option<PathBuf>) -> Result<(), Failed>;

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

const UP: [&str; 5] = ["monitoring-up", "--runtime", "native", "--without", "grafana"];
/// Everything five times as fast: the first scrapes come soon.
const FAST: &str = "time_scale: 5\n";

fn place(bin_dir: Option<PathBuf>) -> Place {
    let mut place = Place::new();
    // An empty folder shadows nothing, so that PATH is searched although the variable may be set.
    place.bin_dir = Some(bin_dir.unwrap_or_else(|| place.path("out")));
    place
}

fn pids(report: &serde_json::Value) -> Vec<u64> {
    report["services"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["pid"].as_u64())
        .collect()
}

fn up_again_status_down(bin_dir: Option<PathBuf>) -> Result<(), Failed> {
    let place = place(bin_dir);
    place.spec_with_free_ports(FAST);
    let first = place.run(&UP).expect(0);
    let rules = std::fs::read_to_string(place.path("out/monitoring/prometheus/alerts/connection-pool.yml"))?;
    let all = rules
        .lines()
        .filter(|line| {
            ["alert:", "record:"]
                .iter()
                .any(|key| line.trim_start_matches([' ', '-']).starts_with(key))
        })
        .count();
    let loaded = format!("rules: {all} of {all} loaded");
    assert!(first.out.contains(&loaded), "{}", first.out);

    let report: serde_json::Value =
        serde_json::from_str(&place.run(&["monitoring-status", "--json"]).expect(0).out)?;
    assert_eq!(report["runtime"], "native");
    assert!(
        report["services"]
            .as_array()
            .is_some_and(|all| all.len() == 4 && all.iter().all(|one| one["state"] == "up"))
    );
    let before = pids(&report);

    // Again, unchanged: the same processes. With another rule threshold: still the same, reloaded.
    place.run(&UP).expect(0);
    let again: serde_json::Value =
        serde_json::from_str(&place.run(&["monitoring-status", "--json"]).expect(0).out)?;
    assert_eq!(pids(&again), before, "a second copy, or a restart without need");
    let spec = std::fs::read_to_string(place.path("spec.yaml"))?;
    place.spec(&format!(
        "{spec}prometheus: {{external_labels: {{site: test}}}}\n"
    ));
    place.run(&UP).expect(0);
    let reloaded: serde_json::Value =
        serde_json::from_str(&place.run(&["monitoring-status", "--json"]).expect(0).out)?;
    assert_eq!(pids(&reloaded), before, "restarted where a reload does");
    let log = std::fs::read_to_string(place.state().join("logs/supervisor.log"))?;
    assert!(
        log.contains("prometheus: reloading") && !log.contains("alertmanager: reloading"),
        "{log}"
    );

    let begun = std::time::Instant::now();
    let down = place.run(&["monitoring-down"]).expect(0);
    assert!(begun.elapsed().as_secs() < 5, "took {:?}", begun.elapsed());
    assert!(down.out.contains("prometheus"), "{}", down.out);
    assert!(before.iter().all(|pid| !alive(*pid)), "a process is left");
    assert!(
        place.state().join("data/prometheus").is_dir(),
        "data are gone without --purge"
    );
    place.run(&["monitoring-status"]).expect(3);
    place.run(&["monitoring-down", "--purge"]).expect(0);
    assert!(!place.state().exists());
    Ok(())
}

fn a_killed_server_comes_back(bin_dir: Option<PathBuf>) -> Result<(), Failed> {
    let place = place(bin_dir);
    place.spec_with_free_ports(FAST);
    place.run(&UP).expect(0);
    let pid = |place: &Place| {
        let state = json(&place.state().join("state.json"))?;
        state["services"]
            .as_array()?
            .iter()
            .find(|one| one["name"] == "alertmanager")?["process"]["pid"]
            .as_u64()
    };
    let old = eventually("a pid", || pid(&place));
    kill("-KILL", old);
    let new = eventually("a restart", || pid(&place).filter(|new| *new != old));
    assert!(alive(new));
    eventually("well again", || {
        (place.run(&["monitoring-status"]).code == 0).then_some(())
    });
    let report: serde_json::Value = serde_json::from_str(&place.run(&["monitoring-status", "--json"]).out)?;
    let restarts = report["services"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["name"] == "alertmanager"));
    assert_eq!(
        restarts.map(|one| one["restarts"].clone()),
        Some(serde_json::json!(1))
    );

    // A killed supervisor leaves its services; the next monitoring-up takes over without a second copy.
    let state = json(&place.state().join("state.json")).ok_or("no state")?;
    kill(
        "-KILL",
        state["supervisor"]["pid"].as_u64().ok_or("no supervisor")?,
    );
    eventually("unwell", || {
        (place.run(&["monitoring-status"]).code == 1).then_some(())
    });
    let up = place.run(&UP).expect(0);
    assert!(up.out.contains("left behind by a supervisor"), "{}", up.out);
    place.run(&["monitoring-down"]).expect(0);
    Ok(())
}
