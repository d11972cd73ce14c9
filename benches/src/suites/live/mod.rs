//! The suite `live`: a part of the traces over real sockets, with peers whose clock can't be paused.
//!
//! Nodes are devnet's, on loopback, in this process; each contestant has its own, and all contestants go through a trace at
//! the same moment, so that what disturbs one disturbs all. The words for faults, the scores and the report are those of the
//! suite `trace`.

mod contestant;
mod contestants;
mod files;
mod machine;
mod play;
mod scenario;
mod script;
mod site;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use anyhow::{Result, bail};

use self::machine::{Machine, Strain};
use super::trace::{
    cast::{BLACK, Cast, GREEN, GREY, ORANGE, OURS, PINK, RED, VIOLET},
    contestant::Contestant as _,
    contestants as simulated,
    outcome::{Entrant, Outcome},
    report,
    scenario::Scenario,
    score::Score,
};
use crate::frame::{
    Effort, Finding, Suite,
    digest::{Cell, Line},
};

/// Traces that run at once: nodes and callers sleep most of the time, and so a run takes minutes and not an hour. With nine
/// of them two threads have too much to do.
const LANES: usize = 5;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Live;

impl Suite for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn title(&self) -> &'static str {
        "Fault traces over real sockets"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["tokio", "tower", "alloy-transport", "pingora-load-balancing"]
    }

    fn digest(&self) -> Vec<Line> {
        vec![
            Line::new(
                "over real sockets: one node ten times as slow, p99",
                "ms",
                Cell::at("slow-node", "p99 ms"),
            )
            .beside("best peer", Cell::at("slow-node", "best peer").nth(1))
            .beside("omniscient limit", Cell::at("slow-node", "limit")),
            Line::new(
                "... wrong answers with HTTP 200, success",
                "",
                Cell::at("wrong-200", "success"),
            )
            .beside("best peer", Cell::at("wrong-200", "best peer")),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let all = scenario::all(effort.quick);
        let wanted: Vec<_> = all
            .into_iter()
            .filter(|scenario| effort.wants(scenario.name))
            .collect();
        if wanted.is_empty() {
            bail!(
                "no trace has `{}` in its name",
                effort.filter.as_deref().unwrap_or_default()
            );
        }
        files::allow()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (outcomes, strain) = runtime.block_on(rounds(wanted, effort))?;
        let mut finding = report::find(&outcomes, &cast())?;
        finding.text = format!("{}{}", preface(&strain), finding.text);
        Ok(finding)
    }
}

/// All contestants through all traces, round by round. A round has a seed of its own, the same for all contestants.
async fn rounds(scenarios: Vec<Scenario>, effort: &Effort) -> Result<(Vec<Outcome>, Strain)> {
    let contestants = Arc::new(contestants::all());
    let mut outcomes: Vec<Outcome> = scenarios
        .into_iter()
        .map(|scenario| Outcome {
            scenario,
            results: contestants
                .iter()
                .map(|one| Entrant {
                    name: one.name(),
                    side: one.side(),
                    scores: Vec::new(),
                })
                .collect(),
        })
        .collect();
    let machine = Machine::watch();
    for round in 0..u64::from(effort.rounds) {
        for lanes in outcomes.chunks_mut(LANES) {
            let seed = effort.seed + round;
            let played: Vec<_> = lanes
                .iter()
                .map(|outcome| (Arc::new(outcome.scenario.clone()), Arc::clone(&contestants)))
                .map(|(scenario, contestants)| {
                    tokio::spawn(async move { play::play(&scenario, &contestants, seed).await })
                })
                .collect();
            for (outcome, runs) in lanes.iter_mut().zip(played) {
                for (entrant, run) in outcome.results.iter_mut().zip(runs.await??) {
                    entrant.scores.push(Score::of(&outcome.scenario, &run));
                }
            }
        }
        eprintln!("live: round {} of {}", round + 1, effort.rounds);
    }
    Ok((outcomes, machine.strain()))
}

/// What the machine was up to, and who is missing.
fn preface(strain: &Strain) -> String {
    let mut text = format!("{strain}\n\n");
    if !cfg!(feature = "pingora") {
        text += "pingora-load-balancing: **not measured** (built without `--features pingora`, which needs cmake).\n\n";
    }
    text
}

/// Who is shown how.
fn cast() -> Cast {
    let (default, hedged) = (simulated::default().name(), simulated::hedged().name());
    let peers = [
        ("tower P2C peak EWMA + retry", RED),
        ("pingora round robin", ORANGE),
        ("alloy fallback", PINK),
        ("alloy fallback + retry", VIOLET),
        ("least requests", GREEN),
        ("round robin", GREY),
        ("omniscient", BLACK),
    ];
    let mut lines: Vec<_> = peers.map(|(name, colour)| (name.to_owned(), colour)).into();
    lines.extend([(hedged.clone(), OURS[1]), (default.clone(), OURS[0])]);
    Cast {
        suite: "live",
        heading: "Live: ",
        default,
        hedged,
        lines,
        latencies: (10.0, 6_000.0),
    }
}
