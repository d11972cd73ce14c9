//! The dead man's switch: its fault is silence, so it is proven the other way round.

use std::time::Duration;

use anyhow::Result;

use super::lab::Lab;
use super::plan::Trial;
use super::running::{now, until};
use super::trial::{LATE, Outcome};

/// Seconds for Prometheus to start again and scrape. Not scaled.
const STARTS_WITHIN: f64 = 15.0;

/// Heartbeats came regularly; Prometheus is killed and they stay away; it is back and so are they.
pub(super) fn run(lab: &Lab, trial: &Trial) -> Outcome {
    let mut outcome = Outcome::new(trial);
    if let Err(error) = prove(lab, trial, &mut outcome) {
        outcome.fails(format!("could not be proven: {error:#}"));
    }
    outcome
}

fn prove(lab: &Lab, trial: &Trial, outcome: &mut Outcome) -> Result<()> {
    let stack = &lab.main;
    let timing = stack
        .timing(trial.alert)
        .ok_or_else(|| anyhow::anyhow!("the spec has switched it off"))?;
    // Alertmanager looks at a group every group_interval, and repeats what it told repeat_interval ago
    let between = timing.repeat_interval.plus(timing.group_interval).as_secs_f64();
    // it goes on for as long as Prometheus has promised
    let promised = stack.spec.resend_delay().times(4).as_secs_f64();
    outcome.fires_within = promised + between;
    outcome.told_within = outcome.fires_within;
    outcome.resolved_within = STARTS_WITHIN
        + timing
            .group_wait
            .plus(timing.group_interval)
            .plus(timing.evaluation_interval)
            .as_secs_f64();

    let beats = || -> Vec<f64> {
        let receiver = stack.receiver("heartbeat");
        lab.inbox
            .arrived()
            .iter()
            .filter(|one| one.receiver == receiver)
            .filter(|one| {
                one.find("firing", |told| {
                    told.labels
                        .get("alertname")
                        .is_some_and(|name| *name == trial.alert.as_str())
                })
                .is_some()
            })
            .map(|one| one.at)
            .collect()
    };
    // one that is due before the path is cut, so that its absence afterwards is news
    let first = until(now() + between + LATE, &lab.interrupt, || {
        Ok(beats().first().copied())
    })?;
    if first.is_none() {
        outcome.fails(format!("no heartbeat within {between:.1} s"));
        return Ok(());
    }
    for pair in beats().windows(2) {
        let gap = pair[1] - pair[0];
        if gap > between + LATE {
            outcome.fails(format!(
                "{gap:.1} s between two heartbeats, at most {between:.1} s allowed"
            ));
        }
    }

    outcome.begun = now();
    outcome.injected = outcome.begun;
    lab.inject(trial)?;
    lab.interrupt
        .sleep(Duration::from_secs_f64(promised + between + LATE))?;
    let last = beats().last().copied().unwrap_or_default();
    if last > outcome.injected + promised + LATE {
        outcome.fails(format!(
            "a heartbeat came {:.1} s after Prometheus was killed, expected none after {promised:.1} s",
            last - outcome.injected
        ));
    } else {
        // whoever waits outside raises the alarm when one is overdue
        outcome.fired = Some(last + between - outcome.injected);
        outcome.told = outcome.fired;
    }

    let back = now();
    outcome.cleared = Some(back);
    lab.clear(trial)?;
    let returned = until(back + outcome.resolved_within + LATE, &lab.interrupt, || {
        Ok(beats().last().copied().filter(|at| *at > back))
    })?;
    match returned {
        Some(at) => outcome.resolved = Some(at - back),
        None => outcome.fails(format!(
            "no heartbeat within {:.1} s after Prometheus was started again",
            outcome.resolved_within
        )),
    }
    Ok(())
}
