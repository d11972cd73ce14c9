//! The chain that nodes agree about: a pure function of its configuration and the time.

use std::time::Duration;

use tokio::time::Instant;

use crate::digest::{Hash, keccak};
use crate::mempool::Mempool;

/// Which JSON-RPC interface a chain's nodes speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ethereum's `eth_*` methods.
    Evm,
    /// CometBFT's `status`, `block`, `tx_search`, ...; also as GET with query parameters.
    CometBft,
}

/// What a [`Chain`] is made of. Two chains of equal configuration and age have the same blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// The interface of its nodes.
    pub dialect: Dialect,
    /// The chain's id: a decimal number below 2^53 in the EVM dialect (what JavaScript clients can hold), a
    /// short name such as `cosmoshub-4` in the CometBFT dialect.
    pub chain_id: String,
    /// Time between two blocks; at least one millisecond.
    pub block_time: Duration,
    /// Unix time of block 0, in seconds. Block timestamps follow from it.
    pub genesis_time: u64,
    /// How long ago block 0 was made when [`Chain::new`] is called. Processes that derive it from the wall clock
    /// and the same genesis time agree about the height.
    pub age: Duration,
    /// How many blocks the tags `finalized` (all of it) and `safe` (half of it) stay behind the head.
    pub finality_depth: u64,
    /// The widest block range that `eth_getLogs` and `tx_search` accept, as providers limit it. At least 1.
    pub max_log_range: u64,
}

impl ChainConfig {
    /// An EVM chain that is 1,000 blocks old, 12 blocks to finality, and serves logs of 10,000 blocks at once.
    pub fn evm(chain_id: u64, block_time: Duration) -> Self {
        Self::new(Dialect::Evm, chain_id.to_string(), block_time)
    }

    /// A CometBFT chain that is 1,000 blocks old and searches 10,000 blocks at once.
    pub fn cometbft(chain_id: impl Into<String>, block_time: Duration) -> Self {
        Self::new(Dialect::CometBft, chain_id.into(), block_time)
    }

    /// A chain of either dialect with the defaults of [`ChainConfig::evm`].
    pub fn new(dialect: Dialect, chain_id: String, block_time: Duration) -> Self {
        Self {
            dialect,
            chain_id,
            block_time,
            genesis_time: 1_767_225_600, // 2026-01-01T00:00:00Z
            age: block_time.saturating_mul(1_000),
            finality_depth: 12,
            max_log_range: 10_000,
        }
    }
}

/// A configuration no chain can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Blocks would come faster than every millisecond: lengthen [`ChainConfig::block_time`].
    #[error("block time {0:?} is too short: at least 1ms is needed")]
    BlockTime(Duration),
    /// [`ChainConfig::chain_id`] doesn't fit the dialect: see there for what does.
    #[error("chain id {id:?} is not valid here: {allowed}")]
    ChainId {
        /// The id that was given.
        id: String,
        /// What would have been accepted.
        allowed: &'static str,
    },
    /// [`ChainConfig::max_log_range`] is 0, which would refuse every query.
    #[error("the log range limit is 0: at least 1 block is needed")]
    LogRange,
}

/// One chain, shared by the nodes that serve it.
///
/// Its blocks are computed, not stored; the only state is the transactions that were submitted to it, which the
/// next block includes.
#[derive(Debug)]
pub struct Chain {
    config: ChainConfig,
    start: Instant,
    pub(crate) mempool: Mempool,
}

impl Chain {
    /// Starts the chain: from now on it grows by one block per [`ChainConfig::block_time`].
    ///
    /// # Errors
    /// When the configuration is impossible; see [`ChainError`].
    pub fn new(config: ChainConfig) -> Result<Self, ChainError> {
        if config.block_time < Duration::from_millis(1) {
            return Err(ChainError::BlockTime(config.block_time));
        }
        if config.max_log_range == 0 {
            return Err(ChainError::LogRange);
        }
        check_chain_id(config.dialect, &config.chain_id)?;
        Ok(Self {
            config,
            start: Instant::now(),
            mempool: Mempool::default(),
        })
    }

    /// The configuration it was started with.
    pub fn config(&self) -> &ChainConfig {
        &self.config
    }

    /// The number of the newest block at `now`. Never falls while `now` doesn't.
    pub fn height_at(&self, now: Instant) -> u64 {
        let age = self.config.age + now.saturating_duration_since(self.start);
        u64::try_from(age.as_nanos() / self.config.block_time.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Unix time of a block.
    pub(crate) fn time_of(&self, height: u64) -> Duration {
        let since_genesis = self.config.block_time.as_nanos() * u128::from(height) / 1_000_000;
        let since_genesis = u64::try_from(since_genesis).map_or(Duration::MAX, Duration::from_millis);
        Duration::from_secs(self.config.genesis_time).saturating_add(since_genesis)
    }

    /// A block's hash. Its last 8 bytes are the height, so that a hash can be looked up without an index.
    pub(crate) fn block_hash(&self, height: u64) -> Hash {
        let mut hash = self.derive("block", height, 0);
        hash[24..].copy_from_slice(&height.to_be_bytes());
        hash
    }

    /// The height that `hash` belongs to, if it is a block of this chain.
    pub(crate) fn height_of(&self, hash: &Hash) -> Option<u64> {
        let height = u64::from_be_bytes(hash[24..].try_into().ok()?);
        (self.block_hash(height) == *hash).then_some(height)
    }

    /// A value of this chain that depends on nothing but its arguments: `purpose` keeps the uses apart.
    pub(crate) fn derive(&self, purpose: &str, height: u64, index: u64) -> Hash {
        keccak(&[
            b"devnet/",
            self.config.chain_id.as_bytes(),
            b"/",
            purpose.as_bytes(),
            b"/",
            &height.to_be_bytes(),
            &index.to_be_bytes(),
        ])
    }
}

/// Checks that an id can be the chain id of a dialect; a false chain id ([`crate::Faults::chain_id`]) must too.
pub(crate) fn check_chain_id(dialect: Dialect, id: &str) -> Result<(), ChainError> {
    let (valid, allowed) = match dialect {
        Dialect::Evm => (
            !id.starts_with('+') && id.parse::<u64>().is_ok_and(|number| number < 1 << 53),
            "the EVM dialect takes a decimal number below 2^53",
        ),
        Dialect::CometBft => (
            (1..=50).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
            "the CometBFT dialect takes 1 to 50 letters, digits, '-', '_' or '.'",
        ),
    };
    if valid {
        Ok(())
    } else {
        Err(ChainError::ChainId {
            id: id.to_owned(),
            allowed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(config: ChainConfig) -> Chain {
        Chain::new(config).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn height_follows_the_clock() {
        let chain = chain(ChainConfig::evm(1, Duration::from_secs(2)));
        assert_eq!(chain.height_at(Instant::now()), 1_000);
        tokio::time::advance(Duration::from_millis(1_999)).await;
        assert_eq!(chain.height_at(Instant::now()), 1_000);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(chain.height_at(Instant::now()), 1_001);
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(chain.height_at(Instant::now()), 1_101);
    }

    #[tokio::test(start_paused = true)]
    async fn chains_of_one_configuration_agree_and_others_differ() {
        let config = ChainConfig::evm(1, Duration::from_secs(2));
        let (one, two) = (chain(config.clone()), chain(config));
        let other = chain(ChainConfig::evm(2, Duration::from_secs(2)));
        assert_eq!(one.block_hash(7), two.block_hash(7));
        assert_ne!(one.block_hash(7), other.block_hash(7));
        assert_ne!(one.block_hash(7), one.block_hash(8));
        assert_eq!(one.height_of(&two.block_hash(7)), Some(7));
        assert_eq!(one.height_of(&other.block_hash(7)), None);
    }

    #[tokio::test]
    async fn impossible_configurations_are_refused() {
        let second = Duration::from_secs(1);
        let refused = |config| Chain::new(config).unwrap_err();
        assert!(matches!(
            refused(ChainConfig::evm(1, Duration::ZERO)),
            ChainError::BlockTime(_)
        ));
        assert!(matches!(
            refused(ChainConfig::evm(1 << 53, second)),
            ChainError::ChainId { .. }
        ));
        assert!(matches!(
            refused(ChainConfig::cometbft("a b", second)),
            ChainError::ChainId { .. }
        ));
        assert!(matches!(
            refused(ChainConfig::cometbft("", second)),
            ChainError::ChainId { .. }
        ));
        let named = ChainConfig::new(Dialect::Evm, "mainnet".into(), second);
        assert!(refused(named).to_string().contains("decimal number"));
        let mut narrow = ChainConfig::evm(1, second);
        narrow.max_log_range = 0;
        assert_eq!(refused(narrow), ChainError::LogRange);
    }
}
