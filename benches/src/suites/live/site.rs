//! The nodes of one contestant: started, faulted by the script, and asked for their counts.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context, Result};
use devnet::{Chain, Node, NodeConfig, Stats};

use super::{contestant::Place, script, wire::METHOD};
use crate::suites::trace::{
    node::{Clock, Tally},
    scenario::Scenario,
};

/// Ports that systems do not give to connections (those begin at 32768 on Linux): a node that was down must get its own back.
const PORTS: std::ops::Range<u16> = 10_240..32_000;

/// The nodes.
#[derive(Debug)]
pub(super) struct Site {
    nodes: Vec<Node>,
    scenario: Arc<Scenario>,
}

impl Site {
    /// Starts the nodes as they are at the beginning.
    ///
    /// # Errors
    /// When no port is free.
    pub(super) async fn start(chain: &Arc<Chain>, scenario: &Arc<Scenario>, seed: u64) -> Result<Self> {
        let mut nodes = Vec::new();
        for (id, spec) in (0_u64..).zip(&scenario.nodes) {
            let config = NodeConfig {
                // the same for every contestant, another for every node
                seed: seed.wrapping_mul(1_000) + id,
                faults: script::state(spec, 0).faults,
                ..NodeConfig::default()
            };
            nodes.push(start(chain, config).await?);
        }
        Ok(Self {
            nodes,
            scenario: Arc::clone(scenario),
        })
    }

    /// What contestants may know of the nodes.
    pub(super) fn places(&self) -> Vec<Place> {
        let specs = self.nodes.iter().zip(&self.scenario.nodes).enumerate();
        specs
            .map(|(id, (node, spec))| Place {
                id,
                addr: node.addr(),
                provider: spec.provider,
            })
            .collect()
    }

    /// Does to the nodes what the trace says, until it ends.
    ///
    /// # Errors
    /// When a node can't come back because somebody has taken its port.
    pub(super) async fn follow_script(&self, clock: Clock) -> Result<()> {
        let within = |moment: &u64| *moment <= self.scenario.until;
        for moment in script::moments(&self.scenario.nodes).into_iter().filter(within) {
            tokio::time::sleep_until(clock.at(moment)).await;
            for (node, spec) in self.nodes.iter().zip(&self.scenario.nodes) {
                let state = script::state(spec, moment);
                if state.down {
                    node.stop().await;
                    continue;
                }
                if state.faults != node.faults() {
                    node.set_faults(state.faults)
                        .context("the script is impossible")?;
                }
                node.restart().await.context("a node can't come back")?;
            }
        }
        Ok(())
    }

    /// Looks at the counters every second, and hands them back when the trace is over.
    pub(super) async fn count(&self, clock: Clock) -> Vec<Vec<u64>> {
        let mut seconds = Vec::new();
        for second in 0..=self.scenario.until / 1_000 {
            tokio::time::sleep_until(clock.at(second * 1_000)).await;
            seconds.push(self.nodes.iter().map(|node| counts(&node.stats()).0).collect());
        }
        seconds
    }

    /// What each node was asked, by what [`count`](Self::count) saw and what came after.
    pub(super) fn tallies(&self, seconds: &[Vec<u64>]) -> Vec<Tally> {
        let tally = |(id, node): (usize, &Node)| {
            let (calls, checks) = counts(&node.stats());
            let seen = seconds.iter().map(|second| second[id]).chain([calls]);
            let mut before = 0;
            let calls = seen.map(|now| {
                let calls = now - before;
                before = now;
                u32::try_from(calls).unwrap_or(u32::MAX)
            });
            // what came before the beginning belongs to nobody's second
            let calls = calls.skip(1).collect();
            Tally { calls, checks }
        };
        self.nodes.iter().enumerate().map(tally).collect()
    }
}

/// Calls, and whatever else it was asked.
fn counts(stats: &Stats) -> (u64, u64) {
    let calls = stats.requests.get(METHOD).copied().unwrap_or(0);
    (calls, stats.requests.values().sum::<u64>() - calls)
}

async fn start(chain: &Arc<Chain>, config: NodeConfig) -> Result<Node> {
    for _ in 0..1_000 {
        let config = NodeConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS))),
            ..config.clone()
        };
        match Node::start(Arc::clone(chain), config).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            started => return started.context("a node can't start"),
        }
    }
    anyhow::bail!("no port of loopback is free in {PORTS:?}")
}
