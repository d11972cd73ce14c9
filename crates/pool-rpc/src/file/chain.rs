//! Which chain a pool's nodes serve.

use serde::{Deserialize, Deserializer};

use super::raw::named;
use crate::Probe;

/// The interface that a chain's nodes speak, as the file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Ethereum's `eth_*` methods.
    Evm,
    /// CometBFT's `status`, `block_results`, ...
    CometBft,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Evm, Self::CometBft];

    /// Its name in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evm => "evm",
            Self::CometBft => "cometbft",
        }
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Self::ALL.map(|dialect| (dialect.as_str(), dialect));
        named("dialect", &names, deserializer)
    }
}

/// A chain. Its dialect decides what is asked of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// A chain of the EVM dialect.
    Evm {
        /// As `eth_chainId` tells it.
        chain_id: u64,
    },
    /// A chain of the CometBFT dialect.
    CometBft {
        /// As `node_info.network` tells it.
        network: String,
    },
}

impl Chain {
    /// The health check that a node of this chain must pass.
    pub fn probe(&self) -> Probe {
        match self {
            Self::Evm { chain_id } => Probe::Evm { chain_id: *chain_id },
            Self::CometBft { network } => Probe::CometBft {
                network: network.clone(),
            },
        }
    }
}
