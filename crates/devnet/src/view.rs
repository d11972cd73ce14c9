//! What one node believes about its chain, which faults may bend.

use tokio::time::Instant;

use crate::chain::Chain;
use crate::faults::Faults;

/// One node's sight of a chain, taken once per HTTP request so that a batch is answered from one block.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    pub(crate) chain: &'a Chain,
    /// The height the node claims; above `tip` when it lies.
    pub(crate) claimed: u64,
    /// The newest block the node can show.
    pub(crate) tip: u64,
    /// The chain's true head. Submitted transactions go to the block after it, whatever this node believes.
    pub(crate) true_head: u64,
    pub(crate) chain_id: String,
    pub(crate) syncing: bool,
}

impl<'a> View<'a> {
    /// The sight of a node with these faults, whose head froze at `frozen_at` if at all.
    ///
    /// A frozen head may lag as well; a lie comes on top of both and shows no blocks.
    pub(crate) fn new(chain: &'a Chain, faults: &Faults, frozen_at: Option<u64>, now: Instant) -> Self {
        let true_head = chain.height_at(now);
        let tip = frozen_at.unwrap_or(true_head).saturating_sub(faults.lag_blocks);
        Self {
            chain,
            claimed: tip.saturating_add(faults.lie_high_blocks),
            tip,
            true_head,
            chain_id: faults
                .chain_id
                .clone()
                .unwrap_or_else(|| chain.config().chain_id.clone()),
            syncing: faults.syncing,
        }
    }

    /// The newest block that counts as final.
    pub(crate) fn finalized(&self) -> u64 {
        self.tip.saturating_sub(self.chain.config().finality_depth)
    }

    /// The newest block that counts as safe.
    pub(crate) fn safe(&self) -> u64 {
        self.tip.saturating_sub(self.chain.config().finality_depth / 2)
    }

    /// The height a syncing node says it is heading for.
    pub(crate) fn highest(&self) -> u64 {
        self.true_head.max(self.claimed + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chain::ChainConfig;

    #[tokio::test(start_paused = true)]
    async fn faults_bend_the_head_and_nothing_else() {
        let chain = Chain::new(ChainConfig::evm(1, Duration::from_secs(1))).unwrap();
        let now = Instant::now();
        let heights = |faults: &Faults, frozen| {
            let view = View::new(&chain, faults, frozen, now);
            (view.claimed, view.tip, view.true_head)
        };
        assert_eq!(heights(&Faults::default(), None), (1_000, 1_000, 1_000));
        assert_eq!(
            heights(
                &Faults {
                    lag_blocks: 30,
                    ..Faults::default()
                },
                None
            ),
            (970, 970, 1_000)
        );
        assert_eq!(
            heights(
                &Faults {
                    lie_high_blocks: 5,
                    ..Faults::default()
                },
                None
            ),
            (1_005, 1_000, 1_000)
        );
        let all = Faults {
            lag_blocks: 30,
            lie_high_blocks: 5,
            ..Faults::default()
        };
        assert_eq!(heights(&all, Some(900)), (875, 870, 1_000));
        assert_eq!(
            heights(
                &Faults {
                    lag_blocks: 5_000,
                    ..Faults::default()
                },
                None
            ),
            (0, 0, 1_000)
        );
    }
}
