//! The Docker path: containers that reach the relayer on the host, and leave nothing behind.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use e2e::{place, process};

use crate::{alert::RULES, stack::Stack};

/// The containers' names are fixed: one stack at a time.
pub(crate) static ENGINE: Mutex<()> = Mutex::new(());

pub(crate) fn delivers_an_alert(binaries: Option<&Path>) -> Result<()> {
    let _alone = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stack = Stack::new(binaries)?;
    let relayer = place::program("relayer")?.display().to_string();
    let config = stack.path("pools.yaml").display().to_string();
    let up = [
        "--runtime",
        "docker",
        "--without",
        "grafana",
        "--relayer-config",
        &config,
        "--relayer-bin",
        &relayer,
    ];
    stack.up(&[&up[..], &["--timeout", "120s"]].concat())?;
    stack.both_jobs_are_up()?;
    let rules = stack.rules()?;
    ensure!(
        RULES.iter().all(|name| rules.iter().any(|rule| rule == name)),
        "the rules loaded are {rules:?}"
    );
    stack.kill_node(1)?;
    let firing = stack.alert("CircuitBreakerOpen", "firing", "second", Duration::from_secs(40))?;
    ensure!(
        firing["labels"]["pool"] == "ethereum",
        "labels are {:#}",
        firing["labels"]
    );
    stack.down(&["--purge"])?;
    for (what, args) in [
        (
            "containers",
            &["ps", "--all", "--quiet", "--filter", "name=fusion-"][..],
        ),
        (
            "volumes",
            &["volume", "ls", "--quiet", "--filter", "name=fusion-monitoring"],
        ),
        (
            "networks",
            &["network", "ls", "--quiet", "--filter", "name=fusion-monitoring"],
        ),
    ] {
        let left = process::run(Path::new("docker"), args, &[], &[])?;
        ensure!(
            left.status.success() && left.stdout.is_empty(),
            "{what} are left: {}",
            process::said(&left)
        );
    }
    Ok(())
}
