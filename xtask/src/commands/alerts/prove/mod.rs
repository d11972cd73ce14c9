//! `alerts prove`: each alert's fault is caused in a real stack, and the alert must fire, be told of and end in its time, with
//! nothing beside it that isn't declared.
//!
//! [`plan`] says which fault proves which alert. The stack ([`lab`]) is of real programs: devnet's nodes, relayers, Node
//! Exporter, Prometheus, Alertmanager; only the receiver of the notifications is our own ([`inbox`]). Trials run at once, each on a
//! pool, relayer or server of its own ([`trial`]); whatever fires must belong to one that declares it ([`audit`]).

mod audit;
mod inbox;
mod lab;
mod plan;
mod pools;
mod running;
mod silence;
mod stack;
mod table;
mod trial;
mod watch;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use monitoring_provisioning::{AlertName, PromDuration, Spec, proof};

use self::lab::{Lab, Options};
use self::plan::{Fault, Place, TRIALS, Trial};
use self::stack::OBJECTIVES_FASTER;
use self::trial::Outcome;
use crate::cli::Prove;
use crate::failure::{AlreadyReported, BadInput};
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;

/// How long nothing may fire on a healthy day, divided by the scale.
const HEALTHY: PromDuration = PromDuration::from_secs(600);
/// Attempts that the slow alerts about the objectives compare the failed ones with must have been seen for so long.
const HISTORY: PromDuration = PromDuration::from_secs(6 * 3_600);

pub(super) fn run(workspace: &Workspace, prove: &Prove) -> Result<u8> {
    let interrupt = Interrupt::install()?;
    let operators = workspace.load_spec()?;
    let trials = chosen(&operators, prove)?;
    let readme = workspace.root.join("README.md");
    if prove.write_readme {
        table::check_readme(&readme)?;
    }
    let begun = Instant::now();
    let folder = folder()?;
    let options = Options {
        scale: prove.time_scale,
        seed: prove.seed,
    };
    let lab = Lab::start(workspace, &operators, &trials, options, folder.path(), &interrupt)?;
    let setting = setting(&lab);
    outln!("{setting}");
    outln!("ready after {:.0} s", begun.elapsed().as_secs_f64());
    let result = prove_all(&lab, &trials, prove);
    lab.stop();
    let (outcomes, problems) = result?;
    let took = begun.elapsed().as_secs_f64();
    report(&outcomes, &problems, took);
    let failed = !problems.is_empty() || outcomes.iter().any(|outcome| !outcome.problems.is_empty());
    if failed {
        let kept = workspace.root.join("target/alerts-prove");
        keep(folder.path(), &kept)?;
        errln!("logs and configuration: {}", kept.display());
        busy();
        return Err(AlreadyReported.into());
    }
    if prove.write_readme {
        table::write_readme(&readme, &readme_text(&outcomes, &setting, took))?;
        outln!("written into {}", readme.display());
    }
    Ok(0)
}

/// In memory where Linux has it, unless TMPDIR says otherwise: a disk that others write to would stop a process that writes a line
/// of its log for seconds, and those seconds are minutes here.
fn folder() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let wanted = std::env::var_os("TMPDIR").is_none() && memory.is_dir();
    let in_memory = wanted.then(|| tempfile::tempdir_in(memory).ok()).flatten();
    match in_memory {
        Some(folder) => Ok(folder),
        None => tempfile::tempdir().context("can't create a temporary folder"),
    }
}

/// Copies what tells why: everything but the servers' data. What an earlier run left there goes.
fn keep(from: &Path, to: &Path) -> Result<()> {
    if to.is_dir() {
        std::fs::remove_dir_all(to).with_context(|| format!("can't remove {}", to.display()))?;
    }
    copy(from, to).with_context(|| format!("can't keep logs in {}", to.display()))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            std::fs::copy(entry.path(), target)?;
        } else if entry.file_name() != "data" {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A machine that is overrun is slow in earnest, and a scaled second is short: says so where Linux tells.
fn busy() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let minute: f64 = load
        .split_whitespace()
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or_default();
    if minute > 4.0 * cores as f64 {
        errln!(
            "notice: {minute} processes wanted to run at once on {cores} cores: what is late may be late for that; try again with \
             less beside it, or with a smaller --time-scale"
        );
    }
}

/// The trials of the alerts that were named; all when none was.
fn chosen(spec: &Spec, prove: &Prove) -> Result<Vec<&'static Trial>> {
    let on: Vec<AlertName> = proof::timings(spec)?.iter().map(|timing| timing.alert).collect();
    for own in spec.more_alerts.keys() {
        outln!("NOT PROVEN: {own} is an alert of your own: no fault is known for it");
    }
    if prove.healthy_only {
        return Ok(TRIALS.iter().filter(|trial| on.contains(&trial.alert)).collect());
    }
    let mut chosen = Vec::new();
    for trial in &TRIALS {
        let name = trial.alert.as_str();
        let named = prove.alerts.is_empty() || prove.alerts.iter().any(|one| one == name);
        if named && on.contains(&trial.alert) {
            chosen.push(trial);
        } else if named {
            outln!("NOT PROVEN: {name} is switched off in the spec");
        }
    }
    let unknown = prove
        .alerts
        .iter()
        .find(|name| TRIALS.iter().all(|trial| trial.alert.as_str() != name.as_str()));
    if let Some(name) = unknown {
        let all: Vec<&str> = AlertName::ALL.iter().map(|name| name.as_str()).collect();
        return Err(BadInput(format!(
            "there is no alert `{name}`; there are {}",
            all.join(", ")
        ))
        .into());
    }
    Ok(chosen)
}

/// Machine, versions, scale.
fn setting(lab: &Lab) -> String {
    let [prometheus, alertmanager] = &lab.main.versions;
    let scale = lab.options.scale;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "Prometheus {prometheus}, Alertmanager {alertmanager}, {cores} cores ({} {}); {scale} times as fast as real time, the \
         objectives {} times; seed {}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        scale * OBJECTIVES_FASTER,
        lab.options.seed,
    )
}

fn prove_all(lab: &Lab, trials: &[&Trial], prove: &Prove) -> Result<(Vec<Outcome>, Vec<String>)> {
    let mut problems = Vec::new();
    if !prove.skip_healthy {
        let time = HEALTHY.scaled(lab.options.scale);
        outln!("a healthy day: nothing may fire for {HEALTHY} ({time} at this scale)");
        wait(lab, time)?;
        problems.extend(audit::healthy(lab));
        if problems.is_empty() {
            outln!("nothing but the dead man's switch fired");
        }
    }
    if prove.healthy_only {
        return Ok((Vec::new(), problems));
    }
    let mut outcomes = at_once(lab, trials)?;
    // these disturb everybody else, so they come last, one after the other
    for trial in trials.iter().filter(|trial| comes_last(trial)) {
        let outcome = match trial.fault {
            Fault::PrometheusKilled => silence::run(lab, trial),
            _ => trial::run(lab, trial),
        };
        progress(&outcome);
        outcomes.push(outcome);
        lab.interrupt.check()?;
    }
    outcomes.sort_by_key(|outcome| outcome.alert);
    problems.extend(audit::audit(lab, trials, &mut outcomes));
    for outcome in &mut outcomes {
        let late = table::late(outcome);
        outcome.problems.extend(late);
    }
    Ok((outcomes, problems))
}

const fn comes_last(trial: &Trial) -> bool {
    matches!(trial.place, Place::Monitoring)
}

fn at_once(lab: &Lab, trials: &[&Trial]) -> Result<Vec<Outcome>> {
    let outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = trials
            .iter()
            .filter(|trial| !comes_last(trial))
            .map(|trial| {
                scope.spawn(|| {
                    if trial.alert.is_burn_rate() {
                        history(lab, trial);
                    }
                    let outcome = trial::run(lab, trial);
                    progress(&outcome);
                    outcome
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a trial broke down")))
            .collect::<Result<Vec<_>>>()
    })?;
    lab.interrupt.check()?;
    Ok(outcomes)
}

/// Waits until the objectives' Prometheus has seen enough of a healthy pool.
fn history(lab: &Lab, trial: &Trial) {
    let stack = lab.stack(trial.alert);
    let needed = HISTORY.scaled(stack.spec.time_scale).as_secs_f64();
    // an interrupt ends the trial itself, too
    let _interrupted = running::until(stack.began + needed, &lab.interrupt, || Ok(None::<()>));
}

fn wait(lab: &Lab, time: PromDuration) -> Result<()> {
    let end = Instant::now() + time.std();
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        lab.interrupt.sleep(left.min(Duration::from_millis(100)))?;
    }
    Ok(())
}

fn progress(outcome: &Outcome) {
    let seen = |time: Option<f64>| time.map_or("not".to_owned(), |time| format!("{time:.1} s"));
    outln!(
        "{}: fired {}, told {}, end told {}{}",
        outcome.alert,
        seen(outcome.fired),
        seen(outcome.told),
        seen(outcome.resolved),
        if outcome.problems.is_empty() {
            ""
        } else {
            " - WRONG, see below"
        }
    );
}

fn report(outcomes: &[Outcome], problems: &[String], took: f64) {
    if !outcomes.is_empty() {
        crate::output::out(format_args!("\n{}\n", table::table(outcomes)));
    }
    for problem in problems {
        errln!("error: {problem}");
    }
    for outcome in outcomes {
        for problem in &outcome.problems {
            errln!("error: {}: {problem}", outcome.alert);
        }
    }
    let proven = outcomes
        .iter()
        .filter(|outcome| outcome.problems.is_empty())
        .count();
    if !outcomes.is_empty() {
        outln!("{proven} of {} alerts proven ({took:.0} s)", outcomes.len());
    }
}

fn readme_text(outcomes: &[Outcome], setting: &str, took: f64) -> String {
    let today = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let today = crate::notifications::utc(today.as_secs());
    let date = today.split('T').next().unwrap_or_default();
    format!(
        "{}\n{date}, {setting}; {took:.0} s in all. Before the faults, ten minutes at that scale in which nothing but the dead \
         man's switch fired.",
        table::table(outcomes)
    )
}
