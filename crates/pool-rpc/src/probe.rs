//! Health probes: the right chain, in sync, and how far.

mod comet;
mod evm;

use std::time::Duration;

use pool_core::{Report, Unfit};

use crate::{clock::WallClock, config::RpcConfig, conn::RpcConn, error::RpcError};

/// How a node is asked for its health, and which chain it must serve.
///
/// The chain is asked for at each check, before anything else: a provider may route a URL to another chain at any
/// time, and a node on the wrong chain must never be used. Calls are sequential, not a batch: some providers refuse
/// batches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// `eth_chainId`, `eth_syncing`, `eth_blockNumber`; with a limit on the head's age, be it the endpoint's own or the pool's
    /// (`max_lag_time`), `eth_getBlockByNumber` in place of the last. A node without `eth_syncing` counts as in sync.
    Evm {
        /// The chain's id as `eth_chainId` tells it.
        chain_id: u64,
    },
    /// CometBFT's `status`.
    CometBft {
        /// The network's name, as in `node_info.network` (`cosmoshub-4`).
        network: String,
    },
}

/// A probe with what it compares dates with.
#[derive(Debug)]
pub(crate) struct Prober {
    probe: Probe,
    max_head_age: Option<Duration>,
    wall_clock: WallClock,
}

impl Prober {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        Self {
            probe: config.probe.clone(),
            max_head_age: config.max_head_age,
            wall_clock: config.wall_clock.clone(),
        }
    }

    /// Runs the probe on a connection. `head_age` asks for the head's age, whether this endpoint has a limit or not.
    pub(crate) async fn run(&self, conn: &mut RpcConn, head_age: bool) -> Result<Report, RpcError> {
        let head_age = head_age || self.max_head_age.is_some();
        match &self.probe {
            Probe::Evm { chain_id } => evm::run(self, *chain_id, conn, head_age).await,
            Probe::CometBft { network } => comet::run(self, network, conn, head_age).await,
        }
    }

    /// How many calls it makes at a node that is well.
    pub(crate) const fn calls(&self) -> u32 {
        match self.probe {
            Probe::Evm { .. } => 3,
            Probe::CometBft { .. } => 1,
        }
    }

    /// The report on a node at this height whose head has this time (since the Unix epoch).
    fn judge_head(&self, height: u64, head_time: Option<Duration>) -> Report {
        let age = head_time.map(|time| self.wall_clock.now().saturating_sub(time));
        let report = match (self.max_head_age, age) {
            (Some(limit), Some(age)) if age > limit => {
                let reason = format!(
                    "head block is {} s old, at most {} s are allowed",
                    age.as_secs(),
                    limit.as_secs()
                );
                Report::unfit(Some(height), Unfit::Other(reason))
            }
            _ => Report::fit(Some(height)),
        };
        report.with_age(age)
    }
}

/// The node serves another chain. What it said is cut: it goes into logs.
fn wrong_chain(expected: &str, found: &str) -> Report {
    let found = found.chars().filter(|c| !c.is_control()).take(64).collect();
    Report::unfit(
        None,
        Unfit::WrongChain {
            expected: expected.to_owned(),
            found,
        },
    )
}
