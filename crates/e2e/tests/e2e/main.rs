//! The whole road on real processes: nodes, relayer, Prometheus, Alertmanager, a webhook receiver.
//!
//! Run by `cargo xtask test`, which builds the programs and obtains the servers. Under a bare `cargo test` each trial is
//! reported as ignored, and the reason is printed.

mod alert;
mod dashboards;
mod demo;
mod docker;
mod runbooks;
mod stack;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add =
        |name: &str, missing: Option<String>, test: Box<dyn FnOnce() -> anyhow::Result<()> + Send>| {
            if let Some(reason) = &missing {
                println!("NOT RUN {name}: {reason}");
            }
            let run = move || test().map_err(|error| Failed::from(format!("{error:?}")));
            trials.push(Trial::test(name, run).with_ignored_flag(missing.is_some()));
        };
    add(
        "alert_arrives_and_resolves::stable",
        servers_on_path(),
        Box::new(|| alert::arrives_and_resolves(None)),
    );
    let newest = newest();
    let folder = newest.clone().ok();
    let (newest_servers, missing) = (folder.clone(), newest.clone().err());
    // compose may lie beside the newest servers
    let compose = folder.clone();
    let compose_too = folder.clone();
    let newest_too = folder.clone();
    add(
        "alert_arrives_and_resolves::newest",
        newest.clone().err(),
        Box::new(move || alert::arrives_and_resolves(folder.as_deref())),
    );
    add(
        "every_runbook_command_works::stable",
        servers_on_path().or_else(amtool_on_path),
        Box::new(|| runbooks::every_command_works(None)),
    );
    add(
        "every_runbook_command_works::newest",
        newest.err(),
        Box::new(move || runbooks::every_command_works(newest_too.as_deref())),
    );
    add(
        "demo_shows_every_metric",
        servers_on_path(),
        Box::new(demo::shows_every_metric),
    );
    add(
        "dashboards_show_data_of_the_demo",
        servers_on_path(),
        Box::new(dashboards::show_data_of_the_demo),
    );
    add(
        "dashboards_show_trouble::stable",
        servers_on_path(),
        Box::new(|| dashboards::show_trouble(None)),
    );
    add(
        "dashboards_show_trouble::newest",
        missing,
        Box::new(move || dashboards::show_trouble(newest_servers.as_deref())),
    );
    add(
        "docker_delivers_an_alert_and_leaves_nothing",
        docker_images(),
        Box::new(move || docker::delivers_an_alert(compose.as_deref())),
    );
    add(
        "runbook_commands_work_in_docker",
        docker_images().or_else(amtool_on_path),
        Box::new(move || runbooks::commands_in_containers(compose_too.as_deref())),
    );
    libtest_mimic::run(&arguments, trials).exit();
}

fn asked_for() -> Option<String> {
    let asked = std::env::var_os("MONITORING_E2E").is_some_and(|value| value == "1");
    (!asked).then(|| "needs real servers; `cargo xtask test` runs it".to_owned())
}

fn servers_on_path() -> Option<String> {
    asked_for().or_else(|| {
        let needed = [&["prometheus"][..], &["prometheus-alertmanager", "alertmanager"]];
        let missing = needed.iter().find(|names| e2e::place::on_path(names).is_none())?;
        Some(format!("{} is not on PATH", missing[0]))
    })
}

/// The runbooks' silences are made with it.
fn amtool_on_path() -> Option<String> {
    e2e::place::on_path(&["amtool"])
        .is_none()
        .then(|| "amtool is not on PATH".to_owned())
}

/// The folder with the newest releases, or why there is none.
fn newest() -> Result<PathBuf, String> {
    if let Some(reason) = asked_for() {
        return Err(reason);
    }
    let Some(folder) = std::env::var_os("MONITORING_NEWEST_BIN_DIR") else {
        return Err(
            "MONITORING_NEWEST_BIN_DIR names no folder with newer servers than those on PATH".to_owned(),
        );
    };
    Ok(folder.into())
}

fn docker_images() -> Option<String> {
    asked_for().or_else(|| {
        let asked = std::env::var_os("MONITORING_E2E_DOCKER").is_some_and(|value| value == "1");
        (!asked).then(|| {
            "set MONITORING_E2E_DOCKER=1 where a Docker engine has, or can pull, the pinned images".to_owned()
        })
    })
}
