//! One contestant through one trace, on a clock that is paused: it jumps to the next moment at which anything happens.
//!
//! Calls come when they come, whether or not those before are answered (an open loop, Poisson): a contestant that stalls
//! cannot thin out the load by it, and a call's latency counts from the moment at which it was due.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    contestant::{Arena, Client, Contestant, DEADLINE},
    node::{Call, Clock, Node, Tally, needed},
    scenario::Scenario,
};

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a right answer.
    Right,
    /// With an answer from before what the caller had seen.
    Wrong,
    /// Without an answer.
    Failed,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it was due.
    pub(crate) due: u64,
    /// What it took.
    pub(crate) took: u64,
    pub(crate) end: End,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) records: Vec<Record>,
    /// Of each node.
    pub(crate) tallies: Vec<Tally>,
}

/// When calls come, the same for every contestant.
pub(crate) fn arrivals(scenario: &Scenario, seed: u64) -> Vec<u64> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut now = 0.0;
    let mut arrivals = Vec::new();
    loop {
        now -= (1.0 - chance.f64()).ln() * 1_000.0 / scenario.rate_at(now as u64);
        if now >= scenario.until as f64 {
            return arrivals;
        }
        arrivals.push(now as u64);
    }
}

/// Runs a trace. The same seed gives the same run.
pub(crate) fn simulate(scenario: &Scenario, contestant: &dyn Contestant, seed: u64) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(play(scenario, contestant, seed)))
}

async fn play(scenario: &Scenario, contestant: &dyn Contestant, seed: u64) -> Run {
    let clock = Clock::start();
    let nodes: Vec<_> = scenario.nodes.iter().cloned().enumerate().collect();
    let nodes: Vec<_> = nodes
        .into_iter()
        .map(|(id, spec)| Node::new(id, spec, seed, clock))
        .collect();
    let client = contestant
        .enter(Arena {
            clock,
            nodes: nodes.clone(),
            seed,
        })
        .await;
    let arrivals = arrivals(scenario, seed);
    let records = Arc::new(Mutex::new(Vec::with_capacity(arrivals.len())));
    let mut joining: Vec<_> = nodes.iter().filter(|node| node.spec.joins.is_some()).collect();
    for (id, due) in (1..).zip(arrivals) {
        joining.retain(|node| {
            let waits = node.spec.joins.is_some_and(|joins| due < joins);
            if !waits {
                client.join(Arc::clone(node));
            }
            waits
        });
        tokio::time::sleep_until(clock.at(due)).await;
        let call = Call {
            id,
            block: needed(due),
        };
        tokio::spawn(one(Arc::clone(&client), clock, call, due, Arc::clone(&records)));
    }
    tokio::time::sleep(2 * DEADLINE).await;
    let mut records = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
    records.sort_unstable_by_key(|record: &Record| (record.due, record.took));
    Run {
        records,
        tallies: nodes.iter().map(|node| node.tally()).collect(),
    }
}

async fn one(client: Arc<dyn Client>, clock: Clock, call: Call, due: u64, records: Arc<Mutex<Vec<Record>>>) {
    let deadline = clock.at(due) + DEADLINE;
    let answer = tokio::time::timeout_at(deadline, client.call(call)).await;
    let end = match answer {
        Ok(Ok(answer)) if answer.block >= call.block => End::Right,
        Ok(Ok(_)) => End::Wrong,
        Ok(Err(_)) | Err(_) => End::Failed,
    };
    let took = clock.now() - due;
    records
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Record { due, took, end });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::trace::scenario;

    #[test]
    fn calls_come_as_often_as_they_should() {
        let scenario = scenario::all()
            .into_iter()
            .find(|scenario| scenario.name == "burst")
            .unwrap();
        let arrivals = arrivals(&scenario, 1);
        let within =
            |from: u64, to: u64| arrivals.iter().filter(|due| (from..to).contains(*due)).count() as f64;
        assert!((within(0, 40_000) / (40.0 * 120.0) - 1.0).abs() < 0.05);
        assert!((within(40_000, 45_000) / (5.0 * 600.0) - 1.0).abs() < 0.1);
    }
}
