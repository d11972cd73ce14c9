//! One trace, all contestants at once, each with its own nodes.
//!
//! Calls come when they come, whether or not those before are answered (an open loop, Poisson), at the same moments for all,
//! and a call's latency counts from the moment at which it was due.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use devnet::{Chain, ChainConfig};
use tokio::{task::JoinSet, time::Instant};

use super::{
    contestant::{Arena, Client, Contestant, needed},
    site::Site,
};
use crate::suites::trace::{
    contestant::DEADLINE,
    node::{Call, Clock},
    scenario::Scenario,
    simulate::{End, Record, Run, arrivals},
};

/// Time between two blocks: a third of Ethereum's, so that a node that is stuck gives wrong answers within a short trace.
const BLOCK: Duration = Duration::from_secs(4);

/// Runs a trace; the runs are in the order of the contestants.
///
/// # Errors
/// When nodes can't be started or restarted, or a contestant can't take part.
pub(super) async fn play(
    scenario: &Arc<Scenario>,
    contestants: &[Box<dyn Contestant>],
    seed: u64,
) -> Result<Vec<Run>> {
    let chain = Arc::new(Chain::new(ChainConfig::evm(1, BLOCK))?);
    let mut sites = Vec::new();
    let mut clients = Vec::new();
    for contestant in contestants {
        let site = Arc::new(Site::start(&chain, scenario, seed).await?);
        let arena = Arena {
            places: site.places(),
            seed,
            scenario: Arc::clone(scenario),
        };
        clients.push(contestant.enter(arena).await?);
        sites.push(site);
    }
    let clock = Clock::start();
    for client in &clients {
        client.begin(clock);
    }
    let (mut scripts, mut counts) = (Vec::new(), Vec::new());
    for site in &sites {
        let (faulted, counted) = (Arc::clone(site), Arc::clone(site));
        scripts.push(tokio::spawn(async move { faulted.follow_script(clock).await }));
        counts.push(tokio::spawn(async move { counted.count(clock).await }));
    }
    let mut records = load(scenario, &chain, &clients, clock, seed).await?;
    for script in scripts {
        script.await??;
    }
    let mut runs = Vec::new();
    for (at, (site, count)) in sites.iter().zip(counts).enumerate() {
        let seconds = count.await?;
        let mut records = std::mem::take(&mut records[at]);
        records.sort_unstable_by_key(|record: &Record| (record.due, record.took));
        runs.push(Run {
            records,
            tallies: site.tallies(&seconds),
        });
    }
    Ok(runs)
}

/// Makes the calls, and waits until the last one has ended. Returns those of each contestant.
async fn load(
    scenario: &Scenario,
    chain: &Arc<Chain>,
    clients: &[Arc<dyn Client>],
    clock: Clock,
    seed: u64,
) -> Result<Vec<Vec<Record>>> {
    let mut calls = JoinSet::new();
    for (id, due) in (1_u64..).zip(arrivals(scenario, seed)) {
        tokio::time::sleep_until(clock.at(due)).await;
        let call = Call {
            id,
            block: needed(chain),
        };
        // nobody is always the first
        for turn in 0..clients.len() {
            let at = (id as usize + turn) % clients.len();
            let client = Arc::clone(&clients[at]);
            calls.spawn(async move { (at, one(client.as_ref(), clock.at(due), due, call).await) });
        }
    }
    let mut records = vec![Vec::new(); clients.len()];
    while let Some(ended) = calls.join_next().await {
        let (at, record) = ended?;
        records[at].push(record);
    }
    Ok(records)
}

async fn one(client: &dyn Client, at: Instant, due: u64, call: Call) -> Record {
    let answer = tokio::time::timeout_at(at + DEADLINE, client.call(call)).await;
    let took = at.elapsed();
    let end = match answer {
        Ok(Ok(answer)) if answer.is_right(call) => End::Right,
        Ok(Ok(_)) => End::Wrong,
        Ok(Err(_)) | Err(_) => End::Failed,
    };
    Record {
        due,
        took: (took.as_secs_f64() * 1_000.0).round() as u64,
        end,
    }
}
